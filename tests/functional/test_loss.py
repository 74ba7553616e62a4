"""Losses."""

import math

import numpy as np
import pytest
from pairs import assert_right, assert_same_on, random

from tinydiff.base import InputError
from tinydiff.functional import (
    contrastive_loss,
    contrastive_loss_backward,
    cross_entropy,
    cross_entropy_backward,
    edge_loss,
    edge_loss_backward,
    mae,
    mae_backward,
    masked_cross_entropy,
    masked_cross_entropy_backward,
    mse,
    mse_backward,
    scaled_similarity,
    scaled_similarity_backward,
)
from tinydiff.gradcheck import gradcheck

A, B = random(3, 4, 2), random(3, 4, 2, seed=1)
LOGITS, LABELS = random(5, 4), np.array([0, 3, 2, 2, 1])


@pytest.mark.equation("MSE-1")
def test_mse_equals_a_loop():
    loss, _ = mse(A, B)
    assert float(loss) == pytest.approx(sum((a - b) ** 2 for a, b in zip(A.flat, B.flat, strict=True)) / 24, rel=1e-12)


@pytest.mark.equation("MSE-2")
def test_mses_gradient():
    assert gradcheck(mse, mse_backward, (A, B))
    _, cache = mse(A, B)
    np.testing.assert_allclose(mse_backward(0.25, cache)[0], 0.25 * 2 * (A - B) / 24, rtol=1e-12)


@pytest.mark.equation("CE-1")
def test_cross_entropy_equals_its_definition_and_does_not_overflow():
    loss, _ = cross_entropy(LOGITS, LABELS)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    assert float(loss) == pytest.approx(-np.log(p[np.arange(5), LABELS]).mean(), rel=1e-12)
    loss, _ = cross_entropy(np.array([[1e4, -1e4]]), np.array([1]))
    assert float(loss) == 2e4


@pytest.mark.equation("CE-2")
def test_cross_entropys_gradient():
    assert gradcheck(cross_entropy, cross_entropy_backward, (LOGITS, LABELS))


def mse_without_two(dy, cache):
    return tuple(0.5 * d for d in mse_backward(dy, cache))


def mse_sum_instead_of_mean(dy, cache):
    return tuple(24 * d for d in mse_backward(dy, cache))


def mse_same_sign(dy, cache):
    d, _ = mse_backward(dy, cache)
    return d, d


def ce_without_labels(dy, cache):
    return (cache.probabilities * dy / 5,)


def ce_sum_instead_of_mean(dy, cache):
    return (5 * cross_entropy_backward(dy, cache)[0],)


def ce_sign(dy, cache):
    return (-cross_entropy_backward(dy, cache)[0],)


@pytest.mark.parametrize(
    ("f", "wrong", "args", "mistake"),
    [
        (mse, mse_without_two, (A, B), "a factor: it is 0.5 times"),
        (mse, mse_sum_instead_of_mean, (A, B), "a factor: it is 24 times"),
        (mse, mse_same_sign, (A, B), "the sign"),
        (cross_entropy, ce_without_labels, (LOGITS, LABELS), "WRONG"),
        (cross_entropy, ce_sum_instead_of_mean, (LOGITS, LABELS), "a factor: it is 5 times"),
        (cross_entropy, ce_sign, (LOGITS, LABELS), "the sign"),
    ],
)
def test_wrong_backwards_are_caught(f, wrong, args, mistake):
    report = gradcheck(f, wrong, args)
    assert not report
    assert mistake in str(report), str(report)


def test_losses_and_gradients_on_both_array_modules(xp):
    assert_same_on(xp, mse, mse_backward, (A, B))
    assert_same_on(xp, cross_entropy, cross_entropy_backward, (LOGITS, LABELS))


def test_losses_of_a_batch_of_one():
    assert gradcheck(mse, mse_backward, (A[:1], B[:1]))
    assert gradcheck(cross_entropy, cross_entropy_backward, (LOGITS[:1], LABELS[:1]))


def test_losses_keep_float32_and_are_0_d(xp):
    a, b = (xp.asarray(x.astype(np.float32)) for x in (A, B))
    loss, cache = mse(a, b)
    assert loss.ndim == 0
    assert loss.dtype == mse_backward(1.0, cache)[0].dtype == np.float32
    logits = xp.asarray(LOGITS.astype(np.float32))
    loss, cache = cross_entropy(logits, xp.asarray(LABELS))
    assert loss.ndim == 0
    assert loss.dtype == cross_entropy_backward(1.0, cache)[0].dtype == np.float32
    assert float(loss) == pytest.approx(float(cross_entropy(LOGITS, LABELS)[0]), rel=1e-5)


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"target has shape \(3, 4\)"):
        mse(A, B[..., 0])
    with pytest.raises(InputError, match="mean of no numbers"):
        mse(A[:0], B[:0])
    with pytest.raises(InputError, match="target is float32"):
        mse(A, B.astype(np.float32))
    with pytest.raises(InputError, match="labels holds 4, but integers from 0 to 3"):
        cross_entropy(LOGITS, np.array([0, 1, 2, 3, 4]))
    with pytest.raises(InputError, match=r"labels has shape \(4,\)"):
        cross_entropy(LOGITS, LABELS[:4])
    with pytest.raises(InputError, match=r"logits has shape \(0, 4\): the mean of no numbers"):
        cross_entropy(LOGITS[:0], LABELS[:0])


