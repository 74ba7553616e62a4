"""Training autoencoders: the loss is written out, they learn, go on bit for bit, and know their latents' scale."""

import dataclasses
import math

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError, Noise
from tinydiff.data import Dataset, load_data, to_floats, to_images
from tinydiff.functional import edge_loss, kl_to_standard_normal, mae
from tinydiff.models import LatentAutoencoder, load
from tinydiff.networks import Autoencoder, AutoencoderConfig, PatchDiscriminator, PatchDiscriminatorConfig
from tinydiff.nn import Gradients
from tinydiff.train import Reconstruct, ReconstructConfig, Run
from tinydiff.train.pictures import psnr

DIGITS, TEST = load_data("digits", "train"), load_data("digits", "test")
CONFIG = ReconstructConfig(steps=4, batch=12, micro_batch=5, save_every=2, validation_images=20, kl=0.01, edge=0.25)


def make(config=CONFIG, data=DIGITS, seed=0, dtype=np.float32, validation=TEST):
    network = Autoencoder(AutoencoderConfig(8, 1, 8, (1, 2), 1, 2), np.random.default_rng(seed), dtype)
    return Reconstruct(LatentAutoencoder(network, micro_batch=4, threads=1), data, config, validation)


class Drawn:
    """Images that are made when they are asked for: no array of them all, and an identity of its own."""

    name = "drawn"

    def __len__(self):
        return 1000

    def batch(self, indices, xp=np):
        images = np.stack([np.full((8, 8, 1), 2 * (i % 10) / 9 - 1, np.float32) for i in indices])
        return xp.asarray(images), xp.zeros(len(indices), int)

    def describe(self):
        return "drawn: 1000 grey squares"

    def identity(self):
        return {"recipe": "grey squares"}


@pytest.mark.equation("VAE-5")
@pytest.mark.equation("VAE-7")
@pytest.mark.parametrize("equivariance", [0.0, 0.75])
def test_loss_and_gradient_are_those_of_the_whole_batch(equivariance):
    """The loss is written out for the batch at once, and the gradient compared with its finite differences."""
    objective = make(dataclasses.replace(CONFIG, equivariance=equivariance), Float64(DIGITS), dtype=np.float64)
    network, config = objective.network, objective.config
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape)
    x, _ = objective.data.batch(objective.indices(3))
    eps = Noise(config.seed, step=3).normal((12, 4, 4, 2), "eps", dtype=np.float64)

    def loss(theta):
        bound = network.bind(theta)
        x_hat, mean, log_variance = bound.forward(x, eps)
        halves = mean.reshape(12, 2, 2, 2, 2, 2).mean(axis=(2, 4)), x.reshape(12, 4, 2, 4, 2, 1).mean(axis=(2, 4))
        at_half_size = abs(bound.decode(halves[0]) - halves[1]).mean()
        terms = mae(x_hat, x)[0], edge_loss(x_hat, x)[0], kl_to_standard_normal(mean, log_variance)[0]
        return float(terms[0] + 0.25 * terms[1] + 0.01 * terms[2] + equivariance * at_half_size)

    grads = Gradients(network.parameters())
    found = sum(float(objective.add_gradient(3, shard, grads)) for shard in range(config.shards))
    assert found == pytest.approx(loss(network.theta), rel=1e-12)
    v, h = np.random.default_rng(2).standard_normal(network.theta.shape), 1e-6
    by_theta = (loss(network.theta + h * v) - loss(network.theta - h * v)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-5)


class Float64:
    """A data set in double precision."""

    name = "digits"

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def batch(self, indices, xp=np):
        images, labels = self.data.batch(indices, xp)
        return images.astype(np.float64), labels


def test_without_edges_the_loss_is_l1_and_kl_alone():
    with_edges, without = make(), make(dataclasses.replace(CONFIG, edge=0.0, kl=0.0))
    x, _ = DIGITS.batch(np.arange(3))
    loss, d_x_hat = without.reconstruction(x * 0, x, 0.5)
    assert float(loss) == pytest.approx(float(abs(x).mean()), rel=1e-6)
    np.testing.assert_allclose(d_x_hat, -0.5 * np.sign(x) / x.size, rtol=1e-6)
    more, _ = with_edges.reconstruction(x * 0, x, 0.5)
    assert float(more) == pytest.approx(float(loss) + 0.25 * float(edge_loss(x * 0, x)[0]), rel=1e-6)


