"""Good calls of `tinydiff.data`: data sets, pictures, latents, portraits, scenes."""

import contextlib
import functools
import tempfile
from pathlib import Path

import numpy as np

from tinydiff import data as D
from tinydiff.data import avatars as A
from tinydiff.data import scenes as S

IMAGES, LABELS = np.arange(96, dtype=np.uint8).reshape(3, 4, 4, 2)[..., :1].copy(), np.array([0, 1, 2])
PICTURES = Path(__file__).parent.parent / "fixtures" / "pictures"
PORTRAITS = A.compose(2, 0, "test")
CAPTIONS = A.describe(PORTRAITS, 0, "test")
RENDERED = A.render(PORTRAITS)
VERDICT = A.judge(RENDERED)
TWO_POINTS = np.array([[0.5, -0.5], [0.0, 1.0]], np.float32)
SCENE, DRAWN = S.compose(0), S.DrawnScenes("test", 3, 16)


@functools.wraps(D.Dataset)
def described(**arguments):
    made = D.Dataset(**arguments)
    return made.images, made.labels.tolist(), made.describe(), made.captions, made.class_names, made.notes


def dataset():
    return D.Dataset(IMAGES, LABELS, "mine", "all", "here", ("a", "b", "c"), ("x", "y", "z"))


def latents():
    halves = np.random.default_rng(0).normal(size=(3, 2, 2, 2)).astype(np.float16)
    return {"latents": halves, "labels": LABELS, "captions": ("a", "b", "c"), "name": "mine", "autoencoder": "abc"}


@functools.wraps(D.LatentData)
def described_latents(**arguments):
    made = D.LatentData(**arguments)
    return made.latents, made.labels.tolist(), made.captions, made.describe()


@functools.wraps(D.PointData)
def point_data(**arguments):
    made = D.PointData(**arguments)
    return made.points, made.labels.tolist(), made.describe()


@functools.wraps(D.load_points)
def load_points(**arguments):
    return D.load_points(**arguments).points


@functools.wraps(D.encode_once)
def encoded_once(**arguments):
    """Encode in a folder that is empty, and gone afterwards, so that no call sees what another one has left."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return D.encode_once(**arguments)


def encode(pictures):
    return pictures[:, ::2, ::2]


def progress(part, parts):
    pass


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
    "points": lambda: (D.points, {"name": "spirals", "n": 3, "seed": 1}),
    "load_points": lambda: (load_points, {"name": "spirals", "n": 3, "seed": 1, "split": "test"}),
    "point_shape": lambda: (D.point_shape, {"name": "spirals"}),
    "PointData": lambda: (
        point_data,
        {"points": TWO_POINTS, "labels": np.array([0, 1]), "name": "mine", "split": "all", "source": "here"},
    ),
    "PointData.batch": lambda: (D.PointData(TWO_POINTS).batch, {"indices": np.array([1]), "xp": np, "flip": None}),
    "PointData.take": lambda: (D.PointData(TWO_POINTS).take, {"indices": np.array([1])}),
    "load_data": lambda: (D.load_data, {"name": "digits", "split": "test", "network": False}),
    "dataset": lambda: (
        D.dataset,
        {"name": "nowhere", "splits": ("train", "test"), "downloads": False, "drawn": progress},
    ),
    "LatentData": lambda: (described_latents, {**latents(), "source": "here"}),
    "LatentData.batch": lambda: (
        D.LatentData(**latents()).batch,
        {"indices": np.array([0, 2]), "xp": np, "flip": None},
    ),
    "LatentData.take": lambda: (D.LatentData(**latents()).take, {"indices": np.array([0, 2])}),
    "encode_once": lambda: (
        encoded_once,
        {
            "data": dataset(),
            "encode": encode,
            "autoencoder": "abc",
            "folder": "latents",
            "progress": progress,
        },
    ),
    "peak_signal_to_noise": lambda: (D.peak_signal_to_noise, {"images": IMAGES, "others": IMAGES[::-1].copy()}),
    "agreement": lambda: (
        A.agreement,
        {"verdict": VERDICT, "portraits": PORTRAITS, "captions": CAPTIONS},
    ),
    "avatars.compose": lambda: (A.compose, {"n": 2, "seed": 1, "split": "test", "first": 1}),
    "avatars.describe": lambda: (A.describe, {"portraits": PORTRAITS, "seed": 1, "split": "test", "first": 1}),
    "descriptions_of": lambda: (A.descriptions_of, {"images": RENDERED[:1]}),
    "log2_probability": lambda: (A.log2_probability, {"images": RENDERED[:1]}),
    "portrait_entropy": lambda: (A.portrait_entropy, {"n": 2, "seed": 1}),
    "judge": lambda: (A.judge, {"images": RENDERED[:1]}),
    "load_avatars": lambda: (A.load_avatars, {"split": "test", "n": 2, "seed": 1}),
    "avatars.render": lambda: (A.render, {"portraits": PORTRAITS}),
    "scenes.compose": lambda: (S.compose, {"index": 3, "seed": 1, "split": "test"}),
    "scenes.describe": lambda: (S.describe, {"scene": SCENE, "seed": 1, "everything": False}),
    "scenes.render": lambda: (S.render, {"scene": SCENE, "size": 16}),
    "answers": lambda: (S.answers, {"scenes": [SCENE, S.compose(1)]}),
    "load_scenes": lambda: (S.load_scenes, {"split": "swapped", "n": 2, "seed": 1, "size": 16}),
    "DrawnScenes": lambda: (S.DrawnScenes, {"split": "test", "n": 2, "size": 16, "seed": 1}),
    "DrawnScenes.scenes": lambda: (DRAWN.scenes, {"indices": np.array([0, 2])}),
    "DrawnScenes.pictures": lambda: (DRAWN.pictures, {"indices": np.array([0, 2])}),
    "DrawnScenes.attributes": lambda: (DRAWN.attributes, {"indices": np.array([0, 2])}),
    "DrawnScenes.batch": lambda: (DRAWN.batch, {"indices": np.array([0, 2]), "xp": np, "flip": None}),
}
# Methods that take nothing.
WITHOUT = {
    *(
        f"{name}.{method}"
        for name in ("Dataset", "LatentData", "DrawnScenes", "PointData")
        for method in ("describe", "identity")
    ),
    "Listing.passed_over",
}
RECORDS = {"Entropy", "PointSet", "KnownDataset", "Listing", "Caption", "Portraits", "Scene", "Verdict"}
SLOW = {"judge": 8, "load_avatars": 8, "load_folder": 4, "load_scenes": 8}


def picture():
    """Return a picture in a folder that holds nothing else, made once in a run of the tests."""
    from PIL import Image

    if not FOLDER:
        folder = tempfile.TemporaryDirectory()
        Image.fromarray(IMAGES[0, ..., 0]).save(Path(folder.name) / "me.png")
        FOLDER.append(folder)  # which lives as long as this module
    return Path(FOLDER[0].name) / "me.png"


FOLDER = []
