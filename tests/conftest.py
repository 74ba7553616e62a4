"""Fixtures that all tests share: the array module, the stand-in for CuPy, and what happens without a GPU."""

import functools
import signal
import sys

import numpy as np
import pytest
import strict_cupy as stand_in

from tinydiff.base import DeviceError
from tinydiff.base import arrays as backend

NO_GPU = pytest.StashKey[str]()


def pytest_addoption(parser):
    parser.addoption("--gpu", action="store_true", help="run only the tests on real CuPy arrays, same as -m gpu")


def pytest_configure(config):
    if config.getoption("gpu"):
        config.option.markexpr = "gpu"
    # A shell starts what runs in the background deaf to Ctrl-C, nohup what it runs deaf to the end of the terminal, and
    # children inherit that; some tests send both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and (reason := why_no_gpu()):
        item.config.stash[NO_GPU] = reason
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter, config):
    if NO_GPU in config.stash:
        terminalreporter.section("no test was run on a GPU", yellow=True)
        terminalreporter.line(config.stash[NO_GPU])


@functools.cache
def why_no_gpu():
    """Return None where CuPy can use a GPU, else one line that says why it cannot."""
    try:
        backend.select_device("cuda")
    except DeviceError as error:
        return str(error)
    return None


@pytest.fixture
def strict_cupy(monkeypatch):
    """The strict stand-in, in the place of `cupy` and `cupyx` while the test runs."""
    modules = stand_in.make()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    backend._probe_gpu.cache_clear()  # it remembers the GPU that it found
    yield modules["cupy"]
    backend._probe_gpu.cache_clear()


@pytest.fixture(params=["numpy", "strict-cupy", pytest.param("cupy", marks=pytest.mark.gpu)])
def xp(request):
    """The array module: NumPy, the strict stand-in and, in ``pytest -m gpu`` on a machine with a GPU, CuPy."""
    if request.param == "numpy":
        return np
    return request.getfixturevalue("strict_cupy") if request.param == "strict-cupy" else pytest.importorskip("cupy")
