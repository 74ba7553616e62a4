"""The example of one page is a twin of the library: from the same weights and noise come the same numbers."""

import ast
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinydiff.diffusion import GaussianDiffusion, cosine_schedule, ddpm, last, predictor
from tinydiff.functional import mse, mse_backward
from tinydiff.networks import UNet, UNetConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "one_page_ddpm.py"
SOURCE = EXAMPLE.read_text(encoding="utf-8")


@pytest.fixture
def page():
    """The example as a module, new for every test, so that a test may change its constants."""
    spec = importlib.util.spec_from_file_location("one_page_ddpm", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def new_unet(page, dtype):
    config = UNetConfig(
        image_size=8,
        channels=page.CHANNELS,
        channel_mult=(1, 1),
        blocks_per_level=1,
        heads=1,
        groups=page.GROUPS,
        num_classes=10,
    )
    return UNet(config, np.random.default_rng(0), dtype)


def random_unet(page):
    """A UNet in float64, away from its initial state, where zero-initialised layers would hide mistakes.

    Only the attention's last projection stays at zero: so it adds nothing, and the page does without it.
    """
    unet, rng = new_unet(page, np.float64), np.random.default_rng(1)
    for name, parameter in unet.named_parameters().items():
        if ".attention.proj." not in name:
            parameter.value[...] += 0.1 * rng.standard_normal(parameter.value.shape)
    return unet


def values_of(unet):
    return {name: parameter.value for name, parameter in unet.named_parameters().items()}


def by_layer(named):
    """Arrays as the page holds them, layer -> [weight, bias], less what only the library has: attention, "no class"."""
    layers = {}
    for name, array in named.items():
        if ".attention." not in name:
            array = array[:10] if name == "embed.label.table" else array
            layers.setdefault(name.rpartition(".")[0], []).append(array)
    return layers


def some_digits(n, dtype=np.float64):
    rng = np.random.default_rng(2)
    x_0, eps = rng.uniform(-1, 1, (n, 8, 8, 1)).astype(dtype), rng.standard_normal((n, 8, 8, 1)).astype(dtype)
    return x_0, eps, rng.integers(0, 10, n)


def test_from_the_same_weights_the_loss_and_every_gradient_are_the_librarys(page):
    unet, diffusion = random_unet(page), GaussianDiffusion(cosine_schedule(page.T, max_beta=1))
    (x_0, eps, labels), t = some_digits(6), np.array([1, 2, 50, 100, page.T - 1, page.T])
    tape, grads = Tape(), Gradients(unet.parameters())
    v_hat = unet.forward(diffusion.q_sample(x_0, t, eps), t, labels, tape)
    loss, cache = mse(v_hat, diffusion.v_from(x_0, eps, t))
    d_v_hat, _ = mse_backward(1.0, cache)
    unet.backward(d_v_hat, tape, grads)
    expected = by_layer(grads.named())

    theta, alpha_bar = by_layer(values_of(unet)), page.cosine_schedule()
    page_loss, page_grads = page.loss_and_gradients(theta, alpha_bar, x_0, t, eps, labels)

    assert page_loss == pytest.approx(loss, rel=1e-10)
    assert page_grads.keys() == expected.keys()
    for layer, arrays in expected.items():
        for mine, librarys in zip(page_grads[layer], arrays, strict=True):
            size = np.abs(librarys).max()
            assert size > 0, layer
            np.testing.assert_allclose(mine, librarys, rtol=1e-10, atol=1e-10 * size, err_msg=layer)


def test_new_weights_have_the_librarys_names_shapes_and_zeros(page):
    theta, expected = page.initial_weights(np.random.default_rng(0)), by_layer(values_of(new_unet(page, np.float32)))

    def describe(layers):
        return {layer: [(w.shape, w.dtype, bool(w.any())) for w in arrays] for layer, arrays in layers.items()}

    assert describe(theta) == describe(expected)


def test_with_float32_weights_all_gradients_and_samples_are_float32(page, monkeypatch):
    monkeypatch.setattr(page, "T", 3)
    theta, alpha_bar = page.initial_weights(np.random.default_rng(0)), page.cosine_schedule()
    x_0, eps, labels = some_digits(3, np.float32)
    loss, grads = page.loss_and_gradients(theta, alpha_bar, x_0, np.array([1, 2, 3]), eps, labels)
    sample = page.sample(theta, alpha_bar, eps, labels, np.random.default_rng(0))
    for array in (loss, sample, *(g for arrays in grads.values() for g in arrays)):
        assert array.dtype == np.float32


def test_the_schedule_is_the_librarys(page):
    np.testing.assert_allclose(page.cosine_schedule(), cosine_schedule(page.T, max_beta=1), rtol=1e-10, atol=1e-15)


def test_steps_of_adamw_are_the_librarys(page):
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((3, 4)), rng.standard_normal(4)
    flat, decayed = np.concatenate([w.ravel(), b]), np.repeat([1.0, 0.0], [12, 4])  # matrices alone decay
    optimizer = AdamW(flat, decayed, weight_decay=0.01)
    theta, moments = {"layer": [w, b]}, {"layer": [(np.zeros((3, 4)), np.zeros((3, 4))), (np.zeros(4), np.zeros(4))]}
    for step in (1, 2, 3):
        g = rng.standard_normal(16)
        optimizer.step(g, lr=0.1)
        page.adamw(theta, {"layer": [g[:12].reshape(3, 4), g[12:]]}, moments, step, lr=0.1)
    np.testing.assert_allclose(np.concatenate([w.ravel(), b]), flat, rtol=1e-10)


class SameNoise:
    """Hands the library's sampler what a NumPy generator draws."""

    def __init__(self, rng):
        self.rng = rng

    def at(self, **_):
        return self

    def normal(self, shape, *_, dtype, layer=""):
        return self.rng.standard_normal(shape, dtype)


def test_from_the_same_noise_the_sampler_ends_where_the_librarys_ends(page, monkeypatch):
    monkeypatch.setattr(page, "T", 12)
    unet, diffusion = random_unet(page), GaussianDiffusion(cosine_schedule(page.T, max_beta=1))
    _, x_T, labels = some_digits(4)
    predict, noise = predictor(unet.forward, diffusion, kind="v"), SameNoise(np.random.default_rng(3))
    expected = last(ddpm(predict, diffusion, x_T, variance="beta_tilde", noise=noise, context=labels))
    theta, rng = by_layer(values_of(unet)), np.random.default_rng(3)
    np.testing.assert_allclose(page.sample(theta, page.cosine_schedule(), x_T, labels, rng), expected, atol=1e-10)
    assert np.mean(np.abs(expected) < 1) > 0.5  # clipped numbers would agree whatever led to them


def test_it_is_one_page_of_numpy_and_the_standard_library():
    nodes = list(ast.walk(ast.parse(SOURCE)))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {"numpy"} | sys.stdlib_module_names
    assert "import_module" not in SOURCE
    assert "__import__" not in SOURCE
    assert len(SOURCE.splitlines()) <= 350


def test_a_picture_shows_every_image_in_its_place(page):
    x = np.linspace(-1.5, 1.5, 20 * 64).reshape(20, 8, 8, 1)
    picture = np.asarray(Image.open(io.BytesIO(page.png(x))))
    assert picture.shape == (2 * 60, 10 * 60)
    tile = picture[60:120, 120:180]  # second row, third column
    assert not np.delete(tile, slice(6, 54), axis=0).any()  # the margin
    np.testing.assert_array_equal(tile[6:54:6, 6:54:6], np.rint((np.clip(x[12, ..., 0], -1, 1) + 1) * 127.5))
    np.testing.assert_array_equal(tile, tile[::6, ::6].repeat(6, axis=0).repeat(6, axis=1))


@pytest.fixture
def small(page, monkeypatch):
    """The example with less to do."""
    for name, value in {"T": 3, "CHANNELS": 8, "BATCH": 4}.items():
        monkeypatch.setattr(page, name, value)
    return page


def test_a_run_tells_its_loss_and_leaves_a_picture(small, tmp_path, capsys):
    out = tmp_path / "digits.png"
    small.main(["--steps", "3", "--seed", "1", "--out", str(out)])
    with Image.open(out) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (600, 600))
    assert [path.name for path in tmp_path.iterdir()] == ["digits.png"]
    assert "step 3 of 3: loss" in capsys.readouterr().out


def test_the_seed_decides_the_picture(small, tmp_path):
    pictures = []
    for i, seed in enumerate("112"):
        small.main(["--steps", "1", "--seed", seed, "--out", str(tmp_path / f"{i}.png")])
        pictures.append((tmp_path / f"{i}.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--steps", "many"], "--steps is 'many'"),
        (["--steps", "2.5"], "--steps is '2.5'"),
        (["--seed", "-1"], "--seed is '-1'"),
        (["--out", "no/such/folder/digits.png"], "no/such/folder"),
        (["--out", "."], "--out is ."),
        (["--step-size", "3"], "--step-size"),
    ],
)
def test_a_wrong_argument_ends_with_status_2_and_a_sentence(page, arguments, word, capsys):
    with pytest.raises(SystemExit) as stop:
        page.main(arguments)
    assert stop.value.code == 2
    assert word in capsys.readouterr().err


def test_without_the_data_it_says_what_is_missing(page, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(page, "DATA", tmp_path / "digits.npz")
    with pytest.raises(SystemExit) as stop:
        page.main([])
    assert stop.value.code == 1
    assert "digits.npz is missing" in capsys.readouterr().err
