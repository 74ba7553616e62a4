"""A strict stand-in for CuPy on machines without a GPU: NumPy inside, CuPy's rules outside.

`make` returns fake modules `cupy` and `cupyx`. Their array is a wrapper, for NumPy would swallow a subclass of its own
array without a word. What CuPy 14 refuses, the stand-in refuses:

- converting an array to NumPy behind the caller's back, and mixing it with NumPy arrays;
- names, methods and keywords that CuPy lacks (tests/fixtures/cupy_namespace.json says which those are).

Reductions and indexing give 0-d arrays, `empty` is filled with NaN, and floating-point warnings do not exist. All that
would make the host wait for a GPU is noted in ``cupy.synchronisations``, or raises within
``cupy.forbid_synchronisation()``. In two places the stand-in is stricter than CuPy: NumPy functions do not take its
arrays (CuPy dispatches them, slowly), and NumPy arrays can be neither indices nor values of an assignment (CuPy may
copy them to the device). What it cannot show: speed, races, rounding, and the order of atomic additions.
"""

import contextlib
import functools
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import scipy.special

NAMESPACE = json.loads((Path(__file__).parent / "fixtures" / "cupy_namespace.json").read_text(encoding="utf-8"))

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


class Synchronisation(AssertionError):
    """The host waited for the device where that was forbidden."""


class Ledger:
    """Notes every wait of the host for the device."""

    def __init__(self):
        self.notes: list[str] = []
        self.forbidden = False

    def note(self, what: str) -> None:
        self.notes.append(what)
        if self.forbidden:
            raise Synchronisation(f"{what} makes the host wait for the GPU.")


LEDGER = Ledger()


