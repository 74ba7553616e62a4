"""The gradient that a run computes, against differences of its loss."""

import numpy as np


def slopes(learner, step=0, h=1e-6):
    """Return (by the gradient, by differences of the loss) along three directions of a learner's weights."""
    learner.gradient_sum(step)
    gradient, theta = learner.gradient_sum.totals[0].copy(), learner.network.theta
    rng, found = np.random.default_rng(1), []
    for _ in range(3):
        v, ends = rng.standard_normal(theta.shape), []
        for sign in (1, -1):
            theta += sign * h * v
            ends.append(sum(learner.gradient_sum(step)))
            theta -= sign * h * v
        found.append((gradient @ v, (ends[0] - ends[1]) / (2 * h)))
    return zip(*found, strict=True)