@pytest.mark.slow
def test_averaged_latents_learn_to_decode_to_the_averaged_image():
    """Without the loss of half size, a decoder draws smaller latents no better than it must."""
    x, _ = TEST.batch(np.arange(50))
    halved = x.reshape(50, 4, 2, 4, 2, 1).mean(axis=(2, 4))
    errors = []
    for weight in (0.0, 1.0):
        run = Run(make(dataclasses.replace(CONFIG, steps=40, lr=5e-3, warmup=5, ema=None, equivariance=weight)))
        run.run(progress=False)
        mean, _ = run.objective.network.encode(x)
        decoded = run.objective.network.decode(mean.reshape(50, 2, 2, 2, 2, 2).mean(axis=(2, 4)))
        errors.append(abs(decoded - halved).mean())
    assert errors[1] < 0.7 * errors[0]


def test_latents_of_an_odd_side_have_no_half():
    network = Autoencoder(AutoencoderConfig(10, 1, 8, (1, 2), 1, 2))
    pictures = Dataset(np.zeros((4, 10, 10, 1), np.uint8), np.zeros(4, int), "odd", "train", "zeros")
    with pytest.raises(InputError, match=r"image_size is 10 x 10.*8 x 8 or 12 x 12"):
        Reconstruct(LatentAutoencoder(network), pictures, dataclasses.replace(CONFIG, equivariance=1.0))


@pytest.mark.slow
def test_it_learns_digits_and_knows_the_scale_of_its_latents():
    config = dataclasses.replace(CONFIG, steps=150, batch=32, micro_batch=16, lr=5e-3, warmup=10, ema=0.9, kl=1e-4)
    run = Run(make(config), threads=1)
    before = run.validate()
    run.run(progress=False)
    after = run.validate()
    mean_of_all = DIGITS.batch(np.arange(len(DIGITS)))[0].mean(axis=0)
    x, _ = TEST.batch(np.arange(20))
    assert after["psnr"] > psnr(np.broadcast_to(mean_of_all, x.shape), x) + 3  # the mean digit knows nothing of x
    assert after["psnr"] > before["psnr"] + 5
    assert after["validation_loss"] < before["validation_loss"] / 2
    model = run.trained()
    latents = model.encode(DIGITS.batch(np.arange(len(DIGITS)))[0])
    np.testing.assert_allclose(latents.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std(axis=(0, 1, 2)), 1, rtol=1e-4)
    decoded = model.decode(model.encode(x))
    assert psnr(decoded, x) == pytest.approx(after["psnr"], abs=1e-3)


@pytest.mark.slow
def test_a_large_weight_pulls_the_latents_to_standard_normal_numbers():
    free, bound = (dataclasses.replace(CONFIG, steps=60, lr=5e-3, warmup=5, ema=None, kl=kl) for kl in (0.0, 10.0))
    figures = []
    for config in (free, bound):
        run = Run(make(config), threads=1)
        run.run(progress=False)
        figures.append(run.validate())
    assert figures[1]["kl"] < 0.5 < 2 < figures[0]["kl"]
    assert figures[1]["psnr"] < figures[0]["psnr"]  # and then they say little of the image


@pytest.mark.slow
@pytest.mark.parametrize("data", [DIGITS, Drawn()], ids=["stored", "drawn"])
def test_a_run_goes_on_bit_for_bit_and_leaves_an_autoencoder(tmp_path, data):
    whole = Run(make(data=data, validation=data), tmp_path, threads=1)
    whole.run(progress=False)
    (tmp_path / "step-00000004.safetensors").unlink()
    again = Run(make(data=data, validation=data), tmp_path, threads=3)
    assert again.step == 2
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().network.theta, whole.trained().network.theta)
    saved = load(tmp_path, kind=LatentAutoencoder)
    assert saved.checksum() == whole.trained().checksum() == again.trained().checksum()
    assert saved.micro_batch == 4
    assert load(tmp_path / "best").std != (1.0, 1.0)


@pytest.mark.slow
def test_threads_and_processes_give_the_same_bits():
    thetas = []
    for workers in ({"threads": 1}, {"threads": 2, "processes": False}, {"threads": 2, "processes": True}):
        run = Run(make(), **workers)
        run.run(progress=False)
        thetas.append(run.trained().network.theta.copy())
    for theta in thetas[1:]:
        np.testing.assert_array_equal(theta, thetas[0])


