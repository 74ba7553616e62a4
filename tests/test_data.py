"""Data sets: what ships, where the full ones are looked for, one's own folder, and files that are damaged."""

import gzip
import hashlib

import numpy as np
import pytest
from PIL import Image

from tinydiff.data import Dataset, fetch, load, load_folder, to_floats, to_images
from tinydiff.errors import DataError, InputError


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
    data = load(name, split)
    assert data.images.shape == (n, side, side, 1)
    assert data.images.max() == 255
    assert set(data.labels) == set(range(10))
    assert f"{n:,} images {side} x {side} x 1, from the package" in data.describe()


def test_the_small_mnist_has_as_many_of_each_class():
    for split, n in (("train", 600), ("test", 100)):
        assert (np.bincount(load("mnist-small", split).labels) == n).all()


def test_training_and_test_images_are_different():
    for name in ("digits", "mnist-small"):
        train, test = ({x.tobytes() for x in load(name, split).images} for split in ("train", "test"))
        assert not train & test


def test_a_batch_is_floats_from_minus_one_to_one():
    data = load("mnist-small", "test")
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


def test_bytes_and_floats_are_one_to_one(xp):
    every = xp.arange(256, dtype=xp.uint8)
    assert bool((to_images(to_floats(every)) == every).all())
    assert int(to_images(xp.asarray([3.0], dtype=xp.float32))[0]) == 255


def test_resizing_averages_areas_and_padding_keeps_pixels():
    data = load("mnist-small", "test").take(slice(0, 20))
    half = data.resize(14)
    blocks = data.images.reshape(20, 14, 2, 14, 2, 1).mean(axis=(2, 4))
    assert abs(half.images - blocks).max() <= 1
    padded = data.pad(32)
    np.testing.assert_array_equal(padded.images[:, 2:30, 2:30], data.images)
    assert padded.images.sum() == data.images.sum()
    assert data.resize(28) is data
    with pytest.raises(InputError, match="cannot be padded to less"):
        data.pad(20)


def test_full_mnist_is_found_in_a_folder_and_says_so(tiny_mnist):
    data = load("mnist", "train", network=False)
    assert len(data) == 3
    assert str(tiny_mnist) in data.describe()
    np.testing.assert_array_equal(data.labels, [0, 1, 2])


def test_gzipped_files_are_judged_by_their_content(tiny_mnist):
    for path in list(tiny_mnist.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=7))
        path.unlink()
    assert len(load("mnist", "test", network=False)) == 2


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
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*TINYDIFF_DATA.*'mnist-small'(.|\n)*unreachable"):
        fetch.read_idx("mnist", "train", no_network)


def test_a_wrong_checksum_names_the_file_and_the_fix(tiny_mnist):
    path = tiny_mnist / fetch.FILES["train", "images"]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is not mnist's.*2,363 bytes.*Delete it"):
        load("mnist", "train", network=False)


def test_a_truncated_gzip_file_names_the_file_and_the_fix(tiny_mnist):
    path = tiny_mnist / fetch.FILES["test", "images"]
    data = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is not a whole gzip file"):
        load("mnist", "test", network=False)


def test_files_of_mnist_are_not_taken_for_fashion_mnist(tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "DEBIAN", {})
    monkeypatch.setenv("TINYDIFF_DATA", str(tiny_mnist))
    with pytest.raises(DataError, match="fashion-mnist is not on this machine"):
        load("fashion-mnist", "test", network=False)
    assert len(load("mnist", "test", network=False)) == 2


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="name is 'cifar', but one of 'digits', 'mnist-small', 'mnist'"):
        load("cifar")
    with pytest.raises(InputError, match="split is 'validation'"):
        load("digits", "validation")


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
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:30])
    with pytest.raises(DataError, match=r"2\.png cannot be read as an image"):
        load_folder(tmp_path, 8)
    with pytest.raises(InputError, match="channels is 2"):
        load_folder(tmp_path, 8, channels=2)


def test_bad_arguments_of_a_dataset():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    with pytest.raises(InputError, match="dtype float64"):
        Dataset(images.astype(float), np.zeros(3), "x", "train", "here")
    with pytest.raises(InputError, match="2 labels for 3 images"):
        Dataset(images, np.zeros(2), "x", "train", "here")
    with pytest.raises(InputError, match="indices run from 0 to 3, but there are 3 images"):
        Dataset(images, np.zeros(3), "x", "train", "here").batch(np.array([0, 3]))
