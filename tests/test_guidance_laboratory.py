"""The guidance laboratory: on a mixture of Gaussians the classifier, every score and every target are known exactly.

Seeds are fixed; had they been drawn at random, each statistical assertion would fail by chance with a probability
below one in a million (5 standard deviations).
"""

import numpy as np
import pytest
from diffusions import UNTOLD

from tinydiff.base import InputError, Noise
from tinydiff.diffusion import (
    SAMPLERS,
    GaussianDiffusion,
    GaussianMixture,
    autoguidance,
    classifier_free_guidance,
    classifier_guidance,
    cosine_schedule,
    edm_steps,
    heun,
    last,
)

DIFFUSION = GaussianDiffusion(cosine_schedule(200))
MEANS, COVARIANCES = np.array([[-1.0, 0.2], [0.8, 1.0], [0.5, -1.2]]), [0.2, np.array([[0.3, 0.1], [0.1, 0.2]]), 0.1]
MIXTURE = GaussianMixture(DIFFUSION, [0.2, 0.5, 0.3], MEANS, COVARIANCES)
NOISE = Noise(0)
VARIANTS = {name: (name, {}) for name in UNTOLD} | {
    "ddpm_beta_tilde": ("ddpm", {"variance": "beta_tilde"}),
    "ddim_eta": ("ddim", {"eta": 1.0}),
}
AT_ONCE = ("ddim", "ddpm", "dpmpp_2m", "heun", "unipc", "sa_solver", "ddim_eta")  # the others take a minute together
every_sampler = pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(*variant, id=name, marks=[] if name in AT_ONCE else pytest.mark.slow)
        for name, variant in VARIANTS.items()
    ],
)
NOTHING = 3  # the null label: no component


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def drawn(name, options, predict, x_T, context):
    return last(SAMPLERS[name](predict, DIFFUSION, x_T, 100, NOISE, context, **options))


def predict_class(x_t, t, classes):
    """The exact prediction of what each sample is told: a component, or nothing."""
    parts = [component.predict(x_t, t) for component in MIXTURE.components] + [MIXTURE.predict(x_t, t)]
    x_0_hat, eps_hat = (np.stack([part[i] for part in parts])[classes, np.arange(len(x_t))] for i in (0, 1))
    return x_0_hat, eps_hat


@pytest.mark.equation("CLASS-1")
def test_the_exact_classifier_is_bayes_rule_and_its_gradient_is_measured():
    x, t, classes = normal(30, 2), np.linspace(5, 195, 30), np.arange(30) % 3
    probabilities = np.exp([MIXTURE.log_class_probability(x, t, np.full(30, k)) for k in range(3)])
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-12)
    gradient, h = MIXTURE.class_gradient(x, t, classes), 1e-5
    for axis in np.eye(2):
        up, down = (MIXTURE.log_class_probability(x + s * h * axis, t, classes) for s in (1, -1))
        np.testing.assert_allclose(gradient @ axis, (up - down) / (2 * h), rtol=1e-5, atol=1e-8)
    with pytest.raises(InputError, match="classes has shape"):
        MIXTURE.class_gradient(x, t, classes[:3])


@pytest.mark.equation("CG-14")
def test_at_scale_1_the_classifier_turns_the_mixture_into_the_component():
    x, t, classes = normal(50, 2), np.linspace(1, 199, 50), np.arange(50) % 3
    guided = classifier_guidance(MIXTURE.predict, DIFFUSION, MIXTURE.class_gradient)
    for found, exact in zip(guided(x, t, classes), predict_class(x, t, classes), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-12)


WAYS = {
    "classifier": classifier_guidance(MIXTURE.predict, DIFFUSION, MIXTURE.class_gradient),
    "classifier-free": classifier_free_guidance(predict_class, DIFFUSION, np.full(1, NOTHING), 1 + 1e-12),
    "autoguidance": autoguidance(predict_class, lambda x_t, t, _: MIXTURE.predict(x_t, t), 1 + 1e-12),
}


