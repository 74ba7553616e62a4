"""The demo page's drawing: every step of the chain, and maps of where each word is looked for."""

import re

import numpy as np
import pytest
from demo_page import PROMPT, drawn
from diffusions import UNTOLD
from enlargers import cascade
from unclips import unclip

from tinydiff.models import Request, word_maps


@pytest.mark.slow
@pytest.mark.parametrize("sampler", UNTOLD)
def test_every_step_of_the_chain_is_yielded_bit_for_bit(model, sampler):
    frames = drawn(model, sampler=sampler)
    chain = list(
        model.chain(Request(n=1, seed=5, prompt=PROMPT, negative="a hat", guidance=3.0), steps=4, sampler=sampler)
    )
    assert [frame.step for frame in frames] == [1, 2, 3, 4]
    assert {frame.steps for frame in frames} == {4}
    for frame, (t, x_t, x_0_hat) in zip(frames, chain, strict=True):
        assert frame.t == t
        np.testing.assert_array_equal(frame.x_t, x_t[0])
        np.testing.assert_array_equal(frame.x_0_hat, x_0_hat[0])
        assert frame.notes == ()
        assert bool(frame.maps) == (frame.step == 4)


def test_the_same_request_gives_the_same_frames(model):
    for one, two in zip(drawn(model), drawn(model), strict=True):
        for a, b in zip((*one[:5], *dict(one.maps).values()), (*two[:5], *dict(two.maps).values()), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(drawn(model, seed=6)[-1].x_t, drawn(model)[-1].x_t)


def test_one_step_is_enough(model):
    (frame,) = drawn(model, steps=1)
    assert frame.maps


def test_whole_numbers_may_come_as_floats(model):
    np.testing.assert_array_equal(drawn(model, steps=4.0, seed=5.0)[-1].x_t, drawn(model)[-1].x_t)


def test_a_negative_prompt_that_changes_nothing_is_said(model):
    assert drawn(model, scale=1)[0].notes == ("The negative prompt changes nothing where guidance is 1.",)
    assert drawn(model, scale=1, negative="")[0].notes == ()


def test_an_empty_prompt_asks_for_nothing_and_has_no_maps(model):
    last = drawn(model, prompt="", negative="", scale=1)[-1]
    *_, (_, x_0, _) = model.chain(Request(n=1, seed=5), steps=4)
    np.testing.assert_array_equal(last.x_t, x_0[0])
    assert last.maps == ()


@pytest.mark.parametrize("prompt", ["Ωmega 🙂 qwzx", "\ud800 hair", "\x00\x1b[31m", "${1 + 1} {{x}} <b>it's</b>"])
def test_unknown_words_are_read_as_bytes(model, prompt):
    frame = drawn(model, prompt=prompt)[-1]
    assert np.isfinite(frame.x_t).all()


def test_of_a_prompt_that_is_too_long_a_note_says_what_was_dropped(model):
    frames = drawn(model, prompt=f"{'red hair, ' * 8} the very end")
    assert {frame.notes for frame in frames} == {frames[0].notes}
    note, new = frames[0].notes
    assert re.search(r"tokens, but 14 fit; dropped at its end: '.*the very end'", note)
    assert new == "'the', 'very' and 'end' never occurred in the captions that this model learned from."
    assert len(drawn(model, prompt="red hair, " * 8, negative="red hat, " * 8)[0].notes) == 2


def test_the_maps_are_those_of_the_moment_halfway(model):
    chain = list(model.chain(Request(n=1, seed=5, prompt=PROMPT, negative="a hat", guidance=3.0), steps=4))
    t, x_t, _ = chain[1]
    expected = dict(word_maps(model, PROMPT, x_t, t))
    for name, found in drawn(model)[-1].maps:
        np.testing.assert_array_equal(found, expected[name])


def test_a_cascade_grows_and_an_unclip_draws_without_maps():
    asked = {"prompt": "a red car", "negative": "", "sampler": "ddim", "steps": 2}
    grown = drawn(cascade(), **asked)
    assert [frame.step for frame in grown] == [1, 2, 3, 4, 5, 6]
    assert {frame.steps for frame in grown} == {6}
    assert [len(frame.x_t) for frame in grown] == [8, 8, 16, 16, 32, 32]
    maps = dict(grown[-1].maps)
    assert maps
    assert all(len(weights) <= 8 for weights in maps.values())  # where its base looks
    last = drawn(unclip(), **asked)[-1]
    assert last.x_t.shape == (16, 16, 3)
    assert last.maps == ()
