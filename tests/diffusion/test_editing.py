"""Editing, on densities whose answer is known: where the known part lies, what the rest should be, the way back.

Seeds are fixed; had they been drawn at random, each statistical assertion would fail by chance with a probability
below one in a million (5 standard deviations).
"""

import numpy as np
import pytest
from arrays import to_host, to_xp

from tinydiff.base import InputError, Noise
from tinydiff.diffusion import FiniteData, Gaussian, GaussianDiffusion, GaussianMixture, cosine_schedule, ddim, last
from tinydiff.diffusion.editing import check_mask, ddim_inversion, repaint, slerp, times_below

DIFFUSION = GaussianDiffusion(cosine_schedule(200))
MIXTURE = GaussianMixture(DIFFUSION, [0.4, 0.6], np.array([[-1.0, 0.3], [0.8, -0.5]]), [0.2, 0.3])
RHO = 0.9
CORRELATED = Gaussian(DIFFUSION, np.zeros(2), np.array([[1.0, RHO], [RHO, 1.0]]))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.pitfall(23)
@pytest.mark.equation("DDIM-INV")
def test_pitfall_23_the_round_trip_error_of_ddim_inversion_falls_like_1_over_n():
    x_0, errors = 0.7 * normal(200, 2), []
    for n in (25, 50, 100, 200):
        times = np.linspace(200, 1, n)
        *_, (t, x_T) = ddim_inversion(MIXTURE.predict, DIFFUSION, x_0, times)
        assert t == 200
        errors.append(abs(last(ddim(MIXTURE.predict, DIFFUSION, x_T, times)) - x_0).mean())
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert (ratios > 1.6).all(), errors
    assert errors[-1] < 0.03


@pytest.mark.equation("DDIM-INV")
def test_inversion_follows_the_flow_upwards():
    """Against the exact flow of a Gaussian, from t = 1, where the flow has no singularity."""
    x_1, gaps = normal(100, 2) * 0.8, []
    exact = CORRELATED.flow(x_1, 1, 200)
    for n in (50, 100, 200):
        times = np.linspace(200, 1, n)
        x = x_1
        for t, x in ddim_inversion(CORRELATED.predict, DIFFUSION, x_1, [*times, 0.5]):  # noqa: B007
            pass
        gaps.append(abs(x - exact).mean())
    assert gaps[-1] < 0.05
    assert gaps[0] > gaps[1] > gaps[2]


@pytest.mark.pitfall(22)
@pytest.mark.equation("REPAINT-8")
@pytest.mark.parametrize("resample", [1, 4])
def test_pitfall_22_the_known_part_has_the_marginal_of_the_time_at_which_it_is_shown(resample):
    """Mean a x_0 and variance b^2, at the t that predict is told: not those of a step before or after."""
    n, known_value, seen = 4000, 0.8, []
    known = np.full((n, 2), known_value)

    def predict(x_t, t):
        seen.append((t[0], x_t[:, 0].copy()))
        return CORRELATED.predict(x_t, t)

    for _ in repaint(predict, DIFFUSION, normal(n, 2), 20, known, np.array([[1, 0]]), resample, Noise(0)):
        pass
    assert len(seen) == 19 * resample + 1  # the last step is not repeated
    for t, x in seen[1:]:  # the first is x_T
        alpha_bar = DIFFUSION.alpha_bar_at(t)
        b_squared = 1 - alpha_bar
        assert abs(x.mean() - alpha_bar**0.5 * known_value) < 5 * (b_squared / n) ** 0.5
        assert abs(x.var() - b_squared) < 5 * b_squared * (2 / n) ** 0.5


@pytest.mark.equation("REPAINT-8")
def test_repeating_steps_brings_the_unknown_part_to_its_conditional():
    """Given the known 1, the unknown is normal with mean rho and variance 1 - rho^2; without repeating it is not.

    5 standard errors of the mean are 0.07, of the deviation 0.05; the rest is for steps of finite length and number.
    """
    n, found = 1000, {}
    for resample in (1, 10):
        chain = repaint(
            CORRELATED.predict, DIFFUSION, normal(n, 2), 100, np.ones((n, 2)), np.array([[1, 0]]), resample, Noise(0)
        )
        x = last(chain)
        np.testing.assert_array_equal(x[:, 0], 1)  # what is known is kept to the bit
        found[resample] = x[:, 1]
    assert abs(found[1].mean() - RHO) > 0.2
    assert abs(found[10].mean() - RHO) < 0.1
    assert abs(found[10].std() - (1 - RHO**2) ** 0.5) < 0.08


