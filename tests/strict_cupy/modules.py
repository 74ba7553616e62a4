"""The stand-in's modules: CuPy's names, for functions that NumPy and SciPy compute."""

import contextlib
import functools
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import scipy.special

from strict_cupy.arrays import call, empty, host_index_of, ndarray, operand, wrap
from strict_cupy.ledger import LEDGER
from strict_cupy.rules import (
    AT_DTYPES,
    NAMESPACE,
    REDUCIBLE,
    RETURNS_ARRAY_NOT_BOOL,
    SYNCHRONISES,
    TAKES_HOST_ARRAYS,
    UFUNC_KEYWORDS,
    check_call,
)


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
            raise NotImplementedError(f"{self.__name__}.{name} exists, but the stand-in (tests/strict_cupy) lacks it.")
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
