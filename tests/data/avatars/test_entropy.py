"""How probable portraits are: against all descriptions, drawn one by one, and against frequencies."""

import numpy as np
import pytest

from tinydiff.base import InputError, Noise
from tinydiff.data.avatars import Portraits, compose, descriptions_of, log2_probability, portrait_entropy, render
from tinydiff.data.avatars.compose import HELD_OUT, _any, combinations
from tinydiff.data.avatars.entropy import share_kept
from tinydiff.data.avatars.rendering import parts_of
from tinydiff.data.avatars.slots import LAYERS, SLOTS


def chance(parts, colours):
    """Return the probability that slots are drawn so, each independently; written anew, by words."""
    total = 1.0
    for layer, slot, part, colour in zip(LAYERS, SLOTS, parts, colours, strict=True):
        slot_parts = parts_of(layer)
        total *= slot.share if part else 1 - slot.share
        if part:
            word = slot_parts.part_words[part]
            total /= len(slot.words) * len(slot.words[word])
            if layer != "beard":
                word = slot_parts.colour_words[colour]
                total /= len(slot.colours) * len(slot.colours[word])
    return total


def neighbours(parts, colours):
    """Return all portraits that differ from one in one slot; a colour without a part is 0, a beard has the hair's."""
    found = []
    for i, layer in enumerate(LAYERS):
        slot_parts = parts_of(layer)
        for part in range(int(SLOTS[i].share == 1), len(slot_parts.keep)):
            of_colour = part and slot_parts.weight[part].any() and layer != "beard"
            for colour in range(len(slot_parts.colours) if of_colour else 1):
                new = np.array(parts), np.array(colours)
                new[0][i], new[1][i] = part, colour
                found.append(new)
    return canonical(Portraits(*(np.stack(values) for values in zip(*found, strict=True))))


def canonical(portraits):
    """Return the portraits with the colour 0 where no part has it, and beards of the hair's colour."""
    colours = portraits.colours.copy()
    for i, layer in enumerate(LAYERS):
        colours[~parts_of(layer).weight[portraits.parts[:, i]].any(axis=(1, 2, 3)), i] = 0
    hair, beard = LAYERS.index("hair"), LAYERS.index("beard")
    colours[:, beard] = np.where(portraits.parts[:, beard] > 0, colours[:, hair], 0)
    return Portraits(portraits.parts, colours)


def all_descriptions(portrait):
    """Return the descriptions that draw the same picture, by steps that change one slot at a time."""
    picture, start = render(portrait)[0], (tuple(portrait.parts[0]), tuple(portrait.colours[0]))
    known, new = {start}, [start]
    while new:
        ways = neighbours(*new.pop())
        same = (render(ways) == picture).all(axis=(1, 2, 3)) & ~combinations(ways).any(axis=1)
        for way in zip(map(tuple, ways.parts[same]), map(tuple, ways.colours[same]), strict=True):
            if way not in known:
                known.add(way)
                new.append(way)
    return known


@pytest.mark.equation("AVATARS-1")
def test_the_share_that_is_kept_is_that_of_portraits_without_what_is_held_out():
    """Within 5 standard errors: a false alarm in 2 million; the seed is fixed."""
    n = 100_000
    frequency = 1 - combinations(_any(n, Noise(5), "anything")).any(axis=1).mean()
    assert abs(share_kept() - frequency) < 5 * (frequency * (1 - frequency) / n) ** 0.5


@pytest.mark.equation("AVATARS-1")
@pytest.mark.slow
def test_the_probability_is_the_sum_over_all_descriptions_that_draw_the_picture():
    """Found another way: from one description to others that draw the same, changing one slot at a time."""
    portraits = canonical(compose(40, 0, "test"))
    images = render(portraits)
    counts, log_p = descriptions_of(images), log2_probability(images)
    chosen = [int(i) for i in np.flatnonzero(counts > 1) if counts[i] < 20] + [0, 1]
    assert max(counts[chosen]) > 4
    for i in chosen:
        known = all_descriptions(Portraits(portraits.parts[i : i + 1], portraits.colours[i : i + 1]))
        assert len(known) == counts[i]
        assert log_p[i] == pytest.approx(np.log2(sum(chance(*way) for way in known) / share_kept()), abs=1e-6)


def test_a_portrait_with_one_description_has_that_ones_probability():
    portraits = compose(20, 1, "test")
    images = render(portraits)
    counts, log_p = descriptions_of(images), log2_probability(images)
    alone = np.flatnonzero(counts == 1)
    assert len(alone) > 10
    for i in alone:
        assert log_p[i] == pytest.approx(np.log2(chance(portraits.parts[i], portraits.colours[i]) / share_kept()))


def test_what_is_never_drawn_has_no_probability():
    images = render(compose(3, 0, "test"))
    images[0, 8, 8] ^= 1
    held_out = compose(8, 0, "held-out")
    visible = combinations(held_out)[:, : len(HELD_OUT)].any(axis=1)
    assert visible.all()
    assert log2_probability(images)[0] == -np.inf
    assert np.isfinite(log2_probability(images)[1:]).all()
    hats = held_out.parts[:, LAYERS.index("hat")] > 0
    assert (log2_probability(render(held_out))[~hats] == -np.inf).all()  # a hat may hide the hair


@pytest.mark.equation("AVATARS-1")
@pytest.mark.slow
def test_the_entropy_is_a_mean_with_an_interval():
    found = portrait_entropy(20, 4)
    bits = -log2_probability(render(compose(20, 4, "test")))
    assert found.bits == pytest.approx(bits.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * bits.std(ddof=1) / 20**0.5)
    assert 35 < found.bits < 45


def test_what_is_no_portrait_is_refused():
    with pytest.raises(InputError, match="uint8 was expected"):
        log2_probability(np.zeros((1, 16, 16, 3)))
    with pytest.raises(InputError, match="images has shape"):
        log2_probability(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="nothing to look up"):
        log2_probability(np.zeros((0, 16, 16, 3), np.uint8))