ASKED = np.array([0, -1, 2, -1, 1])


@pytest.mark.equation("MCE-1")
def test_the_masked_cross_entropy_is_that_of_the_rows_that_are_asked():
    asked = ASKED >= 0
    loss, _ = masked_cross_entropy(LOGITS, ASKED)
    assert float(loss) == pytest.approx(float(cross_entropy(LOGITS[asked], ASKED[asked])[0]), rel=1e-12)
    assert float(masked_cross_entropy(LOGITS, LABELS)[0]) == pytest.approx(float(cross_entropy(LOGITS, LABELS)[0]))
    assert float(masked_cross_entropy(np.array([[1e4, -1e4], [0, 0]]), np.array([1, -1]))[0]) == 2e4


@pytest.mark.equation("MCE-2")
def test_the_masked_cross_entropys_gradient(xp):
    assert_right(masked_cross_entropy, masked_cross_entropy_backward, (LOGITS, ASKED))
    assert_same_on(xp, masked_cross_entropy, masked_cross_entropy_backward, (LOGITS, ASKED))
    _, cache = masked_cross_entropy(LOGITS, ASKED)
    (d_logits,) = masked_cross_entropy_backward(1.0, cache)
    assert not d_logits[ASKED < 0].any()
    assert d_logits[ASKED >= 0].all()


def test_where_no_row_is_asked_the_masked_cross_entropy_and_its_gradient_are_0():
    nobody = np.full(5, -1)
    loss, cache = masked_cross_entropy(LOGITS, nobody)
    assert float(loss) == 0
    assert not masked_cross_entropy_backward(1.0, cache)[0].any()


def masked_mean_over_all_rows(dy, cache):
    return (masked_cross_entropy_backward(dy, cache)[0] * 3 / 5,)


def masked_nowhere(dy, cache):
    return ((cache.probabilities - cache.one_hot) * (dy / 3),)


@pytest.mark.parametrize("wrong", [masked_mean_over_all_rows, masked_nowhere])
def test_a_wrong_backward_of_the_masked_cross_entropy_is_caught(wrong):
    assert not gradcheck(masked_cross_entropy, wrong, (LOGITS, ASKED))


def test_bad_labels_of_the_masked_cross_entropy_are_one_clear_sentence():
    for labels, words in [
        (np.array([0, 1, 2, 3, 4]), "labels holds 4, but integers from 0 to 3 were expected, or -1 for a row not"),
        (np.array([0, 1, -2, 3, 3]), "labels holds -2, but integers from 0 to 3"),
        (ASKED[:4], r"labels has shape \(4,\)"),
        (ASKED * 1.0, "labels has dtype float64, but integers"),
    ]:
        with pytest.raises(InputError, match=words):
            masked_cross_entropy(LOGITS, labels)
    with pytest.raises(InputError, match=r"logits has shape \(0, 4\): the mean of no numbers"):
        masked_cross_entropy(LOGITS[:0], ASKED[:0])


@pytest.mark.equation("NCE-1")
@pytest.mark.equation("NCE-2")
def test_scaled_similarity(xp):
    a, b, log_scale = random(4, 3), random(5, 3, seed=1), np.array([0.7])
    y, _ = scaled_similarity(a, b, log_scale)
    for i, j in np.ndindex(4, 5):
        assert y[i, j] == pytest.approx(math.exp(0.7) * sum(a[i, k] * b[j, k] for k in range(3)))
    assert_right(scaled_similarity, scaled_similarity_backward, (a, b, log_scale))
    assert_same_on(xp, scaled_similarity, scaled_similarity_backward, (a, b, log_scale))


