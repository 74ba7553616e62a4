"""Where a model looks for each word: maps of its attention, against its weights one at a time."""

import numpy as np
import pytest
from demo_page import LENGTH, PROMPT, TOKENIZER, make

from tinydiff.models import word_maps
from tinydiff.nn import Tape


@pytest.fixture(scope="module")
def model():
    return make()


def test_a_map_is_the_mean_over_heads_and_layers_of_the_finest_level_summed_over_the_tokens_of_a_word(model):
    """Counted out, with the tape's weights, one number at a time."""
    x_t, tape = np.random.default_rng(2).standard_normal((1, 8, 8, 3)).astype(np.float32), Tape()
    model.network.forward(x_t, np.array([20]), model.tokens([PROMPT]), tape)
    layers = [f"unet.{place}.attention.block.cross_attention" for place in ("down.0.blocks.0", "up.1.blocks.0")]
    layers += ["unet.up.1.blocks.1.attention.block.cross_attention"]
    tokens = {}
    for word in ("long", "red", "hair", ",", "round", "glasses"):
        first = 1 + sum(map(len, tokens.values()))
        tokens[word] = range(first, first + len(TOKENIZER.encode(word)))
    maps = dict(word_maps(model, PROMPT, x_t, 20))
    assert [name.replace("·", "") for name in maps] == ["long", "red", "hair", "round", "glasses"]
    for name, found in maps.items():
        assert found.shape == (8, 8)
        places = tokens[name.replace("·", "")]
        for row, column in ((0, 0), (3, 5), (7, 2)):
            weights = [
                [tape[layer].weights[0, head, 8 * row + column, place] for layer in layers for head in (0, 1)]
                for place in places
            ]
            assert found[row, column] == pytest.approx(sum(map(np.mean, weights)), rel=1e-5)


def test_the_maps_of_all_tokens_would_sum_to_one(model):
    x_t = np.zeros((1, 8, 8, 3), np.float32)
    letters = dict(word_maps(model, "hair", x_t, 20))
    twice = list(word_maps(model, "hair hair", x_t, 20))
    assert [name for name, _ in twice] == [*letters] * 2
    assert all((0 < values).all() and (values < 1).all() for _, values in twice)
    assert (sum(values for _, values in twice) < 1).all()  # the start and the ends get the rest


def test_words_that_do_not_fit_have_no_map_and_a_word_in_pieces_shows_them(model):
    prompt = "hair " * (LENGTH - 3) + "qwzx red"
    names = [name for name, _ in word_maps(model, prompt, np.zeros((1, 8, 8, 3), np.float32), 20)]
    assert names[:-1] == ["hair"] * (LENGTH - 3)
    assert names[-1].replace("·", "") == "qwzx"  # one of its tokens fits; "red" has none
    assert "·" in names[-1]
