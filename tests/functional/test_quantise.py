"""Vector quantisation: nearest codes, what straight-through is, the losses' true gradients, averages, and FSQ."""

import itertools
import math

import numpy as np
import pytest
from arrays import no_synchronisation, to_host, to_xp
from pairs import random

from tinydiff.base import InputError
from tinydiff.functional import (
    average_codebook,
    codebook_loss,
    codebook_loss_backward,
    codebook_sums,
    codebook_usage,
    commitment_loss,
    commitment_loss_backward,
    finite_scalar_codes,
    finite_scalar_indices,
    finite_scalar_quantise,
    finite_scalar_quantise_backward,
    nearest_code,
    restart_codes,
    vector_quantise,
    vector_quantise_backward,
)
from tinydiff.gradcheck import gradcheck

Z, CODEBOOK = random(2, 3, 4), random(5, 4, seed=1)
LEVELS = [(8, 5, 5), (3, 4), (7,), (256, 6, 3)]


def nearest_by_loops(z, codebook):
    found = []
    for vector in z.reshape(-1, z.shape[-1]):
        best, least = 0, math.inf
        for k, code in enumerate(codebook):
            distance = sum((float(a) - float(b)) ** 2 for a, b in zip(vector, code, strict=True))
            if distance < least:  # of equals, the first stays
                best, least = k, distance
        found.append(best)
    return np.array(found).reshape(z.shape[:-1])


@pytest.mark.equation("VQ-1")
@pytest.mark.parametrize(("n", "codes", "channels"), [(1, 1, 1), (50, 7, 3), (200, 64, 8)])
def test_the_nearest_code_is_the_one_a_loop_finds(n, codes, channels):
    z, codebook = random(n, channels), random(codes, channels, seed=1)
    np.testing.assert_array_equal(nearest_code(z, codebook), nearest_by_loops(z, codebook))
    z_q, cache = vector_quantise(z, codebook)
    np.testing.assert_array_equal(cache.indices, nearest_by_loops(z, codebook))
    for row, k in zip(z_q, cache.indices, strict=True):
        np.testing.assert_array_equal(row, codebook[k])


@pytest.mark.equation("VQ-1")
def test_of_equally_near_codes_the_lowest_is_taken():
    codebook = np.array([[4.0], [0.0], [2.0], [2.0]])  # exact in binary, as is their mean, so equal distances are equal
    np.testing.assert_array_equal(nearest_code(np.array([[1.0], [0.0], [2.0], [3.0]]), codebook), [1, 1, 2, 0])


def test_far_from_the_origin_small_differences_still_count():
    """|e|^2 is 1e8 there, and float32 keeps seven digits of it; the codes are 1 apart."""
    z, codebook = random(100, 4).astype("f4"), random(9, 4, seed=1).astype("f4")
    z, codebook = (np.round(8 * a) / 8 + np.float32(5000) for a in (z, codebook))  # the shift rounds nothing
    near = nearest_by_loops(z, codebook)
    np.testing.assert_array_equal(nearest_code(z, codebook), near)
    naive = ((codebook**2).sum(axis=1) - 2 * z @ codebook.T).argmin(axis=1)
    assert (naive != near).mean() > 0.05


@pytest.mark.equation("VQ-ST")
def test_straight_through_hands_the_gradient_on_and_is_not_the_gradient_of_the_function():
    z_q, cache = vector_quantise(Z, CODEBOOK)
    dy = random(*Z.shape, seed=2)
    dz, d_codebook = vector_quantise_backward(dy, cache)
    np.testing.assert_array_equal(dz, dy)
    assert d_codebook is None
    moved, _ = vector_quantise(Z + 1e-9 * random(*Z.shape, seed=3), CODEBOOK)
    np.testing.assert_array_equal(moved, z_q)  # so that the true gradient is 0
    assert not gradcheck(vector_quantise, vector_quantise_backward, (Z, CODEBOOK))


@pytest.mark.equation("VQ-ST")
def test_it_is_the_gradient_of_z_plus_a_constant():
    """z + stop_gradient(z_q - z), with the constant frozen at z, has the value z_q and the derivative 1."""
    z_q, cache = vector_quantise(Z, CODEBOOK)
    frozen = z_q - Z
    report = gradcheck(lambda z: (z + frozen, cache), lambda dy, c: vector_quantise_backward(dy, c)[:1], (Z,))
    assert report, str(report)


