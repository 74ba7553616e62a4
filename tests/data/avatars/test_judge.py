"""The judge of portraits: it names the parts that were painted, says where it cannot, and is not easily fooled."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data.avatars import Portraits, agreement, compose, describe, judge, render
from tinydiff.data.avatars.judge import MARGIN, skin_tone, words_of
from tinydiff.data.avatars.rendering import parts_of, visible
from tinydiff.data.avatars.slots import LAYERS, SLOTS

N = 40


@pytest.fixture(scope="module")
def real():
    """Return split -> (portraits, captions, images, verdict)."""
    found = {}
    for split in ("test", "held-out", "swapped"):
        portraits = compose(N, split=split)
        images = render(portraits)
        found[split] = portraits, describe(portraits, split=split), images, judge(images)
    return found


@pytest.mark.parametrize("split", ["test", "held-out", "swapped"])
def test_every_word_of_a_real_portrait_is_found(real, split):
    portraits, captions, _, verdict = real[split]
    found = agreement(verdict, portraits, captions)
    assert {"hair", "hair colour", "clothing", "clothing colour", "glasses"} <= set(found)
    for name, (asked, right) in found.items():
        np.testing.assert_array_equal(asked, right, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["test", "held-out", "swapped"])
def test_every_word_of_200_real_portraits_is_found(split):
    portraits = compose(200, split=split)
    captions = describe(portraits, split=split)
    verdict = judge(render(portraits))
    for name, (asked, right) in agreement(verdict, portraits, captions).items():
        np.testing.assert_array_equal(asked, right, err_msg=name)
    assert (verdict.distances < MARGIN).mean() > 0.99


def test_the_nearest_portrait_of_a_real_one_is_itself_in_all_that_can_be_seen(real):
    """Rounding to bytes moves a picture by less than 1 level in each of 768 numbers."""
    portraits, _, images, verdict = real["test"]
    exact = verdict.distances < 0.25 * images[0].size
    assert exact.mean() > 0.95
    np.testing.assert_array_equal(render(verdict.portraits)[exact], images[exact])
    seen = visible(portraits)
    for i, layer in enumerate(LAYERS):
        part, _ = words_of(portraits, layer)
        found, _ = words_of(verdict.portraits, layer)
        np.testing.assert_array_equal(part[seen[:, i]], found[seen[:, i]])


def test_distances_are_those_of_the_pictures(real):
    *_, images, _ = real["test"]
    noisy = noised(images[:20], 20)
    verdict = judge(noisy)
    gap = render(verdict.portraits).astype(float) - noisy
    np.testing.assert_allclose(verdict.distances, (gap**2).sum(axis=(1, 2, 3)), rtol=0.01)  # `render` rounds to bytes


@pytest.mark.slow
def test_it_finds_as_near_a_portrait_as_a_search_from_the_truth(real):
    """Coordinate descent could stop short of the nearest; on noisy pictures it comes as near as the truth is."""
    portraits, _, images, _ = real["test"]
    noisy = noised(images, 15)
    to_truth = ((render(portraits).astype(float) - noisy) ** 2).sum(axis=(1, 2, 3))
    assert (judge(noisy).distances <= to_truth * 1.01).mean() > 0.95


@pytest.mark.slow
def test_noise_is_seen_through(real):
    """As much noise as what a good model leaves: 15 levels, an eighth of the distance of grey from black."""
    portraits, captions, images, _ = real["test"]
    found = agreement(judge(noised(images, 15)), portraits, captions)
    for name in ("hair colour", "clothing colour", "glasses", "hat"):
        asked, right = found[name]
        assert right.sum() >= 0.95 * asked.sum(), name


def test_captions_of_other_portraits_are_not_found(real):
    """With captions shifted by two, colours are right about as often as any two portraits share them."""
    portraits, captions, _, verdict = real["test"]
    shifted = Portraits(*(np.roll(values, 2, axis=0) for values in portraits))
    asked, right = agreement(verdict, shifted, (*captions[-2:], *captions[:-2]))["clothing colour"]
    # 7 words, equally frequent; about 26 asked: more than 0.5 has a chance below 1e-4 if they are independent
    assert right.sum() < 0.5 * asked.sum()


def test_swapped_colours_are_wrong_colours(real):
    portraits, captions, _, verdict = real["swapped"]
    other = np.arange(N) ^ 1
    swapped = Portraits(*(values[other] for values in portraits))
    found = agreement(verdict, swapped, captions)
    assert not found["hair colour"][1].any()
    assert not found["clothing colour"][1].any()


def test_two_answers_that_fit_as_well_are_said_to_be_ambiguous():
    """A cap of a colour halfway between purple and blue may be either; a purple one may not."""
    i = LAYERS.index("hat")
    words = parts_of("hat").colour_words
    portraits = Portraits(np.zeros((2, len(SLOTS)), int), np.zeros((2, len(SLOTS)), int))
    portraits.parts[:, LAYERS.index("body")] = portraits.parts[:, i] = 1
    portraits.colours[:, i] = [words.index("purple"), words.index("blue")]
    purple, blue = render(portraits)
    halfway = purple.astype(int) + blue
    halfway = ((halfway + np.indices(halfway.shape).sum(axis=0) % 2) // 2).astype(np.uint8)  # halves go up and down
    np.testing.assert_array_equal(judge(np.stack([purple, halfway, blue])).ambiguous[:, i], [False, True, False])


def test_a_picture_is_judged_alone_as_in_company(real):
    *_, images, verdict = real["test"]
    alone = judge(images[7:8])
    np.testing.assert_array_equal(alone.portraits.parts[0], verdict.portraits.parts[7])
    np.testing.assert_array_equal(alone.portraits.colours[0], verdict.portraits.colours[7])


def test_skin_is_read_off(real):
    portraits, _, _, verdict = real["test"]
    np.testing.assert_array_equal(skin_tone(verdict.portraits), skin_tone(portraits))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), "images has shape"),
        (np.zeros((2, 16, 16, 1), np.uint8), "images has shape"),
        (np.zeros((2, 16, 16, 3), np.float32), "dtype float32.*to_images"),
        (np.zeros((0, 16, 16, 3), np.uint8), "images holds none"),
    ],
)
def test_what_is_no_portrait_is_refused(images, words):
    with pytest.raises(InputError, match=words):
        judge(images)


def noised(images, levels):
    noise = np.random.default_rng(0).normal(0, levels, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
