"""The stand-in for CuPy refuses what CuPy refuses, and computes what NumPy computes."""

import copy

import numpy as np
import pytest
from arrays import assert_close, assert_equal, no_synchronisation, to_host, to_xp
from strict_cupy import NAMESPACE, Synchronisation, signature_of

from tinydiff.base import InputError, Noise, to_numpy, xp_of

X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def x(strict_cupy):
    return strict_cupy.asarray(X)


HIDDEN_COPIES = {
    "asarray": np.asarray,
    "array of arrays": lambda x: np.array([x, x]),
    "numpy reduction": np.mean,
    "numpy ufunc": np.sin,
    "numpy function": lambda x: np.concatenate([x, x]),
    "numpy matmul": lambda x: np.ones((3, 3)).dot(x),
    "numpy testing": lambda x: np.testing.assert_allclose(x, x),
    "buffer": memoryview,
    "list of numpy rows": lambda x: np.stack(list(x)),
}


@pytest.mark.parametrize("name", HIDDEN_COPIES)
def test_no_hidden_copy_to_the_host(x, name):
    with pytest.raises(TypeError):
        HIDDEN_COPIES[name](x)
    assert not hasattr(x, "__array_interface__")
    assert not hasattr(x, "__dlpack__")


MIXTURES = {
    "array + numpy": lambda xp, x: x + X,
    "numpy + array": lambda xp, x: X + x,
    "numpy @ array": lambda xp, x: X.T @ x,
    "numpy 0-d": lambda xp, x: x * np.array(2.0),
    "comparison": lambda xp, x: x == X,
    "in place": lambda xp, x: x.__iadd__(X),
    "numpy in place": lambda xp, x: X.copy().__iadd__(x),
    "function": lambda xp, x: xp.maximum(x, X),
    "list": lambda xp, x: xp.concatenate([x, X]),
    "keyword": lambda xp, x: xp.sum(x, out=np.zeros(())),
    "out": lambda xp, x: xp.add(x, 1, out=X.copy()),
    "assignment": lambda xp, x: x.__setitem__(0, X[0]),
    "index": lambda xp, x: x[np.array([0, 1])],
    "where": lambda xp, x: xp.where(X > 3, x, 0),
    "add.at": lambda xp, x: xp.add.at(x, (xp.asarray([0]),), X[:1]),
    "a plain list": lambda xp, x: xp.sum([1.0, 2.0]),
    "array + list": lambda xp, x: x + [1, 2, 3, 4],
}


@pytest.mark.parametrize("name", MIXTURES)
def test_arrays_of_two_devices_do_not_mix(strict_cupy, x, name):
    with pytest.raises(TypeError):
        MIXTURES[name](strict_cupy, x)


def test_names_that_cupy_lacks_are_missing(strict_cupy, x):
    for name in ("insert", "geomspace", "vecdot", "unstack", "errstate", "nditer", "memmap", "block"):
        assert hasattr(np, name) or name == "unstack"  # which came with NumPy 2.1
        assert not hasattr(strict_cupy, name)
    assert not hasattr(strict_cupy.linalg, "vector_norm")
    for name in ("setflags", "getfield", "ctypes"):
        assert hasattr(X, name)
        assert not hasattr(x, name)


KEYWORDS_CUPY_LACKS = {
    "ufunc where": lambda xp, x: xp.exp(x, where=x > 0),
    "sum where": lambda xp, x: xp.sum(x, where=x > 0),
    "sum initial": lambda xp, x: xp.sum(x, initial=0),
    "max initial": lambda xp, x: x.max(initial=0),
    "mean where": lambda xp, x: x.mean(where=x > 0),
    "take mode": lambda xp, x: xp.take(x, xp.asarray([0]), mode="clip"),
    "clip min": lambda xp, x: xp.clip(x, min=0, max=1),
    "einsum out": lambda xp, x: xp.einsum("ij->i", x, out=xp.zeros(3)),
    "item index": lambda xp, x: x.item(0),
}


@pytest.mark.parametrize("name", KEYWORDS_CUPY_LACKS)
def test_keywords_that_cupy_lacks_are_refused(strict_cupy, x, name):
    with pytest.raises(TypeError):
        KEYWORDS_CUPY_LACKS[name](strict_cupy, x)


