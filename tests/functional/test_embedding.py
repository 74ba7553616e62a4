"""Rows of a table, and the embedding of a timestep."""

import numpy as np
import pytest
from pairs import assert_refuses_dy, assert_right, assert_same_on, random

from tinydiff.base import InputError
from tinydiff.functional import embedding, embedding_backward, grid_embedding, timestep_embedding
from tinydiff.gradcheck import gradcheck

TABLE, INDICES = random(5, 4), np.array([[0, 3, 3], [4, 0, 3]])


@pytest.mark.equation("EMB-1")
def test_embedding_looks_rows_up():
    y, _ = embedding(INDICES, TABLE)
    np.testing.assert_array_equal(y, TABLE[INDICES])


def test_a_nan_in_one_row_stays_there_or_shows():
    table = TABLE.copy()
    table[1] = np.nan
    assert np.isnan(embedding(np.array([1]), table)[0]).all()


@pytest.mark.equation("EMB-2")
def test_embeddings_gradient():
    assert_right(embedding, embedding_backward, (INDICES, TABLE))
    assert_right(embedding, embedding_backward, (INDICES[0, :1], TABLE))
    y, cache = embedding(INDICES, TABLE)
    dy = random(*y.shape, seed=1)
    expected = np.zeros_like(TABLE)
    np.add.at(expected, INDICES, dy)
    none, d_table = embedding_backward(dy, cache)
    assert none is None
    np.testing.assert_allclose(d_table, expected, rtol=1e-12, atol=1e-14)


def last_one_wins(dy, cache):
    (one_hot,) = cache
    d = np.zeros((5, 4))
    d[one_hot.argmax(axis=-1)] = dy
    return None, d


def averaged(dy, cache):
    _, d = embedding_backward(dy, cache)
    return None, d / cache.one_hot.shape[0]


def sign(dy, cache):
    return None, -embedding_backward(dy, cache)[1]


@pytest.mark.parametrize(
    ("wrong", "mistake"), [(last_one_wins, "numbers are wrong"), (averaged, "a factor"), (sign, "the sign")]
)
def test_wrong_backwards_are_caught(wrong, mistake):
    report = gradcheck(embedding, wrong, (INDICES, TABLE))
    assert not report
    assert mistake in str(report), str(report)


def test_embedding_on_both_array_modules(xp):
    assert_same_on(xp, embedding, embedding_backward, (INDICES, TABLE))


@pytest.mark.pitfall(15)
@pytest.mark.equation("TEMB-1")
@pytest.mark.parametrize("variant", ["stable-diffusion", "ddpm"])
def test_timestep_embedding_equals_its_formula(variant):
    t = np.array([1, 10, 500, 1000])
    half = 8
    y = timestep_embedding(t, 2 * half, 1e4, variant, np.float64)
    for n, i in np.ndindex(4, half):
        if variant == "stable-diffusion":
            frequency, cosine, sine = 1e4 ** (-i / half), y[n, i], y[n, half + i]
        else:
            frequency, sine, cosine = 1e4 ** (-i / (half - 1)), y[n, i], y[n, half + i]
        assert cosine == pytest.approx(np.cos(t[n] * frequency), abs=1e-12)
        assert sine == pytest.approx(np.sin(t[n] * frequency), abs=1e-12)


@pytest.mark.pitfall(15)
def test_pitfall_15_the_embedding_depends_on_t_and_never_on_the_place_in_the_batch():
    t = np.array([7, 900, 7, 12])
    y = timestep_embedding(t, 32)
    np.testing.assert_array_equal(y[0], y[2])
    np.testing.assert_array_equal(timestep_embedding(t[::-1].copy(), 32), y[::-1])
    np.testing.assert_array_equal(timestep_embedding(t[1:2], 32), y[1:2])


@pytest.mark.pitfall(16)
@pytest.mark.parametrize("variant", ["stable-diffusion", "ddpm"])
def test_pitfall_16_no_two_steps_look_alike_unless_t_is_squeezed_into_0_to_1(variant):
    def smallest_distance(t):
        y = timestep_embedding(t, 64, variant=variant, dtype=np.float64)
        return np.linalg.norm(y[1:] - y[:-1], axis=1).min()

    steps = np.arange(1, 1001)
    assert smallest_distance(steps) > 0.5
    assert smallest_distance(steps / 1000) < 0.005


def test_timestep_embedding_on_both_array_modules(xp):
    t = np.array([1.0, 2.5, 1000.0])
    there = timestep_embedding(xp.asarray(t), 16)
    assert there.dtype == np.float32
    host = there if xp is np else there.get()
    np.testing.assert_allclose(host, timestep_embedding(t, 16), rtol=1e-6, atol=1e-6)


@pytest.mark.equation("GRID-1")
def test_the_embedding_of_a_grid_equals_its_formula():
    height, width, quarter = 3, 5, 2
    y = grid_embedding(height, width, 4 * quarter).reshape(height, width, 4, quarter)
    for h, w, i in np.ndindex(height, width, quarter):
        frequency = 1e4 ** (-i / quarter)
        column, row = w * frequency, h * frequency
        expected = [np.sin(column), np.cos(column), np.sin(row), np.cos(row)]
        np.testing.assert_allclose(y[h, w, :, i], expected, atol=1e-12)


def test_no_two_places_of_a_grid_look_alike():
    y = grid_embedding(16, 12, 16)
    distances = np.linalg.norm(y[:, None] - y, axis=-1) + 9 * np.eye(len(y))
    assert distances.min() > 0.1
    for call, message in [
        (lambda: grid_embedding(2, 2, 10), "channels = 10 cannot be divided"),
        (lambda: grid_embedding(2, 2, 4), "channels is 4"),
        (lambda: grid_embedding(0, 2, 8), "height is 0"),
        (lambda: grid_embedding(2, 2, 8, 1.0), "max_period is 1.0"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match="indices holds 5, but integers from 0 to 4"):
        embedding(np.array([0, 5]), TABLE)
    with pytest.raises(InputError, match="indices holds -1"):
        embedding(np.array([0, -1]), TABLE)
    with pytest.raises(InputError, match="indices has dtype float64"):
        embedding(np.array([0.0]), TABLE)
    with pytest.raises(InputError, match="table has dtype int64"):
        embedding(INDICES, INDICES)
    assert_refuses_dy(embedding, embedding_backward, (INDICES, TABLE), (6, 4), (2, 1, 4))
    for max_period in (0, -1.0, 1, float("nan")):
        with pytest.raises(InputError, match=f"max_period is {max_period}, but a number"):
            timestep_embedding(np.array([1]), 8, max_period)
    with pytest.raises(InputError, match="channels = 7"):
        timestep_embedding(np.array([1]), 7)
    with pytest.raises(InputError, match="channels is 2"):
        timestep_embedding(np.array([1]), 2)
    with pytest.raises(InputError, match="variant is 'mine'"):
        timestep_embedding(np.array([1]), 8, variant="mine")
    with pytest.raises(InputError, match="t has 2 axes"):
        timestep_embedding(np.array([[1]]), 8)
