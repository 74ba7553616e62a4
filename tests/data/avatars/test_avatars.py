"""The captioned portraits: parts drawn as SVG says, captions that say what is there, splits that keep their promise."""

import itertools
import re

import numpy as np
import pytest

from tinydiff.base import DataError, InputError
from tinydiff.data import load_avatars, load_data
from tinydiff.data.avatars import SPLITS, Portraits, compose, describe, render, rendering
from tinydiff.data.avatars.compose import HELD_OUT, combinations, has_word
from tinydiff.data.avatars.rendering import PARTS_FILE, fill, parts_of, rgb, visible
from tinydiff.data.avatars.slots import LAYERS, SLOTS

SHAPES = [shape for parts in rendering._file().values() for shapes in parts.values() for shape in shapes]


def points(path):
    """Yield the closed outlines of a path, each a list of corners."""
    x = y = 0
    for outline in re.findall(r"[Mm][^Mm]*", path):
        corners = []
        for command, text in re.findall(r"([MmHhVv])([^A-Za-z]*)", outline):
            numbers = [int(number) for number in re.findall(r"-?\d+", text)]
            old = (x, y) if command.islower() else (0, 0)
            if command in "Mm":
                x, y = old[0] + numbers[0], old[1] + numbers[1]
            elif command in "Hh":
                x = old[0] + numbers[0]
            else:
                y = old[1] + numbers[0]
            corners.append((x, y))
        yield corners
        x, y = corners[0]


def surrounded(path, rule):
    """Return what `fill` should, pixel by pixel, by walking straight up from each pixel's middle."""
    inside = np.zeros((16, 16), bool)
    outlines = list(points(path))
    for row, column in itertools.product(range(16), range(16)):
        winding = 0
        for corners in outlines:
            for (x_0, y_0), (x_1, y_1) in zip(corners, [*corners[1:], corners[0]], strict=True):
                if y_0 == y_1 and y_0 <= row and min(x_0, x_1) <= column < max(x_0, x_1):
                    winding += 1 if x_1 > x_0 else -1
        inside[row, column] = winding % 2 if rule == "evenodd" else winding
    return inside


def test_every_shape_of_the_file_is_filled_as_a_walk_through_it_says():
    for path, rule, _, _ in SHAPES:
        np.testing.assert_array_equal(fill(path, rule), surrounded(path, rule), err_msg=path)


def test_every_shape_of_the_file_is_filled_as_an_svg_renderer_does():
    resvg = pytest.importorskip("resvg_py", reason="needs resvg_py: pip install resvg_py")
    from io import BytesIO

    from PIL import Image

    for path, rule, _, _ in SHAPES:
        svg = f'<svg viewBox="0 0 16 16" xmlns="http://www.w3.org/2000/svg"><path d="{path}" fill-rule="{rule}"/></svg>'
        png = bytes(resvg.svg_to_bytes(svg_string=svg, width=16, height=16, background="#ffffff"))
        black = np.asarray(Image.open(BytesIO(png)).convert("L")) < 128
        np.testing.assert_array_equal(black, fill(path, rule), err_msg=path)


def test_parts_are_painted_like_shapes_one_over_the_other():
    portraits = compose(30, seed=1)
    for parts, colours, image in zip(*portraits, render(portraits), strict=True):
        picture = np.full((16, 16, 3), 255.0)
        for slot, part, colour in zip(SLOTS, parts, colours, strict=True):
            names = [name for names in slot.words.values() for name in names]
            values = [value for values in slot.colours.values() for value in values]
            for path, rule, fixed, opacity in rendering._file()[slot.layer][names[part - 1]] if part else []:
                paint_with = rgb(fixed if fixed.startswith("#") else values[colour])
                inside = fill(path, rule)
                picture[inside] = (1 - opacity) * picture[inside] + opacity * np.array(paint_with)
        assert abs(picture - image).max() <= 0.501


def test_every_name_in_the_tables_is_a_part_of_the_file():
    for slot in SLOTS:
        names = [name for names in slot.words.values() for name in names]
        assert len(set(names)) == len(names)
        assert set(names) <= set(rendering._file()[slot.layer])
        assert not (set(slot.words) & set(slot.colours)) - {""}, "has_word() could not tell a part from a colour"


def test_a_portrait_and_its_caption_do_not_depend_on_how_many_are_made():
    for split in SPLITS:
        many, some = compose(12, 3, split), compose(5, 3, split, first=5)
        for a, b in zip(many, some, strict=True):
            np.testing.assert_array_equal(a[5:10], b)
        assert describe(many, 3, split)[5:10] == describe(some, 3, split, first=5)
        assert not np.array_equal(many.parts, compose(12, 4, split).parts)


@pytest.mark.slow
def test_the_splits_keep_their_promises():
    assert not combinations(compose(3000)).any()
    assert not combinations(compose(2000, split="test")).any()
    held_out = combinations(compose(1000, split="held-out"))
    assert held_out.any(axis=1).all()
    assert held_out.any(axis=0).all()
    training = {image.tobytes() for image in load_data("avatars", "train").images}
    for split in ("test", "held-out"):
        assert not any(image.tobytes() in training for image in load_data("avatars", split).images)


def test_held_out_words_are_each_seen_alone():
    portraits = compose(3000)
    for layer, word in itertools.chain.from_iterable(HELD_OUT):
        assert has_word(portraits, layer, word).any()