def test_what_exists_in_cupy_but_not_here_says_so(strict_cupy, x):
    with pytest.raises(NotImplementedError, match="tests/strict_cupy"):
        strict_cupy.RawKernel  # noqa: B018
    with pytest.raises(NotImplementedError, match="mdspan"):
        x.mdspan()
    with pytest.raises(NotImplementedError, match=r"subtract\.reduce"):
        strict_cupy.subtract.reduce(x)


def test_reductions_and_indexing_give_0d_arrays_and_views(strict_cupy, x):
    for zero_d in (x.sum(), strict_cupy.max(x), x[1, 2], strict_cupy.linalg.norm(x), x.mean() + 1, strict_cupy.sqrt(2)):
        assert isinstance(zero_d, strict_cupy.ndarray)
        assert zero_d.shape == ()
    assert isinstance(strict_cupy.array_equal(x, x), strict_cupy.ndarray)
    entry = x[1, 2]
    entry += 100
    assert x[1, 2].item() == 106
    assert x[..., 0].base is not None


SYNCHRONISING = {
    "float()": lambda xp, x: float(x[0, 0]),
    "int()": lambda xp, x: int(x[0, 0]),
    "bool()": lambda xp, x: 1 if x[0, 0] else 0,
    "item()": lambda xp, x: x.sum().item(),
    "get()": lambda xp, x: x.get(),
    "tolist()": lambda xp, x: x.tolist(),
    "str()": lambda xp, x: str(x),
    "indexing with a boolean mask": lambda xp, x: x[x > 3],
    "nonzero()": lambda xp, x: xp.nonzero(x),
    "where()": lambda xp, x: xp.where(x > 3),
    "eigh()": lambda xp, x: xp.linalg.eigh(x[:, :3]),
    "stream.synchronize()": lambda xp, x: xp.cuda.get_current_stream().synchronize(),
}


@pytest.mark.parametrize("what", SYNCHRONISING)
def test_synchronisations_are_noted_and_can_be_forbidden(strict_cupy, x, what):
    SYNCHRONISING[what](strict_cupy, x)
    assert strict_cupy.synchronisations == [what]
    with no_synchronisation(strict_cupy), pytest.raises(Synchronisation):
        SYNCHRONISING[what](strict_cupy, x)


def test_arithmetic_does_not_synchronise(strict_cupy, x):
    with no_synchronisation(strict_cupy):
        y = strict_cupy.where(x > 3, x @ x.T @ x, 0.0)
        y[x > 5] = 1.0
        y -= y.mean(axis=1, keepdims=True)
    assert strict_cupy.synchronisations == []


def test_moving_between_devices_copies(strict_cupy):
    host = X.copy()
    there = strict_cupy.asarray(host)
    back = there.get()
    host[0, 0], back[0, 1] = -1, -1
    assert_equal(there, X)
    there.set(X + 1)
    assert_equal(there, X + 1)


def test_uninitialised_memory_is_seen(strict_cupy):
    assert np.isnan(strict_cupy.empty((2, 2)).get()).all()
    assert np.isnan(strict_cupy.empty_like(strict_cupy.zeros(3)).get()).all()


def test_floating_point_errors_are_silent_as_on_a_gpu(strict_cupy):
    x = strict_cupy.zeros(2)
    assert np.isnan(((x / x) + strict_cupy.log(x)).get()).all()


def test_atomic_addition_has_cupys_dtypes(strict_cupy):
    sums = strict_cupy.zeros(3, dtype=strict_cupy.float32)
    strict_cupy.add.at(sums, strict_cupy.asarray([0, 2, 2]), 1.0)
    assert_equal(sums, np.array([1, 0, 2], np.float32))
    with pytest.raises(TypeError, match="int8"):
        strict_cupy.add.at(strict_cupy.zeros(3, dtype=strict_cupy.int8), strict_cupy.asarray([0]), 1)


def test_backend_tells_the_devices_apart(strict_cupy, x):
    assert xp_of(x) is strict_cupy
    assert xp_of(X) is np
    assert_equal(to_numpy(x), X)
    with pytest.raises(InputError, match="two devices"):
        xp_of(x, X)


def test_copies_are_deep_and_arrays_stay_hashless(x):
    twin = copy.deepcopy(x)
    twin += 1
    assert_equal(x, X)
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


