"""The list of samplers: what holds for every sampler on it, how it is called, and how a new one comes onto it.

Seeds are fixed; had they been drawn at random, each statistical assertion would fail by chance with a probability
below one in a million.
"""

import inspect
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from arrays import no_synchronisation, to_host, to_xp
from scipy import stats

import tinydiff
from tinydiff import diffusion as room
from tinydiff.base import InputError, Noise, bare, import_modules
from tinydiff.diffusion import (
    SAMPLERS,
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    cosine_schedule,
    edm_steps,
    last,
    linear_schedule,
    sampler,
    samplers,
    spaced_steps,
)

COSINE = GaussianDiffusion(cosine_schedule(200))
GAUSSIAN = Gaussian(COSINE, np.array([0.3, -0.5]), np.array([[0.5, 0.6], [0.6, 1.4]]))
WEIGHTS, MEANS, DEVIATIONS = np.array([0.3, 0.7]), np.array([-1.0, 0.8]), np.array([0.3, 0.5])
NOISE = Noise(0)
SHARED_MODULES = {"chain", "exponential", "registry"}  # of the folder of samplers: they hold none
FOLDER = Path(samplers.__file__).parent
every_name = pytest.mark.parametrize("name", list(SAMPLERS))


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def distance_from_the_mixture(name, N):
    """Return the largest distance between the distribution of 4,000 samples and that of the data (Kolmogorov)."""
    mixture = GaussianMixture(COSINE, WEIGHTS, MEANS[:, None], DEVIATIONS**2)
    x_T = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    x = last(SAMPLERS[name](mixture.predict, COSINE, x_T, N, noise=NOISE))[:, 0]
    return stats.kstest(x, lambda x: (WEIGHTS * stats.norm.cdf(x[:, None], MEANS, DEVIATIONS)).sum(axis=1)).statistic


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if SAMPLERS[name].own_steps else ()) for name in SAMPLERS]
)
def test_every_sampler_comes_near_the_density_of_the_data(name):
    chance = (np.log(2 / 1e-6) / (2 * 4000)) ** 0.5  # of 4,000 samples of the density itself, by Massart's inequality
    many = distance_from_the_mixture(name, 150)
    assert many < chance
    if not SAMPLERS[name].own_steps:  # one that chooses them by itself takes as many if asked for few
        assert distance_from_the_mixture(name, 3) > 2 * many


@every_name
def test_every_sampler_runs_under_both_array_modules(name, xp):
    x_T = normal(3, 2, dtype=np.float32)
    here = list(SAMPLERS[name](GAUSSIAN.predict, COSINE, x_T, 5, noise=NOISE))
    x_T = to_xp(xp, x_T)
    with nullcontext() if SAMPLERS[name].own_steps else no_synchronisation(xp):  # whose length must be known
        there = list(SAMPLERS[name](GAUSSIAN.predict, COSINE, x_T, 5, noise=Noise(0, xp=xp)))
    for (t, x, x_0_hat), (t_there, x_there, x_0_hat_there) in zip(here, there, strict=True):
        assert t == t_there
        assert x_there.dtype == x_0_hat_there.dtype == np.float32
        np.testing.assert_allclose(to_host(x_there), x, atol=1e-5)
        np.testing.assert_allclose(to_host(x_0_hat_there), x_0_hat, atol=1e-5)


@every_name
def test_by_name_it_is_the_function_itself_at_times_of_its_choice(name):
    listed, x_T = SAMPLERS[name], normal(3, 2)
    noise = {"noise": NOISE} if listed.draws_noise else {}
    direct = list(listed.walk(GAUSSIAN.predict, COSINE, x_T, listed.times(COSINE, 7), **noise, end=0.5))
    for steps in (7, np.int64(7), listed.times(COSINE, 7), iter(listed.times(COSINE, 7))):
        by_name = list(listed(GAUSSIAN.predict, COSINE, x_T, steps, NOISE, end=0.5))
        for (t, x, x_0_hat), (t_by_name, x_by_name, x_0_hat_by_name) in zip(direct, by_name, strict=True):
            assert t == t_by_name
            np.testing.assert_array_equal(x, x_by_name)
            np.testing.assert_array_equal(x_0_hat, x_0_hat_by_name)


