"""Arrays and devices: the same code runs on NumPy (CPU) and CuPy (GPU) arrays.

Library code never asks which device it is on. It asks an array for its module, ``xp = xp_of(x)``, and writes
``xp.exp(x)``; the result stays where `x` is. CuPy is imported here only.
"""

import functools
import sys
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np

from tinydiff.base.errors import DeviceError, InputError, check_choice

# An array of NumPy or of CuPy. To a type checker it is Any: the two libraries share no type, CuPy has no stubs, and the
# same line must hold for both. The name tells the reader what is meant, and `checked` what to refuse.
Array: TypeAlias = Annotated[Any, "array"]

HOW_TO_INSTALL_CUPY = (
    'Install it with: pip install "cupy-cuda13x[ctk]" (cupy-cuda12x for an older NVIDIA driver), or use --device cpu.'
)


def xp_of(*arrays: Array) -> Any:
    """Return the array module, `numpy` or `cupy`, that all given arrays belong to; None is skipped.

    Raises
    ------
    InputError
        If something is not an array, or if host and device arrays meet.

    Examples
    --------
    >>> xp_of(np.zeros(3)).__name__
    'numpy'
    """
    for a in arrays:
        if type(a) is not np.ndarray:
            break
    else:
        return np  # the usual case, which occurs hundreds of times in a step
    return module_of({f"argument {i}": a for i, a in enumerate(arrays)})


def module_of(arrays: dict[str, Array], some: bool = False) -> Any:
    """Return the array module that all these arrays share; their names are for the error message.

    None is skipped, but for `some`, where the first may not be None.
    """
    given = {name: a for i, (name, a) in enumerate(arrays.items()) if a is not None or (some and i == 0)}
    modules = {name: _module_of_one(name, a) for name, a in given.items()}
    if len({id(m) for m in modules.values()}) > 1:
        where = ", ".join(f"{name} is a {m.__name__} array" for name, m in modules.items())
        raise InputError(f"Arrays of two devices meet: {where}. Move one with to_device() or to_numpy() first.")
    return next(iter(modules.values())) if modules else np


def _module_of_one(name, a):
    if type(a) is np.ndarray or type(a) is np.memmap:
        return np
    if isinstance(a, np.ma.MaskedArray):
        raise InputError(
            f"{name} is a masked array, whose mask would be ignored, but a plain array was expected: choose a value "
            f"for what is masked, such as {name}.filled(0)."
        )
    if isinstance(a, np.ndarray):
        # a subclass may give * and @ another meaning, as np.matrix does
        raise InputError(
            f"{name} is of type {type(a).__name__}, but a plain array was expected: pass np.asarray({name})."
        )
    cupy = sys.modules.get("cupy")  # an array of CuPy can only exist once CuPy has been imported
    if cupy is not None and isinstance(a, cupy.ndarray):
        return cupy
    raise InputError(f"{name} is of type {type(a).__name__}, but a NumPy or CuPy array was expected.")


def is_array(value: Any) -> bool:
    """Whether a value is an array of NumPy or of CuPy, plain or not."""
    cupy = sys.modules.get("cupy")
    return isinstance(value, np.ndarray) or (cupy is not None and isinstance(value, cupy.ndarray))


def check_numbers(name: str, a: Array) -> None:
    """Raise `InputError` unless `a` is a plain array of numbers that tinydiff computes with.

    These are booleans, whole numbers, float32 and float64, in the byte order of the machine. float16 is refused, since
    a sum of squares soon exceeds its largest number, 65,504.
    """
    _module_of_one(name, a)
    dtype = a.dtype
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        raise InputError(
            f"{name} has dtype {dtype}, but float32 or float64 was expected: convert it with .astype(np.float32)."
        )
    if dtype.kind == "c":
        raise InputError(f"{name} has dtype {dtype}, but real numbers were expected: take {name}.real, or its abs().")
    if dtype.kind not in "biuf":
        raise InputError(f"{name} has dtype {dtype}, but an array of numbers was expected.")
    if not dtype.isnative:
        raise InputError(
            f"{name} has dtype {dtype.str}, the byte order of another machine: convert it with "
            f'.astype({name}.dtype.newbyteorder("=")).'
        )


def check_finite(name: str, a: Array) -> None:
    """Raise `InputError` unless `a` is an array of numbers (`check_numbers`) without NaN and infinity."""
    check_numbers(name, a)
    if not bool(xp_of(a).isfinite(a).all()):
        raise InputError(f"{name} holds NaN or infinity, but finite numbers were expected. Find where it came from.")