@pytest.mark.equation("REPAINT-8")
@pytest.mark.parametrize("resample", [1, 3])
def test_the_unknown_part_has_noise_of_its_own_at_every_step_and_repetition(resample):
    """DDPM with beta-tilde is exact for one point: mean a x_0 and variance b^2. Noise that came twice would add up."""
    n, point, x_T = 4000, np.array([[0.7, -0.4]]), normal(4000, 2)
    data = FiniteData(DIFFUSION, point)
    for s, x, _ in repaint(data.predict, DIFFUSION, x_T, 20, x_T, np.zeros((1, 2)), resample, Noise(0)):
        alpha_bar = DIFFUSION.alpha_bar_at(s)
        b_squared = 1 - alpha_bar
        assert (abs(x.mean(axis=0) - alpha_bar**0.5 * point) <= 5 * (b_squared / n) ** 0.5 + 1e-12).all()
        assert (abs(x.var(axis=0) - b_squared) <= 5 * b_squared * (2 / n) ** 0.5 + 1e-12).all()


def test_a_mask_of_ones_returns_the_picture_and_one_of_zeros_draws_anew():
    known, x_T = normal(6, 2, seed=1), normal(6, 2)
    kept = last(repaint(MIXTURE.predict, DIFFUSION, x_T, 5, known, np.ones((1, 2)), 2, Noise(0)))
    np.testing.assert_array_equal(kept, known)
    drawn = [
        last(repaint(MIXTURE.predict, DIFFUSION, x_T, 5, other, np.zeros((1, 2)), 2, Noise(0)))
        for other in (known, 0 * known)
    ]
    np.testing.assert_array_equal(*drawn)  # what the picture holds there does not count


def test_repaint_runs_under_both_array_modules(xp):
    data = Gaussian(DIFFUSION, np.zeros((4, 4, 1)), 1.0)
    x_T, known = (normal(2, 4, 4, 1, seed=seed).astype(np.float32) for seed in (0, 1))
    mask = np.zeros((1, 4, 4, 1), bool)
    mask[:, :2] = True
    here = last(repaint(data.predict, DIFFUSION, x_T, 4, known, mask, 2, Noise(0)))
    x_T, known, mask = (to_xp(xp, a) for a in (x_T, known, mask))
    there = last(repaint(data.predict, DIFFUSION, x_T, 4, known, mask, 2, Noise(0, xp=xp)))
    assert there.dtype == np.float32
    np.testing.assert_allclose(to_host(there), here, atol=1e-5)


def test_the_times_of_a_part_of_the_chain():
    assert times_below(DIFFUSION, 10, 1.0)[0] == 200
    assert times_below(DIFFUSION, 10, 0.0) == []
    half = times_below(DIFFUSION, 10, 0.5)
    assert half == [t for t in times_below(DIFFUSION, 10, 1.0) if t <= 100]
    hundred = GaussianDiffusion(cosine_schedule(100))
    for percent in range(1, 101):  # 100 * 0.57 is a little below 57, as a float
        assert times_below(hundred, 100, percent / 100)[0] == percent
    with pytest.raises(InputError, match=r"strength is 1.5"):
        times_below(DIFFUSION, 10, 1.5)


@pytest.mark.equation("SLERP-1")
@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1e-10, 1.0, 1e19, 1e20, 1e38])
def test_slerp_of_float32_does_not_depend_on_the_size_of_numbers(xp, scale):
    """Within 1e-5, for two directions 60 degrees apart, and where there is no arc or more than one."""
    a = np.array([[scale, 0, scale], [0, 0, 0], [0, 0, 0], [scale, scale, 0]], np.float32)
    b = np.array([[scale, scale, 0], [scale, 0, 0], [0, 0, 0], [-scale, -scale, 0]], np.float32)
    between = to_host(slerp(to_xp(xp, a), to_xp(xp, b), 0.25))
    w_a, w_b = np.sin(np.pi / 4) / np.sin(np.pi / 3), np.sin(np.pi / 12) / np.sin(np.pi / 3)
    expected = np.array([[w_a + w_b, w_b, w_a], [0.25, 0, 0], [0, 0, 0], [0.5, 0.5, 0]])
    assert between.dtype == np.float32
    np.testing.assert_allclose(between.astype(float), np.float64(np.float32(scale)) * expected, rtol=1e-5, atol=2e-45)


def test_slerp_between_noises_of_different_length_follows_the_angle():
    """Its weights are those of the angle, which lengths do not change (Eq. SLERP-1)."""
    a, b = np.array([[3.0, 0.0]]), np.array([[0.0, 0.5]])
    np.testing.assert_allclose(slerp(a, b, 1 / 3), [[3 * np.cos(np.pi / 6), 0.5 * np.sin(np.pi / 6)]], rtol=1e-12)


