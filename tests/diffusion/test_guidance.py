"""Guidance: identities, bounds, and the laboratory, where every answer is known exactly."""

import sys

import numpy as np
import pytest
from arrays import to_host, to_xp
from pairs import random

from tinydiff.base import Condition, InputError
from tinydiff.diffusion import (
    GaussianDiffusion,
    autoguidance,
    bounded,
    classifier_free_guidance,
    classifier_guidance,
    cosine_schedule,
    predictor,
)
from tinydiff.diffusion.guidance import rescaled

DIFFUSION = GaussianDiffusion(cosine_schedule(200))
X_T, T_ = random(5, 4, 3, 2), np.array([3, 50, 100, 150, 199])


def network(x_t, t, context):
    """A "network" whose answer depends on every input, row by row."""
    context = np.asarray(context, float).reshape(-1, 1, 1, 1)
    return np.tanh(x_t) * (1 + 0.1 * context) + 0.01 * context


PREDICT = predictor(network, DIFFUSION, "eps", clip=False)
PREDICT_NOTHING = predictor(lambda x_t, t, context: np.tanh(x_t), DIFFUSION, "eps", clip=False)
LABELS, NULL = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.zeros(1)


def guided(scale, **options):
    return classifier_free_guidance(PREDICT, DIFFUSION, NULL, scale, **options)(X_T, T_, LABELS)