@pytest.mark.parametrize("space", [name for name in NAMESPACE if name != "version"])
def test_every_stored_signature_can_be_read(space):
    for text in NAMESPACE[space].values():
        assert text.startswith("<") or signature_of(text) is not None


# On any array module.

COMPUTATIONS = {
    "ufunc out": lambda xp, x: xp.exp(x * 0.1, out=xp.empty_like(x)),
    "in place": lambda xp, x: x.copy().__imul__(2).__isub__(x),
    "casting": lambda xp, x: x.astype(xp.float64) + x,
    "python scalars are weak": lambda xp, x: x * 0.5 + 3,
    "0-d arrays are strong": lambda xp, x: x * xp.asarray(0.5, dtype=xp.float64),
    "reductions": lambda xp, x: xp.stack([x.sum(axis=0), x.mean(axis=0), x.var(axis=0), x.max(axis=0)]),
    "matmul into strided": lambda xp, x: strided_matmul(xp, x),
    "einsum": lambda xp, x: xp.einsum("ij,kj->ik", x, x, optimize=True),
    "pad": lambda xp, x: xp.pad(x, ((1, 2), (0, 1)), constant_values=3),
    "windows": lambda xp, x: xp.lib.stride_tricks.sliding_window_view(x, (2, 2)).sum(axis=(2, 3)),
    "strided": lambda xp, x: xp.lib.stride_tricks.as_strided(x, (3, 2, 2), (*x.strides, 4)).copy(),
    "fancy": lambda xp, x: x[xp.asarray([2, 0]), 1:],
    "fancy assignment": lambda xp, x: fancy_assignment(xp, x),
    "mask": lambda xp, x: x[x > 4],
    "norm": lambda xp, x: xp.linalg.norm(x, axis=1),
    "comparison": lambda xp, x: (x > 3) & (x < 9),
    "integers": lambda xp, x: (x.astype(xp.uint64) << 3) ^ 5,
    "repeat": lambda xp, x: x[:, :, None].repeat(2, axis=2).reshape(3, -1),
    "sort": lambda xp, x: xp.sort(-x, axis=0),
    "argsort": lambda xp, x: xp.argsort(-x[0]),
}


def strided_matmul(xp, x):
    out = xp.zeros((4, 3, 4), dtype=x.dtype)
    xp.matmul(xp.stack([x, x + 1, x + 2]), x.T @ x, out=out.transpose(1, 0, 2)[:, :3])
    return out


def fancy_assignment(xp, x):
    y = x.copy()
    y[xp.asarray([2, 0]), 1:3] = -1
    y[y > 7] = 0
    return y


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_results_are_those_of_numpy(xp, name):
    result = COMPUTATIONS[name](xp, to_xp(xp, X))
    expected = COMPUTATIONS[name](np, X.copy())
    assert isinstance(result, xp.ndarray)
    assert result.dtype == expected.dtype
    assert_close(result, expected, rtol=1e-5)


def test_out_is_returned_itself(xp):
    x = to_xp(xp, X)
    out = xp.empty_like(x)
    assert xp.add(x, 1, out=out) is out
    total = xp.empty((), dtype=x.dtype)
    assert x.sum(out=total) is total
    same = x
    same += 1
    assert same is x
    assert_equal(x, X + 1)


def test_casts_in_place_follow_numpy(xp):
    counts = xp.zeros(3, dtype=xp.int64)
    with pytest.raises(TypeError):
        counts += 0.5


def test_noise_is_the_same_on_every_device(xp):
    here, there = Noise(7), Noise(7, xp=xp)
    with no_synchronisation(xp):
        words = there.words(3, 5, "t")
        normal = there.normal((3, 4), "eps")
        order = there.permutation(9, "order")
    assert_equal(words, here.words(3, 5, "t"))
    assert_close(normal, here.normal((3, 4), "eps"), rtol=3e-7)
    assert_equal(order, here.permutation(9, "order"))


def test_helpers_can_fail(xp):
    x = to_xp(xp, X)
    with pytest.raises(AssertionError):
        assert_close(x, X + 1)
    with pytest.raises(AssertionError, match="shapes"):
        assert_close(x.sum(axis=0), X)
    with pytest.raises(AssertionError, match="dtypes"):
        assert_equal(x.astype(xp.float64), X)
    assert_equal(to_host(x), X)
