"""Data sets: what ships, where the full ones are looked for, one's own folder, and files that are damaged."""

import contextlib
import gzip
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinydiff.data as data_module
from tinydiff.base import DataError, InputError
from tinydiff.data import Dataset, fetch, load_data, load_folder, sets, to_floats, to_images


def no_network(url):
    raise OSError("Network is unreachable")


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A folder with an MNIST of 3 + 2 images, whose sums the library is told."""
    folder, sums = tmp_path / "mnist", {}
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, n in (("train", 3), ("test", 2)):
        for kind, header, body in (
            ("images", 16, rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)),
            ("labels", 8, np.arange(n, dtype=np.uint8)),
        ):
            raw = bytes(header) + body.tobytes()
            (folder / fetch.FILES[split, kind]).write_bytes(raw)
            sums[fetch.FILES[split, kind]] = hashlib.sha256(raw).hexdigest()
    monkeypatch.setitem(fetch.SHA_256, "mnist", sums)
    monkeypatch.setattr(fetch, "cache_folder", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("TINYDIFF_DATA", str(tmp_path))
    return folder


@pytest.mark.parametrize(
    ("name", "split", "n", "side"),
    [
        ("digits", "train", 1497, 8),
        ("digits", "test", 300, 8),
        ("mnist-small", "train", 6000, 28),
        ("mnist-small", "test", 1000, 28),
    ],
)
def test_what_ships(name, split, n, side):
    data = load_data(name, split)
    assert data.images.shape == (n, side, side, 1)
    assert data.images.max() == 255
    assert set(data.labels) == set(range(10))
    assert f"{n:,} images {side} x {side} x 1, from the package" in data.describe()


def test_the_small_mnist_has_as_many_of_each_class():
    for split, n in (("train", 600), ("test", 100)):
        assert (np.bincount(load_data("mnist-small", split).labels) == n).all()


@pytest.mark.parametrize("name", ["mnist-small", "digits"])
def test_the_card_states_the_sums_of_what_ships(name):
    card = (Path(data_module.__file__).parent / "CARD.md").read_text(encoding="utf-8")
    raw = (Path(data_module.__file__).parent / f"{name}.npz").read_bytes()
    with np.load(io.BytesIO(raw)) as arrays:
        content = b"".join(arrays[key].tobytes() for key in sorted(arrays))
    assert f"| `{name}.npz`, file | `{hashlib.sha256(raw).hexdigest()}` |" in card
    assert f"| `{name}.npz`, content | `{hashlib.sha256(content).hexdigest()}` |" in card
    assert f"`{name}.npz`, {len(raw):,} bytes" in card


def test_training_and_test_images_are_different():
    for name in ("digits", "mnist-small"):
        train, test = ({x.tobytes() for x in load_data(name, split).images} for split in ("train", "test"))
        assert not train & test


def test_a_batch_is_floats_from_minus_one_to_one():
    data = load_data("mnist-small", "test")
    x, labels = data.batch(np.arange(64))
    assert x.dtype == np.float32
    assert x.min() == -1
    assert x.max() == 1
    np.testing.assert_array_equal(labels, data.labels[:64])
    np.testing.assert_array_equal(to_images(x), data.images[:64])
    flip = np.arange(64) % 2 == 0
    mirrored, _ = data.batch(np.arange(64), flip=flip)
    np.testing.assert_array_equal(mirrored[0], x[0, :, ::-1])
    np.testing.assert_array_equal(mirrored[1], x[1])
    assert mirrored.dtype == np.float32


def test_bytes_and_floats_are_one_to_one(xp):
    every = xp.arange(256, dtype=xp.uint8)
    assert bool((to_images(to_floats(every)) == every).all())
    assert int(to_images(xp.asarray([3.0], dtype=xp.float32))[0]) == 255


@pytest.mark.parametrize("size", [1, 14, 16, 28, 32, 56])
def test_resizing_averages_areas(size):
    data = load_data("mnist-small", "test").take(slice(0, 20))
    fine = data.images.astype(int).repeat(size, axis=1).repeat(size, axis=2)  # 28 x size marks on either axis
    blocks = fine.reshape(20, size, 28, size, 28, 1).sum(axis=(2, 4))
    np.testing.assert_array_equal(data.resize(size).images, np.rint(blocks / 28**2))


def test_resizing_keeps_colours_apart_and_takes_any_number_of_images():
    images = np.random.default_rng(0).integers(0, 256, (2003, 4, 4, 3)).astype(np.uint8)
    data = Dataset(images, np.zeros(2003, int), "x", "train", "here")
    blocks = images.reshape(2003, 2, 2, 2, 2, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(data.resize(2).images, np.rint(blocks))
    assert data.take(slice(0, 0)).resize(8).images.shape == (0, 8, 8, 3)


def test_padding_keeps_pixels():
    data = load_data("mnist-small", "test").take(slice(0, 20))
    padded = data.pad(32)
    np.testing.assert_array_equal(padded.images[:, 2:30, 2:30], data.images)
    assert padded.images.sum() == data.images.sum()
    assert data.resize(28) is data
    with pytest.raises(InputError, match="cannot be padded to less"):
        data.pad(20)


def test_full_mnist_is_found_in_a_folder_and_says_so(tiny_mnist):
    data = load_data("mnist", "train", network=False)
    assert len(data) == 3
    assert str(tiny_mnist) in data.describe()
    np.testing.assert_array_equal(data.labels, [0, 1, 2])


def test_gzipped_files_are_judged_by_their_content(tiny_mnist):
    for path in list(tiny_mnist.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=7))
        path.unlink()
    assert len(load_data("mnist", "test", network=False)) == 2


def test_a_download_is_checked_and_kept(tiny_mnist, tmp_path, monkeypatch):
    files = {p.name: p.read_bytes() for p in tiny_mnist.iterdir()}
    monkeypatch.delenv("TINYDIFF_DATA")
    asked = []

    def fake(url):
        asked.append(url)
        if url.startswith(fetch.MIRRORS["mnist"][0]):
            raise OSError("the first mirror is down")
        return gzip.compress(files[url.rsplit("/", 1)[1].removesuffix(".gz")])

    images, _, source = fetch.read_idx("mnist", "train", fake)
    assert len(images) == 3
    assert source == fetch.MIRRORS["mnist"][1]
    assert len(asked) == 4
    images, _, source = fetch.read_idx("mnist", "train", no_network)
    assert source == str(tmp_path / "cache" / "mnist")


def test_without_files_and_network_the_error_says_what_to_put_where(tiny_mnist, monkeypatch):
    monkeypatch.delenv("TINYDIFF_DATA")
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte.*cache.*could not be.*TINYDIFF_DATA.*'mnist-small'(.|\n)*unreach"
    ):
        fetch.read_idx("mnist", "train", no_network)
    with pytest.raises(DataError, match="was not to be downloaded"):
        load_data("mnist", network=False)


def test_what_requests_says_is_cut_to_its_reason(tiny_mnist, monkeypatch):
    monkeypatch.delenv("TINYDIFF_DATA")
    monkeypatch.setattr(fetch, "MIRRORS", {"mnist": ("http://127.0.0.1:1/",)})  # nothing listens there
    with pytest.raises(DataError) as caught:
        load_data("mnist")
    assert "Connection refused" in str(caught.value)
    assert "Max retries" not in str(caught.value)


def test_a_download_that_cannot_be_kept_names_the_folder_and_a_way_round(tiny_mnist, tmp_path, monkeypatch):
    files = {p.name: p.read_bytes() for p in tiny_mnist.iterdir()}
    monkeypatch.delenv("TINYDIFF_DATA")
    (tmp_path / "cache").write_text("a file where the cache should be")
    with pytest.raises(DataError, match=r"cache/mnist/train-images-idx3-ubyte cannot be written.*set TINYDIFF_DATA"):
        fetch.read_idx("mnist", "train", lambda url: files[url.rsplit("/", 1)[1].removesuffix(".gz")])
    assert (tmp_path / "cache").is_file()


def test_a_mirror_that_gives_something_else_is_passed_over_and_nothing_is_kept(tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.delenv("TINYDIFF_DATA")
    cut = gzip.compress((tiny_mnist / fetch.FILES["train", "images"]).read_bytes())[:-20]
    for answer, said in (
        (b"<html>Not here</html>", "it has 21 bytes"),
        (cut, "not a whole gzip file"),
        (b"", "0 bytes"),
    ):
        with pytest.raises(DataError, match=f"could not be downloaded(.|\n)*tried https.*{said}"):
            fetch.read_idx("mnist", "train", lambda url, answer=answer: answer)
    assert not (tmp_path / "cache").exists()


def test_download_carries_the_bytes_and_prints_nothing(tmp_path, capfd):
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/file.gz" else 404)
            self.end_headers()
            self.wfile.write(b"some bytes")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert fetch.download(f"{address}/file.gz") == b"some bytes"
            with pytest.raises(OSError, match="404"):
                fetch.download(f"{address}/other.gz")
        finally:
            server.shutdown()
    assert capfd.readouterr() == ("", "")


def test_a_wrong_checksum_names_the_file_and_the_fix(tiny_mnist):
    path = tiny_mnist / fetch.FILES["train", "images"]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte cannot.*2,363 bytes.*47,040,016 bytes.*Delete it"):
        load_data("mnist", "train", network=False)


def test_a_truncated_gzip_file_names_the_file_and_the_fix(tiny_mnist):
    path = tiny_mnist / fetch.FILES["test", "images"]
    data = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz cannot.* not a whole gzip file.*Delete it"):
        load_data("mnist", "test", network=False)


def test_a_file_that_cannot_be_read_is_a_clear_sentence(tiny_mnist, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte cannot be used.*Permission denied"):
        load_data("mnist", network=False)


@pytest.mark.parametrize("n", [0, 100, 20000])
def test_a_damaged_package_says_so(tmp_path, monkeypatch, n):
    shipped = Path(data_module.__file__).parent / "digits.npz"
    (tmp_path / "digits.npz").write_bytes(shipped.read_bytes()[:n])
    monkeypatch.setattr(sets, "__file__", str(tmp_path / "sets.py"))
    with pytest.raises(DataError, match=r"digits\.npz is damaged.*Install tinydiff again"):
        load_data("digits")


@pytest.mark.skipif(not os.environ.get("TINYDIFF_DATA"), reason="TINYDIFF_DATA does not say where full MNIST is")
def test_mnist_small_is_the_first_of_each_class_in_full_mnist():
    for split, n in (("train", 600), ("test", 100)):
        full, small = load_data("mnist", split, network=False), load_data("mnist-small", split)
        chosen = np.sort(np.concatenate([np.flatnonzero(full.labels == c)[:n] for c in range(10)]))
        np.testing.assert_array_equal(small.images, full.images[chosen])
        np.testing.assert_array_equal(small.labels, full.labels[chosen])


def test_files_of_mnist_are_not_taken_for_fashion_mnist(tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "DEBIAN", {})
    monkeypatch.setenv("TINYDIFF_DATA", str(tiny_mnist))
    with pytest.raises(DataError, match="fashion-mnist is not on this machine"):
        load_data("fashion-mnist", "test", network=False)
    assert len(load_data("mnist", "test", network=False)) == 2


def test_a_folder_of_the_sets_name_comes_first_and_another_sets_file_is_passed_over(tiny_mnist, tmp_path, monkeypatch):
    """Fashion-MNIST's files lie in the folder itself, MNIST's in its subfolder `mnist`."""
    sums = {}
    for file in fetch.FILES.values():
        (tmp_path / file).write_bytes(file.encode())
        sums[file] = hashlib.sha256(file.encode()).hexdigest()
    monkeypatch.setitem(fetch.SHA_256, "fashion-mnist", sums)
    assert load_data("mnist", "test", network=False).source == str(tiny_mnist)
    for file in fetch.FILES.values():
        (tiny_mnist / file).unlink()
    with pytest.raises(DataError, match="mnist is not on this machine"):
        load_data("mnist", "test", network=False)


def test_a_variable_with_an_unknown_user_is_no_traceback(tiny_mnist, monkeypatch):
    monkeypatch.setenv("TINYDIFF_DATA", "~nobody-of-that-name/data")
    with pytest.raises(DataError, match="mnist is not on this machine"):
        load_data("mnist", network=False)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="name is 'cifar', but one of 'digits', 'mnist-small', 'avatars'"):
        load_data("cifar")
    with pytest.raises(InputError, match="split is 'validation'"):
        load_data("digits", "validation")


def pictures(folder, names):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12 + i, 9), (10 * i, 0, 0)).save(folder / name)


def test_ones_own_folder(tmp_path):
    pictures(tmp_path, ["b/1.png", "a/2.png", "b/3.jpg"])
    data = load_folder(tmp_path, 8)
    assert data.images.shape == (3, 8, 8, 3)
    assert data.labels.tolist() == [0, 1, 1]
    assert data.captions is None
    assert load_folder(tmp_path, 4, channels=1).images.shape == (3, 4, 4, 1)
    (tmp_path / "captions.csv").write_text("file,caption\nb/1.png,red\na/2.png,redder\nb/3.jpg,reddest\n")
    assert load_folder(tmp_path, 8).captions == ("redder", "red", "reddest")
    assert load_folder(tmp_path, 8).take([2]).captions == ("reddest",)
    assert load_folder(tmp_path, 8).take(np.array([True, False, True])).captions == ("redder", "reddest")
    assert load_folder(tmp_path, 8).describe().startswith(f"{tmp_path.name}, all: 3 images 8 x 8 x 3, from {tmp_path}")


def test_captions_of_a_spreadsheet_with_a_byte_order_mark(tmp_path):
    pictures(tmp_path, ["1.png"])
    (tmp_path / "captions.csv").write_bytes('file,caption\r\n1.png,"rot, grün"\r\n'.encode("utf-8-sig"))
    assert load_folder(tmp_path, 8).captions == ("rot, grün",)


def test_the_middle_is_kept_and_the_background_is_white(tmp_path):
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = (10, 20, 30)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "transparent.png")
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "sixteen.png")
    sixteen, transparent, middle = load_folder(tmp_path, 2).images
    assert (sixteen == 0x80).all()
    assert (transparent == 255).all()
    assert (middle == (10, 20, 30)).all()


def test_a_photograph_is_turned_upright(tmp_path):
    picture = Image.fromarray(np.array([[0, 255], [0, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a viewer turns the picture by 90 degrees clockwise
    picture.save(tmp_path / "photo.png", exif=exif)
    assert load_folder(tmp_path, 2, channels=1).images[0, ..., 0].tolist() == [[0, 0], [255, 255]]


def test_what_is_no_image_file_is_passed_over_or_refused(tmp_path):
    pictures(tmp_path, ["1.png"])
    (tmp_path / "folder.png").mkdir()
    assert len(load_folder(tmp_path, 8)) == 1
    (tmp_path / "2.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # no program is started
    with pytest.raises(DataError, match=r"2\.png cannot be read as an image"):
        load_folder(tmp_path, 8)


def test_hidden_files_are_passed_over(tmp_path):
    pictures(tmp_path, ["1.png", ".thumbnails/1.png"])
    (tmp_path / "._1.png").write_bytes(b"what a Mac leaves on a stick")
    assert len(load_folder(tmp_path, 8)) == 1


def test_bad_folders_are_one_clear_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        load_folder(tmp_path, 8)
    with pytest.raises(DataError, match="is not a folder"):
        load_folder(tmp_path / "none", 8)
    pictures(tmp_path, ["1.png"])
    (tmp_path / "captions.csv").write_text("file,caption\nother.png,x\n")
    with pytest.raises(DataError, match=r"no caption for 1\.png"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"has the columns \['a', 'b'\]"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").write_bytes(b"file,caption\n1.png,gr\xfcn\n")
    with pytest.raises(DataError, match=r"captions\.csv cannot be read as CSV in UTF-8"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").write_text("file,caption\n1.png\n")
    with pytest.raises(DataError, match=r"no caption for 1\.png"):
        load_folder(tmp_path, 8)
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:30])
    with pytest.raises(DataError, match=r"2\.png cannot be read as an image"):
        load_folder(tmp_path, 8)
    with pytest.raises(InputError, match="channels is 2"):
        load_folder(tmp_path, 8, channels=2)
    with pytest.raises(InputError, match="size is 0"):
        load_folder(tmp_path, 0)


def test_no_damage_to_an_image_gives_anything_but_a_clear_sentence(tmp_path):
    """400 files, each with a byte changed, or cut; a decoder that raises something else than expected would show."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8))
    refused = 0
    for ending in ("png", "jpg", "gif", "bmp", "webp"):
        buffer = io.BytesIO()
        picture.save(buffer, "jpeg" if ending == "jpg" else ending)
        for i in range(80):
            damaged = bytearray(buffer.getvalue())
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
            path = tmp_path / f"x.{ending}"
            path.write_bytes(damaged if i % 2 else damaged[: rng.integers(len(damaged))])
            with contextlib.suppress(DataError):
                load_folder(tmp_path, 4)
                refused -= 1
            refused += 1
        path.unlink()
    assert refused > 100


