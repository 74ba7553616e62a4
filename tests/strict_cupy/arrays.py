"""The stand-in's array: a NumPy array behind CuPy's rules, and what crosses between the two."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from strict_cupy.ledger import LEDGER
from strict_cupy.rules import NAMESPACE, SYNCHRONISES, check_call


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


def empty(function, *args, **kwargs):
    """Make an array whose entries show when they are read before they are written."""
    array = function(*args, **kwargs)
    array[...] = np.nan if array.dtype.kind in "fc" else array.dtype.type(1) if array.dtype.kind == "b" else 77
    return array


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
            raise NotImplementedError(f"CuPy's arrays have {name}, but the stand-in (tests/strict_cupy) has not yet.")
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