def test_each_has_the_times_that_suit_it():
    """Those that were made for steps in sigma have EDM's noise levels."""
    in_sigma = {"heun", "edm", "restart", "euler", "euler_ancestral", "dpm_2", "lms", "annealed_langevin"}
    for name, listed in SAMPLERS.items():
        assert listed.times(COSINE, 9) == (edm_steps(COSINE, 9) if name in in_sigma else spaced_steps(200, 9))
    linear = GaussianDiffusion(linear_schedule(12))
    x_T = normal(1, 2)
    for listed in SAMPLERS.values():
        assert len(list(listed(Gaussian(linear, np.zeros(2), 0.5).predict, linear, x_T, noise=NOISE))) == 12


@every_name
def test_at_most_a_step_stands_between_the_loop_and_the_prediction(name):
    """So that a traceback through a picture stays short: who asks, the loop, and a step of several predictions."""
    stacks = []

    def predict(x_t, t, context):
        frame = sys._getframe()
        stacks.append([(frame := frame.f_back).f_code for _ in range(3)])
        return GAUSSIAN.predict(x_t, t)

    last(SAMPLERS[name](predict, COSINE, normal(2, 2), 3, noise=NOISE))
    for stack in stacks:
        *between, loop = stack[: stack.index(last.__code__)]
        assert loop is SAMPLERS[name].walk.__code__
        assert all(Path(code.co_filename).parent == FOLDER for code in between)


# the list


def test_the_list_holds_what_the_folder_holds():
    """One sampler in each file, of the file's name."""
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} - SHARED_MODULES
    assert set(SAMPLERS) == files
    for name, listed in SAMPLERS.items():
        assert listed.name == listed.walk.__name__ == name
        assert listed.walk.__module__ == f"tinydiff.diffusion.samplers.{name}"


def test_the_list_says_what_each_is():
    assert SAMPLERS["ddim"].options == ("eta",)
    assert SAMPLERS["ddpm"].options == ("variance",)
    assert SAMPLERS["heun"].options == ()
    assert [SAMPLERS[name].draws_noise for name in ("ddim", "ddpm", "dpmpp_2m", "heun")] == [True, True, False, False]
    for listed in SAMPLERS.values():
        assert listed.summary.endswith(".")
        assert "Eq. " in listed.summary


@every_name
def test_all_have_one_order_of_arguments(name):
    """predict, diffusion, x_T, steps, its own, noise, context, end."""
    arguments = list(inspect.signature(SAMPLERS[name].walk).parameters)
    noise = ["noise"] if SAMPLERS[name].draws_noise else []
    assert arguments == ["predict", "diffusion", "x_T", "steps", *SAMPLERS[name].options, *noise, "context", "end"]


@pytest.mark.parametrize("name", ["nobody", "DDIM", "", None, ["ddim"]])
def test_an_unknown_name_gets_a_sentence(name):
    known = ", ".join(map(repr, SAMPLERS))
    with pytest.raises(InputError, match=rf"sampler is .*, but one of {known} was expected"):
        SAMPLERS[name]


def test_an_option_goes_to_the_sampler_that_has_it_and_no_other_takes_it():
    x_T = normal(3, 2)

    def drawn(name, **options):
        return last(SAMPLERS[name](GAUSSIAN.predict, COSINE, x_T, 5, NOISE, **options))

    assert abs(drawn("ddim", eta=0.5) - drawn("ddim")).max() > 0.01
    assert abs(drawn("ddpm", variance="beta_tilde") - drawn("ddpm")).max() > 0.01
    np.testing.assert_array_equal(drawn("ddim", eta=None), drawn("ddim"))
    np.testing.assert_array_equal(drawn("heun", eta=None, variance=None), drawn("heun"))
    for name, options, words in [
        (
            "heun",
            {"tau": 0.5},
            r"^tau is 0\.5, but this is for sa_solver, not for heun, which has sigma_max and rho: leave it out\.$",
        ),
        ("ddpm", {"eta": 0.0}, r"eta is 0\.0, but this is for ddim, dpm_2, .* and euler_ancestral, not for ddpm"),
        ("ddim", {"variance": "beta"}, "variance is 'beta', but this is for ddpm, not for ddim"),
        ("dpmpp_2m", {"zeal": 3}, "zeal is 3, but this is for no sampler, not for dpmpp_2m"),
    ]:
        with pytest.raises(InputError, match=words):  # at once, before the first step is asked for
            SAMPLERS[name](GAUSSIAN.predict, COSINE, x_T, 5, NOISE, **options)


def test_who_draws_noise_needs_some():
    x_T = normal(3, 2)
    with pytest.raises(
        InputError, match=r"noise is None, but ddpm draws noise at every step: pass noise=Noise\(seed\)"
    ):
        last(SAMPLERS["ddpm"](GAUSSIAN.predict, COSINE, x_T, 5))
    with pytest.raises(InputError, match=r"eta is 0\.5 and noise is None"):
        last(SAMPLERS["ddim"](GAUSSIAN.predict, COSINE, x_T, 5, eta=0.5))


