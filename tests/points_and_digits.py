"""Small data for the objectives that learn a distribution: points as pictures of one pixel, and a few digits."""

import numpy as np


class Points:
    """Points of the plane around two centres, as pictures of one pixel with two channels."""

    name = "two heaps"

    def __init__(self, n=64, seed=0):
        rng = np.random.default_rng(seed)
        centres = np.array([[-0.7, 0.2], [0.7, -0.2]])[rng.integers(0, 2, n)]
        self.points = (centres + 0.15 * rng.standard_normal((n, 2))).reshape(n, 1, 1, 2)

    def __len__(self):
        return len(self.points)

    def batch(self, indices, xp=np):
        return xp.asarray(self.points[indices].astype(np.float32)), np.zeros(len(indices), int)
