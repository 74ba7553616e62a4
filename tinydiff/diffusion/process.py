"""The Gaussian forward process, its posterior, and the conversions between eps, x_0, v and the score.

In every formula a = sqrt(alpha_bar) is the scale of the signal and b = sqrt(1 - alpha_bar) that of the noise: DDPM's
process, which preserves the variance. Other processes are this one in other units (`paths.py`). Coefficients are
computed in float64 and rounded once, to the dtype of the arrays they multiply.
"""

from collections import namedtuple
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from tinydiff.base import Array, InputError, checks_arguments, xp_of
from tinydiff.diffusion.alpha_bar import (
    Time,
    check_earlier,
    check_time,
    falling_table,
    is_on_host,
    look_up,
    time_of,
    to_multiply,
)
from tinydiff.diffusion.checks import check_match

LEAST_SIGNAL = 1e-75  # the square of the smallest scale of a signal, 3e-38, that a float32 holds with all its digits

# The step from s to t: alpha = alpha_bar_t / alpha_bar_s is the share of the signal that it keeps, beta = 1 - alpha.
Step = namedtuple("Step", "alpha_bar_s noise_s noise_t alpha beta")


@checks_arguments()
@dataclass(frozen=True, eq=False)
class GaussianDiffusion:
    """A forward process that turns data into noise in T steps.

    Times are step indices: `t` is a number or an array of shape (N,), one per sample, with ``0 < t <= T``. An
    earlier time `s` satisfies ``0 <= s < t``, and is ``t - 1`` if it is not given. Times may be real (see
    `alpha_bar_at`). All other arguments are arrays (N, ...) of one shape and dtype, which the result shares.

    Every method raises `InputError` for times out of range (on the host: values on a GPU are not read back) and
    for arrays that differ in shape, dtype or device.

    Parameters
    ----------
    alpha_bar : array, shape (T + 1,)
        From 1 at t = 0 strictly down to ``alpha_bar[T] >= 0``.

    Raises
    ------
    InputError
        If alpha_bar is not such a table.
    """

    alpha_bar: np.ndarray
    _tables: dict = field(default_factory=dict, init=False, repr=False)  # alpha_bar, once per array module

    def __post_init__(self):
        object.__setattr__(self, "alpha_bar", falling_table(self.alpha_bar))

    @property
    def T(self) -> int:
        """Number of steps."""
        return len(self.alpha_bar) - 1

    def alpha_bar_at(self, t: Time) -> float | Array:
        """Return alpha_bar at a step or between two steps (Eq. LSNR-1).

        Between integer steps the log signal-to-noise ratio, log(alpha_bar / (1 - alpha_bar)), is linear in t. It
        is infinite where alpha_bar is 1 (at t = 0) or 0; next to such a step alpha_bar itself is linear in t. So
        the variance of the noise grows in proportion to t between 0 and 1.

        Parameters
        ----------
        t : number or array of shape (N,)
            Step index, ``0 <= t <= T``.

        Returns
        -------
        float for a number, float64 array (N,) for an array.
        """
        return self._alpha_bar(t, first=0)

    def time_at(self, half_log_snr: float) -> float:
        """Return the time at which lambda = log(a / b) is this, the inverse of `alpha_bar_at` (Eq. LSNR-1).

        Parameters
        ----------
        half_log_snr : float
            From its value at T to infinity, which it has at t = 0.

        Raises
        ------
        InputError
            If there is more noise at this lambda than at T.
        """
        return time_of(self.alpha_bar, half_log_snr)

    def scales(self, t: Time) -> tuple[float | Array, float | Array]:
        """Return a and b at t, in float64: x_t = a x_0 + b eps. At t = 0 they are 1 and 0."""
        alpha_bar, noise = self._shares(t, first=0)
        return alpha_bar**0.5, noise**0.5

    def scale_at(self, t: Time) -> float | Array:
        """Return sqrt(a^2 + b^2), by what x_t is larger than on DDPM's path: 1 here."""
        return 1.0

    def q_sample(self, x_0: Array, t: Time, eps: Array) -> Array:
        """Return x_t ~ q(x_t | x_0), made from standard normal `eps` (Eq. DDPM-4)."""
        a, b = self._scales(t, x_0=x_0, eps=eps)
        return a * x_0 + b * eps

    def q_step(self, x_s: Array, t: Time, eps: Array, s: Time | None = None) -> Array:
        """Return x_t ~ q(x_t | x_s), the noise of the step from s to t, from standard normal `eps` (Eq. DDPM-2)."""
        step = self._step(t, s)
        keep, add = _fit((step.alpha**0.5, step.beta**0.5), x_s=x_s, eps=eps)
        return keep * x_s + add * eps

    def snr(self, t: Time) -> float | Array:
        """Return the signal-to-noise ratio at t > 0, alpha_bar / (1 - alpha_bar), in float64 (Eq. SNR-1)."""
        alpha_bar, noise = self._shares(t)
        return alpha_bar / noise

    def beta(self, t: Time, s: Time | None = None) -> float | Array:
        """Return the variance of q(x_t | x_s) in float64 (Eq. IDDPM-19): 1 - alpha_bar_t / alpha_bar_s."""
        return self._step(t, s).beta

    def reverse_beta(self, t: Time, s: Time | None = None) -> float | Array:
        """Return beta in the units of x_s, in float64: DDPM's larger choice for the variance of a step from t to s.

        On DDPM's path x_t and x_s have the same units.
        """
        return self._step(t, s).beta

    def posterior_variance(self, t: Time, s: Time | None = None) -> float | Array:
        """Return beta-tilde, the variance of q(x_s | x_t, x_0), in float64 (Eq. DDPM-7). It is 0 at s = 0."""
        step = self._step(t, s)
        # the quotient cannot round above 1, so beta-tilde never exceeds `noise_variance` at s: DDIM-12 relies on it
        return step.noise_s * (step.beta / step.noise_t)

    def noise_variance(self, t: Time) -> float | Array:
        """Return b^2 at t, in float64."""
        _, noise = self._shares(t, first=0)
        return noise

    def posterior_mean(self, x_0: Array, x_t: Array, t: Time, s: Time | None = None) -> Array:
        """Return the mean of q(x_s | x_t, x_0) (Eq. DDPM-7)."""
        step = self._step(t, s)
        c_0 = step.alpha_bar_s**0.5 * step.beta / step.noise_t
        c_t = step.alpha**0.5 * step.noise_s / step.noise_t
        c_0, c_t = _fit((c_0, c_t), x_0=x_0, x_t=x_t)
        return c_0 * x_0 + c_t * x_t

    def posterior_mean_from_eps(self, x_t: Array, t: Time, eps: Array, s: Time | None = None) -> Array:
        """Return the same mean from the noise in x_t (Eq. DDPM-11), as line 4 of Algorithm 2 writes it."""
        step = self._step(t, s)
        self._check_signal(t)
        scale, share = _fit((step.alpha**0.5, step.beta / step.noise_t**0.5), x_t=x_t, eps=eps)
        return (x_t - share * eps) / scale

    def x_0_from_eps(self, x_t: Array, t: Time, eps: Array) -> Array:
        """Return x_0 = (x_t - b eps) / a (Eq. DDPM-15).

        Raises
        ------
        InputError
            Where alpha_bar is 0, or below 1e-75: x_t is pure noise there, and its noise says nothing about x_0.
        """
        a, b = self._scales(t, x_t=x_t, eps=eps)
        self._check_signal(t)
        return (x_t - b * eps) / a

    def eps_from_x_0(self, x_t: Array, t: Time, x_0: Array) -> Array:
        """Return eps = (x_t - a x_0) / b: Eq. DDPM-4 solved for the noise."""
        a, b = self._scales(t, x_t=x_t, x_0=x_0)
        return (x_t - a * x_0) / b

    def v_from(self, x_0: Array, eps: Array, t: Time) -> Array:
        """Return the velocity v = a eps - b x_0 (Eq. V-1)."""
        a, b = self._scales(t, x_0=x_0, eps=eps)
        return a * eps - b * x_0

    def x_0_from_v(self, x_t: Array, t: Time, v: Array) -> Array:
        """Return x_0 = a x_t - b v (Eq. V-2)."""
        a, b = self._scales(t, x_t=x_t, v=v)
        return a * x_t - b * v

    def eps_from_v(self, x_t: Array, t: Time, v: Array) -> Array:
        """Return eps = b x_t + a v (Eq. V-3)."""
        a, b = self._scales(t, x_t=x_t, v=v)
        return b * x_t + a * v

    def flow_from(self, x_0: Array, eps: Array, t: Time) -> Array:
        """Return the velocity eps - x_0, which is the same at all t (Eq. FLOW-2).

        On the straight path of flow matching it is the derivative of x_t in b, which runs from 0 to 1.
        """
        check_match(x_0=x_0, eps=eps)
        return eps - x_0

    def x_0_from_flow(self, x_t: Array, t: Time, flow: Array) -> Array:
        """Return x_0 = (x_t - b flow) / (a + b), which is x_t - b flow on the straight path (Eq. FLOW-3)."""
        a, b = _fit(self.scales(t), x_t=x_t, flow=flow)
        return (x_t - b * flow) / (a + b)

    def eps_from_flow(self, x_t: Array, t: Time, flow: Array) -> Array:
        """Return eps = (x_t + a flow) / (a + b), which is x_t + (1 - b) flow on the straight path (Eq. FLOW-3)."""
        a, b = _fit(self.scales(t), x_t=x_t, flow=flow)
        return (x_t + a * flow) / (a + b)

    def score_from_eps(self, eps: Array, t: Time) -> Array:
        """Return the score, the gradient of log q(x_t) in x_t, of an expected noise: -eps / b (Eq. SCORE-1)."""
        _, b = self._scales(t, eps=eps)
        return -eps / b

    def eps_from_score(self, score: Array, t: Time) -> Array:
        """Return the expected noise -b score: Eq. SCORE-1 solved for eps."""
        _, b = self._scales(t, score=score)
        return -b * score

    def _scales(self, t, **arrays):
        """Return a and b at t, broadcastable to the given arrays."""
        alpha_bar, noise = self._shares(t)
        return _fit((alpha_bar**0.5, noise**0.5), **arrays)

    def _step(self, t, s):
        """Return the numbers of the step from an earlier s, which is t - 1 if it is None, to t."""
        alpha_bar_t, noise_t = self._shares(t)
        s = t - 1 if s is None else s
        alpha_bar_s, noise_s = self._shares(s, first=0, name="s")
        check_earlier(s, t)
        alpha = alpha_bar_t / alpha_bar_s
        # before the first step the noise is so little that 1 - alpha would be 0 or rounded
        beta = _where(t < 1, (noise_t - noise_s) / alpha_bar_s, 1 - alpha)
        return Step(alpha_bar_s, noise_s, noise_t, alpha, beta)

    def _shares(self, t, first=1, name="t"):
        """Return alpha_bar and 1 - alpha_bar at t, the variances of signal and noise, as `_alpha_bar` does."""
        alpha_bar = self._alpha_bar(t, first, name)
        # before the first step the noise grows with t; there 1 - alpha_bar would be 0 or rounded
        of_first_step = (1 - float(self.alpha_bar[1])) * (t if isinstance(t, Real) else t.astype(np.float64))
        return alpha_bar, _where(t < 1, of_first_step, 1 - alpha_bar)

    def _alpha_bar(self, t, first=1, name="t"):
        """Return alpha_bar at t: a float for a number, so that it keeps the dtype of what it multiplies."""
        check_time(name, t, self.T, first)
        if isinstance(t, Real):
            return float(look_up(self.alpha_bar, np.asarray(t)))
        return look_up(self._table(xp_of(t)), t)

    def _table(self, xp):
        """Return alpha_bar as an array of `xp`; a GPU gets its copy once."""
        if xp.__name__ not in self._tables:
            self._tables[xp.__name__] = xp.asarray(self.alpha_bar)
        return self._tables[xp.__name__]

    def _check_signal(self, t):
        """Raise `InputError` where x_t holds no signal, or so little that a float32 cannot say by what to divide."""
        # the table, on the host, comes first: unless it ends with 0 or nearly 0, nothing waits for a GPU
        if self.alpha_bar[-1] >= LEAST_SIGNAL:
            return
        first = int(np.argmax(self.alpha_bar < LEAST_SIGNAL))
        if np.any(t >= first) if is_on_host(t) else (t >= first).any():
            raise InputError(
                f"alpha_bar is {self.alpha_bar[first]:.3g} at t = {first}: x_t holds no signal there, so x_0 cannot be "
                "told from eps. Let the network predict x_0 or v, or use a schedule with alpha_bar[T] > 0 "
                "(cosine_schedule with max_beta < 1)."
            )


def _where(condition, a, b):
    """Return a where the condition holds, else b: numbers for a number, so that they stay numbers."""
    if isinstance(condition, (bool, np.bool_)):
        return a if condition else b
    return xp_of(condition).where(condition, a, b)


def _fit(coefficients, **arrays):
    """Return coefficients, one for all samples or one for each, broadcastable to the arrays, which must match."""
    check_match(**arrays)
    x = next(iter(arrays.values()))
    return tuple(to_multiply(c, x) for c in coefficients)
