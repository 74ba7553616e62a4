"""Arguments that are spoiled, or only look unusual, and what may come of them.

Three lists for an honest argument. ``alike``: the same values in another form, so the result must be the same, or the
form be refused. ``wrong``: nothing can be computed, so it must be refused. ``odd``: sizes, shapes and numbers at the
ends, of which some are good; there may be a result or a refusal, but no other error.
"""

import warnings
from fractions import Fraction
from types import ModuleType

import numpy as np

NOT_NUMBERS = {
    "None": None,
    "text": "3",
    "bytes": b"3",
    "complex": 1j,
    "set": set(),
    "dict": {},
    "object": object(),
    "date": np.datetime64("2020-01-01"),
}
ODD_NUMBERS = {
    "-1": -1,
    "0": 0,
    "2**40": 2**40,
    "2**63": 2**63,
    "2**70": 2**70,
    "10**400": 10**400,
    "half": 0.5,
    "inf": float("inf"),
    "-inf": float("-inf"),
    "list": [2],
    "array": np.array([2, 2]),
}


class Subclass(np.ndarray):
    """A subclass that changes nothing."""


def spoil(value):
    """Return the three lists, each as name -> value."""
    if isinstance(value, np.ndarray):
        return spoil_array(value)
    if isinstance(value, (bool, np.bool_)):
        return {"NumPy": np.bool_(value)}, {"text": "yes", "list": [True], "None": None, "array": np.ones(2)}, {}
    if isinstance(value, (int, float)):
        return spoil_number(value)
    if isinstance(value, str):
        wrong = {"None": None, "3": 3, "bytes": b"x", "list": ["x"], "object": object(), "array": np.ones(2)}
        return {"NumPy": np.str_(value)}, wrong, {"empty": "", "unknown": "nonsense"}
    if callable(value) and not isinstance(value, (type, ModuleType)):
        return {}, {"None": None, "3": 3, "text": "x", "array": np.ones(2)}, {}
    return {}, {}, NOT_NUMBERS | {"3": 3, "list": [], "tuple": (), "masked": masked(np.ones(2)), "array": np.ones(2)}


def spoil_number(value):
    """Return the three lists for a whole or real number."""
    kinds = [np.int64, np.int32, np.uint8] if isinstance(value, int) else [np.float64, np.float32, np.longdouble]
    alike = {kind.__name__: kind(value) for kind in kinds if kind(value) == value and value >= 0}
    alike |= {"Fraction": Fraction(value), "0-d": np.asarray(value)}
    wrong = NOT_NUMBERS | {"True": True, "NumPy's True": np.True_, "nan": float("nan")}
    return alike, wrong, ODD_NUMBERS


def spoil_array(a):
    """Return the three lists for an array."""
    double = np.repeat(a[..., None], 2, axis=-1)
    readonly = a.copy()
    readonly.setflags(write=False)
    alike = {
        "strided": double[..., 0],
        "Fortran": np.array(a, order="F"),
        "backwards": a[::-1].copy()[::-1],
        "read-only": readonly,
        "swapped": a.astype(a.dtype.newbyteorder("S")),
        "subclass": a.view(Subclass),
        "list": a.tolist(),
        "no mask": np.ma.MaskedArray(a),
    }
    if a.ndim == 2:
        with warnings.catch_warnings(action="ignore", category=PendingDeprecationWarning):
            alike["matrix"] = np.matrix(a)
    if a.dtype.kind == "f":
        alike |= {"float16": a.astype(np.float16), "longdouble": a.astype(np.longdouble)}
    if a.dtype.kind == "i":
        alike["int32"] = a.astype(np.int32)
    wrong = NOT_NUMBERS | {
        "masked": masked(a),
        "complex array": a.astype(np.complex64),
        "objects": a.astype(object),
        "object None": np.full(a.shape, None),
        "texts": a.astype(str),
        "dates": np.full(a.shape, np.datetime64("2020-01-01")),
        "spans": np.full(a.shape, np.timedelta64(1)),
        "records": np.zeros(a.shape, [("x", "f4")]),
    }
    odd = {
        "empty": a[:0],
        "empty axis": a[..., :0],
        "one axis more": a[None],
        "one axis less": a[0],
        "no axis": np.asarray(a.ravel()[0]),
        "scalar": a.ravel()[0],
        "negative": -a if a.dtype.kind != "b" else a,
        "half more": a + 0.5,
        "huge": np.full(a.shape, 2**40),
    }
    if a.dtype.kind == "f":
        odd |= {"NaN": np.full_like(a, np.nan), "inf": np.full_like(a, np.inf), "ints": a.astype(int)}
        odd["other float"] = a.astype(np.float64 if a.dtype == np.float32 else np.float32)
    if a.dtype.kind != "b":
        odd["bools"] = a.astype(bool)
    return alike, wrong, odd


def masked(a):
    """Return the array with its first entry masked."""
    mask = np.zeros(a.shape, bool)
    mask[(0,) * a.ndim] = True
    return np.ma.MaskedArray(a, mask)
