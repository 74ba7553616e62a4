"""Pictures show the pixels they were given, and files of them are whole."""

import io

import numpy as np
import pytest
from arrays import to_xp
from matplotlib.figure import Figure
from PIL import Image

from tinydiff import plot
from tinydiff.base import DataError, InputError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_whichever_tests_run():
    RNG.bit_generator.state = np.random.PCG64(0).state


def bytes_of(n, height=5, width=7, channels=1):
    """Return random uint8 images without pure white, so that they are told from the page."""
    return RNG.integers(0, 250, (n, height, width, channels), dtype=np.uint8)


def holds(picture, image, scale):
    """Return whether the enlarged image occurs in the picture."""
    enlarged = np.kron(image, np.ones((scale, scale, 1), np.uint8))
    return places_of(np.asarray(picture), np.broadcast_to(enlarged, (*enlarged.shape[:2], 3))) != []


def places_of(canvas, part):
    windows = np.lib.stride_tricks.sliding_window_view(canvas, part.shape)[:, :, 0]
    candidates = np.argwhere((windows[:, :, 0, 0] == part[0, 0]).all(axis=-1))
    return [(y, x) for y, x in candidates if (windows[y, x] == part).all()]


def grid_places(picture, images, scale):
    """Return the place (y, x) of each enlarged image in the picture; each must occur once."""
    enlarged = plot.images.to_pixels("images", images).repeat(scale, axis=1).repeat(scale, axis=2)
    places = [places_of(np.asarray(picture), image) for image in enlarged]
    assert [len(found) for found in places] == [1] * len(images)
    return [found[0] for found in places]


def assert_table(places):
    """Assert that places[row][column] = (y, x) are those of a table, read to the right and downwards."""
    y, x = np.moveaxis(np.array(places), -1, 0)
    assert (y == y[:, :1]).all()
    assert (np.diff(y[:, 0]) > 0).all()
    assert (x == x[:1]).all()
    assert (np.diff(x[0]) > 0).all()


def chain(n, steps, channels=1):
    """Return frames like a sampler's: t falls to 0, x_t leaves [-1, 1]."""
    for t in range(steps, -1, -1):
        x_t = RNG.standard_normal((n, 6, 6, channels)).astype(np.float32)
        yield t, x_t, np.tanh(x_t)


# Grids


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 4])
def test_grid_holds_every_image_enlarged_by_whole_pixels_in_reading_order(channels, scale):
    images = bytes_of(6, channels=channels)
    places = grid_places(plot.image_grid(images, columns=3, scale=scale), images, scale)
    assert_table([places[:3], places[3:]])


def test_grid_maps_floats_from_minus_one_to_one_and_clips():
    values = np.array([-3.0, -1.0, 0.0, 1.0, 3.0], np.float32)
    grid = np.asarray(plot.image_grid(values.reshape(1, 1, 5, 1), scale=1))
    assert places_of(grid, np.array([[0, 0, 128, 255, 255]], np.uint8)[..., None].repeat(3, axis=2))


def test_grid_separates_neighbouring_images():
    black = np.zeros((4, 5, 5), np.uint8)
    row = np.asarray(plot.image_grid(black, columns=4, scale=2))[plot.images.MARGIN, :, 0]
    inner = row[plot.images.MARGIN : -plot.images.MARGIN]
    assert np.count_nonzero(np.diff((inner == 255).astype(int)) == 1) == 3


@pytest.mark.parametrize(
    ("n", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (7, 3), (8, 4), (10, 5), (12, 4), (64, 8), (100, 10)]
)
def test_grid_is_about_square_and_without_holes_where_possible(n, columns):
    assert plot.images._columns(n) == columns


@pytest.mark.parametrize("n", [1, 9, 64, 1000])
@pytest.mark.parametrize("size", [8, 28, 64])
def test_grid_fits_a_page_by_default(n, size):
    width, _ = plot.image_grid(np.zeros((n, size, size), np.uint8)).size
    assert width <= max(1000, (size + plot.images.GAP) * plot.images._columns(n) + 2 * plot.images.MARGIN)