def operand(value: Any, of: str) -> Any:
    """Return the host twin of an operand: an array of the stand-in, or a plain number."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return value
    raise TypeError(f"Unsupported type {type(value)} for {of}.")


def to_host(value: Any, of: str, given: dict, copy_host: bool = False) -> Any:
    """Return an argument with every array of the stand-in replaced by its host twin, noted in `given`."""
    if isinstance(value, ndarray):
        given[id(value._host)] = value
        return value._host
    if isinstance(value, np.ndarray):
        if copy_host:
            return value.copy()  # a copy to the device never shares memory
        raise TypeError(f"Unsupported type {type(value)} for {of}: a NumPy array met CuPy.")
    if isinstance(value, (list, tuple)):
        return type(value)(to_host(item, of, given, copy_host) for item in value)
    return value


def to_device(value: Any, given: dict) -> Any:
    """Return a NumPy result as CuPy would: arrays for arrays and for scalars; `out` is the very array given."""
    if id(value) in given:
        return given[id(value)]
    if isinstance(value, (np.ndarray, np.generic)):
        return wrap(value)
    if isinstance(value, (list, tuple)):
        items = [to_device(item, given) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def wrap(host: Any) -> "ndarray":
    """Return a NumPy array or scalar as an array of the stand-in, sharing its memory."""
    array = object.__new__(ndarray)
    array._host = np.asarray(host)
    return array


def call(function: Any, args: tuple, kwargs: dict, of: str, copy_host: bool = False) -> Any:
    """Call a NumPy function on arrays of the stand-in."""
    given: dict = {}
    host_args = [to_host(a, of, given, copy_host) for a in args]
    host_kwargs = {name: to_host(a, of, given, copy_host) for name, a in kwargs.items()}
    with np.errstate(all="ignore"):  # a GPU does not warn
        return to_device(function(*host_args, **host_kwargs), given)


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


class ndarray:
    """An array that claims to be on a GPU."""

    __slots__ = ("__weakref__", "_host")
    __array_ufunc__ = None  # np.add(x, y) and numpy_array + x raise TypeError
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape, dtype=float):
        self._host = empty(np.empty, shape, dtype=dtype)

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"np.{function.__name__} was called on a CuPy array; write xp.{function.__name__}.")

    def __getattr__(self, name):
        if name in NAMESPACE["cupy.ndarray"]:
            raise NotImplementedError(
                f"CuPy's arrays have {name}, but the stand-in (tests/strict_cupy.py) has not yet."
            )
        raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}.")

    # Reading values: the host waits.

    def get(self, stream=None, order="C", out=None, blocking=True):
        LEDGER.note("get()")
        if out is None:
            return self._host.copy(order=order)
        out[...] = self._host
        return out

    def item(self):
        LEDGER.note("item()")
        return self._host.item()

    def tolist(self):
        LEDGER.note("tolist()")
        return self._host.tolist()

    def tobytes(self, order="C"):
        LEDGER.note("tobytes()")
        return self._host.tobytes(order)

    def nonzero(self):
        LEDGER.note("nonzero()")
        return to_device(self._host.nonzero(), {})

    def __bool__(self):
        LEDGER.note("bool()")
        return bool(self._host)

    def __int__(self):
        LEDGER.note("int()")
        return int(self._host)

    def __float__(self):
        LEDGER.note("float()")
        return float(self._host)

    def __complex__(self):
        LEDGER.note("complex()")
        return complex(self._host)

    def __repr__(self):
        LEDGER.note("repr()")
        return repr(self._host)

    def __str__(self):
        LEDGER.note("str()")
        return str(self._host)

    def __format__(self, spec):
        LEDGER.note("format()")
        return format(self._host, spec)

    # Writing, indexing, copying.

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"set() of a {arr.dtype} {arr.shape} array to a {self.dtype} {self.shape} one.")
        self._host[...] = arr

    def __getitem__(self, index):
        host_index, has_mask, basic = host_index_of(index)
        if has_mask:
            LEDGER.note("indexing with a boolean mask")
        if basic and not any(i is Ellipsis for i in host_index):
            host_index = (*host_index, Ellipsis)  # a view, also of a single entry
        return wrap(self._host[host_index])

    def __setitem__(self, index, value):
        host_index, has_mask, _ = host_index_of(index)
        if has_mask and isinstance(value, ndarray) and value.ndim:
            LEDGER.note("assigning an array through a boolean mask")
        if isinstance(value, (list, tuple)):
            raise TypeError("A list or tuple cannot be assigned to a CuPy array; make an array of it.")
        self._host[host_index] = operand(value, "assignment")

    def __len__(self):
        return len(self._host)

    def __iter__(self) -> Iterator["ndarray"]:
        return (self[i] for i in range(len(self)))

    def __copy__(self):
        return wrap(self._host.copy())

    def __deepcopy__(self, memo):
        return wrap(self._host.copy())

    def __reduce__(self):
        LEDGER.note("pickling")
        return wrap, (self._host.copy(),)

    @property
    def flags(self):
        """CuPy's flags: an array is always writeable."""
        host = self._host.flags
        return SimpleNamespace(c_contiguous=host.c_contiguous, f_contiguous=host.f_contiguous, owndata=host.owndata)

    @property
    def base(self):
        """The array that this one is a view of."""
        return None if self._host.base is None else wrap(self._host.base)


def host_index_of(index):
    """Return (index as a tuple of host objects, whether it has a mask, whether it is basic indexing)."""
    parts = index if isinstance(index, tuple) else (index,)
    host, has_mask, basic = [], False, True
    for part in parts:
        if isinstance(part, np.ndarray):
            raise TypeError("A NumPy array indexes a CuPy array; move it to the device first.")
        if isinstance(part, slice) and any(isinstance(p, ndarray) for p in (part.start, part.stop, part.step)):
            raise TypeError("slice indices must be integers or None or have an __index__ method")
        if isinstance(part, (ndarray, list)):
            part = part._host if isinstance(part, ndarray) else np.asarray(part)
            basic = False
            has_mask = has_mask or part.dtype == bool
        host.append(part)
    return tuple(host), has_mask, basic


def _plain_property(name):
    return property(lambda self: getattr(self._host, name))


def _array_property(name):
    def write(self, value):
        getattr(self._host, name)[...] = operand(value, name)

    return property(lambda self: wrap(getattr(self._host, name)), write)


def _method(name, text):
    host_method = getattr(np.ndarray, name)

    def method(self, *args, **kwargs):
        check_call(f"ndarray.{name}", text, args, kwargs)
        if name in SYNCHRONISES:
            LEDGER.note(f"{name}()")
        return call(host_method, (self, *args), kwargs, f"ndarray.{name}")

    return method


