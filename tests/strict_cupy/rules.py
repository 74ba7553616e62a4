"""What CuPy has and takes: its names, signatures and keywords, and which calls make the host wait."""

import functools
import inspect
import json
from pathlib import Path
from typing import Any

NAMESPACE = json.loads((Path(__file__).parent.parent / "fixtures" / "cupy_namespace.json").read_text(encoding="utf-8"))
# Functions that are made to move host data to the device.
TAKES_HOST_ARRAYS = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "asnumpy"}
# Their first argument need not be an array; elsewhere a list or tuple of numbers, which NumPy would take, is refused.
ARRAY_PARAMETERS = {"a", "x", "y", "x1", "x2", "m", "arr", "array", "b", "v"}
TAKES_LISTS = TAKES_HOST_ARRAYS | {"ndim", "shape", "size", "isscalar", "full_like", "result_type", "diag", "roll"}
# Keywords of functions whose signature says **kwargs only; `einsum` has no `out`.
KEYWORDS = {
    "einsum": {"dtype", "optimize"},
    "meshgrid": {"indexing", "sparse", "copy"},
    "pad": {"constant_values", "end_values", "stat_length", "reflect_type"},
}
UFUNC_KEYWORDS = {"out", "dtype", "casting"}  # no `where`
AT_DTYPES = {"float16", "float32", "float64", "int32", "int64", "uint32", "uint64"}  # what `add.at` has atomics for
REDUCIBLE = {"add", "multiply", "maximum", "minimum", "logical_and", "logical_or"}
# Their result's shape depends on values, or the solver's status is read back.
SYNCHRONISES = {
    *("nonzero", "argwhere", "flatnonzero", "unique", "extract", "compress", "bincount", "array_repr", "array_str"),
    *("cholesky", "det", "eigh", "eigvalsh", "inv", "lstsq", "pinv", "solve", "svd", "slogdet", "qr", "matrix_rank"),
}
RETURNS_ARRAY_NOT_BOOL = {"array_equal", "array_equiv", "allclose"}


@functools.cache
def signature_of(text: str) -> inspect.Signature:
    """Return the signature that tests/fixtures/cupy_namespace.json stores as text."""
    kinds = inspect.Parameter
    parameters: list[inspect.Parameter] = []
    kind: Any = kinds.POSITIONAL_OR_KEYWORD
    for part in filter(None, text.split(", ")):
        if part == "/":
            parameters = [p.replace(kind=kinds.POSITIONAL_ONLY) for p in parameters]
        elif part == "*":
            kind = kinds.KEYWORD_ONLY
        elif part.startswith("**"):
            parameters.append(kinds(part[2:], kinds.VAR_KEYWORD))
        elif part.startswith("*"):
            parameters.append(kinds(part[1:], kinds.VAR_POSITIONAL))
            kind = kinds.KEYWORD_ONLY
        else:
            parameters.append(kinds(part.rstrip("="), kind, default=None if part.endswith("=") else kinds.empty))
    return inspect.Signature(parameters)


def check_call(full_name: str, text: str, args: tuple, kwargs: dict) -> None:
    """Raise `TypeError` where CuPy's function has no such parameter, or wants an array and gets a list."""
    name = full_name.rpartition(".")[2]
    try:
        bound = signature_of(text).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{full_name}() in CuPy {NAMESPACE['version']}: {error}") from None
    unknown = set(bound.arguments.get("kwargs", {})) - KEYWORDS.get(name, set())
    if unknown:
        raise TypeError(f"{full_name}() in CuPy {NAMESPACE['version']} has no keyword {', '.join(sorted(unknown))}.")
    for parameter, value in bound.arguments.items():
        if parameter in ARRAY_PARAMETERS and isinstance(value, (list, tuple)) and name not in TAKES_LISTS:
            raise TypeError(f"{full_name}() in CuPy takes an array as {parameter}, not a {type(value).__name__}.")