@pytest.mark.pitfall(12)
@pytest.mark.equation("CFG-6")
def test_scale_0_ignores_the_condition_scale_1_follows_it_and_2_goes_as_far_again():
    nothing, given = PREDICT(X_T, T_, np.zeros(5)), PREDICT(X_T, T_, LABELS)
    for a, b in zip(guided(0.0), nothing, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    for a, b in zip(guided(1.0), given, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b, c in zip(guided(2.0), given, nothing, strict=True):
        np.testing.assert_allclose(a, 2 * b - c, rtol=1e-12, atol=1e-12)


@pytest.mark.equation("CG-14")
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_a_classifier_s_gradient_is_added_to_the_score(scale):
    """Bayes' rule for scores. The gradient is asked for at x_t and its t, with the class (not at a mean of a step)."""
    asked = []

    def gradient(x_t, t, context):
        asked.append((x_t, t, context))
        return np.cos(x_t) * context.reshape(-1, 1, 1, 1)

    x_0_hat, eps_hat = classifier_guidance(PREDICT_NOTHING, DIFFUSION, gradient, scale)(X_T, T_, LABELS)
    expected = PREDICT_NOTHING(X_T, T_, None)[1]
    score = DIFFUSION.score_from_eps(expected, T_) + scale * gradient(X_T, T_, LABELS)
    np.testing.assert_allclose(DIFFUSION.score_from_eps(eps_hat, T_), score, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(DIFFUSION.q_sample(x_0_hat, T_, eps_hat), X_T, rtol=1e-9, atol=1e-9)
    assert asked[0][0] is X_T
    assert asked[0][1] is T_


@pytest.mark.equation("CG-14")
def test_outside_the_interval_a_classifier_s_scale_is_1():
    """As in classifier-free guidance, so that with a perfect classifier both are the same."""

    def there(scale, interval=None):
        gradient = np.cos(X_T) * LABELS.reshape(-1, 1, 1, 1)
        return classifier_guidance(PREDICT_NOTHING, DIFFUSION, lambda *_: gradient, scale, interval)(X_T, T_, LABELS)

    within = (T_ > 50) & (T_ <= 150)
    for found, strong, plain in zip(there(3.0, (50, 150)), there(3.0), there(1.0), strict=True):
        np.testing.assert_array_equal(found[within], strong[within])
        np.testing.assert_array_equal(found[~within], plain[~within])
        assert abs(strong[~within] - plain[~within]).max() > 1e-3


@pytest.mark.pitfall(11)
@pytest.mark.equation("CFG-6")
def test_the_paper_s_form_with_w_is_the_same():
    w = 1.7  # eps = (1 + w) eps(c) - w eps
    expected = (1 + w) * PREDICT(X_T, T_, LABELS)[1] - w * PREDICT(X_T, T_, np.zeros(5))[1]
    np.testing.assert_allclose(guided(1 + w)[1], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.pitfall(13)
@pytest.mark.equation("CFG-6")
def test_it_is_linear_in_every_channel_and_consistent():
    """All channels are guided, none is left out; and x_t = a x_0_hat + b eps_hat holds after guidance too."""
    first, second, third = guided(1.0)[1], guided(2.0)[1], guided(3.0)[1]
    change = abs(second - first).min(axis=(0, 1, 2))
    assert (change > 0).all()
    np.testing.assert_allclose(third - second, second - first, rtol=1e-9, atol=1e-12)
    for options in ({}, {"rescale": 0.7}, {"interval": (40, 120)}):
        x_0_hat, eps_hat = guided(3.0, **options)
        np.testing.assert_allclose(DIFFUSION.q_sample(x_0_hat, T_, eps_hat), X_T, rtol=1e-9, atol=1e-9)


def test_both_branches_are_one_call_in_pairs():
    calls = []

    def predict(x_t, t, context):
        calls.append((x_t.copy(), t.copy(), context))
        return PREDICT(x_t, t, context.labels)

    condition, null = Condition(labels=LABELS), Condition(labels=NULL)
    found = classifier_free_guidance(predict, DIFFUSION, null, 2.0)(X_T, T_, condition)
    ((x_t, t, context),) = calls
    np.testing.assert_array_equal(x_t, np.repeat(X_T, 2, axis=0))
    np.testing.assert_array_equal(t, np.repeat(T_, 2))
    np.testing.assert_array_equal(context.labels, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0])
    np.testing.assert_array_equal(found[1], guided(2.0)[1])


def test_a_null_context_for_each_sample():
    """Negative prompts may differ from sample to sample."""
    nulls = np.array([9.0, 8.0, 7.0, 6.0, 5.0])
    _, eps_hat = classifier_free_guidance(PREDICT, DIFFUSION, nulls, 2.0)(X_T, T_, LABELS)
    expected = 2 * PREDICT(X_T, T_, LABELS)[1] - PREDICT(X_T, T_, nulls)[1]
    np.testing.assert_allclose(eps_hat, expected, rtol=1e-12, atol=1e-12)


def test_outside_the_interval_the_scale_is_1():
    within = (T_ > 50) & (T_ <= 150)
    _, eps_hat = guided(3.0, interval=(50, 150))
    np.testing.assert_allclose(eps_hat[within], guided(3.0)[1][within], rtol=1e-12)
    np.testing.assert_allclose(eps_hat[~within], guided(1.0)[1][~within], rtol=1e-12)
    assert 0 < within.sum() < len(T_)


@pytest.mark.equation("RESCALE-16")
def test_rescaling_brings_back_the_standard_deviation():
    given, free, full = guided(1.0)[0], guided(6.0)[0], guided(6.0, rescale=1.0)[0]
    for i in range(5):
        assert abs(free[i].std() / given[i].std() - 1) > 0.005  # little noise, little to guide
        np.testing.assert_allclose(full[i].std(), given[i].std(), rtol=1e-10)
        half = guided(6.0, rescale=0.5)[0][i]
        np.testing.assert_allclose(half, (full[i] + free[i]) / 2, rtol=1e-9, atol=1e-12)


@pytest.mark.equation("RESCALE-16")
def test_a_flat_guess_has_no_contrast_to_bring_back():
    """A picture of one value has the deviation 0, by which nothing can be divided."""
    guided = np.stack([np.full((4, 3, 2), 0.5), random(4, 3, 2)])
    given = random(2, 4, 3, 2, seed=1)
    found = rescaled(guided, given, 1.0)
    np.testing.assert_array_equal(found[0], guided[0])
    np.testing.assert_allclose(found[1].std(), given[1].std(), rtol=1e-10)


@pytest.mark.equation("AUTO-1")
def test_autoguidance_goes_away_from_the_weaker_model():
    def weak(x_t, t, context):
        return PREDICT(0.5 * x_t, t, context)

    strong = PREDICT(X_T, T_, LABELS)
    for scale in (0.0, 1.0, 2.5):
        found = autoguidance(PREDICT, weak, scale)(X_T, T_, LABELS)
        for a, b, c in zip(found, strong, weak(X_T, T_, LABELS), strict=True):
            np.testing.assert_allclose(a, c + scale * (b - c), rtol=1e-10, atol=1e-12)


@pytest.mark.equation("DYN-1")
def test_thresholds():
    x_0 = np.array([[0.5, -0.5, 0.2, 0.1], [4.0, -2.0, 1.0, 0.5]]).reshape(2, 4, 1, 1)
    x_t, t = random(2, 4, 1, 1), np.array([50, 120])

    def predict(x_t, t, context=None):
        return x_0, DIFFUSION.eps_from_x_0(x_t, t, x_0)

    static, eps_hat = bounded(predict, DIFFUSION)(x_t, t)
    np.testing.assert_array_equal(static.ravel(), [0.5, -0.5, 0.2, 0.1, 1, -1, 1, 0.5])
    np.testing.assert_allclose(DIFFUSION.q_sample(static, t, eps_hat), x_t, rtol=1e-12)
    dynamic, eps_hat = bounded(predict, DIFFUSION, "dynamic", percentile=2 / 3)(x_t, t)
    np.testing.assert_allclose(dynamic.ravel(), [0.5, -0.5, 0.2, 0.1, 1, -1, 0.5, 0.25])  # the percentile is 2
    np.testing.assert_allclose(DIFFUSION.q_sample(dynamic, t, eps_hat), x_t, rtol=1e-12)


def test_bounded_is_what_predictor_clips():
    by_hand = bounded(predictor(network, DIFFUSION, "eps", clip=False), DIFFUSION)(X_T, T_, LABELS)
    for a, b in zip(by_hand, predictor(network, DIFFUSION, "eps")(X_T, T_, LABELS), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_runs_under_both_array_modules(xp):
    def net(x_t, t, context):
        return xp.tanh(x_t) * (1 + context.reshape(-1, 1, 1, 1))

    def there(scale, **options):
        predict = predictor(net, DIFFUSION, "v", clip=False)
        predict = classifier_free_guidance(predict, DIFFUSION, xp.zeros(1, np.float32), scale, **options)
        predict = bounded(predict, DIFFUSION, "dynamic")
        return predict(to_xp(xp, X_T.astype(np.float32)), to_xp(xp, T_), to_xp(xp, LABELS.astype(np.float32)))

    for options in ({}, {"rescale": 0.5}, {"rescale": np.float64(0.5)}, {"interval": (50, 150)}):
        for scale in (2.0, np.float64(2.0)):
            x_0_hat, eps_hat = there(scale, **options)
            assert x_0_hat.dtype == eps_hat.dtype == np.float32
            assert abs(to_host(x_0_hat)).max() <= 1


@pytest.mark.parametrize("interval", [None, (50, 150), (np.float64(50), np.float64(150))])
@pytest.mark.parametrize("scale", [2, 2.0, np.float64(2.0)])
def test_a_classifier_and_a_weak_model_keep_float32_under_both_array_modules(xp, scale, interval):
    def predict(x_t, t, context=None):
        return xp.tanh(x_t), xp.sin(x_t)

    x_t, t = to_xp(xp, X_T.astype(np.float32)), to_xp(xp, T_)
    for guide in (
        classifier_guidance(predict, DIFFUSION, lambda x_t, t, _: xp.cos(x_t), scale, interval),
        autoguidance(predict, lambda x_t, t, _: (xp.sin(x_t), xp.cos(x_t)), scale, interval),
    ):
        x_0_hat, eps_hat = guide(x_t, t)
        assert x_0_hat.dtype == eps_hat.dtype == np.float32


@pytest.mark.parametrize(
    "guide",
    [
        lambda predict: classifier_free_guidance(predict, DIFFUSION, NULL, 2.0),
        lambda predict: classifier_free_guidance(predict, DIFFUSION, NULL, 1.0),
        lambda predict: classifier_guidance(predict, DIFFUSION, lambda x_t, t, context: x_t, 2.0),
        lambda predict: autoguidance(predict, PREDICT, 2.0),
        lambda predict: bounded(predict, DIFFUSION),
        lambda predict: predictor(lambda *asked: predict(*asked)[0], DIFFUSION),
    ],
)
def test_each_guidance_puts_one_call_before_the_prediction(guide):
    """So that a traceback through a picture stays short."""
    callers = []

    def predict(x_t, t, context):
        frame = sys._getframe().f_back
        while frame.f_code.co_name == "<lambda>":  # of this test
            frame = frame.f_back
        callers.append((frame.f_code, frame.f_back.f_code))
        return x_t, x_t

    guided = guide(predict)
    guided(X_T, T_, LABELS)
    assert callers == [(guided.__code__, sys._getframe().f_code)]


def test_bad_arguments():
    for call, words in [
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, None, 2.0), "null_context is None"),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, np.nan), "scale is nan"),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, 2.0, rescale=2), "rescale is 2"),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, 2.0, (150, 50)), r"interval is \(150, 50\)"),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, 2.0, (-5, 50)), r"interval is \(-5, 50\)"),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, 2.0, (np.nan, 50)), r"interval.* is nan"),
        (lambda: classifier_guidance(PREDICT, DIFFUSION, PREDICT, 2.0, (1, 2, 3)), r"interval is \(1, 2, 3\)"),
        (lambda: classifier_guidance(PREDICT, DIFFUSION, PREDICT, 2.0, 50), "interval is 50"),
        (lambda: autoguidance(PREDICT, PREDICT, 2.0, ("50", "150")), r"interval.* is .50."),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, 2.0)(X_T, T_), "context is None"),
        (lambda: classifier_free_guidance(PREDICT, DIFFUSION, NULL, 1.0)(X_T, T_), "context is None"),
        (
            lambda: classifier_free_guidance(PREDICT, DIFFUSION, Condition(NULL, X_T), 2.0)(
                X_T, T_, Condition(None, X_T)
            ),
            "context holds tokens, but null_context labels, tokens",
        ),
        (lambda: bounded(PREDICT, DIFFUSION, "soft"), "how is 'soft'"),
        (
            lambda: classifier_guidance(PREDICT, DIFFUSION, lambda *_: X_T[:, 0])(X_T, T_, LABELS),
            "log_probability_gradient",
        ),
    ]:
        with pytest.raises(InputError, match=words):
            call()
