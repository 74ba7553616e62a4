"""DDIM inversion: from a picture to the noise from which DDIM draws it."""

from collections.abc import Iterable, Iterator
from typing import Any

from tinydiff.base import Array, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import start
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
def ddim_inversion(
    predict: Predict, diffusion: GaussianDiffusion, x_0: Array, steps: int | Iterable[float], context: Any = None
) -> Iterator[tuple[float, Array]]:
    """Take DDIM's steps backwards, from a picture to the noise that draws it, and yield (t, x_t) (Eq. DDIM-INV).

    A step from s to t uses the prediction at s instead of that at t. So inversion and sampling together return the
    picture only approximately: to within O(1 / N) for N steps. The first step predicts at the smallest time, since
    there is nothing to predict in a picture without noise.

    Parameters
    ----------
    predict, diffusion
        As for `ddim`.
    x_0 : array, shape (N, ...)
    steps : int or iterable of float
        The times of the sampler, falling, as for `ddim`.
    context
        What the picture shows, if it is known. Invert without guidance: with it the errors are much larger.

    Source: Song, Meng, Ermon 2021 (arXiv 2010.02502), section 4.3 and appendix F.
    """
    x = start(x_0, context)
    for t, s in reversed(step_pairs(diffusion, steps)):
        at, x = (s, x) if s > 0 else (t, diffusion.scale_at(t) * x)  # in the units of the time that is told
        x_0_hat, eps_hat = predict(x, per_sample(at, x), context)
        x = diffusion.q_sample(x_0_hat, per_sample(t, x), eps_hat)
        yield t, x