@pytest.mark.equation("VQ-BOOK")
def test_the_codebook_loss_moves_the_codes_alone():
    indices = nearest_code(Z, CODEBOOK)
    loss, cache = codebook_loss(CODEBOOK, Z, indices)
    by_hand = [(CODEBOOK[indices[i]] - Z[i]) ** 2 for i in np.ndindex(indices.shape)]
    assert float(loss) == pytest.approx(np.mean(by_hand), rel=1e-12)
    d_codebook, d_z, d_indices = codebook_loss_backward(1.0, cache)
    assert d_z is d_indices is None
    unused = np.setdiff1d(np.arange(5), indices)
    assert not d_codebook[unused].any()
    only_codes = gradcheck(
        lambda codebook: codebook_loss(codebook, Z, indices),  # z, and which code is nearest, are frozen
        lambda d_loss, c: codebook_loss_backward(d_loss, c)[:1],
        (CODEBOOK,),
    )
    assert only_codes, str(only_codes)


@pytest.mark.equation("VQ-COMMIT")
def test_the_commitment_loss_moves_the_vectors_alone():
    z_q, _ = vector_quantise(Z, CODEBOOK)
    loss, cache = commitment_loss(Z, z_q)
    assert float(loss) == pytest.approx(float(codebook_loss(CODEBOOK, Z, nearest_code(Z, CODEBOOK))[0]), rel=1e-12)
    assert commitment_loss_backward(1.0, cache)[1] is None
    only_z = gradcheck(
        lambda z: commitment_loss(z, z_q), lambda d_loss, c: commitment_loss_backward(d_loss, c)[:1], (Z,)
    )
    assert only_z, str(only_z)


def test_sums_of_shards_are_those_of_the_batch():
    indices = nearest_code(Z, CODEBOOK)
    counts, sums = codebook_sums(Z, indices, 5)
    for k in range(5):
        mine = Z[indices == k]
        assert counts[k] == len(mine)
        np.testing.assert_allclose(sums[k], mine.sum(axis=0), rtol=1e-12, atol=1e-15)
    parts = [codebook_sums(Z[i], indices[i], 5) for i in range(2)]
    np.testing.assert_array_equal(parts[0][0] + parts[1][0], counts)
    np.testing.assert_allclose(parts[0][1] + parts[1][1], sums, rtol=1e-12, atol=1e-15)