def test_a_run_is_not_gone_on_with_other_data(tmp_path):
    Run(make(), tmp_path, threads=1).run(progress=False)
    with pytest.raises(InputError, match="The data are not those that the run in"):
        Run(make(data=DIGITS.take(np.arange(len(DIGITS))[::-1])), tmp_path)


def test_data_that_are_drawn_say_themselves_what_they_are(tmp_path, monkeypatch):
    Run(make(data=Drawn()), tmp_path, threads=1).run(progress=False)
    assert Run(make(data=Drawn()), tmp_path).step == 4
    monkeypatch.setattr(Drawn, "identity", lambda self: {"recipe": "black squares"})
    with pytest.raises(InputError, match="The data are not those that the run in"):
        Run(make(data=Drawn()), tmp_path)


def test_the_step_runs_under_both_array_modules(xp):
    here = make()
    network = make().network
    there = Reconstruct(LatentAutoencoder(network.bind(to_xp(xp, network.theta)), micro_batch=4), DIGITS, CONFIG, TEST)
    expected, run = Run(here).train_step(), Run(there)
    assert float(run.train_step()["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
    assert run.validate().keys() == {"validation_loss", "psnr", "kl"}
    assert len(run.trained().std) == 2


def test_latents_are_measured_over_some_images_spread_evenly(monkeypatch):
    objective, asked = make(dataclasses.replace(CONFIG, latent_images=300), data=Drawn()), []
    batch = Drawn.batch
    monkeypatch.setattr(Drawn, "batch", lambda self, indices, xp=np: asked.append(indices) or batch(self, indices, xp))
    objective.trained(objective.network)
    indices = np.concatenate(asked)
    assert max(map(len, asked)) <= 256
    assert len(set(indices.tolist())) == 300
    assert set(np.diff(indices)) <= {3, 4}


def test_psnr_is_of_bytes_and_pooled():
    x = np.random.default_rng(0).integers(10, 200, (3, 4, 4, 1)).astype(np.uint8)
    off = x.copy()
    off[0] += 6  # one of three images is off by 6 everywhere
    assert psnr(to_floats(off), to_floats(x)) == pytest.approx(10 * math.log10(255**2 / 12))
    assert psnr(to_floats(x), to_floats(x)) == pytest.approx(10 * math.log10(255**2 * 48))
    far = to_floats(x) + 3
    assert psnr(far, to_floats(x)) == psnr(to_floats(to_images(far)), to_floats(x))  # as it is shown: clipped


def test_bad_arguments():
    colour = Dataset(np.zeros((2, 8, 8, 3), np.uint8), np.zeros(2, int), "mine", "all", "here")
    for call, words in [
        (lambda: make(data=DIGITS.take(slice(0, 0))), "data is empty"),
        (lambda: make(data="digits"), "data is 'digits', but a Dataset was expected"),
        (lambda: make(data=colour), r"data has images of shape \(8, 8, 3\), but the network's are \(8, 8, 1\)"),
        (lambda: make(validation=colour), "validation has images of shape"),
        (lambda: dataclasses.replace(CONFIG, kl=-1), "kl is -1"),
        (lambda: dataclasses.replace(CONFIG, edge=math.nan), "edge is nan"),
        (lambda: dataclasses.replace(CONFIG, latent_images=0), "latent_images is 0"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
    with pytest.raises(InputError, match="no held-out samples"):
        Run(make(validation=None)).validate()


@pytest.mark.parametrize("adversarial", [0.0, 0.5])
def test_a_decoder_learns_while_its_encoder_stands_still(adversarial, tmp_path):
    config = dataclasses.replace(CONFIG, decoder_only=True, adversarial=adversarial)
    start = make().model
    model = dataclasses.replace(start, network=start.network.bind(start.network.theta.copy()))
    discriminator = PatchDiscriminator(PatchDiscriminatorConfig(1, 4, 1)) if adversarial else None
    objective = Reconstruct(model, DIGITS, config, TEST, discriminator=discriminator)
    Run(objective, tmp_path, threads=1).run(progress=False)
    trained = load(tmp_path)
    assert trained.checksum() == start.checksum()
    before, after = (found.network.named_parameters() for found in (start, trained))
    moved = {name for name in before if (before[name].value != after[name].value).any()}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)


def test_an_encoder_that_stands_still_does_not_decay():
    with pytest.raises(InputError, match=r"weight_decay is 0.1, which would move the encoder"):
        ReconstructConfig(decoder_only=True, weight_decay=0.1)