def to_numpy(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array: itself if it is one, a copy on the host if it is on a GPU."""
    return x if xp_of(x) is np else x.get()


def erf(x: Array) -> Array:
    """Return the error function of `x`, elementwise, on the device of `x`."""
    check_numbers("x", x)
    if xp_of(x) is np:
        import scipy.special  # here, since it takes longer to import than all of tinydiff, and few ask for it

        return scipy.special.erf(x)
    import cupyx.scipy.special

    return cupyx.scipy.special.erf(x)


def log_normal_cdf(x: Array) -> Array:
    """Return the logarithm of the standard normal distribution function, exact far out too, on the device of `x`."""
    check_numbers("x", x)
    if xp_of(x) is np:
        import scipy.special

        return scipy.special.log_ndtr(x)
    import cupyx.scipy.special

    return cupyx.scipy.special.log_ndtr(x)


def power_of_two(x: Array) -> Array:
    """Return, for each number x >= 0, a power of two near it, such that x divided by it lies between 1/2 and 4.

    To divide by such a number is exact, where nothing gets too small. So squares and their sums can be taken of numbers
    whose own squares a float32 (or a float64) cannot hold, without another rounding. 0 gives 1, and so do infinity and
    NaN. Of x below 1e-38 (1e-308), which have fewer digits, the share is smaller than 1/2.
    """
    xp = xp_of(x)
    _, exponent = xp.frexp(xp.where(xp.isfinite(x), x, 0))
    largest = np.finfo(x.dtype).maxexp - 2  # its reciprocal, too, is a number with all digits
    return xp.ldexp(xp.ones_like(x), xp.clip(exponent, -largest, largest))


@dataclass(frozen=True)
class Device:
    """Where arrays live, the CPU or a GPU: its kind (``"cpu"`` or ``"cuda"``) and a name to print."""

    kind: str
    name: str

    @property
    def xp(self) -> Any:
        """The array module of this device."""
        return np if self.kind == "cpu" else _import_cupy()


def select_device(choice: str = "auto") -> Device:
    """Return the device for ``"cpu"``, ``"cuda"`` or ``"auto"``.

    ``auto`` takes the GPU if a tiny kernel runs on it and gives the right answer, else the CPU. Counting devices
    is not enough: a machine can list a GPU that its driver cannot use.

    Raises
    ------
    DeviceError
        If ``"cuda"`` was asked for and CuPy is missing or broken; the message says what to install.
    """
    check_choice("device", choice, ("auto", "cpu", "cuda"))
    if choice != "cpu":
        try:
            return Device("cuda", _probe_gpu())
        except DeviceError:
            if choice == "cuda":
                raise
    return Device("cpu", "CPU")


def to_device(x: Array, device: Device) -> Array:
    """Return `x` as an array of `device`; no copy is made if it is there already."""
    if device.kind == "cpu":
        return to_numpy(x)
    return device.xp.asarray(x)


def synchronize(x: Array) -> None:
    """Wait until the device of `x` has finished its queue (nothing to wait for on the CPU)."""
    xp = xp_of(x)
    if xp is not np:
        xp.cuda.get_current_stream().synchronize()


def _import_cupy():
    try:
        import cupy
    except Exception as error:  # a broken CuPy raises many types, from ImportError to AttributeError
        raise DeviceError(f"CuPy cannot be imported ({_first_line(error)}). {HOW_TO_INSTALL_CUPY}") from None
    return cupy


@functools.cache
def _probe_gpu() -> str:
    """Run a tiny kernel and a tiny matrix product on the GPU; return the GPU's name."""
    cupy = _import_cupy()
    try:
        x = cupy.arange(4, dtype=cupy.float32).reshape(2, 2)
        total = float((x @ x + 1).sum())
        name = cupy.cuda.runtime.getDeviceProperties(0)["name"]
    except Exception as error:
        raise DeviceError(
            f"CuPy is installed but cannot use a GPU ({_first_line(error)}). {HOW_TO_INSTALL_CUPY}"
        ) from None
    if total != 26.0:
        raise DeviceError(f"The GPU computed {total} where 26.0 was expected. Check its driver, or use --device cpu.")
    return name.decode() if isinstance(name, bytes) else str(name)


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
