"""What a network predicts: every kind of target gives the same clean image and noise."""

import numpy as np
import pytest
from diffusions import COSINE, LINEAR, normal

from tinydiff.diffusion import predictor, simple_loss


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("t", [60, np.array([5, 60, 99])])
def test_predictors_of_every_kind_agree(clip, t):
    x_0, eps = normal(3, 4), normal(3, 4, seed=1)
    x_t = COSINE.q_sample(x_0, t, eps)
    outputs = {"eps": eps, "x_0": x_0, "v": COSINE.v_from(x_0, eps, t)}
    for kind, output in outputs.items():
        x_0_hat, eps_hat = predictor(lambda *_, output=output: output, COSINE, kind, clip)(x_t, t)
        np.testing.assert_allclose(x_0_hat, np.clip(x_0, -1, 1) if clip else x_0, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(COSINE.q_sample(x_0_hat, t, eps_hat), x_t, rtol=1e-9, atol=1e-9)


def test_predictor_hands_over_time_and_context():
    seen = []

    def network(x_t, t, context):
        seen.append((t, context))
        return x_t

    x, t, context = normal(2, 3), np.array([1, 2]), np.array([4, 5])
    predictor(network, LINEAR)(x, t, context)
    assert seen[0][0] is t
    assert seen[0][1] is context


@pytest.mark.equation("DDPM-14")
def test_simple_loss_is_the_squared_error_of_the_noise():
    x_0, eps, t = normal(3, 4), normal(3, 4, seed=1), np.array([1, 500, 1000])
    loss = simple_loss(lambda x_t, t, context: x_t, LINEAR, x_0, t, eps)
    total = 0.0
    for n in range(3):
        x_t = LINEAR.alpha_bar[t[n]] ** 0.5 * x_0[n] + (1 - LINEAR.alpha_bar[t[n]]) ** 0.5 * eps[n]
        total += ((x_t - eps[n]) ** 2).sum()
    assert loss == pytest.approx(total / 12, rel=1e-12)
    assert loss.shape == ()
