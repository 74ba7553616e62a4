"""Good calls of `tinydiff.data`: data sets, pictures, portraits."""

import functools
from pathlib import Path

import numpy as np

from tinydiff import data as D
from tinydiff.data import avatars as A

IMAGES, LABELS = np.arange(96, dtype=np.uint8).reshape(3, 4, 4, 2)[..., :1].copy(), np.array([0, 1, 2])
PICTURES = Path(__file__).parent.parent / "fixtures" / "pictures"
PORTRAITS = A.compose(2, 0, "test")
CAPTIONS = A.describe(PORTRAITS, 0, "test")
RENDERED = A.render(PORTRAITS)
VERDICT = A.judge(RENDERED)


@functools.wraps(D.Dataset)
def described(**arguments):
    made = D.Dataset(**arguments)
    return made.images, made.labels.tolist(), made.describe(), made.captions, made.class_names, made.notes


def dataset():
    return D.Dataset(IMAGES, LABELS, "mine", "all", "here", ("a", "b", "c"), ("x", "y", "z"))


CALLS = {
    "Dataset": lambda: (
        described,
        {
            "images": IMAGES,
            "labels": LABELS,
            "name": "mine",
            "split": "all",
            "source": "here",
            "captions": ("a", "b", "c"),
            "class_names": ("x", "y", "z"),
            "notes": ("one",),
        },
    ),
    "Dataset.batch": lambda: (
        dataset().batch,
        {"indices": np.array([0, 2]), "xp": np, "flip": np.array([True, False])},
    ),
    "Dataset.take": lambda: (dataset().take, {"indices": np.array([0, 2])}),
    "Dataset.resize": lambda: (dataset().resize, {"size": 2}),
    "Dataset.pad": lambda: (dataset().pad, {"size": 6}),
    "to_floats": lambda: (D.to_floats, {"images": IMAGES}),
    "to_images": lambda: (D.to_images, {"x": IMAGES.astype("f4") / 128}),
    "fit_picture": lambda: (
        D.fit_picture,
        {"pixels": IMAGES[0], "size": 2, "fit": "crop", "background": "white"},
    ),
    "read_picture": lambda: (D.read_picture, {"path": str(picture()), "channels": 3, "background": "white"}),
    "list_folder": lambda: (D.list_folder, {"path": str(picture().parent)}),
    "load_folder": lambda: (
        D.load_folder,
        {
            "path": str(picture().parent),
            "size": 4,
            "channels": 1,
            "fit": "crop",
            "background": "white",
            "classes": True,
            "captions": True,
        },
    ),
    "load_data": lambda: (D.load_data, {"name": "digits", "split": "test", "network": False}),
    "dataset": lambda: (D.dataset, {"name": "nowhere", "splits": ("train", "test"), "downloads": False}),
    "agreement": lambda: (
        A.agreement,
        {"verdict": VERDICT, "portraits": PORTRAITS, "captions": CAPTIONS},
    ),
    "compose": lambda: (A.compose, {"n": 2, "seed": 1, "split": "test", "first": 1}),
    "describe": lambda: (A.describe, {"portraits": PORTRAITS, "seed": 1, "split": "test", "first": 1}),
    "judge": lambda: (A.judge, {"images": RENDERED[:1]}),
    "load_avatars": lambda: (A.load_avatars, {"split": "test", "n": 2, "seed": 1}),
    "render": lambda: (A.render, {"portraits": PORTRAITS}),
}
WITHOUT = {"Dataset.describe", "Listing.passed_over"}
RECORDS = {"KnownDataset", "Listing", "Caption", "Portraits", "Verdict"}
SLOW = {"judge": 8, "load_avatars": 8, "load_folder": 4}


def picture():
    """Return a picture in a folder that holds nothing else, made once in a run of the tests."""
    from PIL import Image

    if not FOLDER:
        import tempfile

        folder = tempfile.TemporaryDirectory()
        Image.fromarray(IMAGES[0, ..., 0]).save(Path(folder.name) / "me.png")
        FOLDER.append(folder)  # which lives as long as this module
    return Path(FOLDER[0].name) / "me.png"


FOLDER = []
