"""Schedulers of diffusers before the court: here by stand-ins, written after the published algorithms in NumPy.

The stand-ins have the interface that the adapter drives (`set_timesteps`, `timesteps`, `sigmas`, `alphas_cumprod`,
`step(...).prev_sample`). Where diffusers itself is installed, the last test judges it.
"""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tinydiff.base import DataError, InputError
from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, dpmpp_3m_as_published, last, linear_schedule
from tinydiff.evaluate.court import court, grid_times, judge_schedulers, scheduler_sampler
from tinydiff.evaluate.court.schedulers import Scheduler, _imported

FEW = (10, 20, 40)


class Levels:
    """What these schedulers share: levels N, N - 1, ..., 1 of a table, of which level 0 is where the chain ends."""

    def __init__(self, num_train_timesteps=1000, steps_offset=0, **config):
        self.train, self.offset, self.config = num_train_timesteps, steps_offset, config
        self.known = []

    def set_timesteps(self, N):
        self.ratio = self.train // N
        self.timesteps = (np.arange(N) * self.ratio + self.offset)[::-1].astype(np.int64)

    def transfer(self, x, eps, t, s):
        """DDIM's step between two levels."""
        (a_t, a_s) = (self.alphas_cumprod[level] ** 0.5 for level in (t, s))
        b_t, b_s = (1 - a_t**2) ** 0.5, (1 - a_s**2) ** 0.5
        return a_s / a_t * x + (b_s - a_s * b_t / a_t) * eps


class DDIMScheduler(Levels):
    def step(self, eps, level, x):
        return SimpleNamespace(prev_sample=self.transfer(x, eps, int(level), int(level) - self.ratio))


class PNDMScheduler(Levels):
    """PLMS: Heun's first step over two calls, then Adams and Bashforth's fixed weights (Liu et al. 2022)."""

    def set_timesteps(self, N):
        super().set_timesteps(N)
        first, *others = self.timesteps
        self.timesteps = np.array([first, *others[:1], *others])
        self.count = 0

    def step(self, eps, level, x):
        t, s, known = int(level), int(level) - self.ratio, self.known
        if self.count == 1:
            t, s, x = t + self.ratio, t, self.before
            eps = (eps + known[-1]) / 2
        else:
            known.append(eps)
            if self.count == 0:
                self.before = x
            elif len(known) == 2:
                eps = (3 * known[-1] - known[-2]) / 2
            elif len(known) == 3:
                eps = (23 * known[-1] - 16 * known[-2] + 5 * known[-3]) / 12
            else:
                eps = (55 * known[-1] - 59 * known[-2] + 37 * known[-3] - 9 * known[-4]) / 24
        self.count += 1
        return SimpleNamespace(prev_sample=self.transfer(x, eps, t, s))


class DPMSolverMultistepScheduler(Levels):
    """DPM-Solver++(2M) and (3M), as the authors' code has them (Lu et al. 2022)."""

    def __init__(self, num_train_timesteps=1000, solver_order=2, lower_order_final=True, final_sigmas_type="zero"):
        super().__init__(num_train_timesteps)
        assert (lower_order_final, final_sigmas_type) == (False, "sigma_min")
        self.order = solver_order

    def set_timesteps(self, N):
        self.timesteps = np.linspace(0, self.train - 1, N + 1).round()[::-1][:-1].astype(np.int64)
        self.sigmas, self.i = np.zeros(N + 1), 0

    def step(self, eps, level, x):
        sigma = np.asarray(self.sigmas)[self.i + 1 :: -1][: 2 + self.i + 1]  # s, t, and those before
        lam = -np.log(sigma)
        a = 1 / np.sqrt(1 + sigma**2)
        b = sigma * a
        self.known.insert(0, (x - b[1] * eps) / a[1])
        h, m = lam[0] - lam[1], self.known
        order = min(self.order, len(m))
        moved = -np.expm1(-h) * m[0]
        if order >= 2:
            r_0 = (lam[1] - lam[2]) / h
            D_1 = (m[0] - m[1]) / r_0
            if order == 2:
                moved = moved - np.expm1(-h) / 2 * D_1
            else:
                r_1 = (lam[2] - lam[3]) / h
                D_11 = (m[1] - m[2]) / r_1
                D_2 = (D_1 - D_11) / (r_0 + r_1)
                D_1 = D_1 + r_0 / (r_0 + r_1) * (D_1 - D_11)
                moved = moved + (np.expm1(-h) / h + 1) * D_1 - ((np.expm1(-h) + h) / h**2 - 0.5) * D_2
        self.i += 1
        return SimpleNamespace(prev_sample=b[0] / b[1] * x + a[0] * moved)


