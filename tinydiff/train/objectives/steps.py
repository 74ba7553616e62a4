"""Which steps of the noise a training shows, and how often."""

import numpy as np

from tinydiff.base import Array, Noise, check_choice, check_count, check_number, checked

LEAST_SHIFT, MOST_SHIFT = 1e-3, 1e3  # of the times
TIMES = ("uniform", "stratified", "logit-normal", "loss-aware")  # the last are drawn by a `LossHistory`


@checked()
def random_steps(
    noise: Noise, n: int, T: int, time_shift: float = 1.0, times: str = "uniform", batch: int | None = None
) -> Array:
    """Return random steps t = 1 .. T, as a training draws them (Eq. TSHIFT-1; Esser et al. 2024, Eq. 23).

    Parameters
    ----------
    noise : Noise
        Where randomness comes from.
    n : int
        How many.
    T : int
        Steps of the forward process.
    time_shift : float
        1 makes every step as likely as any other. With s, half of the steps are above ``T s / (1 + s)``: with 3, in the
        noisiest quarter.
    times : str
        ``"uniform"``, each by itself; ``"stratified"``, sample i of a batch in the i-th part of it, counted from a
        random place (Eq. STRATA-1); ``"logit-normal"``, most in the middle (Eq. LOGITN-1).
    batch : int or None
        Of how many samples a batch is, of which these are a part that begins at ``noise.first``; None: of these.

    Returns
    -------
    integer array, shape (n,)

    Raises
    ------
    InputError
        If n, T or batch is not a whole number above 0, `time_shift` not from 0.001 to 1000, or `times` unknown.

    References
    ----------
    Kingma, Salimans, Poole, Ho, "Variational diffusion models", NeurIPS 2021, appendix I.1 (stratified); Esser et al.,
    "Scaling rectified flow transformers for high-resolution image synthesis", 2024 (the shift, logit-normal).
    """
    check_count("n", n)
    check_count("T", T)
    check_number("time_shift", time_shift, LEAST_SHIFT, MOST_SHIFT)
    check_choice("times", times, TIMES[:-1])  # loss-aware steps need a history
    batch = n if batch is None else batch
    check_count("batch", batch)
    if times == "uniform" and time_shift == 1:
        return noise.integers(1, T, n, "t")
    if times == "logit-normal":
        u = 1 / (1 + noise.xp.exp(-noise.normal((n,), "t", dtype=np.float64)))
    elif times == "stratified":
        begin = noise.at(first=0).uniform((1,), "t", dtype=np.float64)  # the same for all parts of a batch
        u = (begin + (noise.first + noise.xp.arange(n)) / batch) % 1
    else:
        u = noise.uniform((n,), "t", dtype=np.float64)
    return (T * time_shift * u / (1 + (time_shift - 1) * u)).astype(np.int64) + 1
