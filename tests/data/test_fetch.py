"""Full data sets: where they are looked for, how they are downloaded, and files that are damaged."""

import gzip
import hashlib
import io

import numpy as np
import pytest
import requests

from tinydiff.base import DataError
from tinydiff.data import fetch, load_data


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
        DataError, match=r"train-images-idx3-ubyte.*cache.*could not be.*TINYDIFF_DATA.*'mnist-small'.*unreach"
    ):
        fetch.read_idx("mnist", "train", no_network)
    with pytest.raises(DataError, match="was not to be downloaded"):
        load_data("mnist", network=False)


def test_what_requests_says_is_cut_to_its_reason(tiny_mnist, monkeypatch):
    monkeypatch.delenv("TINYDIFF_DATA")
    monkeypatch.setattr(fetch, "MIRRORS", {"mnist": ("https://127.0.0.1:1/",)})  # nothing listens there
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
        with pytest.raises(DataError, match=f"could not be downloaded.* tried https.*{said}"):
            fetch.read_idx("mnist", "train", lambda url, answer=answer: answer)
    assert not (tmp_path / "cache").exists()


class Web(requests.adapters.BaseAdapter):
    """Answers by address, without a network: (status, location or body)."""

    def __init__(self, **answers):
        super().__init__()
        self.answers, self.asked = answers, []

    def send(self, request, **options):
        self.asked.append(request.url)
        status, said = self.answers[request.url.rsplit("/", 1)[1]]
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = status, request.url, request
        if status == 302:
            answer.headers["location"] = said
        answer.raw = io.BytesIO(b"" if status == 302 else said)
        return answer

    def close(self):
        pass


@pytest.fixture
def web(monkeypatch):
    web = Web(
        file=(200, b"some bytes"), other=(404, b""), moved=(302, "file"), away=(302, "http://elsewhere.org/file"),
        around=(302, "around"), large=(200, bytes(10**6)), local=(302, "file:///etc/hostname"),
    )  # fmt: skip
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: web)
    return web


def test_download_carries_the_bytes_and_prints_nothing(web, capfd):
    assert fetch.download("https://mirror.org/file") == b"some bytes"
    assert fetch.download("https://mirror.org/moved") == b"some bytes"
    with pytest.raises(OSError, match="404"):
        fetch.download("https://mirror.org/other")
    assert capfd.readouterr() == ("", "")


def test_nothing_is_fetched_but_by_https_and_nothing_without_an_end(web):
    for address in ("http://mirror.org/file", "https://mirror.org/away", "https://mirror.org/local"):
        with pytest.raises(OSError, match="does not begin with https"):
            fetch.download(address)
    assert all(address.startswith("https://") for address in web.asked)
    with pytest.raises(OSError, match="more than 5 times"):
        fetch.download("https://mirror.org/around")
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        fetch.download("https://mirror.org/large", most=1000)
    assert all(mirror.startswith("https://") for mirrors in fetch.MIRRORS.values() for mirror in mirrors)


def test_a_bomb_in_the_place_of_a_file_is_refused_before_it_is_unpacked(tiny_mnist):
    path = tiny_mnist / fetch.FILES["test", "labels"]
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(DataError, match=r"unpacks to more than 10,008 bytes. Delete it"):
        load_data("mnist", "test", network=False)


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
    def refuse(path, most):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(fetch, "read_at_most", refuse)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte cannot be used.*Permission denied"):
        load_data("mnist", network=False)


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