def test_slerp_keeps_to_the_sphere():
    a, b = normal(5, 6, 6, 1), normal(5, 6, 6, 1, seed=1)
    np.testing.assert_allclose(slerp(a, b, 0.0), a, atol=1e-12)
    np.testing.assert_allclose(slerp(a, b, 1.0), b, atol=1e-12)
    unit = [x / np.sqrt((x**2).sum(axis=(1, 2, 3), keepdims=True)) for x in (a, b)]
    for share in (0.25, 0.5, 0.9):
        between = slerp(*unit, share)
        np.testing.assert_allclose((between**2).sum(axis=(1, 2, 3)), 1)
        angle = np.arccos((unit[0] * unit[1]).sum(axis=(1, 2, 3)))
        np.testing.assert_allclose(np.arccos((between * unit[0]).sum(axis=(1, 2, 3))), share * angle)
    np.testing.assert_allclose(slerp(a, a, 0.3), a, rtol=1e-6)
    assert slerp(a.astype(np.float32), b.astype(np.float32), 0.3).dtype == np.float32


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((3, 2)), r"mask has shape \(3, 2\), but \(4, 2\)"),
        (np.ones(2), "mask has shape"),
        (np.full((4, 2), -0.5), "mask holds -0.5"),
        (np.full((1, 2), np.nan), "mask holds nan"),
        (np.full((1, 2), 255), "mask holds 255"),
    ],
)
def test_masks_that_are_none_are_refused(mask, words):
    with pytest.raises(InputError, match=words):
        check_mask(mask, (4, 2))


def test_bad_arguments():
    x_T, mask = normal(4, 2), np.ones((1, 2))
    with pytest.raises(InputError, match="resample is 0"):
        list(repaint(MIXTURE.predict, DIFFUSION, x_T, 5, x_T, mask, 0, Noise(0)))
    with pytest.raises(InputError, match="known has shape"):
        list(repaint(MIXTURE.predict, DIFFUSION, x_T, 5, x_T[:2], mask, noise=Noise(0)))
    with pytest.raises(InputError, match="noise is None, but repaint draws noise"):
        list(repaint(MIXTURE.predict, DIFFUSION, x_T, 5, x_T, mask))
    with pytest.raises(InputError, match=r"x_0_hat has shape \(4, 1\)"):
        list(repaint(lambda x_t, t: (x_t[:, :1], x_t), DIFFUSION, x_T, 5, x_T, mask, noise=Noise(0)))
    with pytest.raises(InputError, match="share is 2"):
        slerp(x_T, x_T, 2)
    with pytest.raises(InputError, match="b has shape"):
        slerp(x_T, x_T[:1], 0.5)


@pytest.mark.equation("REPAINT-8")
def test_a_soft_edge_is_blended():
    """Where all guesses are 0.5, m known + (1 - m) 0.5 is left; a mask of 0 and 1 takes the plain path."""
    rng = np.random.default_rng(0)
    known, x_T = rng.uniform(-1, 1, (2, 4, 5, 1)), rng.standard_normal((2, 4, 5, 1))
    mask = np.linspace(0, 1, 5).reshape(1, 1, 5, 1)

    def predict(x_t, t, context=None):
        x_0_hat = np.full_like(x_t, 0.5)
        return x_0_hat, DIFFUSION.eps_from_x_0(x_t, t, x_0_hat)

    drawn = last(repaint(predict, DIFFUSION, x_T, 6, known, mask, 2, Noise(0)))
    np.testing.assert_allclose(drawn, mask * known + (1 - mask) * 0.5, atol=1e-9)
    np.testing.assert_array_equal(drawn[:, :, -1], known[:, :, -1])


def test_a_soft_edge_keeps_the_noise_of_its_time():
    """Halfway, the pixels of a soft edge are as noisy as those that are drawn.

    Over 4,000 pixels the standard deviation has an error of 1.1 %, so that 6 % are missed once in 10 ** 7 runs.
    """
    x_T, known = np.random.default_rng(0).standard_normal((4000, 2)), np.zeros((4000, 2))
    mask = np.array([[0.5, 0.0]])

    def predict(x_t, t, context=None):
        return np.zeros_like(x_t), x_t

    for s, x, _ in repaint(predict, DIFFUSION, x_T, 6, known, mask, 2, Noise(0)):
        if s > 0:
            soft, drawn = x.std(axis=0)
            assert abs(soft / drawn - 1) < 0.06