def test_pictures_of_device_arrays_are_those_of_host_arrays(xp):
    images = RNG.standard_normal((6, 4, 4, 1)).astype(np.float32)
    frames = list(chain(n=3, steps=4))
    on_device = [(t, to_xp(xp, x_t), to_xp(xp, x_0_hat)) for t, x_t, x_0_hat in frames]
    assert plot.image_grid(to_xp(xp, images)) == plot.image_grid(images)
    assert plot.chain_strip(on_device) == plot.chain_strip(frames)
    near, distances = images[:, None], np.arange(6.0)[:, None]
    got = plot.nearest_neighbours(*(to_xp(xp, a) for a in (images, near, distances)))
    assert got == plot.nearest_neighbours(images, near, distances)


def test_grid_writes_labels_and_title_outside_the_images():
    images = bytes_of(4)
    plain = plot.image_grid(images, columns=2, scale=8)
    labelled = plot.image_grid(
        images, columns=2, scale=8, labels=np.array(["3", "a label that is wider", "c", "d"]), title="Title"
    )
    assert all(holds(labelled, image, 8) for image in images)
    assert labelled.height > plain.height
    assert labelled.width > plain.width
    page = plot.image_grid(np.full((4, 5, 7), 255, np.uint8), columns=2, scale=8, labels=["", "", "", "x"])
    ink = np.argwhere(np.asarray(page)[..., 0] < 128)
    assert len(ink)
    assert (ink > np.array(page.size[::-1]) / 2).all()  # the label of the last image is at its place


def test_grid_widens_for_a_long_title():
    grid = plot.image_grid(bytes_of(1), scale=1, title="A title that is much wider than one small image")
    edge = np.asarray(grid)[:, -plot.images.MARGIN + 1 :]
    assert (edge == 255).all()


@pytest.mark.parametrize("title", ["many words " * 1000, "W" * 9000, "日本語 " * 3000])
@pytest.mark.parametrize("scale", [1, 100])
def test_a_title_of_any_length_leaves_the_grid_its_size(title, scale):
    images = bytes_of(2)
    plain, grid = plot.image_grid(images, scale=scale), plot.image_grid(images, scale=scale, title=title)
    assert grid.width <= max(plain.width, plot.images.TITLE_WIDTH + 2 * plot.images.MARGIN)
    assert grid.height <= plain.height + 150
    grid_places(grid, images, scale)
    border = np.asarray(grid)[:, [0, -1]]
    assert (border == 255).all()  # no line is cut off


def test_a_title_that_is_too_wide_goes_on_in_the_next_line(monkeypatch):
    texts = []
    monkeypatch.setattr(plot.images.ImageDraw.ImageDraw, "text", lambda self, at, text, *_, **__: texts.append(text))
    title = "a person with long red hair and a green shirt: 16 samples of avatars, ddim, 50 steps, seed 0"
    plot.image_grid(bytes_of(4), scale=20, title=title)
    lines = [text for text in texts if text]
    assert 2 <= len(lines) <= 3
    assert " ".join(lines) == title
    texts.clear()
    plot.image_grid(bytes_of(4), scale=20, title="one  line")
    assert "one  line" in texts


def test_a_title_may_hold_anything():
    images = bytes_of(1)
    for title in ("red \udcff hair", "two\nlines", " ", "\t\n", "\u200b"):
        grid_places(plot.image_grid(images, scale=4, title=title), images, 4)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((3, 3)), {}, "images has 2 axes"),
        (np.zeros((0, 3, 3, 1)), {}, "there is nothing to draw"),
        (np.zeros((2, 3, 3, 2)), {}, "images has 2 channels, but 1"),
        (np.full((2, 3, 3, 1), np.nan), {}, "images holds NaN"),
        (np.zeros((2, 3, 3, 1)), {"columns": 0}, "columns is 0, but a whole number"),
        (np.zeros((2, 3, 3, 1)), {"scale": 1.5}, "scale is 1.5, but a whole number"),
        (np.zeros((2, 3, 3, 1)), {"labels": ["a"]}, "labels has 1 entries, but 2"),
        ([[[0.0]]], {}, "list, but a NumPy or CuPy array"),
    ],
)
def test_grid_refuses(images, options, message):
    with pytest.raises(InputError, match=message):
        plot.image_grid(images, **options)