@pytest.fixture
def stand_ins(monkeypatch):
    """Let torch and diffusers be NumPy and the classes above."""
    torch, diffusers = ModuleType("torch"), ModuleType("diffusers")
    torch.float64, torch.tensor = np.float64, lambda values, dtype: np.array(values, dtype)
    for kind in (DDIMScheduler, PNDMScheduler, DPMSolverMultistepScheduler):
        setattr(diffusers, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "diffusers", diffusers)
    _imported.cache_clear()
    yield
    _imported.cache_clear()


@pytest.mark.usefixtures("stand_ins")
def test_the_published_3m_has_order_2_and_pndm_loses_one_on_uneven_steps():
    found = judge_schedulers(
        [
            Scheduler("DPMSolverMultistepScheduler", {"solver_order": 2}, 2),
            Scheduler("DPMSolverMultistepScheduler", {"solver_order": 3}, 3),
            Scheduler("PNDMScheduler", {"skip_prk_steps": True}, 2),
        ]
    )
    of_2m, of_3m, pndm = found
    assert of_2m.is_right, str(of_2m)
    assert of_3m.mistakes[0] == "bend", str(of_3m)
    assert "order" in of_3m.mistakes
    assert of_3m.order() == pytest.approx(2, abs=0.2)
    assert "solver_order 3: wrong" in str(of_3m)
    assert pndm.mistakes == ("uneven",), str(pndm)
    assert (pndm.order(), pndm.order("alternating")) == pytest.approx((2, 1), abs=0.2)


@pytest.mark.usefixtures("stand_ins")
def test_the_adapter_walks_the_times_that_it_is_given():
    """So the stand-in for 3M ends where tinydiff's exhibit of it does, and DDIM where DDIM does."""
    diffusion = GaussianDiffusion(linear_schedule(1000))
    data = GaussianMixture(diffusion, [0.4, 0.6], [[-1.0, 0.2], [0.7, 0.4]], [0.2, 0.1])
    x = np.random.default_rng(0).normal(size=(3, 2))
    *steps, end = grid_times(diffusion, 9, (2, 1), -1, 1.5)
    mine = last(
        scheduler_sampler("DPMSolverMultistepScheduler", solver_order=3)(data.predict, diffusion, x, steps, end=end)
    )
    np.testing.assert_allclose(mine, last(dpmpp_3m_as_published(data.predict, diffusion, x, steps, end=end)), rtol=1e-9)
    reached = [t for t, _, _ in scheduler_sampler("DDIMScheduler")(data.predict, diffusion, x, steps, end=end)]
    np.testing.assert_allclose(reached, [*steps[1:], end])
    verdict = court(scheduler_sampler("DDIMScheduler"), stated=1, numbers=FEW, to_zero=False)
    assert verdict.is_right, str(verdict)


@pytest.mark.usefixtures("stand_ins")
def test_a_scheduler_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="diffusers has no scheduler"):
        scheduler_sampler("NobodysScheduler")


def test_where_diffusers_is_not_installed_a_sentence_says_so(monkeypatch):
    _imported.cache_clear()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DataError, match=r"torch cannot be imported .*: pip install diffusers torch"):
        judge_schedulers()
    _imported.cache_clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of what they warn is their business
@pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="diffusers is not installed")
def test_the_schedulers_of_diffusers_themselves():
    found = {verdict.label: verdict for verdict in judge_schedulers()}
    of_3m, of_pndm = (found[name] for name in ("DPMSolverMultistepScheduler, solver_order 3", "PNDMScheduler"))
    assert of_3m.order() == pytest.approx(2, abs=0.25)
    assert of_3m.order("graded") == pytest.approx(2, abs=0.25)  # not for the start
    assert (of_pndm.order(), of_pndm.order("alternating")) == pytest.approx((2, 1), abs=0.1)
    assert found["UniPCMultistepScheduler, solver_order 2"].is_right
