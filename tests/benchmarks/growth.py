"""How time and memory of training grow with the batch, the width and the resolution: curves and their slopes."""

import math
from pathlib import Path

from child import Training, train_in_child

from tinydiff import plot
from tinydiff.plot.style import CYCLE, Chart, dress, label_decades

PICTURE = Path(__file__).resolve().parent.parent.parent / "docs" / "images" / "growth.png"
SIDES = {"tinydiff": "tinydiff", "PyTorch, whole batch": "whole batch"}
BASE = {"batch": 32, "channels": 32, "image_size": 16}
WALKS = {"batch": (16, 32, 64, 128, 256), "channels": (16, 32, 64, 128), "image_size": (8, 16, 32, 64)}
LABELS = {"batch": "images in a batch", "channels": "channels of the first level", "image_size": "pixels of a side"}
STEPS = 5  # the first of them is not timed


def measure() -> dict[str, dict[str, list[Training]]]:
    """Return walk -> side -> measurements: from `BASE`, one number at a time grows."""
    found: dict[str, dict[str, list[Training]]] = {}
    for name, values in WALKS.items():
        found[name] = {side: [] for side in SIDES}
        for value in values:
            shape = BASE | {name: value}
            unet = {"in_channels": 3, "channel_mult": [1, 2, 2], "blocks_per_level": 2, "attention_levels": []}
            unet |= {"channels": shape["channels"], "image_size": shape["image_size"]}
            for side, who in SIDES.items():
                training = train_in_child({"unet": unet}, shape["batch"], who, STEPS)
                found[name][side].append(training)
                milliseconds = 1e3 * training.seconds
                print(f"{name} {value}, {side}: {milliseconds:.2f} ms/image, {training.peak:.0f} MB", flush=True)
    return found


def growth_table(found: dict[str, dict[str, list[Training]]]) -> list[str]:
    """Return the table of slopes between the last two points, and write the picture."""
    plot.save_image(draw(found), PICTURE)
    lines = [
        f"How training grows, without attention, from a batch of {BASE['batch']} images of {BASE['image_size']} x "
        f"{BASE['image_size']} pixels and {BASE['channels']} channels: the slope on logarithmic axes between the last "
        "two points of each walk, 1 for proportional growth. Time is that of one image, each side in its own process.",
        "",
        "| what grows | time, tinydiff | time, PyTorch | memory, tinydiff | memory, PyTorch |",
        "|---|---|---|---|---|",
    ]
    for name, sides in found.items():
        what = {"batch": "the batch", "channels": "parameters", "image_size": "pixels"}[name]
        x = extent(name, sides["tinydiff"])
        times = [slope(x, [training.seconds for training in side]) for side in sides.values()]
        memory = [slope(x, [training.peak for training in side]) for side in sides.values()]
        last_two = " to ".join(f"{value:,}" for value in x[-2:])
        lines.append(f"| {what}, {last_two} | {' | '.join(f'{value:.2f}' for value in (*times, *memory))} |")
        print(lines[-1], flush=True)
    return [*lines, "", "![Time of an image, and memory, against batch, channels and pixels](images/growth.png)"]


def extent(name: str, side: list[Training]) -> list[int]:
    """Return what is said to grow: images, parameters or pixels."""
    if name == "channels":
        return [training.parameters for training in side]
    return [value**2 if name == "image_size" else value for value in WALKS[name]]


def slope(x: list[int], y: list[float]) -> float:
    return math.log(y[-1] / y[-2]) / math.log(x[-1] / x[-2])


def draw(found: dict[str, dict[str, list[Training]]]) -> Chart:
    """Return two rows of charts, time above memory, on logarithmic axes."""
    figure = Chart(figsize=(11, 6.2), dpi=110, layout="constrained", facecolor="white")
    axes = figure.subplots(2, len(found), sharey="row")
    for column, (name, sides) in enumerate(found.items()):
        for (side, trainings), (colour, style) in zip(sides.items(), CYCLE, strict=False):
            milliseconds = [1e3 * training.seconds for training in trainings]
            for ax, y in zip(axes[:, column], (milliseconds, [t.peak for t in trainings]), strict=True):
                ax.loglog(WALKS[name], y, color=colour, linestyle=style, marker="o", label=side)
        for ax, label in zip(axes[:, column], ("ms for an image", "peak memory, MB"), strict=True):
            dress(ax, LABELS[name], label if column == 0 else "")
            ax.set_xticks(WALKS[name], [str(value) for value in WALKS[name]])
            ax.xaxis.set_tick_params(which="minor", bottom=False, labelbottom=False)
    for ax in axes[:, 0]:
        label_decades(ax.yaxis)
    axes[0, 0].legend(frameon=False, fontsize=10)
    return figure