# Chains


@pytest.mark.parametrize("estimate", [False, True])
def test_strip_shows_rows_of_samples_and_columns_of_falling_t(monkeypatch, estimate):
    frames = list(chain(n=5, steps=30))
    texts = []
    monkeypatch.setattr(
        plot.images.ImageDraw.ImageDraw, "text", lambda self, at, text, *_, **__: texts.append((at[0], text))
    )
    strip = plot.chain_strip(frames, samples=3, columns=4, scale=10, estimate=estimate)
    assert [text for _, text in sorted(texts) if text] == ["t = 30", "t = 20", "t = 10", "t = 0"]
    shown = 2 if estimate else 1
    found = [grid_places(strip, frames[i][shown][:3], 10) for i in (0, 10, 20, 30)]
    assert_table(np.array(found).swapaxes(0, 1))
    assert not holds(strip, plot.images.to_pixels("x", frames[0][shown])[3], 10)


def test_strip_of_a_short_chain_shows_all_of_it():
    picture = plot.chain_strip(chain(n=2, steps=2), columns=10, scale=10)
    assert picture.width < plot.chain_strip(chain(n=2, steps=4), columns=10, scale=10).width


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
    levels = np.rint(plot.images.to_pixels("x", images) / 255 * (plot.images.GREY_LEVELS - 1)) * (
        255 / (plot.images.GREY_LEVELS - 1)
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


# Animations


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_gives_back_number_size_and_colours(tmp_path, channels):
    frames = [Image.fromarray(np.broadcast_to(bytes_of(1, 9, 12, channels)[0], (9, 12, 3))) for _ in range(5)]
    path = plot.save_gif(frames, tmp_path / "a.gif")
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (5, (12, 9), 0)
        for i, frame in enumerate(frames):
            gif.seek(i)
            error = np.asarray(gif.convert("RGB"), int) - np.asarray(frame, int)
            assert abs(error).mean() < (255 / plot.images.GREY_LEVELS / 2 if channels == 1 else 20)


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


# Training and evaluation


def test_progress_has_a_row_per_time_and_a_column_per_seed():
    grids = [(step, bytes_of(4)) for step in (0, 100, 2000)]
    picture = plot.training_progress(grids, scale=8, title="Progress")
    assert_table([grid_places(picture, images, 8) for _, images in grids])


@pytest.mark.parametrize(
    ("grids", "message"),
    [([], "grids is empty"), ([(0, bytes_of(4)), (1, bytes_of(3))], r"images has shape \(3, 5, 7, 3\)")],
)
def test_progress_refuses(grids, message):
    with pytest.raises(InputError, match=message):
        plot.training_progress(grids)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 3), (4, 12)])
def test_neighbours_stand_right_of_their_sample_nearest_first(n, k):
    samples, near = bytes_of(n, width=12), bytes_of(n * k, width=12).reshape(n, k, 5, 12, 1)
    picture = plot.nearest_neighbours(samples, near, RNG.uniform(0, 9, (n, k)), scale=8)
    for sample, row in zip(samples, near, strict=True):
        assert_table([grid_places(picture, np.stack([sample, *row]), 8)])


def test_neighbours_refuse_other_shapes():
    samples, near = bytes_of(3), bytes_of(6).reshape(3, 2, 5, 7, 1)
    with pytest.raises(InputError, match=r"distances has shape \(2, 2\), but \(3, any\)"):
        plot.nearest_neighbours(samples, near, np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"neighbours has shape .* but \(3, 3, 5, 7, 1\)"):
        plot.nearest_neighbours(samples, near, np.zeros((3, 3)))


