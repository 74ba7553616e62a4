"""Masks: which part of a picture is known, and how much of it counts at a soft edge."""

from tinydiff.base import Array, InputError, checked, xp_of


@checked()
def check_mask(mask: Array, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless a mask holds 0 .. 1 and is broadcastable to this shape, with as many axes."""
    fits = mask.ndim == len(shape) and all(m in (1, n) for m, n in zip(mask.shape, shape, strict=True))
    if not fits:
        raise InputError(
            f"mask has shape {tuple(mask.shape)}, but {tuple(shape)} was expected, or 1 in place of some of these."
        )
    xp = xp_of(mask)
    fits = (mask >= 0) & (mask <= 1)  # NaN does not
    if not bool(fits.all()):
        raise InputError(
            f"mask holds {float(xp.ravel(mask[~fits])[0]):g}, but 0 (to draw) to 1 (to keep) was expected."
        )


def joined(mask: Array, known: Array, drawn: Array) -> Array:
    """Return m known + (1 - m) drawn: pictures joined by a mask m; at 1 and at 0 one of them, to the bit.

    Parameters
    ----------
    mask : array of 0 .. 1, broadcastable to the pictures
    known, drawn : arrays of one shape
        What `known` holds where the mask is 0 is not used.
    """
    xp, m = xp_of(known, mask), mask.astype(known.dtype)
    return xp.where(m == 1, known, xp.where(m == 0, drawn, m * known + (1 - m) * drawn))
