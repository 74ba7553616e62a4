"""Films show every frame, in order, and their colours keep still."""

import numpy as np
import pytest
from pictures import bytes_of, chain, holds
from PIL import Image

from tinydiff import plot
from tinydiff.base import InputError


def test_chain_gif_shows_both_panels_and_ends_with_the_sample(tmp_path):
    frames = list(chain(n=4, steps=25))
    path = plot.chain_gif(frames, tmp_path / "chain.gif", max_frames=8, scale=2, ms_per_frame=50, hold_last=1000)
    with Image.open(path) as gif:
        assert gif.n_frames == 8
        assert durations(gif) == [50] * 7 + [1000]
        gif.seek(0)
        _, x_t, x_0_hat = frames[0]
        assert shows(gif, x_t)
        assert shows(gif, x_0_hat)
        gif.seek(7)
        assert shows(gif, frames[-1][1])


def shows(gif, images):
    levels = np.rint(plot.sheets.to_pixels("x", images) / 255 * (plot.animations.GREY_LEVELS - 1)) * (
        255 / (plot.animations.GREY_LEVELS - 1)
    )
    return all(holds(gif.convert("RGB"), image, 2) for image in np.rint(levels).astype(np.uint8))


def durations(gif):
    times = []
    for i in range(gif.n_frames):
        gif.seek(i)
        times.append(gif.info["duration"])
    return times


@pytest.mark.parametrize("draw", [plot.chain_strip, lambda frames: plot.chain_gif(frames, "never.gif")])
def test_chains_refuse_no_frames(draw):
    with pytest.raises(InputError, match="frames is empty"):
        draw(iter(()))


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_gives_back_number_size_and_colours(tmp_path, channels):
    frames = [Image.fromarray(np.broadcast_to(bytes_of(1, 9, 12, channels)[0], (9, 12, 3))) for _ in range(5)]
    path = plot.save_gif(frames, tmp_path / "a.gif")
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (5, (12, 9), 0)
        for i, frame in enumerate(frames):
            gif.seek(i)
            error = np.asarray(gif.convert("RGB"), int) - np.asarray(frame, int)
            assert abs(error).mean() < (255 / plot.animations.GREY_LEVELS / 2 if channels == 1 else 20)


def test_gif_keeps_still_colours_still(tmp_path):
    """A lower half that does not change keeps its bytes in every frame, whatever happens above it."""
    still = bytes_of(1, 16, 16, 3)[0]
    frames = [Image.fromarray(np.concatenate([bytes_of(1, 16, 16, 3)[0] // (i + 1), still])) for i in range(6)]
    with Image.open(plot.save_gif(frames, tmp_path / "a.gif")) as gif:
        halves = []
        for i in range(gif.n_frames):
            gif.seek(i)
            halves.append(np.asarray(gif.convert("RGB"))[16:])
    assert all((half == halves[0]).all() for half in halves)


def test_gif_keeps_black_and_white_exactly(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (0, 255)]
    with Image.open(plot.save_gif(frames, tmp_path / "a.gif")) as gif:
        for level in (0, 255):
            gif.seek(level // 255)
            assert set(gif.convert("L").tobytes()) == {level}


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "frames is empty"),
        ([Image.new("L", (2, 2)), Image.new("L", (3, 2))], {}, r"sizes \(2, 2\) and \(3, 2\)"),
        ([Image.new("L", (2, 2))], {"ms_per_frame": 5}, "ms_per_frame is 5"),
        ([Image.new("L", (2, 2))], {"hold_last": 0}, "hold_last is 0"),
    ],
)
def test_gif_refuses_and_writes_nothing(tmp_path, frames, options, message):
    with pytest.raises(InputError, match=message):
        plot.save_gif(frames, tmp_path / "a.gif", **options)
    assert list(tmp_path.iterdir()) == []
