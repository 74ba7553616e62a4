"""Masks: which part of a picture is known."""

from tinydiff.base import Array, InputError, checked, xp_of


@checked()
def check_mask(mask: Array, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless a mask holds 0 and 1 and is broadcastable to this shape, with as many axes."""
    fits = mask.ndim == len(shape) and all(m in (1, n) for m, n in zip(mask.shape, shape, strict=True))
    if not fits:
        raise InputError(
            f"mask has shape {tuple(mask.shape)}, but {tuple(shape)} was expected, or 1 in place of some of these."
        )
    xp = xp_of(mask)
    if not bool(((mask == 0) | (mask == 1)).all()):
        other = mask[(mask != 0) & (mask != 1)]
        raise InputError(
            f"mask holds {float(xp.ravel(other)[0]):g}, but only 0 (to draw) and 1 (to keep) were expected."
        )
