"""Which files of weights are taken: floating types, finite numbers, and no network larger than its file."""

import json

import numpy as np
import pytest
import safetensors.numpy
from model_folders import MAKERS, config_of, make, refused, rewrite, theta_of

from tinydiff.models import load, save
from tinydiff.nn import parameter


def with_changed(folder, name, change):
    path = folder / "model.safetensors"
    arrays = safetensors.numpy.load(path.read_bytes())
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    path.write_bytes(safetensors.numpy.save(arrays))


@pytest.mark.parametrize(("change", "words"), [
    (lambda a: a > 0, "holds stem.weight as BOOL"),
    (lambda a: a.astype(np.int8), "holds stem.weight as I8"),
    (lambda a: a.astype(np.int64), "holds stem.weight as I64"),
    (lambda a: np.full_like(a, np.nan), "NaN or infinity in stem.weight"),
    (lambda a: np.full_like(a, -np.inf), "NaN or infinity in stem.weight"),
    (lambda a: np.full(a.shape, 1e39), "numbers beyond those of float32 in stem.weight"),
    (lambda a: a[:0], "more weights than the 41,665 that model.safetensors holds"),
])  # fmt: skip
def test_what_is_no_number_is_refused_with_the_parameter_s_name(tmp_path, change, words):
    save(tmp_path, make())
    with_changed(tmp_path, "stem.weight", change)
    refused(tmp_path, "model.safetensors", words)


@pytest.mark.parametrize("dtype", ["C64", "BF16", "F8_E4M3"])
def test_types_that_numpy_lacks_are_named(tmp_path, dtype):
    save(tmp_path, make())
    path = tmp_path / "model.safetensors"
    size = {"C64": 8, "BF16": 2, "F8_E4M3": 1}[dtype]
    header = json.dumps({"stem.weight": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2 * size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2 * size))
    sentence = "holds stem.weight as" if dtype != "C64" else "cannot be read"
    with pytest.raises(OSError, match=f"({sentence})|(more weights than the 2 that)"):
        load(tmp_path)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_numbers_of_16_and_64_bits_become_those_of_the_network(tmp_path, dtype):
    save(tmp_path, make())
    before = theta_of(load(tmp_path)).copy()
    with_changed(tmp_path, "stem.weight", lambda a: a.astype(dtype))
    after = theta_of(load(tmp_path))
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, before, atol=1e-3)


def leaves(table, inside=()):
    for name, value in table.items():
        yield from leaves(value, (*inside, name)) if isinstance(value, dict) else [((*inside, name), value)]


def put(table, path, value):
    *inside, last = path
    for name in inside:
        table = table[name]
    table[last] = value


@pytest.mark.parametrize("maker", MAKERS)
def test_a_huge_number_anywhere_in_config_json_is_refused_before_anything_large_is_made(tmp_path, maker, monkeypatch):
    """No parameter is made that is larger than the file; every whole number and list of the configuration is tried."""
    save(tmp_path, maker())
    config = config_of(tmp_path)
    in_file = theta_of(load(tmp_path)).size
    largest = 0
    check = parameter._Allowance.check

    def watched(self, shape):
        nonlocal largest
        check(self, shape)
        largest = max(largest, int(np.prod(shape)))

    monkeypatch.setattr(parameter._Allowance, "check", watched)
    harmless = {
        "micro_batch",
        "image_size",
        "T",
        "time_offset",
        "heads",
        "groups",
    }  # not sizes of weights; other bounds
    for path, value in list(leaves(config["config"], ("config",))):
        is_size = type(value) is int or (isinstance(value, list) and value)
        for huge in (4096, 10**6, 10**9, 10**12) if is_size else ():
            changed = json.loads(json.dumps(config))
            put(changed, path, [huge] * 3 if isinstance(value, list) else huge)
            rewrite(tmp_path, changed)
            if path[-1] not in harmless or huge > 10**6:
                refused(tmp_path, "config.json")
    assert 0 < largest <= in_file
