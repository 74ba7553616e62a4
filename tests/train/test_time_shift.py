"""Which steps of the noise a training shows, and how often."""

import dataclasses

import numpy as np
import pytest
from squares import CONFIG, make

from tinydiff.base import Noise
from tinydiff.train import random_steps


@pytest.mark.equation("TSHIFT-1")
@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_a_time_shift_shows_noisy_images_more_often(shift):
    """Six standard deviations of 40,000 draws: a false alarm of 1e-8 for each of five steps (and the seed is fixed)."""
    n, T = 40_000, 1000
    t = random_steps(Noise(5), n, T, shift)
    assert t.min() >= 1
    assert t.max() <= T
    for step in (20, 250, 500, 750, 980):
        u = step / T / (shift - (shift - 1) * step / T)  # the share of steps up to this one: Eq. TSHIFT-1, solved for u
        assert abs((t <= step).mean() - u) < 6 * (u * (1 - u) / n) ** 0.5


def test_a_run_with_a_time_shift_sees_the_shifted_steps(monkeypatch):
    trainer = make(config=dataclasses.replace(CONFIG, time_shift=1e3, batch=64, micro_batch=64))
    seen, network = [], trainer.objective.network
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda x, t, c, tape: seen.append(t) or forward(x, t, c, tape))
    trainer.train_step()
    assert np.concatenate(seen).min() > 0.8 * trainer.objective.diffusion.T  # below: 1 draw in 250