def lines_of(figure):
    (axes,) = figure.axes
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_loss_curve_draws_both_losses_on_a_labelled_logarithmic_axis():
    log = [{"step": s, "loss": 1 / s} for s in range(1, 101)]
    log += [{"step": s, "validation_loss": 2 / s, "loss": None} for s in (50, 100)] + [{"event": "saved"}]
    figure = plot.loss_curve(log)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    lines = lines_of(figure)
    np.testing.assert_array_equal(lines["training"], [(s, 1 / s) for s in range(1, 101)])
    np.testing.assert_array_equal(lines["validation, averaged weights"], [(50, 2 / 50), (100, 2 / 100)])


@pytest.mark.parametrize("n", [1, 2, 39, 40, 5000])
def test_smoothing_keeps_a_straight_line_and_calms_noise(n):
    line = np.linspace(3, 1, n)
    inner = slice(0, n - n // 40)  # at the end the window has no right half
    np.testing.assert_allclose(plot.charts._smooth(line)[inner], line[inner], rtol=1e-10)
    noise = RNG.standard_normal(n)
    assert plot.charts._smooth(noise).std() <= noise.std() * (1 if n < 5000 else 0.5)


def test_loss_curve_refuses_a_log_without_losses():
    with pytest.raises(InputError, match='log has no record with "step" and "loss"'):
        plot.loss_curve([{"step": 1}])


def test_loss_by_timestep_draws_the_mean_and_its_band():
    t, loss, error = np.array([1.0, 2.0, 3.0]), np.array([0.5, np.nan, 0.1]), np.array([0.1, np.nan, np.nan])
    figure = plot.loss_by_timestep(t, loss, error)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([t, loss], axis=1))
    (band,) = axes.collections
    np.testing.assert_allclose(band.get_paths()[0].get_extents().intervaly, [0.5 - 0.2, 0.5 + 0.2])
    plot.loss_by_timestep(t, loss)
    with pytest.raises(InputError, match="loss has shape"):
        plot.loss_by_timestep(t, loss[:2])
    with pytest.raises(InputError, match="standard_error has shape"):
        plot.loss_by_timestep(t, loss, error[:2])