def test_bad_arguments_of_a_dataset():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    with pytest.raises(InputError, match="dtype float64"):
        Dataset(images.astype(float), np.zeros(3), "x", "train", "here")
    with pytest.raises(InputError, match="2 labels for 3 images"):
        Dataset(images, np.zeros(2), "x", "train", "here")
    with pytest.raises(InputError, match="indices run from 0 to 3, but there are 3 images"):
        Dataset(images, np.zeros(3), "x", "train", "here").batch(np.array([0, 3]))
    data = Dataset(images, np.zeros(3), "x", "train", "here", ("a", "b", "c"))
    with pytest.raises(InputError, match="indices run from -1 to 0"):
        data.batch([-1, 0])
    with pytest.raises(InputError, match="indices has dtype bool"):
        data.batch(np.array([True, False, True]))
    with pytest.raises(InputError, match=r"indices has 0 axes"):
        data.batch(1)
    with pytest.raises(InputError, match=r"flip has shape \(3,\)"):
        data.batch([0, 1], flip=np.zeros(3, bool))
    with pytest.raises(InputError, match="do not fit a data set of 3 images"):
        data.take([3])
    with pytest.raises(InputError, match="size is 0, but"):
        data.resize(0)
    with pytest.raises(InputError, match=r"size is 2\.5, but"):
        data.pad(2.5)
    with pytest.raises(InputError, match="images has dtype float64, but uint8"):
        to_floats(np.zeros(3))
    with pytest.raises(InputError, match="2 captions for 3 images"):
        Dataset(images, np.zeros(3), "x", "train", "here", ("a", "b"))