@pytest.mark.equation("NCE-3")
@pytest.mark.equation("NCE-4")
def test_the_contrastive_loss(xp):
    logits = 3 * random(5, 5)
    by_hand = 0.0
    for i in range(5):
        row = sum(math.exp(logits[i, j]) for j in range(5))
        column = sum(math.exp(logits[j, i]) for j in range(5))
        by_hand -= (math.log(math.exp(logits[i, i]) / row) + math.log(math.exp(logits[i, i]) / column)) / 10
    assert float(contrastive_loss(logits)[0]) == pytest.approx(by_hand, rel=1e-12)
    assert_right(contrastive_loss, contrastive_loss_backward, (logits,))
    assert_same_on(xp, contrastive_loss, contrastive_loss_backward, (logits,))
    assert float(contrastive_loss(np.zeros((7, 7)))[0]) == pytest.approx(math.log(7))  # a guess costs log N
    assert np.isfinite(contrastive_loss(1e4 * logits)[0])
    for bad, words in [(logits[:4], "logits has shape"), (logits[:0, :0], "no numbers")]:
        with pytest.raises(InputError, match=words):
            contrastive_loss(bad)


@pytest.mark.equation("L1-1")
@pytest.mark.equation("L1-2")
def test_mae(xp):
    loss, cache = mae(A, B)
    assert float(loss) == pytest.approx(sum(abs(a - b) for a, b in zip(A.flat, B.flat, strict=True)) / 24, rel=1e-12)
    assert_right(mae, mae_backward, (A, B))
    assert_same_on(xp, mae, mae_backward, (A, B))
    np.testing.assert_allclose(mae_backward(0.25, cache)[0], np.where(A > B, 0.25, -0.25) / 24, rtol=1e-12)
    _, cache = mae(A, A)
    assert not mae_backward(1.0, cache)[0].any()  # the kink
    for bad, words in [(B[..., 0], r"target has shape \(3, 4\)"), (B.astype("f4"), "different dtypes")]:
        with pytest.raises(InputError, match=words):
            mae(A, bad)


X_HAT, X = random(2, 4, 5, 3), random(2, 4, 5, 3, seed=1)


@pytest.mark.equation("EDGE-1")
@pytest.mark.equation("EDGE-2")
def test_the_edge_loss(xp):
    down = [
        abs((X_HAT[n, h + 1, w, c] - X_HAT[n, h, w, c]) - (X[n, h + 1, w, c] - X[n, h, w, c]))
        for n, h, w, c in np.ndindex(2, 3, 5, 3)
    ]
    right = [
        abs((X_HAT[n, h, w + 1, c] - X_HAT[n, h, w, c]) - (X[n, h, w + 1, c] - X[n, h, w, c]))
        for n, h, w, c in np.ndindex(2, 4, 4, 3)
    ]
    assert float(edge_loss(X_HAT, X)[0]) == pytest.approx(sum(down) / len(down) + sum(right) / len(right), rel=1e-12)
    assert_right(edge_loss, edge_loss_backward, (X_HAT, X))
    assert_same_on(xp, edge_loss, edge_loss_backward, (X_HAT, X))


def test_the_edge_loss_sees_edges_and_no_shift_of_the_colours():
    shifted = X + np.array([0.25, -0.5, 1.0])
    loss, _ = edge_loss(shifted, X)
    assert float(loss) == pytest.approx(0, abs=1e-15)
    step = np.zeros((1, 3, 4, 1))
    step[:, :, 2:] = 1  # an edge between the second and the third column: a third of the pairs side by side
    flat = np.full_like(step, 0.5)
    assert float(edge_loss(flat, step)[0]) == pytest.approx(1 / 3)
    assert float(edge_loss(step, flat)[0]) == pytest.approx(1 / 3)
    assert float(edge_loss(step.swapaxes(1, 2), flat.swapaxes(1, 2))[0]) == pytest.approx(1 / 3)
    d, _ = edge_loss_backward(1.0, edge_loss(step, flat)[1])
    np.testing.assert_allclose(d[0, :, :, 0], np.tile([0, -1 / 9, 1 / 9, 0], (3, 1)), rtol=1e-12)
    assert abs(edge_loss_backward(1.0, edge_loss(X_HAT, X)[1])[0].sum()) < 1e-12  # nothing pulls at the mean


def edges_that_pull_one_pixel_only(d_loss, cache):
    d, _ = edge_loss_backward(d_loss, cache)
    d[:, 1:] += cache.down * d_loss / cache.down.size
    return d, -d


def test_a_wrong_edge_gradient_is_caught():
    assert not gradcheck(edge_loss, edges_that_pull_one_pixel_only, (X_HAT, X))


def test_bad_images_for_the_edge_loss():
    for a, b, words in [
        (X_HAT, X[:1], r"target has shape \(1, 4, 5, 3\)"),
        (X_HAT[0], X[0], "prediction has 3 axes"),
        (X_HAT[:, :1], X[:, :1], "at least 2 x 2 pixels"),
        (X_HAT[:0], X[:0], "no numbers"),
    ]:
        with pytest.raises(InputError, match=words):
            edge_loss(a, b)
