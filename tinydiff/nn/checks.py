"""What layers refuse: sizes that are no counts, and what cannot flow through them."""

from tinydiff.base import Array, InputError, check_alike, check_count


def check_flow(name: str, x: Array, weight: Array | None) -> None:
    """Raise `InputError` unless what flows through a layer is an array like its weights, with at least one number."""
    check_alike(**{name: x, "weight": weight})
    if not x.shape or 0 in x.shape:
        raise InputError(f"{name} has shape {tuple(x.shape)}, but no axis may have size 0, and there must be one.")


def check_counts(**counts: int) -> None:
    """Raise `InputError` unless these are whole numbers from 1."""
    for name, count in counts.items():
        check_count(name, count)