@pytest.mark.pitfall(14)
@pytest.mark.equation("CG-14")
@pytest.mark.equation("CFG-6")
@pytest.mark.equation("AUTO-1")
@every_sampler
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_pitfall_14_at_scale_1_every_sampler_draws_p_of_x_given_y(name, options, way):
    """Chain for chain what the component's own prediction draws (a scale of 1 + 1e-12 runs through all the code)."""
    x_T, classes = normal(300, 2), np.arange(300) % 3
    found = drawn(name, options, way, x_T, classes)
    np.testing.assert_allclose(found, drawn(name, options, predict_class, x_T, classes), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.equation("CG-14")
@every_sampler
def test_what_is_drawn_has_the_moments_of_the_class(name, options):
    """5 standard errors, and 0.02 for steps of finite length; Langevin's, which are not small, leave more."""
    n, k = 2000, 1
    guided = classifier_guidance(MIXTURE.predict, DIFFUSION, MIXTURE.class_gradient)
    x = drawn(name, options, guided, normal(n, 2), np.full(n, k))
    covariance = np.array(COVARIANCES[k])
    error = 5 * np.sqrt(np.diag(covariance) / n)
    allowed = 0.1 if name == "annealed_langevin" else 0.02
    assert (abs(x.mean(axis=0) - MEANS[k]) < error + allowed).all()
    spread = 5 * np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / n)
    assert (abs(np.cov(x.T) - covariance) < spread + allowed).all()


# Beyond scale 1: in one dimension, where the tilted density can be written on a grid

LINE = GaussianMixture(DIFFUSION, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.5, 0.5])


def predict_line(x_t, t, classes):
    parts = [component.predict(x_t, t) for component in LINE.components] + [LINE.predict(x_t, t)]
    x_0_hat, eps_hat = (np.stack([part[i] for part in parts])[classes, np.arange(len(x_t))] for i in (0, 1))
    return x_0_hat, eps_hat


def drawn_on_the_line(scale, steps):
    """Mean and standard deviation of what the ODE makes of 4,000 evenly spread quantiles of the normal density."""
    from scipy.stats import norm

    x_T = norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    guided = classifier_free_guidance(predict_line, DIFFUSION, np.full(1, 2), scale)
    x = last(heun(guided, DIFFUSION, x_T, edm_steps(DIFFUSION, steps), np.ones(4000, int)))
    return float(x.mean()), float(x.std())


def tilted_on_the_line(scale):
    """Mean and standard deviation of p(x) p(y | x)^s, on a grid."""
    x = np.linspace(-6, 8, 20001)[:, None]
    log_p = LINE.log_density(x, 0) + scale * LINE.log_class_probability(x, 0, np.ones(len(x), int))
    p = np.exp(log_p - log_p.max())
    mean = (p * x[:, 0]).sum() / p.sum()
    return float(mean), float(np.sqrt((p * (x[:, 0] - mean) ** 2).sum() / p.sum()))


@pytest.mark.slow
@pytest.mark.equation("CFG-6")
@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_beyond_scale_1_guidance_does_not_sample_the_tilted_density(scale):
    """Noising and tilting do not commute, so the guided scores are those of no forward process.

    At scale 1 the ODE hits the target; beyond, it misses by far more than its steps are wrong by: at scale 2 its mean
    is 1.44, where that of p(x) p(y | x)^2 is 1.13.
    """
    at_1, target_at_1 = np.array(drawn_on_the_line(1.0, 80)), np.array(tilted_on_the_line(1.0))
    np.testing.assert_allclose(at_1, target_at_1, atol=0.01)  # noise of 80 still holds an 80th of the signal
    coarse, fine = (np.array(drawn_on_the_line(scale, steps)) for steps in (40, 80))
    gap = abs(fine - tilted_on_the_line(scale)).max()
    assert gap > 0.05
    assert gap > 10 * abs(fine - coarse).max()