# a new sampler

POLYGON = '''
"""Euler's method for the probability-flow ODE, in x / a and sigma."""

from tinydiff.diffusion.samplers.chain import checked_prediction, scales, start
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.times import log_snr_steps, per_sample, step_pairs


@sampler(times=lambda diffusion, N: log_snr_steps(diffusion, N, diffusion.T))
def polygon(predict, diffusion, x_T, steps, stretch=1.0, context=None, end=0):
    """Sample by Euler's method, with all changes stretched."""
    x_t = start(x_T, context)
    for t, s in step_pairs(diffusion, steps, end):
        (a_t, b_t), (a_s, b_s) = scales(diffusion, t), scales(diffusion, s)
        x_0_hat, eps_hat = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = a_s * (x_t / a_t + stretch * (b_s / a_s - b_t / a_t) * eps_hat)
        yield s, x_t, x_0_hat
'''


@pytest.fixture
def a_new_file(tmp_path, monkeypatch):
    """A file more in the folder of samplers, which goes again with all that it left."""
    (tmp_path / "polygon.py").write_text(POLYGON)
    monkeypatch.setattr(samplers, "__path__", [*samplers.__path__, str(tmp_path)])
    import_modules(samplers.__name__)
    yield
    del SAMPLERS["polygon"], sys.modules["tinydiff.diffusion.samplers.polygon"], samplers.polygon


@pytest.mark.usefixtures("a_new_file")
def test_a_new_file_is_a_sampler_that_can_be_used_by_its_name():
    x_T = normal(3, 2)
    polygon, ddim = SAMPLERS["polygon"], SAMPLERS["ddim"]
    assert (polygon.summary, polygon.options) == ("Sample by Euler's method, with all changes stretched.", ("stretch",))
    times = polygon.times(COSINE, 10)
    by_polygon = last(polygon(GAUSSIAN.predict, COSINE, x_T, 10, NOISE))
    np.testing.assert_allclose(by_polygon, last(ddim(GAUSSIAN.predict, COSINE, x_T, times)), rtol=1e-9)  # Eq. DDIM-14
    assert abs(last(polygon(GAUSSIAN.predict, COSINE, x_T, 10, stretch=0.5)) - by_polygon).max() > 0.1
    with pytest.raises(InputError, match="'polygon' was expected"):
        SAMPLERS["Euler"]
    with pytest.raises(InputError, match="stretch is 2, but this is for polygon, not for ddim"):
        ddim(GAUSSIAN.predict, COSINE, x_T, 10, stretch=2)


def test_then_it_is_gone():
    assert "polygon" not in SAMPLERS


def test_importing_the_room_finds_a_new_file(tmp_path):
    package = tmp_path / "tinydiff"
    shutil.copytree(Path(tinydiff.__file__).parent, package, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (package / "diffusion/samplers/polygon.py").write_text(POLYGON)
    command = [sys.executable, "-c", "from tinydiff.diffusion import SAMPLERS; print(*SAMPLERS)"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert set(printed.split()) == {*SAMPLERS, "polygon"}


def test_two_samplers_of_one_name_are_refused():
    def ddim(predict, diffusion, x_T, steps, context=None, end=0):
        """Not the one."""

    with pytest.raises(InputError, match=r"two samplers named 'ddim', in tinydiff\.diffusion\.samplers\.ddim and "):
        sampler()(ddim)
    assert SAMPLERS["ddim"].walk is bare(room.ddim)


def test_calls_are_those_that_a_chain_makes():
    """Heun predicts twice in a step, but once in the last one and where it begins at pure noise."""
    counts = {}
    for name in SAMPLERS:
        made = []

        def predict(x_t, t, context=None, made=made):
            made.append(t)
            return GAUSSIAN.predict(x_t, t, context)

        list(SAMPLERS[name](predict, COSINE, np.ones((3, 2)), 7, NOISE))
        counts[name] = SAMPLERS[name].calls(COSINE, 7)
        assert counts[name] == (None if SAMPLERS[name].own_steps else len(made))
    once = {name for name, count in counts.items() if count == 7}
    assert once >= {"ddim", "ddpm", "dpmpp_2m", "dpmpp_2m_sde", "er_sde", "euler", "sa_solver", "unipc"}
    assert counts["heun"] in (12, 13)
    assert counts["dpmpp_3m"] == counts["plms"] == 8  # one more, to begin with
