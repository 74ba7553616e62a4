"""Good calls of `tinydiff.plot`: every picture, of tiny arrays."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tinydiff import plot as P

FOLDER = tempfile.TemporaryDirectory()  # which lives as long as this module
rng = np.random.default_rng(0)
IMAGES = rng.uniform(-1, 1, (2, 4, 4, 1)).astype("f4")
T, X, CURVE = np.array([1.0, 5.0, 9.0]), np.linspace(-1, 1, 5), np.array([0.25, 0.5, 1.0])
DENSITY = np.array([0.25, 0.5, 1.0, 0.5, 0.25])
SQUARE, WEIGHTS = rng.normal(size=(2, 3)), rng.uniform(size=(2, 3))
FRAMES = [(9.0, IMAGES, IMAGES), (5.0, IMAGES, IMAGES)]
LEVEL = (SQUARE, SQUARE)
PLAIN = Image.fromarray(np.zeros((4, 4), np.uint8))


def into(name):
    return str(Path(FOLDER.name) / name)


def saved(f, name, **arguments):
    """Return a call that writes a file; the result is what the file holds."""

    def called(path, **others):
        return Path(f(path=path, **others)).read_bytes()

    return lambda: (called, {**arguments, "path": into(name)})


CALLS = {
    "about_picture": lambda: (P.about_picture, {"path": into("no.png")}),
    "chain_gif": saved(
        P.chain_gif,
        "chain.gif",
        frames=FRAMES,
        samples=1,
        scale=1,
        max_frames=2,
        ms_per_frame=80,
        hold_last=100,
        about={"seed": 1},
    ),
    "chain_strip": lambda: (
        P.chain_strip,
        {"frames": FRAMES, "samples": 1, "columns": 2, "estimate": True, "scale": 1, "title": "a"},
    ),
    "code_regions": lambda: (
        P.code_regions,
        {"panels": {"a": (SQUARE[:, :2].copy(), SQUARE[:, 1:].copy())}, "reach": 2.0},
    ),
    "curves": lambda: (
        P.curves,
        {"x": T, "lines": {"a": CURVE}, "x_label": "x", "y_label": "y", "title": "a", "log": "y"},
    ),
    "image_grid": lambda: (
        P.image_grid,
        {"images": IMAGES, "columns": 1, "scale": 1, "labels": ["a", "b"], "title": "a"},
    ),
    "captioned_images": lambda: (
        P.captioned_images,
        {"images": IMAGES, "captions": ["a", "b"], "columns": 1, "scale": 1, "title": "a"},
    ),
    "image_rows": lambda: (
        P.image_rows,
        {"rows": {"a": IMAGES}, "scale": 1, "title": "a", "column_labels": ("a", "b")},
    ),
    "loss_by_timestep_curve": lambda: (
        P.loss_by_timestep_curve,
        {"t": T, "loss": CURVE, "standard_error": CURVE / 4},
    ),
    "loss_curve": lambda: (
        P.loss_curve,
        {"log": [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5, "validation_loss": 0.75}]},
    ),
    "neighbour_rows": lambda: (
        P.neighbour_rows,
        {"samples": IMAGES, "neighbours": IMAGES[:, None], "distances": np.ones((2, 1)), "scale": 1, "title": "a"},
    ),
    "save_gif": saved(P.save_gif, "a.gif", frames=[PLAIN, PLAIN], ms_per_frame=80, hold_last=100, about={"seed": 1}),
    "save_image": saved(P.save_image, "a.png", picture=PLAIN, about=None),
    "save_picture": saved(P.save_picture, "b.png", image=IMAGES[0], about={"seed": 1}),
    "training_progress": lambda: (
        P.training_progress,
        {"grids": [(1, IMAGES), (2, IMAGES)], "scale": 1, "title": "a", "column_labels": ("a", "b")},
    ),
    "attention_maps": lambda: (
        P.attention_maps,
        {"rows": {"a": (IMAGES[0], np.ones((1, 2, 2)))}, "words": ["hat"], "scale": 1, "title": "a"},
    ),
    "bells": lambda: (P.bells, {"x": X, "densities": {"a": DENSITY}, "x_label": "x", "title": "a"}),
    "density_over_time": lambda: (
        P.density_over_time,
        {"t": T, "x": X, "density": np.ones((5, 3)), "title": "a"},
    ),
    "guidance_trade": lambda: (
        P.guidance_trade,
        {
            "scales": [1.0, 2.0, 3.0],
            "precision": CURVE,
            "recall": CURVE,
            "frechet": CURVE,
            "right": CURVE,
            "title": "a",
        },
    ),
    "jacobian": lambda: (P.jacobian, {"matrix": SQUARE, "d_y": np.ones(2), "d_x": np.ones(3), "largest": 2.0}),
    "loss_by_timestep_runs": lambda: (
        P.loss_by_timestep_runs,
        {"t": T, "losses": {"a": CURVE + 1}, "floor": CURVE},
    ),
    "noising_strips": lambda: (
        P.noising_strips,
        {"t": T[:2], "strips": {"a": IMAGES}, "log_snr": {"a": CURVE}},
    ),
    "paths_to_data": lambda: (
        P.paths_to_data,
        {"t": T[::-1].copy(), "paths": {"a": SQUARE.T.copy()}, "x": X, "density": DENSITY},
    ),
    "plane_densities": lambda: (
        P.plane_densities,
        {"x": X, "y": T, "densities": {"a": np.ones((3, 5))}, "points": {"a": SQUARE[:, :2].copy()}},
    ),
    "plane_paths": lambda: (
        P.plane_paths,
        {"paths": {"a": np.ones((3, 4, 2))}, "reach": 2.0, "data": SQUARE[:, :2].copy()},
    ),
    "plane_image": lambda: (
        P.plane_image,
        {"points": SQUARE[:, :2].copy(), "reach": 2.0, "side": 9, "colour": "#000000"},
    ),
    "plane_gif": saved(
        P.plane_gif,
        "plane.gif",
        frames=[(1.0, np.ones((3, 2)), np.ones((3, 2)))],
        reach=2.0,
        max_frames=4,
        ms_per_frame=50,
        hold_last=50,
        about={"a": 1},
    ),
    "point_clouds": lambda: (P.point_clouds, {"clouds": {"a": SQUARE[:, :2].copy()}, "reach": 2.0}),
    "reverse_steps": lambda: (
        P.reverse_steps,
        {"x": X, "exact": {"a": DENSITY}, "bells": {"a": DENSITY}},
    ),
    "roofline": lambda: (P.roofline, {"ways": {"a": (1.0, 1e9)}, "peak": 2e9, "bandwidth": 1e9}),
    "score_fields": lambda: (
        P.score_fields,
        {"x": X, "y": T, "densities": {"a": np.ones((3, 5))}, "scores": {"a": np.ones((3, 5, 2))}},
    ),
    "signed_maps": lambda: (
        P.signed_maps,
        {"maps": {"a": SQUARE, "b": SQUARE}, "signs": ("+",), "title": "a", "numbers": True},
    ),
    "token_maps": lambda: (
        P.token_maps,
        {
            "maps": {"a": WEIGHTS},
            "rows": ["a", "b"],
            "columns": ["a", "b", "c"],
            "y_label": "y",
            "x_label": "x",
            "title": "a",
        },
    ),
    "token_rows": lambda: (P.token_rows, {"rows": {"a": ["red ", "hat "]}, "title": "a"}),
    "tone_shares": lambda: (
        P.tone_shares,
        {"shares": {"a": np.array([0.5, 0.5])}, "colours": ["#ffdbac", "red"], "y_label": "y", "title": "a"},
    ),
    "usage_bars": lambda: (P.usage_bars, {"counts": {"a": CURVE}, "title": "a"}),
    "unet_passes": lambda: (P.unet_passes, {"down": [LEVEL], "middle": LEVEL, "up": [LEVEL]}),
}
SLOW = {name: 8 for name in CALLS if name not in ("image_grid", "image_rows", "save_image", "save_picture", "curves")}
