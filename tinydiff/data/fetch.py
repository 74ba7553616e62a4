"""Finding the full MNIST and Fashion-MNIST: in a folder, where Debian puts it, in the cache, or from a mirror.

Pooch carries the bytes; what decides is the SHA-256 of the *decompressed* file, since a gzip header may differ.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pooch

from tinydiff.errors import DataError
from tinydiff.files import atomic_write

SECONDS = 20  # without an answer for so long, a mirror is given up

FILES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
SHA_256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
MIRRORS = {
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion-mnist": ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
}
DEBIAN = {"fashion-mnist": Path("/usr/share/datasets/fashion-mnist")}


def download(url: str) -> bytes:
    """Return what is at a URL."""
    path = pooch.retrieve(url, known_hash=None, downloader=pooch.HTTPDownloader(timeout=SECONDS))
    try:
        return Path(path).read_bytes()
    finally:
        Path(path).unlink(missing_ok=True)  # only what has the right sum is kept, decompressed


def read_idx(name: str, split: str, fetch: Callable[[str], bytes] | None = download) -> tuple:
    """Return (images, labels, source) of a split of MNIST or Fashion-MNIST.

    Parameters
    ----------
    name : str
        ``"mnist"`` or ``"fashion-mnist"``.
    split : str
        ``"train"`` or ``"test"``.
    fetch : callable or None
        Gets a URL and returns bytes; None does not go to the network.

    Raises
    ------
    DataError
        If a file is nowhere to be had, truncated, or not what its checksum promises.
    """
    parts, sources = [], []
    for kind in ("images", "labels"):
        file = FILES[split, kind]
        raw, source = _find(name, file, fetch)
        parts.append(np.frombuffer(raw, np.uint8, offset=16 if kind == "images" else 8))
        sources.append(source)
    return parts[0].reshape(-1, 28, 28, 1), parts[1].astype(np.int64), sources[0]


def cache_folder(name: str) -> Path:
    """Return the folder where files of a data set are kept once they were downloaded."""
    return Path(pooch.os_cache("tinydiff")) / name


def _find(name, file, fetch):
    for path in _places(name, file):
        if path.is_file():
            return _checked(_decompressed(path.read_bytes(), path), name, file, path), str(path.parent)
    tried = []
    for mirror in MIRRORS[name] if fetch is not None else ():
        url = f"{mirror}{file}.gz"
        try:
            raw = _checked(_decompressed(fetch(url), url), name, file, url)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; the next mirror may do
            tried.append(f"{url}: {error}")
            continue
        _keep(cache_folder(name) / file, raw)
        return raw, mirror
    raise DataError(
        f"{name} is not on this machine, and it could not be downloaded. Put {', '.join(FILES.values())} "
        f"(plain or .gz) into a folder and set TINYDIFF_DATA to it, or use 'mnist-small', which ships with tinydiff."
        + "".join(f"\n  tried {t}" for t in tried)
    )


def _keep(path, raw):
    atomic_write(path, lambda file: file.write(raw))


def _places(name: str, file: str) -> Iterator[Path]:
    """Yield where a file may be: TINYDIFF_DATA and a folder of the set's name in it, Debian's place, the cache."""
    folders = []
    if os.environ.get("TINYDIFF_DATA"):
        folder = Path(os.environ["TINYDIFF_DATA"]).expanduser()
        # a folder of the set's name first: the two sets' files have the same names
        folders += [folder / name, folder] if _may_hold(folder, name) else [folder / name]
    folders += [DEBIAN[name]] if name in DEBIAN else []
    for folder in [*folders, cache_folder(name)]:
        yield folder / file
        yield folder / f"{file}.gz"


def _may_hold(folder: Path, name: str) -> bool:
    """Whether the labels in a folder are those of this set, or there are none to tell by."""
    for path in (folder / "t10k-labels-idx1-ubyte", folder / "t10k-labels-idx1-ubyte.gz"):
        if path.is_file():
            others = [sums["t10k-labels-idx1-ubyte"] for other, sums in SHA_256.items() if other != name]
            return hashlib.sha256(_decompressed(path.read_bytes(), path)).hexdigest() not in others
    return True


def _decompressed(data, where):
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where} is not a whole gzip file ({error}). Delete it, and get it again.") from error


def _checked(raw, name, file, where):
    found = hashlib.sha256(raw).hexdigest()
    if found != SHA_256[name][file]:
        raise DataError(
            f"{where} is not {name}'s {file}: it has {len(raw):,} bytes with the SHA-256 {found[:12]}..., but "
            f"{SHA_256[name][file][:12]}... was expected. Delete it, and copy or download it again."
        )
    return raw