def test_captions_of_held_out_combinations_say_both_halves_where_they_can_be_seen():
    portraits = compose(300, split="held-out")
    captions, seen, asked = describe(portraits, split="held-out"), visible(portraits), 0
    for i, row in enumerate(combinations(portraits)):
        for (layer, word), (other_layer, other) in itertools.compress(HELD_OUT, row):
            if seen[i, LAYERS.index(layer)] and seen[i, LAYERS.index(other_layer)]:
                asked += 1
                assert word in captions[i].text
                assert other in captions[i].text
    assert asked > 250  # some hair is all under a hat


def test_swapped_pairs_differ_in_two_colours_alone_and_their_captions_in_the_words_for_them():
    portraits = compose(200, split="swapped")
    captions = describe(portraits, split="swapped")
    np.testing.assert_array_equal(portraits.parts[0::2], portraits.parts[1::2])
    differ = (portraits.colours[0::2] != portraits.colours[1::2]) & (portraits.parts[0::2] > 0)
    with_beard = portraits.parts[0::2, LAYERS.index("beard")] > 0
    assert differ[:, [LAYERS.index("hair"), LAYERS.index("clothing")]].all()
    np.testing.assert_array_equal(differ.sum(axis=1), 2 + with_beard)
    for caption, other in zip(captions[0::2], captions[1::2], strict=True):
        assert {"hair", "clothing"} <= set(caption.colours)
        assert caption.text != other.text
        assert sorted(caption.text.replace(",", "").split()) == sorted(other.text.replace(",", "").split())


def test_captions_say_only_what_is_there_and_seen():
    portraits = compose(500, seed=2)
    seen = visible(portraits)
    for i, caption in enumerate(describe(portraits, seed=2)):
        for layer in {*caption.parts, *caption.colours}:
            assert seen[i, LAYERS.index(layer)], caption
        for layer in caption.parts:
            assert parts_of(layer).part_words[portraits.parts[i, LAYERS.index(layer)]] in caption.text
        for layer in caption.colours:
            assert parts_of(layer).colour_words[portraits.colours[i, LAYERS.index(layer)]] in caption.text
        words = {slot.layer: set(slot.words) - {""} for slot in SLOTS}
        unsaid = [word for layer in words if layer not in caption.parts for word in words[layer] if " " in word]
        assert not any(word in caption.text for word in unsaid), caption


def test_captions_vary_and_leave_things_out():
    captions = [caption.text for caption in describe(compose(2000, seed=5), seed=5)]
    assert len(set(captions)) > 1500
    lengths = [len(caption.split()) for caption in captions]
    assert min(lengths) <= 3
    assert max(lengths) >= 18
    text = " ".join(captions).lower()
    assert not re.search(r"\b(man|woman|male|female|boy|girl|he|she|skin|tone)\b", text)
    for slot in SLOTS:
        for word in slot.words:
            assert word in text, word


def test_an_attribute_is_seen_if_its_absence_changes_six_pixels_by_32_levels():
    portraits = compose(40, seed=3)
    seen = visible(portraits)
    for i, row in itertools.product(range(len(SLOTS)), range(40)):
        one = Portraits(*(values[row : row + 1].copy() for values in portraits))
        whole = render(one).astype(int)
        one.parts[0, i] = 0
        changes = np.sort(abs(render(one) - whole).max(axis=-1).ravel())
        if abs(changes[-6] - 32) > 1:  # what is rounded may fall on either side
            assert seen[row, i] == (changes[-6] >= 32 and "" not in SLOTS[i].words)


def test_skin_tones_are_as_frequent_and_independent_of_the_rest():
    portraits = compose(8000, seed=7)
    tones = portraits.colours[:, LAYERS.index("body")]
    counts = np.bincount(tones, minlength=8)
    assert ((counts - 1000) ** 2 / 1000).sum() < 29.9  # chi-squared with 7 degrees of freedom: p = 1e-4
    hair = portraits.colours[:, LAYERS.index("hair")]
    assert abs(np.corrcoef(tones, hair)[0, 1]) < 3.9 / 8000**0.5  # p = 1e-4


def test_hats_and_beards_are_no_rarities():
    filled = (compose(4000).parts > 0).mean(axis=0)
    for layer in ("hat", "beard", "glasses", "accessories"):
        assert filled[LAYERS.index(layer)] > 0.2


def test_the_data_set():
    data = load_data("avatars", "test")
    assert data.images.shape == (2000, 16, 16, 3)
    assert len(data.captions) == 2000
    assert set(data.labels) == set(range(6))
    assert load_avatars("swapped", n=7).images.shape == (7, 16, 16, 3)
    with pytest.raises(InputError, match="split"):
        load_data("avatars", "validation")
    with pytest.raises(InputError, match="split"):
        load_data("mnist-small", "swapped")
    with pytest.raises(InputError, match="n is 0"):
        load_avatars(n=0)


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "avatar-parts.json"
    path.write_bytes(PARTS_FILE.read_bytes()[:1000])
    monkeypatch.setattr(rendering, "PARTS_FILE", path)
    rendering._file.cache_clear()
    try:
        with pytest.raises(DataError, match=r"avatar-parts\.json is damaged.*Install tinydiff again"):
            rendering._file()
    finally:
        rendering._file.cache_clear()