@pytest.mark.parametrize("values", [[0.02], [0.0211, 0.0213, 0.0212], [1.0, 1e-4]])
def test_a_loss_axis_always_has_numbers(values):
    figure = plot.loss_curve([{"step": i, "loss": v} for i, v in enumerate(values)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    visible = [label for label in axes.yaxis.get_ticklabels(which="both") if low <= label.get_position()[1] <= high]
    assert any(label.get_text() for label in visible)


def test_strips_of_noise_stand_above_the_curves_of_their_schedules():
    t, images = np.array([1, 11, 21]), RNG.uniform(-1, 1, (3, 4, 4, 1))
    log_snr = {"linear": np.linspace(2, -2, 21), "cosine": np.linspace(1, -1, 21)}
    figure = plot.noising_strips(t, {"linear": images, "cosine": -images}, log_snr)
    first, second, curves = figure.axes
    assert [axes.get_ylabel() for axes in (first, second)] == ["linear", "cosine"]
    row = first.images[0].get_array()
    np.testing.assert_array_equal(row[:, 4:8, 0], np.rint((images[1, ..., 0] + 1) * 127.5))
    assert first.images[0].get_extent() == [-4, 26, 0, 1]  # the second image stands above 6 .. 16
    for line, values in zip(curves.lines, log_snr.values(), strict=False):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([np.arange(1, 22), values], axis=1))
    for bad, message in [
        ({"linear": images}, "same 1 to 3 names"),
        ({"linear": images, "cosine": images[:2]}, "cosine has shape"),
        ({}, "same 1 to 3 names"),
    ]:
        with pytest.raises(InputError, match=message):
            plot.noising_strips(t, bad, log_snr)
    with pytest.raises(InputError, match="log_snr of linear has 2 axes"):
        plot.noising_strips(t, {"linear": images}, {"linear": t[:, None]})


def test_a_density_over_time_is_drawn_in_shares_of_its_peaks():
    t, x, density = np.arange(1, 4), np.linspace(-1, 1, 5), RNG.uniform(0.1, 1, (5, 3))
    figure = plot.density_over_time(t, x, density, title="a density")
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == ("step t", "x", "a density")
    assert bar.get_ylabel()
    np.testing.assert_allclose(axes.collections[0].get_array(), density / density.max(axis=0))
    with pytest.raises(InputError, match=r"density has shape \(3, 5\)"):
        plot.density_over_time(t, x, density.T)
    for bad in (-density, density * np.nan, density * 0):
        with pytest.raises(InputError, match="density must be finite"):
            plot.density_over_time(t, x, bad)


def drawn(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line.get_xydata()


def test_rows_of_images_have_names():
    rows = {"one": bytes_of(4), "two": bytes_of(4)}
    picture = plot.image_rows(rows, scale=8, column_labels="abcd")
    assert_table([grid_places(picture, images, 8) for images in rows.values()])
    with pytest.raises(InputError, match="rows is empty"):
        plot.image_rows({})


def test_curves_stand_over_their_x():
    x, lines = np.linspace(1, 2, 5), {"up": np.arange(1, 6), "down": np.arange(6, 1, -1)}
    figure = plot.curves(x, lines, "this", "that", title="both", log="xy")
    (axes,) = figure.axes
    for name, y in lines.items():
        np.testing.assert_array_equal(drawn(axes, name), np.stack([x, y], axis=1))
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "this")
    with pytest.raises(InputError, match=r"up has shape \(5,\)"):
        plot.curves(x[:4], lines, "this", "that")
    with pytest.raises(InputError, match="1 to 6 were expected"):
        plot.curves(x, {}, "this", "that")
    short, long = (plot.curves(10.0 ** np.arange(n), {"y": np.ones(n)}, "x", "y", log="x").axes[0] for n in (3, 7))
    assert {"2", "5", "10"} <= {label.get_text() for label in short.get_xticklabels()}
    assert not {"2", "5"} & {label.get_text() for label in long.get_xticklabels()}
    with pytest.raises(InputError, match="log is 'z'"):
        plot.curves(x, lines, "this", "that", log="z")


def test_reverse_steps_show_the_exact_density_and_the_bell():
    x = np.linspace(-1, 1, 5)
    exact, bells = {"small": x**2, "large": x + 1}, {"small": x * 0, "large": x * 2}
    figure = plot.reverse_steps(x, exact, bells)
    for axes, name in zip(figure.axes, exact, strict=True):
        assert axes.get_title(loc="left") == name
        np.testing.assert_array_equal(drawn(axes, "best bell"), np.stack([x, bells[name]], axis=1))
    with pytest.raises(InputError, match="the same names"):
        plot.reverse_steps(x, exact, {"small": x})
    with pytest.raises(InputError, match="exact of small has shape"):
        plot.reverse_steps(x, {"small": x[1:]}, {"small": x})


def test_scores_are_arrows_over_densities():
    x, y = np.linspace(-1, 1, 32), np.linspace(-1, 1, 16)
    score = np.stack(np.broadcast_arrays(-x, -y[:, None]), axis=-1)
    figure = plot.score_fields(x, y, {"t = 1": np.exp(-(x**2) - y[:, None] ** 2)}, {"t = 1": score})
    (axes,) = figure.axes
    _, arrows = axes.collections
    u, v, (px, py) = arrows.U, arrows.V, arrows.XY.T
    np.testing.assert_allclose(u * py, v * px, atol=1e-12)  # towards the middle
    assert (u * px <= 0).all()
    assert np.hypot(u, v).max() == pytest.approx(1)
    with pytest.raises(InputError, match="the same names"):
        plot.score_fields(x, y, {"t = 1": score[..., 0]}, {"t = 2": score})
    with pytest.raises(InputError, match="scores of t = 1 has shape"):
        plot.score_fields(x, y, {"t = 1": score[..., 0]}, {"t = 1": score[..., 0]})


def test_bells_have_marks_at_their_peaks():
    x = np.linspace(-2, 2, 9)
    figure = plot.bells(x, {"prior": np.exp(-(x**2)), "product": np.exp(-((x - 1) ** 2))}, "x_0")
    (axes,) = figure.axes
    marks = [line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() == "o"]
    assert marks == [[0, 1], [1, 1]]
    with pytest.raises(InputError, match="prior has shape"):
        plot.bells(x, {"prior": x[1:]})
    with pytest.raises(InputError, match="1 to 3 were expected"):
        plot.bells(x, {})


def test_losses_of_a_run_stand_over_the_floor():
    t, losses = np.array([1, 10, 100]), {"step 1": np.ones(3), "step 9": np.full(3, 0.5)}
    figure = plot.loss_by_timestep_runs(t, losses, np.full(3, 0.1))
    (axes,) = figure.axes
    np.testing.assert_array_equal(drawn(axes, "step 9"), np.stack([t, losses["step 9"]], axis=1))
    (floor,) = axes.collections
    np.testing.assert_allclose(floor.get_paths()[0].get_extents().intervaly, [0.05, 0.1])
    with pytest.raises(InputError, match="floor has shape"):
        plot.loss_by_timestep_runs(t, losses, np.ones(2))
    with pytest.raises(InputError, match="1 to 5 were expected"):
        plot.loss_by_timestep_runs(t, {}, np.ones(3))


def test_paths_end_in_a_histogram_of_all_chains():
    t, x = np.array([2, 1, 0]), np.linspace(-3, 3, 7)
    paths = {"one": RNG.uniform(-3, 3, (3, 40)), "two": RNG.uniform(-3, 3, (3, 40))}
    figure = plot.paths_to_data(t, paths, x, np.full(7, 1 / 6))
    for (left, right), chains in zip(np.reshape(figure.axes, (2, 2)), paths.values(), strict=True):
        np.testing.assert_array_equal(np.stack([line.get_ydata() for line in left.lines], axis=1), chains[:, :12])
        assert left.get_xlim() == (2, 0)
        assert sum(bar.get_width() * bar.get_height() for bar in right.patches) == pytest.approx(1)
    with pytest.raises(InputError, match="one has shape"):
        plot.paths_to_data(t, {"one": paths["one"][1:]}, x, x)
    with pytest.raises(InputError, match="1 to 3 samplers"):
        plot.paths_to_data(t, {}, x, x)


def test_clouds_of_points_share_their_reach():
    clouds = {"one": RNG.standard_normal((5, 2)), "two": RNG.standard_normal((9, 2))}
    figure = plot.point_clouds(clouds, 2.5)
    for axes, (name, points) in zip(figure.axes, clouds.items(), strict=True):
        assert axes.get_title(loc="left") == name
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), points)
        assert axes.get_xlim() == axes.get_ylim() == (-2.5, 2.5)
    with pytest.raises(InputError, match=r"one has shape \(3, 3\)"):
        plot.point_clouds({"one": np.zeros((3, 3))}, 1)
    with pytest.raises(InputError, match="1 to 5 were expected"):
        plot.point_clouds({}, 1)


