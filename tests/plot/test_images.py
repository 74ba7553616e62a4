"""Grids, strips and rows of images show the pixels they were given."""

import numpy as np
import pytest
from arrays import to_xp
from pictures import RNG, assert_table, bytes_of, chain, grid_places, holds, places_of

from tinydiff import plot
from tinydiff.base import InputError


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
    row = np.asarray(plot.image_grid(black, columns=4, scale=2))[plot.sheets.MARGIN, :, 0]
    inner = row[plot.sheets.MARGIN : -plot.sheets.MARGIN]
    assert np.count_nonzero(np.diff((inner == 255).astype(int)) == 1) == 3


@pytest.mark.parametrize(
    ("n", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (7, 3), (8, 4), (10, 5), (12, 4), (64, 8), (100, 10)]
)
def test_grid_is_about_square_and_without_holes_where_possible(n, columns):
    assert plot.sheets.columns_for(n) == columns


@pytest.mark.parametrize("n", [1, 9, 64, 1000])
@pytest.mark.parametrize("size", [8, 28, 64])
def test_grid_fits_a_page_by_default(n, size):
    width, _ = plot.image_grid(np.zeros((n, size, size), np.uint8)).size
    assert width <= max(1000, (size + plot.sheets.GAP) * plot.sheets.columns_for(n) + 2 * plot.sheets.MARGIN)


def test_pictures_of_device_arrays_are_those_of_host_arrays(xp):
    images = RNG.standard_normal((6, 4, 4, 1)).astype(np.float32)
    frames = list(chain(n=3, steps=4))
    on_device = [(t, to_xp(xp, x_t), to_xp(xp, x_0_hat)) for t, x_t, x_0_hat in frames]
    assert plot.image_grid(to_xp(xp, images)) == plot.image_grid(images)
    assert plot.chain_strip(on_device) == plot.chain_strip(frames)
    near, distances = images[:, None], np.arange(6.0)[:, None]
    got = plot.neighbour_rows(*(to_xp(xp, a) for a in (images, near, distances)))
    assert got == plot.neighbour_rows(images, near, distances)


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
    edge = np.asarray(grid)[:, -plot.sheets.MARGIN + 1 :]
    assert (edge == 255).all()


@pytest.mark.parametrize("title", ["many words " * 1000, "W" * 9000, "日本語 " * 3000])
@pytest.mark.parametrize("scale", [1, 100])
def test_a_title_of_any_length_leaves_the_grid_its_size(title, scale):
    images = bytes_of(2)
    plain, grid = plot.image_grid(images, scale=scale), plot.image_grid(images, scale=scale, title=title)
    assert grid.width <= max(plain.width, plot.sheets.TITLE_WIDTH + 2 * plot.sheets.MARGIN)
    assert grid.height <= plain.height + 150
    grid_places(grid, images, scale)
    border = np.asarray(grid)[:, [0, -1]]
    assert (border == 255).all()  # no line is cut off


def test_a_title_that_is_too_wide_goes_on_in_the_next_line(monkeypatch):
    texts = []
    monkeypatch.setattr(plot.sheets.ImageDraw.ImageDraw, "text", lambda self, at, text, *_, **__: texts.append(text))
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


def test_what_is_transparent_shows_white():
    images = bytes_of(3, channels=4)
    images[..., 3] = np.array([0, 255, 102]).reshape(3, 1, 1)
    white, whole, part = plot.sheets.to_pixels("images", images)
    assert (white == 255).all()
    np.testing.assert_array_equal(whole, images[1, ..., :3])
    np.testing.assert_array_equal(part, np.rint(images[2, ..., :3] * 0.4 + 153))


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


@pytest.mark.parametrize("estimate", [False, True])
def test_strip_shows_rows_of_samples_and_columns_of_falling_t(monkeypatch, estimate):
    frames = list(chain(n=5, steps=30))
    texts = []
    monkeypatch.setattr(
        plot.sheets.ImageDraw.ImageDraw, "text", lambda self, at, text, *_, **__: texts.append((at[0], text))
    )
    strip = plot.chain_strip(frames, samples=3, columns=4, scale=10, estimate=estimate)
    assert [text for _, text in sorted(texts) if text] == ["t = 30", "t = 20", "t = 10", "t = 0"]
    shown = 2 if estimate else 1
    found = [grid_places(strip, frames[i][shown][:3], 10) for i in (0, 10, 20, 30)]
    assert_table(np.array(found).swapaxes(0, 1))
    assert not holds(strip, plot.sheets.to_pixels("x", frames[0][shown])[3], 10)


def test_strip_of_a_short_chain_shows_all_of_it():
    picture = plot.chain_strip(chain(n=2, steps=2), columns=10, scale=10)
    assert picture.width < plot.chain_strip(chain(n=2, steps=4), columns=10, scale=10).width


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
    picture = plot.neighbour_rows(samples, near, RNG.uniform(0, 9, (n, k)), scale=8)
    for sample, row in zip(samples, near, strict=True):
        assert_table([grid_places(picture, np.stack([sample, *row]), 8)])


def test_neighbours_refuse_other_shapes():
    samples, near = bytes_of(3), bytes_of(6).reshape(3, 2, 5, 7, 1)
    with pytest.raises(InputError, match=r"distances has shape \(2, 2\), but \(3, any\)"):
        plot.neighbour_rows(samples, near, np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"neighbours has shape .* but \(3, 3, 5, 7, 1\)"):
        plot.neighbour_rows(samples, near, np.zeros((3, 3)))


def test_rows_of_images_have_names():
    rows = {"one": bytes_of(4), "two": bytes_of(4)}
    picture = plot.image_rows(rows, scale=8, column_labels="abcd")
    assert_table([grid_places(picture, images, 8) for images in rows.values()])
    with pytest.raises(InputError, match="rows is empty"):
        plot.image_rows({})


def test_captions_below_pictures_narrower_than_a_letter_come_to_an_end():
    tiny = np.zeros((2, 4, 4, 1), np.float32)
    assert plot.captioned_images(tiny, ["a robot on a road", ""], scale=1).height > 4
