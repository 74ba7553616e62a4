"""Devices are chosen by what works, and a missing or broken CuPy is one clear sentence."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from arrays import assert_close, assert_equal, to_xp

from tinydiff.base import (
    Device,
    DeviceError,
    InputError,
    erf,
    errors,
    select_device,
    synchronize,
    to_device,
    to_numpy,
    xp_of,
)
from tinydiff.base import arrays as backend

ROOT = Path(__file__).resolve().parents[2]
INSTALL = r'pip install "cupy-cuda13x\[ctk\]"'


@pytest.fixture
def no_gpu_remembered():
    backend._probe_gpu.cache_clear()
    yield
    backend._probe_gpu.cache_clear()


@pytest.fixture
def missing_cupy(monkeypatch, no_gpu_remembered):
    monkeypatch.setitem(sys.modules, "cupy", None)  # `import cupy` then fails as if it were not installed


@pytest.fixture
def fake_cupy(monkeypatch, tmp_path, no_gpu_remembered):
    """Return a function that puts a package `cupy` with the given source first on the path."""

    def install(source):
        (tmp_path / "cupy").mkdir()
        (tmp_path / "cupy" / "__init__.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("cupy", None)


# Choosing a device.


def test_cpu_is_always_there_and_never_touches_cupy(monkeypatch):
    real_import = builtins.__import__

    def guarded(name, *args, **kwargs):
        assert name.partition(".")[0] != "cupy"
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)
    device = select_device("cpu")
    assert (device.kind, device.xp) == ("cpu", np)


def test_importing_tinydiff_does_not_import_cupy():
    code = "import sys, tinydiff.base, tinydiff.functional, tinydiff.models; sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_auto_without_cupy_is_the_cpu(missing_cupy):
    assert select_device().kind == "cpu"


def test_missing_cupy_says_what_to_install(missing_cupy):
    with pytest.raises(DeviceError, match=f"CuPy cannot be imported.*{INSTALL}.*--device cpu") as caught:
        select_device("cuda")
    assert caught.value.__suppress_context__  # nothing from inside CuPy is shown beside it
    assert "\n" not in str(caught.value)


BROKEN = {
    "library missing": "raise ImportError('libcublas.so.13: cannot open shared object file\\nmany\\nmore lines')",
    "compiled for another NumPy": "raise RuntimeError('numpy.dtype size changed')",
    "half removed": "import numpy; numpy.no_such_name",
    "syntax": "def",
    "empty folder left behind": "",
    "no driver": (
        "from numpy import arange as _arange, float32\n"
        "def arange(*args, **kwargs): raise RuntimeError('cudaErrorInsufficientDriver: driver is insufficient')\n"
    ),
    "no device name": "from numpy import arange, float32\n",
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_cupy_says_what_to_install(fake_cupy, how):
    fake_cupy(BROKEN[how])
    with pytest.raises(DeviceError, match=INSTALL) as caught:
        select_device("cuda")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert select_device("auto").kind == "cpu"


def test_broken_cupy_quotes_the_first_line_of_its_reason(fake_cupy):
    fake_cupy(BROKEN["library missing"])
    with pytest.raises(DeviceError, match=r"\(libcublas\.so\.13: cannot open shared object file\)"):
        select_device("cuda")


def test_gpu_that_computes_wrongly_is_refused(fake_cupy):
    fake_cupy(
        "from numpy import float32, zeros\n"
        "def arange(n, dtype): return zeros(n, dtype)\n"
        "class cuda:\n"
        "    class runtime:\n"
        "        def getDeviceProperties(device): return {'name': b'GPU'}\n"
    )
    with pytest.raises(DeviceError, match=r"The GPU computed 4\.0 where 26\.0 was expected"):
        select_device("cuda")


def test_working_gpu_is_found_and_named(strict_cupy):
    device = select_device("auto")
    assert (device.kind, device.name) == ("cuda", "strict stand-in for CuPy")
    assert device.xp is strict_cupy
    assert select_device("cuda") == device


@pytest.mark.parametrize("choice", ["gpu", "CPU", "", None, 0])
def test_unknown_device_is_refused(choice):
    with pytest.raises(InputError, match=r"device is .*'auto', 'cpu', 'cuda'"):
        select_device(choice)


def test_tests_for_a_gpu_say_that_none_was_run(tmp_path):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(BROKEN["library missing"], encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--gpu",
        "-p",
        "no:cacheprovider",
        "tests/base/test_arrays.py",
        "-k",
        "erf",
    ]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "2 skipped" in run.stdout
    assert "no test was run on a GPU" in run.stdout
    assert "libcublas.so.13" in run.stdout


# Arrays.


def test_module_of_arrays(xp):
    x = to_xp(xp, np.ones(3, np.float32))
    assert xp_of(x, None, x) is xp
    assert xp_of(x, xp.ones(2, dtype=xp.int64)) is xp  # it finds the library, and asks nothing else
    assert xp_of(None) is xp_of() is np


@pytest.mark.parametrize("value", [1.0, [1.0, 2.0], "x", np.float32(1)])
def test_what_is_no_array_is_refused(value):
    with pytest.raises(InputError, match=f"argument 1 is of type {type(value).__name__}"):
        xp_of(np.ones(2), value)


def test_arrays_of_two_devices_are_refused(strict_cupy):
    with pytest.raises(InputError, match=r"argument 0 is a numpy array, argument 1 is a cupy array.*to_device"):
        xp_of(np.ones(2), strict_cupy.ones(2))


def test_arrays_move_between_devices(strict_cupy):
    cpu, gpu = Device("cpu", "CPU"), select_device("cuda")
    x = np.arange(3.0)
    assert to_device(x, cpu) is x
    there = to_device(x, gpu)
    assert isinstance(there, strict_cupy.ndarray)
    assert_equal(to_device(there, cpu), x)
    assert_equal(to_numpy(there), x)
    assert to_numpy(x) is x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf(xp, dtype):
    x = np.linspace(-3, 3, 13).astype(dtype)
    y = erf(to_xp(xp, x))
    assert xp_of(y) is xp
    assert y.dtype == dtype
    assert_close(y, scipy.special.erf(x), rtol=1e-6 if dtype == "float32" else 1e-12)


def test_synchronize_waits_for_the_device_of_the_array(strict_cupy):
    synchronize(np.ones(2))
    assert strict_cupy.synchronisations == []
    synchronize(strict_cupy.ones(2))
    assert strict_cupy.synchronisations == ["stream.synchronize()"]


# Errors.


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.DeviceError, RuntimeError),
        (errors.DataError, OSError),
        (errors.CheckpointError, OSError),
        (errors.TrainingError, ArithmeticError),
    ],
)
def test_each_error_is_tinydiffs_own_and_the_builtin_one_expects(kind, builtin):
    assert issubclass(kind, errors.TinydiffError)
    assert issubclass(kind, builtin)
    assert str(kind("One sentence.")) == "One sentence."


CHECKS_THAT_FAIL = {
    "x has 2 axes": lambda: errors.check_rank("x", np.ones((2, 3)), 4),
    "3 or 4 were expected": lambda: errors.check_rank("x", np.ones(2), 3, 4),
    r"b has shape \(2,\), but \(3\) was expected": lambda: errors.check_shape("b", np.ones(2), (3,)),
    r"\(any, 3\) was expected": lambda: errors.check_shape("b", np.ones(3), (None, 3)),
    "channels = 10 cannot be divided into groups = 4": lambda: errors.check_divisible("channels", 10, "groups", 4),
    "groups = 0": lambda: errors.check_divisible("channels", 10, "groups", 0),
    "kind is 'x', but one of 'eps', 'v'": lambda: errors.check_choice("kind", "x", ("eps", "v")),
    "eta is 1.5, but a number from 0 to 1": lambda: errors.check_number("eta", 1.5, 0, 1),
    "eta is nan": lambda: errors.check_number("eta", float("nan"), 0, 1),
    "eta is '1', but a number from 0 to 1": lambda: errors.check_number("eta", "1", 0, 1),
    "eta is None": lambda: errors.check_number("eta", None, 0, 1),
    "eta is True": lambda: errors.check_number("eta", True, 0, 1),
    r"eta is array\(\[0, 1\]\)": lambda: errors.check_number("eta", np.arange(2), 0, 1),
    "eta is 2.5, but": lambda: errors.check_number("eta", np.float64(2.5), 0, 1),
    "lr is 0, but a positive number": lambda: errors.check_positive("lr", 0),
    "lr is inf": lambda: errors.check_positive("lr", float("inf")),
    "lr is nan": lambda: errors.check_positive("lr", np.float32("nan")),
    "lr is '1'": lambda: errors.check_positive("lr", "1"),
}


@pytest.mark.parametrize("message", CHECKS_THAT_FAIL)
def test_checks_name_the_argument_its_value_and_what_was_expected(message):
    with pytest.raises(InputError, match=message):
        CHECKS_THAT_FAIL[message]()


def test_checks_let_good_values_pass(xp):
    errors.check_rank("x", xp.ones((1, 2)), 2, 3)
    errors.check_shape("x", xp.ones((1, 2)), (None, 2))
    errors.check_divisible("channels", 8, "groups", 4)
    errors.check_choice("kind", "v", ("eps", "v"))
    errors.check_number("eta", 0, 0, 1)
    for number in (np.float32(0.5), np.float64(0.5), np.int64(1)):
        errors.check_number("eta", number, 0, 1)
        errors.check_positive("lr", number)