def _operator(function, in_place=False, swapped=False):
    def method(self, other):
        if isinstance(other, np.ndarray):
            raise TypeError(f"Unsupported type {type(other)} for {function.__name__}: a NumPy array met a CuPy array.")
        if not isinstance(other, (ndarray, bool, int, float, complex, np.generic)):
            return NotImplemented
        left, right = (other, self) if swapped else (self, other)
        return call(function, (left, right), {"out": self} if in_place else {}, function.__name__)

    return method


def _complete_ndarray():
    """Give `ndarray` the operators, and the properties and methods of CuPy's array that NumPy's has too."""
    operators = {"truediv": np.true_divide, "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power}
    operators |= {"add": np.add, "sub": np.subtract, "mul": np.multiply, "divmod": np.divmod, "matmul": np.matmul}
    operators |= {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
    operators |= {"lshift": np.left_shift, "rshift": np.right_shift}
    for name, function in operators.items():
        setattr(ndarray, f"__{name}__", _operator(function))
        setattr(ndarray, f"__r{name}__", _operator(function, swapped=True))
        if name not in ("matmul", "divmod"):  # as in CuPy, x @= y is x = x @ y
            setattr(ndarray, f"__i{name}__", _operator(function, in_place=True))
    comparisons = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    for name, function in (comparisons | {"eq": np.equal, "ne": np.not_equal}).items():
        setattr(ndarray, f"__{name}__", _operator(function))
    for name, function in {"neg": np.negative, "pos": np.positive, "abs": np.abs, "invert": np.invert}.items():
        setattr(ndarray, f"__{name}__", lambda self, function=function: call(function, (self,), {}, "operator"))
    for name in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides"):
        setattr(ndarray, name, _plain_property(name))
    for name in ("T", "mT", "real", "imag"):
        setattr(ndarray, name, _array_property(name))
    for name, text in NAMESPACE["cupy.ndarray"].items():
        if not text.startswith("<") and name not in vars(ndarray) and hasattr(np.ndarray, name):
            setattr(ndarray, name, _method(name, text))


_complete_ndarray()


class Ufunc:
    """A universal function with CuPy's keywords and methods."""

    def __init__(self, name: str, function: Any):
        self.__name__ = name
        self._function = function

    def __call__(self, *args, **kwargs):
        unknown = set(kwargs) - UFUNC_KEYWORDS
        if unknown:
            raise TypeError(f"Wrong arguments {', '.join(sorted(unknown))}: cupy.{self.__name__} has none of these.")
        for value in args:
            operand(value, f"cupy.{self.__name__}")
        return call(self._function, args, kwargs, f"cupy.{self.__name__}")

    def at(self, a, indices, b=None):
        if a.dtype.name not in AT_DTYPES:
            raise TypeError(f"cupy.{self.__name__}.at does not support {a.dtype}.")
        host_index, _, _ = host_index_of(indices)
        if b is None:
            self._function.at(a._host, host_index)
        else:
            self._function.at(a._host, host_index, operand(b, f"{self.__name__}.at"))

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        return self._reduction("reduce", REDUCIBLE)(array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        return self._reduction("accumulate", {"add", "multiply"})(array, axis=axis, dtype=dtype, out=out)

    def outer(self, A, B, **kwargs):
        return call(self._function.outer, (A, B), kwargs, f"{self.__name__}.outer")

    def _reduction(self, method, supported):
        if self.__name__ not in supported:
            raise NotImplementedError(f"cupy.{self.__name__}.{method} is not implemented in CuPy.")
        function = getattr(self._function, method)
        return lambda *args, **kwargs: call(function, args, kwargs, f"{self.__name__}.{method}")


def empty(function, *args, **kwargs):
    """Make an array whose entries show when they are read before they are written."""
    array = function(*args, **kwargs)
    array[...] = np.nan if array.dtype.kind in "fc" else array.dtype.type(1) if array.dtype.kind == "b" else 77
    return array


def device_function(full_name: str, text: str, function: Any) -> Any:
    """Return a function of NumPy or SciPy with CuPy's signature, for arrays of the stand-in."""
    name = full_name.rpartition(".")[2]
    if name in ("empty", "empty_like"):
        function = functools.partial(empty, function)

    def on_device(*args, **kwargs):
        check_call(full_name, text, args, kwargs)
        if name in SYNCHRONISES or (name == "where" and len(args) + len(kwargs) == 1):
            LEDGER.note(f"{name}()")
        kwargs = {k: v for k, v in kwargs.items() if k not in ("blocking", "stream")}
        result = call(function, args, kwargs, full_name, copy_host=name in TAKES_HOST_ARRAYS)
        return wrap(result) if name in RETURNS_ARRAY_NOT_BOOL else result

    on_device.__name__ = name
    return on_device


class Space(ModuleType):
    """A fake module: what CuPy's namespace lists and NumPy (or SciPy) can compute, and nothing else."""

    def __init__(self, name: str, source: Any):
        super().__init__(name)
        self.__path__: list[str] = []
        for attribute, text in NAMESPACE[name].items():
            value = getattr(source, attribute, None)
            if text == "<numpy>":
                setattr(self, attribute, value)
            elif text == "<ufunc>" and value is not None:
                setattr(self, attribute, Ufunc(attribute, value))
            elif text == "<constant>" and isinstance(value, (float, type(None))):
                setattr(self, attribute, value)
            elif not text.startswith("<") and value is not None:
                setattr(self, attribute, device_function(f"{name}.{attribute}", text, value))

    def __getattr__(self, name):
        if name in NAMESPACE.get(self.__name__, {}):
            raise NotImplementedError(
                f"{self.__name__}.{name} exists, but the stand-in (tests/strict_cupy.py) lacks it."
            )
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} in CuPy {NAMESPACE['version']}.")


class Cupy(Space):
    """The fake module `cupy`."""

    def __init__(self):
        super().__init__("cupy", np)
        self.__version__ = NAMESPACE["version"]
        self.ndarray = ndarray
        self.newaxis = None
        self.linalg = Space("cupy.linalg", np.linalg)
        self.fft = Space("cupy.fft", np.fft)
        self.lib = SimpleNamespace(stride_tricks=Space("cupy.lib.stride_tricks", np.lib.stride_tricks))
        self.cuda = cuda_stub()
        self.is_available = self.cuda.is_available
        self.get_array_module = lambda *args: self if any(isinstance(a, ndarray) for a in args) else np

    def asnumpy(self, a, stream=None, order="C", out=None, *, blocking=True):
        """Copy to the host, as `get` does."""
        return a.get(order=order, out=out) if isinstance(a, ndarray) else np.asarray(a)

    @property
    def synchronisations(self) -> list[str]:
        """What has made the host wait for the device, in order; clear it with ``.clear()``."""
        return LEDGER.notes

    @contextlib.contextmanager
    def forbid_synchronisation(self) -> Iterator[None]:
        """Raise `Synchronisation` wherever the host would wait for the device."""
        LEDGER.forbidden = True
        try:
            yield
        finally:
            LEDGER.forbidden = False


def cuda_stub():
    """Return what stands for `cupy.cuda`."""
    stream = SimpleNamespace(synchronize=lambda: LEDGER.note("stream.synchronize()"))
    runtime = SimpleNamespace(
        getDeviceProperties=lambda device: {"name": b"strict stand-in for CuPy", "totalGlobalMem": 2**33},
        getDeviceCount=lambda: 1,
        memGetInfo=lambda: (2**33, 2**33),
        CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}),
    )
    memory = SimpleNamespace(OutOfMemoryError=type("OutOfMemoryError", (MemoryError,), {}))
    return SimpleNamespace(get_current_stream=lambda: stream, runtime=runtime, memory=memory, is_available=lambda: True)


def make() -> dict[str, Any]:
    """Return fresh fake modules by name, for `sys.modules`; the ledger of synchronisations starts empty."""
    LEDGER.notes.clear()
    LEDGER.forbidden = False
    cupy, cupyx = Cupy(), Space("cupyx", np)
    cupyx.scipy = ModuleType("cupyx.scipy")
    cupyx.scipy.special = Space("cupyx.scipy.special", scipy.special)
    return {
        "cupy": cupy,
        "cupy.linalg": cupy.linalg,
        "cupyx": cupyx,
        "cupyx.scipy": cupyx.scipy,
        "cupyx.scipy.special": cupyx.scipy.special,
    }
