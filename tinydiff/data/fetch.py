"""Finding the full MNIST and Fashion-MNIST: in a folder, where Debian puts it, in the cache, or from a mirror.

Pooch downloads. A file is accepted by the SHA-256 of its *decompressed* bytes, since a gzip header may differ.
"""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pooch

from tinydiff.base import DataError, atomic_write
from tinydiff.data.dataset import Dataset
from tinydiff.data.sets import CLOTHES, DIGITS, dataset

TIMEOUT = (5, 20)  # seconds to wait for a connection, and then for an answer, before the next mirror is tried

FILES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
BYTES = {  # the same in both sets: 16 + 784 for each image, 8 + 1 for each label
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
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


@dataset("mnist", downloads=True)
def load_mnist(split: str = "train", network: bool = True) -> Dataset:
    """Return MNIST, 60,000 + 10,000 digits of 28 x 28 pixels, from this machine or from the network.

    Its files are looked for in the folder that the variable TINYDIFF_DATA names, in the cache, and on the network.
    """
    return _idx_dataset("mnist", split, network)


@dataset("fashion-mnist", downloads=True)
def load_fashion_mnist(split: str = "train", network: bool = True) -> Dataset:
    """Return Fashion-MNIST, 60,000 + 10,000 pictures of clothes, 28 x 28, from this machine or from the network.

    As `load_mnist`; besides, it is looked for where Debian puts it.
    """
    return _idx_dataset("fashion-mnist", split, network)


def _idx_dataset(name, split, network):
    images, labels, source = read_idx(name, split, download if network else None)
    class_names = DIGITS if name == "mnist" else CLOTHES
    return Dataset(images, labels, name, split, source, class_names=class_names)


def download(url: str) -> bytes:
    """Return what is at a URL."""
    buffer = io.BytesIO()
    pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=2**16)(url, buffer, None)
    return buffer.getvalue()


def read_idx(
    name: str, split: str, fetch: Callable[[str], bytes] | None = download
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a split of MNIST or Fashion-MNIST, and where its images came from.

    Parameters
    ----------
    name : str
        ``"mnist"`` or ``"fashion-mnist"``.
    split : str
        ``"train"`` or ``"test"``.
    fetch : callable or None
        Gets a URL and returns bytes; None does not go to the network.

    Returns
    -------
    images : uint8 array, shape (N, 28, 28, 1)
    labels : integer array, shape (N,)
    source : str
        A folder or a mirror.

    Raises
    ------
    DataError
        If a file cannot be found, is truncated, has the wrong checksum, or cannot be cached.
    """
    images, source = _find(name, FILES[split, "images"], fetch)
    labels, _ = _find(name, FILES[split, "labels"], fetch)
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1),
        np.frombuffer(labels, np.uint8, offset=8).astype(np.int64),
        source,
    )


def cache_folder(name: str) -> Path:
    """Return the folder where files of a data set are kept once they were downloaded."""
    return Path(pooch.os_cache("tinydiff")) / name


def _find(name, file, fetch):
    """Return (decompressed bytes, folder or mirror) of the first copy found; a damaged copy is an error."""
    folders = _folders(name)
    for path in (folder / f"{file}{ending}" for folder in folders for ending in ("", ".gz")):
        if not os.path.isfile(path):
            continue
        try:
            raw = _unpacked(path.read_bytes())
            if not _is_of_another_set(raw, name, file):
                return _checked(raw, name, file), str(path.parent)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be used: {error}. Delete it, and copy or download it again.") from error
    tried = []
    for mirror in MIRRORS[name] if fetch is not None else ():
        url = f"{mirror}{file}.gz"
        try:
            raw = _checked(_unpacked(fetch(url)), name, file)
        except (OSError, ValueError) as error:  # errors of requests are OSErrors; the next mirror may work
            tried.append(f"\n  tried {url}: {_reason(error)}")
            continue
        _keep(cache_folder(name) / file, raw)
        return raw, mirror
    alternative = ", or use 'mnist-small', which ships with tinydiff" if name == "mnist" else ""
    raise DataError(
        f"{name} is not on this machine ({file} was looked for in {', '.join(map(str, folders))}), and it "
        f"{'could not' if fetch is not None else 'was not to'} be downloaded. Put {', '.join(FILES.values())} "
        "(plain or .gz) into a folder and set TINYDIFF_DATA to it"
        f"{alternative}.{''.join(tried)}"
    )


def _folders(name):
    """Return where a file may be: TINYDIFF_DATA and a folder of the set's name in it, Debian's folder, the cache."""
    own = os.environ.get("TINYDIFF_DATA")
    folder = Path(os.path.expanduser(own or ""))
    given = [folder / name, folder] if own else []
    return [*given, *([DEBIAN[name]] if name in DEBIAN else []), cache_folder(name)]


def _is_of_another_set(raw, name, file):
    """Whether these bytes are sound, but another set's: the files of both sets have the same names."""
    return _sha_256(raw) in [sums[file] for other, sums in SHA_256.items() if other != name]


def _unpacked(data):
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"it is not a whole gzip file ({error})") from error


def _checked(raw, name, file):
    found, expected = _sha_256(raw), SHA_256[name][file]
    if found != expected:
        raise ValueError(
            f"it has {len(raw):,} bytes (SHA-256 {found[:12]}...), but {name}'s {file} has "
            f"{BYTES[file]:,} bytes ({expected[:12]}...)"
        )
    return raw


def _sha_256(raw):
    return hashlib.sha256(raw).hexdigest()


def _reason(error):
    """Return the cause inside an error of requests, without what it says about connection pools and retries."""
    return getattr(error.args[0] if error.args else error, "reason", error)


def _keep(path, raw):
    try:
        atomic_write(path, lambda file: file.write(raw))
    except DataError as error:
        raise DataError(f"{error} Or put the files into any folder yourself, and set TINYDIFF_DATA to it.") from error