@pytest.mark.equation("VQ-EMA")
def test_the_averages_are_sums_over_the_whole_history():
    decay, codes = 0.9, random(5, 4, seed=1)
    codebook, sizes, sums, history = codes.copy(), np.zeros(5), np.zeros((5, 4)), []
    for step in range(12):
        z = random(30, 4, seed=10 + step) + 1
        history.append(codebook_sums(z, nearest_code(z, codebook), 5))
        codebook, sizes, sums = average_codebook(codebook, sizes, sums, *history[-1], decay, smoothing=0.0)
        weights = [(1 - decay) * decay ** (step - t) for t in range(step + 1)]
        for k in range(5):
            size = sum(w * counts[k] for w, (counts, _) in zip(weights, history, strict=True))
            total = sum(w * of_batch[k] for w, (_, of_batch) in zip(weights, history, strict=True))
            assert sizes[k] == pytest.approx(size, rel=1e-12, abs=1e-15)
            expected = total / size if size else codes[k]  # a mean, or, where nothing was ever near, what it was
            np.testing.assert_allclose(codebook[k], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.equation("VQ-EMA")
def test_smoothing_gives_every_code_a_part_of_the_total():
    sizes = np.array([3.0, 1.0, 1e-9])
    sums = sizes[:, None] * np.array([[1.0], [2.0], [4.0]])
    same = (sizes, sums)  # an average of equals is itself
    codebook, _, _ = average_codebook(np.ones((3, 1)), *same, *same, smoothing=0.01)
    smoothed = (sizes + 0.01) / (4 + 1e-9 + 3 * 0.01) * (4 + 1e-9)
    assert smoothed.sum() == pytest.approx(sizes.sum(), rel=1e-12)
    np.testing.assert_allclose(codebook[:, 0], sums[:, 0] / smoothed, rtol=1e-12)
    assert codebook[2] < 1e-5  # hardly used, so drawn to 0, and not a division by nearly nothing


@pytest.mark.equation("VQ-RESTART")
def test_only_codes_below_the_threshold_begin_anew():
    sizes, candidates = np.array([0.0, 5.0, 1.9, 2.0, 7.0]), random(5, 4, seed=2)
    sums = sizes[:, None] * CODEBOOK
    codebook, new_sizes, new_sums = restart_codes(CODEBOOK, sizes, sums, candidates, 2.0)
    np.testing.assert_array_equal(codebook[[0, 2]], candidates[[0, 2]])
    np.testing.assert_array_equal(codebook[[1, 3, 4]], CODEBOOK[[1, 3, 4]])
    np.testing.assert_array_equal(new_sizes, [2, 5, 2, 2, 7])
    np.testing.assert_allclose(new_sums, new_sizes[:, None] * codebook, rtol=1e-12)  # a code is the mean of its vectors


def follow(points, codebook, steps, below):
    """Return the codebook after batches around these points, as a run has them."""
    sizes, sums = np.zeros(len(codebook)), np.zeros(codebook.shape)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        z = points[rng.integers(0, len(points), 256)] + 0.01 * rng.standard_normal((256, points.shape[1]))
        of_batch = codebook_sums(z, nearest_code(z, codebook), len(codebook))
        codebook, sizes, sums = average_codebook(codebook, sizes, sums, *of_batch)
        if below:
            candidates = z[rng.permutation(len(z))[: len(codebook)]]
            codebook, sizes, sums = restart_codes(codebook, sizes, sums, candidates, below)
    return codebook


def test_with_restarts_every_cluster_gets_a_code_and_without_some_get_none():
    """Sixteen points far apart and sixteen codes, all beginning in one place.

    A batch has 16 vectors around each point. Two codes that share a point stand for 8 each, so that 10 tells them from
    a code with a point of its own.
    """
    points = 3.0 * np.array(list(itertools.product(range(4), repeat=2))) - 4.5
    begin = np.random.default_rng(1).uniform(-1 / 16, 1 / 16, (16, 2))
    with_restarts, without = (follow(points, begin, 400, below) for below in (10.0, 0.0))

    def missed(codebook):
        nearest = np.sqrt(((points[:, None] - codebook) ** 2).sum(axis=2)).min(axis=1)
        return int((nearest > 0.1).sum())

    assert missed(with_restarts) == 0
    assert missed(without) > 3


@pytest.mark.equation("VQ-USE")
def test_the_perplexity_counts_codes_that_are_used_equally():
    for k in (1, 2, 512):
        assert codebook_usage(np.full(k, 7.0)) == (k, pytest.approx(k, rel=1e-12))
    used, perplexity = codebook_usage(np.array([8, 4, 4, 0]))
    assert (used, perplexity) == (3, pytest.approx(2**1.5, rel=1e-12))  # 1.5 bits
    assert codebook_usage(np.zeros(3)) == (0, 0.0)
    assert codebook_usage(np.array([0.0, 9.0])) == (1, 1.0)


@pytest.mark.equation("FSQ-1")
@pytest.mark.parametrize("levels", LEVELS)
def test_every_level_of_every_channel_is_reached_and_no_other(levels):
    line = np.linspace(-12, 12, 20_001)[:, None].repeat(len(levels), axis=1)
    z_q, _ = finite_scalar_quantise(line, levels)
    for channel, count in enumerate(levels):
        wanted = np.arange(-(count // 2), (count + 1) // 2) / (count // 2)
        np.testing.assert_allclose(np.unique(z_q[:, channel]), wanted, atol=1e-12)
    np.testing.assert_array_equal(finite_scalar_quantise(np.zeros((1, len(levels))), levels)[0], 0)
    for far in (-1e30, 1e30, -np.inf, np.inf):
        assert (abs(finite_scalar_quantise(np.full((1, len(levels)), far), levels)[0]) <= 1).all()


@pytest.mark.equation("FSQ-1")
@pytest.mark.parametrize("levels", LEVELS)
def test_rounding_moves_a_number_by_half_a_level_at_most(levels):
    z = 3 * random(500, len(levels))
    z_q, _ = finite_scalar_quantise(z, levels)
    for channel, count in enumerate(levels):
        half, offset = (count - 1) * 0.999 / 2, 0.0 if count % 2 else 0.5
        bounded = half * np.tanh(z[:, channel] + math.atanh(offset / half)) - offset  # the formula, once more
        error = abs(z_q[:, channel] * (count // 2) - bounded)
        assert error.max() <= 0.5 + 1e-9
        assert error.max() > 0.45


@pytest.mark.equation("FSQ-2")
def test_fsqs_backward_is_the_gradient_of_what_is_rounded():
    levels, z = (8, 5, 5), random(4, 6, 3)
    z_q, _ = finite_scalar_quantise(z, levels)
    half, offset = np.array([7, 4, 4]) * 0.999 / 2, np.array([0.5, 0, 0])

    def without_rounding(z):
        y = half * np.tanh(z + np.arctanh(offset / half)) - offset
        return y / np.array([4, 2, 2]), finite_scalar_quantise(z, levels)[1]

    report = gradcheck(without_rounding, finite_scalar_quantise_backward, (z,))
    assert report, str(report)
    assert not gradcheck(
        lambda z: finite_scalar_quantise(z, levels), finite_scalar_quantise_backward, (z,)
    )  # the function itself is flat
    assert abs(without_rounding(z)[0] - z_q).max() <= 0.25 + 1e-9


@pytest.mark.equation("FSQ-3")
@pytest.mark.parametrize("levels", LEVELS)
def test_numbers_and_codes_are_one_to_one(levels):
    numbers = np.arange(math.prod(levels)).reshape(-1, levels[0])
    codes = finite_scalar_codes(numbers, levels)
    np.testing.assert_array_equal(finite_scalar_indices(codes, levels), numbers)
    assert len(np.unique(codes.reshape(-1, len(levels)), axis=0)) == numbers.size
    wanted = {tuple(code) for code in codes.reshape(-1, len(levels)).tolist()}
    drawn, _ = finite_scalar_quantise((4 * random(2000, len(levels))).astype("f4"), levels)
    assert {tuple(code) for code in drawn.tolist()} <= wanted


def test_float32_goes_in_and_comes_out():
    z, codebook = Z.astype("f4"), CODEBOOK.astype("f4")
    indices = nearest_code(z, codebook)
    averages = codebook, *codebook_sums(z, indices, 5)
    results = [
        vector_quantise(z, codebook)[0],
        codebook_loss(codebook, z, indices)[0],
        codebook_loss_backward(0.5, codebook_loss(codebook, z, indices)[1])[0],
        commitment_loss_backward(0.5, commitment_loss(z, z)[1])[0],
        *average_codebook(*averages, *averages[1:]),
        *restart_codes(*averages, codebook, 2.0),
        finite_scalar_quantise(z, (8, 5, 5, 5))[0],
        finite_scalar_quantise_backward(z, finite_scalar_quantise(z, (8, 5, 5, 5))[1])[0],
    ]
    assert {a.dtype for a in results} == {np.dtype(np.float32)}


def test_they_run_under_both_array_modules_without_a_wait(xp):
    def all_of(z, codebook):
        z_q, cache = vector_quantise(z, codebook)
        book, committed = codebook_loss(codebook, z, cache.indices), commitment_loss(z, z_q)
        averages = codebook, *codebook_sums(z, cache.indices, 5)
        scalars, scalar_cache = finite_scalar_quantise(z, (8, 5, 5, 4))
        numbers = finite_scalar_indices(scalars, (8, 5, 5, 4))
        return [
            z_q, book[0], codebook_loss_backward(0.5, book[1])[0], commitment_loss_backward(0.5, committed[1])[0],
            *average_codebook(*averages, *averages[1:]), *restart_codes(*averages, codebook, 2.0),
            *finite_scalar_quantise_backward(z, scalar_cache), numbers, finite_scalar_codes(numbers, (8, 5, 5, 4)),
        ]  # fmt: skip

    expected = all_of(Z, CODEBOOK)
    z, codebook = to_xp(xp, Z), to_xp(xp, CODEBOOK)
    with no_synchronisation(xp):
        found = all_of(z, codebook)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_host(a), b, rtol=1e-9, atol=1e-12)


def test_what_does_not_fit_is_refused_in_a_sentence():
    for call, words in [
        (lambda: nearest_code(Z, CODEBOOK[:, :3]), "C is 4 in z"),
        (lambda: vector_quantise_backward(Z[0], vector_quantise(Z, CODEBOOK)[1]), "dy"),
        (lambda: codebook_loss(CODEBOOK, Z, np.full((2, 3), 5)), "indices holds 5, but integers from 0 to 4"),
        (lambda: codebook_sums(Z, np.full((2, 3), 5), 5), "indices holds 5"),
        (lambda: commitment_loss(Z, Z[0]), "z_q"),
        (lambda: finite_scalar_quantise(Z, (8, 5)), "z has shape"),
        (lambda: finite_scalar_quantise(Z, (2, 5, 5, 5)), r"levels\[0\] is 2, but a whole number from 3 to 256"),
        (lambda: finite_scalar_quantise(Z, ()), "levels is empty"),
        (lambda: finite_scalar_codes(np.array([15]), (3, 5)), "indices holds 15, but integers from 0 to 14"),
        (lambda: finite_scalar_codes(np.array([0]), (256,) * 4), "levels makes 4,294,967,296 codes"),
        (lambda: codebook_usage(np.array([-1.0])), "counts holds numbers below 0"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
