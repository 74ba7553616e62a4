"""Quantisers: what they let through, and the statistics that they keep in the places of parameters."""

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.functional import (
    average_codebook,
    codebook_sums,
    codebook_usage,
    finite_scalar_quantise,
    nearest_code,
    restart_codes,
)
from tinydiff.nn import Gradients, Linear, ScalarQuantiser, Sequential, Tape, VectorQuantiser
from tinydiff.train import AdamW

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((2, 3, 3, 4)).astype("f4")


def vector(codes=6):
    quantiser = VectorQuantiser(codes, 4, np.random.default_rng(1))
    quantiser.codebook.value *= 6  # so that they are as far apart as the vectors
    return quantiser


QUANTISERS = {"vq": vector, "fsq": lambda: ScalarQuantiser((5, 4, 3, 3))}
every = pytest.mark.parametrize("kind", QUANTISERS)


@every
def test_indices_and_codes_say_the_same(kind):
    quantiser = QUANTISERS[kind]()
    z_q, indices = quantiser.forward(Z)
    assert (z_q.shape, indices.shape, z_q.dtype) == (Z.shape, Z.shape[:-1], np.float32)
    np.testing.assert_array_equal(quantiser.look_up(indices), z_q)
    again, same = quantiser.forward(z_q) if kind == "vq" else (z_q, indices)
    np.testing.assert_array_equal(again, z_q)
    np.testing.assert_array_equal(same, indices)


def test_the_codebook_begins_uniformly_and_a_code_is_the_nearest():
    quantiser = VectorQuantiser(50, 4, np.random.default_rng(1))
    assert 0.9 / 50 < abs(quantiser.codebook.value).max() <= 1 / 50  # false alarm: 0.9 ** 200 = 7e-10
    z_q, indices = vector().forward(Z)
    np.testing.assert_array_equal(indices, nearest_code(Z, vector().codebook.value))
    np.testing.assert_array_equal(z_q, vector().codebook.value[indices])


@every
def test_the_backward_is_the_pairs(kind):
    quantiser, tape = QUANTISERS[kind](), Tape()
    quantiser.forward(Z, tape)
    d_z_q = RNG.standard_normal(Z.shape).astype("f4")
    slope = 1 if kind == "vq" else finite_scalar_quantise(Z, (5, 4, 3, 3))[1].slope
    np.testing.assert_array_equal(quantiser.backward(d_z_q, tape), d_z_q * slope)


@every
def test_uses_are_counted_over_an_epoch_and_kept_through_the_next(kind):
    quantiser, seen = QUANTISERS[kind](), np.zeros(QUANTISERS[kind]().codes)
    grads, yes = Gradients(quantiser.parameters()), np.asarray(True)
    assert quantiser.usage() is None
    for batch in range(3):
        z = RNG.standard_normal(Z.shape).astype("f4")
        _, indices = quantiser.forward(z)
        for part in (indices[:1], indices[1:]):  # two shards, whose counts add
            quantiser.count(part, grads)
        seen += np.bincount(indices.ravel(), minlength=quantiser.codes)
        quantiser.end_of_batch(grads, ends_epoch=batch == 2, ok=yes)
        assert not grads.flat.any()
    assert seen.sum() == 3 * 18
    assert quantiser.usage() == codebook_usage(seen)
    quantiser.count(indices, grads)
    quantiser.end_of_batch(grads, ends_epoch=False, ok=yes)
    assert quantiser.usage() == codebook_usage(seen)
    quantiser.count(indices, grads)
    quantiser.end_of_batch(grads, ends_epoch=True, ok=yes)
    assert quantiser.usage() == codebook_usage(2.0 * np.bincount(indices.ravel(), minlength=quantiser.codes))


def test_the_averages_of_shards_are_those_of_the_batch():
    quantiser, candidates = vector(), RNG.standard_normal((6, 4)).astype("f4")
    grads = Gradients(quantiser.parameters())
    _, indices = quantiser.forward(Z)
    first = np.arange(6)[:, None] < 2  # the candidates of codes 0 and 1 lie in the first shard
    for part, of_shard in ((slice(0, 1), first), (slice(1, 2), ~first)):
        quantiser.remember(Z[part], indices[part], grads, np.where(of_shard, candidates, np.float32(0)))
    before = [p.value.copy() for p in (quantiser.codebook, quantiser.sizes, quantiser.sums)]
    expected = restart_codes(*average_codebook(*before, *codebook_sums(Z, indices, 6), 0.5), candidates, 1.0)
    quantiser.average(grads, 0.5, 1.0, np.asarray(True))
    for p, value in zip((quantiser.codebook, quantiser.sizes, quantiser.sums), expected, strict=True):
        np.testing.assert_allclose(p.value, value, rtol=1e-6, atol=1e-7)
    assert not grads.flat.any()


def test_where_something_was_not_finite_nothing_changes():
    quantiser = vector()
    quantiser.pack()
    grads, before = Gradients(quantiser.parameters()), quantiser.theta.copy()
    grads.flat[:] = np.nan
    no = np.asarray(False)
    quantiser.average(grads, 0.9, 1.0, no)
    quantiser.end_of_batch(grads, ends_epoch=True, ok=no)
    np.testing.assert_array_equal(quantiser.theta, before)


@every
def test_the_optimizer_moves_no_statistics(kind):
    """Not by a bit, as their gradients are always 0, and neither weight decay nor momentum acts on them."""
    network = Sequential(Linear(4, 4, np.random.default_rng(0)), QUANTISERS[kind]())
    network.pack()
    optimizer = AdamW(network.theta, network.decay_mask(), weight_decay=0.1)
    before = network.theta.copy()
    for _ in range(5):
        gradient = RNG.standard_normal(before.shape).astype("f4")
        gradient[20:] = 0  # after the linear layer
        optimizer.step(gradient, 0.1)
    np.testing.assert_array_equal(network.theta[20:], before[20:])
    assert (network.theta[:20] != before[:20]).all()


@every
def test_it_runs_under_both_array_modules(xp, kind):
    here, there = QUANTISERS[kind](), QUANTISERS[kind]()
    here.pack()
    there.pack()
    there = there.bind(to_xp(xp, there.theta))
    results = []
    for quantiser, z, yes in ((here, Z, np.asarray(True)), (there, to_xp(xp, Z), xp.asarray(True))):
        grads = Gradients(quantiser.parameters())
        _, indices = quantiser.forward(z)
        quantiser.count(indices, grads)
        quantiser.end_of_batch(grads, True, yes)
        results.append(quantiser.usage())
    assert results[0] == results[1]


def test_what_does_not_fit_is_refused():
    for call, words in [
        (lambda: VectorQuantiser(0, 4), "codes is 0"),
        (lambda: VectorQuantiser(2**25, 4), "codes is 33,554,432, but at most"),
        (lambda: vector().forward(Z[..., :3]), "C is 3 in z"),
        (lambda: vector().look_up(np.array([6])), "indices holds 6, but integers from 0 to 5"),
        (lambda: vector().forward(Z.astype(float)), "z is float64, codebook is float32"),
        (lambda: ScalarQuantiser((5, 2)), r"levels\[1\] is 2"),
        (lambda: ScalarQuantiser((5, 4)).look_up(np.array([-1])), "indices holds -1"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