def test_a_jacobian_is_drawn_transposed_beside_its_product():
    matrix, d_y = RNG.standard_normal((4, 3)), RNG.standard_normal(4)
    figure = plot.jacobian(matrix, d_y, d_y @ matrix)
    shown = [axes.images[0] for axes in figure.axes]
    for image, expected in zip(shown, (matrix.T, d_y[:, None], (d_y @ matrix)[:, None]), strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
        low, high = image.get_clim()
        assert low == -high  # so that white is 0
    with pytest.raises(InputError, match="d_y has shape"):
        plot.jacobian(matrix, d_y[1:], d_y[1:])


def test_jacobians_can_share_a_scale():
    matrix, d_y = RNG.standard_normal((4, 3)), np.array([1.0, -2.0, 0.5, 0.0])
    limits = [axes.images[0].get_clim() for axes in plot.jacobian(matrix, d_y, d_y @ matrix, largest=0.25).axes]
    assert limits == [(-0.25, 0.25), (-2, 2), (-0.5, 0.5)]
    with pytest.raises(InputError, match="largest is 0"):
        plot.jacobian(matrix, d_y, d_y @ matrix, largest=0)


def test_signed_maps_share_one_scale_and_show_small_numbers():
    maps = {"one": np.array([[1.0, -3.0]]), "two": np.array([[0.25]]), "sum": np.zeros((1, 2))}
    figure = plot.signed_maps(maps, ["+", "="], title="maps", numbers=True)
    for axes, (name, values) in zip(figure.axes, maps.items(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), values)
        assert axes.images[0].get_clim() == (-3, 3)
        assert axes.get_title(loc="left") == name
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [
        ["1", "-3"],
        ["0.25", "+"],
        ["", "", "="],
    ]
    assert not any(len(axes.texts) for axes in plot.signed_maps(maps).axes)
    with pytest.raises(InputError, match="signs holds 1 texts"):
        plot.signed_maps(maps, ["+"])
    with pytest.raises(InputError, match="1 to 6 were expected"):
        plot.signed_maps({})
    with pytest.raises(InputError, match="one has 1 axes"):
        plot.signed_maps({"one": np.zeros(3)})


def test_a_unet_is_drawn_with_all_its_maps_and_a_plus_for_each_skip():
    down, up = (
        [(RNG.standard_normal((n, n)), RNG.standard_normal((n, n))) for n in sizes] for sizes in ((8, 4), (4, 8))
    )
    middle = (np.ones((4, 4)), np.zeros((4, 4)))
    figure = plot.unet_passes(down, middle, up)
    (axes,) = figure.axes
    shown = [image.get_array() for image in axes.images]
    for image, expected in zip(shown, [a for pair in (*down, middle, *up) for a in pair], strict=True):
        np.testing.assert_array_equal(image, expected)
    assert [text.get_text() for text in axes.texts].count("+") == 2
    with pytest.raises(InputError, match="down has 2 levels and up 1"):
        plot.unet_passes(down, middle, up[:1])
    with pytest.raises(InputError, match="gradient has shape"):
        plot.unet_passes(down, (np.ones((4, 4)), np.ones((2, 2))), up)


def test_the_roof_is_the_lower_of_two_limits_and_ways_stand_under_it():
    ways = {"dense": (50.0, 8e10), "sparse": (0.1, 1e9)}
    (axes,) = plot.roofline(ways, peak=1e11, bandwidth=1e10).axes
    roof, *points = axes.lines
    np.testing.assert_allclose(roof.get_ydata(), np.minimum(100, 10 * roof.get_xdata()))
    assert roof.get_xdata()[0] < 0.1 < 50 < roof.get_xdata()[-1]
    assert [(p.get_xdata()[0], p.get_ydata()[0]) for p in points] == [(50, 80), (0.1, 1)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["roof", "dense", "sparse"]
    for bad in ({}, {"a": (0, 1)}):
        with pytest.raises(InputError, match="positive"):
            plot.roofline(bad, 1, 1)


def test_figures_show_themselves_in_notebooks_and_never_touch_pyplot():
    figure = plot.loss_curve([{"step": 1, "loss": 1.0}])
    assert Image.open(io.BytesIO(figure._repr_png_())).format == "PNG"
    import matplotlib.pyplot

    assert matplotlib.pyplot.get_fignums() == []


# Files


def test_saved_image_is_the_picture(tmp_path):
    picture = plot.image_grid(bytes_of(4, channels=3))
    with Image.open(plot.save_image(picture, tmp_path / "new" / "grid.png")) as saved:
        assert saved.format == "PNG"
        assert saved.convert("RGB").tobytes() == picture.tobytes()


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_saved_figure_has_the_format_of_its_ending(tmp_path, ending, magic):
    figure = plot.loss_curve([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}])
    assert isinstance(figure, Figure)
    assert plot.save_image(figure, str(tmp_path / ("a" + ending))).read_bytes().startswith(magic)


def test_save_image_refuses_other_endings_and_unwritable_places(tmp_path):
    picture = plot.image_grid(bytes_of(1))
    with pytest.raises(InputError, match=r"ending of path is '.jpg', but one of '.png' was expected"):
        plot.save_image(picture, tmp_path / "grid.jpg")
    with pytest.raises(InputError, match="ending of path is ''"):
        plot.save_image(plot.loss_curve([{"step": 1, "loss": 1.0}]), tmp_path / "loss")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"is a file, not a folder"):
        plot.save_image(picture, tmp_path / "file" / "grid.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
