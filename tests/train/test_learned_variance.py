"""Training a network that also says the variance of a step (Nichol and Dhariwal 2021): gradient, folders, commands."""

import dataclasses

import numpy as np
import pytest
from squares import CONFIG, UNET, squares

from tinydiff.apps.cli import main
from tinydiff.base import InputError
from tinydiff.diffusion import variance_loss
from tinydiff.models import DiffusionModel, ModelConfig, Request, image_to_image, inpaint, load
from tinydiff.networks import UNet
from tinydiff.nn import Gradients
from tinydiff.train import Denoise, Run

SHAPE = dataclasses.replace(UNET, out_channels=2, dropout=0.0, channel_mult=(1,))


def make(folder=None, shape=SHAPE, validation=None, dtype=np.float32, **options):
    model = DiffusionModel(UNet(shape, np.random.default_rng(0), dtype), ModelConfig(shape, T=20), micro_batch=4)
    return Run(Denoise(model, squares(), dataclasses.replace(CONFIG, **options), validation), folder)


def in_float64(objective):
    """Give an objective data, and weights that are not at their beginning, in float64."""
    batch, rng = objective.data.batch, np.random.default_rng(0)
    of_data = {"batch": staticmethod(lambda i, xp=np, flip=None: (batch(i, xp, flip)[0].astype(float), None))}
    objective.data = type("Data", (), of_data | {"__len__": lambda self: 40})()
    objective.network.theta[:] += 0.05 * rng.standard_normal(objective.network.theta.shape)
    return objective


@pytest.mark.equation("IDDPM-16")
@pytest.mark.parametrize("times", ["uniform", "loss-aware"])
def test_a_micro_batch_adds_the_gradient_of_the_hybrid_loss(times):
    """That of differences, while what the bound takes for the mean stands still, as it does in the loss."""
    objective = in_float64(make(dtype=np.float64, variance_weight=0.3, times=times).objective)
    if times == "loss-aware":
        objective.history.squares_and_counts.value[:] = [np.linspace(1, 4, 20), np.full(20, 10)]
    network, of_bound, means = objective.network, objective.bound, []
    objective.bound = lambda predicted, *others: means.append(predicted) or of_bound(predicted, *others)

    def loss(flat):
        grads = Gradients(objective.phases[0].network.parameters(), flat)
        return sum(float(objective.add_gradient(0, shard, grads)) for shard in range(4))

    gradient = np.zeros_like(objective.phases[0].network.theta)
    loss(gradient)
    gradient = gradient[: network.theta.size]
    v, h, ends = np.random.default_rng(1).standard_normal(gradient.shape), 1e-5, []
    for sign in (1, -1):
        still = iter(means[:4])
        objective.bound = lambda predicted, *others, still=still: of_bound(next(still), *others)
        network.theta[:] += sign * h * v
        ends.append(loss(np.zeros_like(objective.phases[0].network.theta)))
        network.theta[:] -= sign * h * v
    assert gradient @ v == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)


@pytest.mark.equation("IDDPM-16")
def test_the_bound_moves_nothing_but_what_the_variance_is_said_by():
    """Without it, half of the head has no gradient; with it, the half that predicts has the same as before."""
    found = []
    for weight in (0.0, 0.7):
        objective = in_float64(make(dtype=np.float64, variance_weight=weight).objective)
        grads = Gradients(objective.network.parameters())
        objective.add_gradient(0, 0, grads)
        found.append(
            next(
                g
                for name, g in grads.named().items()
                if name.endswith("head.2.weight") or ("head" in name and g.ndim == 4)
            ).copy()
        )
    without, with_bound = found
    np.testing.assert_array_equal(without[..., 1], 0)
    assert (with_bound[..., 1] != 0).any()
    np.testing.assert_allclose(with_bound[..., 0], without[..., 0], rtol=1e-12)


@pytest.mark.equation("IDDPM-16")
def test_what_the_bound_adds_is_lambda_times_T_terms():
    objective, rng = make(dtype=np.float64, variance_weight=0.25).objective, np.random.default_rng(0)
    predicted, said, x_0, x_t = rng.normal(size=(4, 3, 8, 8, 1))
    t = np.array([1, 7, 20])
    losses, _ = objective.bound(predicted, said, x_0, x_t, t, 1.0, None)
    x_0_hat = objective.diffusion.x_0_from_v(x_t, t, predicted)
    terms, _ = variance_loss(objective.diffusion, x_0, x_0_hat, t, said)
    np.testing.assert_allclose(losses, 0.25 * 20 * terms.mean(axis=(1, 2, 3)), rtol=1e-12)


def test_such_a_model_is_saved_loaded_and_drawn_with(tmp_path):
    trainer = make(tmp_path, validation=squares(8, 1))
    trainer.run(progress=False)
    model, fresh = trainer.trained(), load(tmp_path)
    assert fresh.config.learns_variance
    request = Request(n=3, labels=1, guidance=2.0, seed=5)
    mine, its = (one.draw(request, "ddpm", 3) for one in (model, fresh))
    np.testing.assert_array_equal(mine, its)
    assert abs(mine - model.draw(request, "ddpm", 3, variance="beta")).max() > 1e-3
    pictures = squares(2, 3).batch(np.arange(2))[0]
    assert image_to_image(fresh, pictures, steps=4).shape == pictures.shape
    assert inpaint(fresh, pictures, np.ones((1, 8, 8, 1), np.float32), steps=2, resample=1).shape == pictures.shape


def test_a_model_with_a_fixed_variance_has_no_use_for_the_settings(tmp_path):
    shape = dataclasses.replace(SHAPE, out_channels=None)
    with pytest.raises(InputError, match=r"variance_weight is 0\.5, but the network does not learn the variance"):
        make(shape=shape, variance_weight=0.5)
    trainer = make(shape=shape)
    trainer.train_step()
    with pytest.raises(InputError, match="variance is 'learned', but predict says none"):
        trainer.trained().draw(Request(n=2), "ddpm", 2, variance="learned")


def test_what_does_not_go_together_is_refused():
    with pytest.raises(InputError, match=r"offset_noise is 0\.1, but the bound"):
        make(offset_noise=0.1)
    with pytest.raises(InputError, match=r"out_channels is 3, but v has as many channels as the image: 1, or 2 with a"):
        ModelConfig(dataclasses.replace(SHAPE, out_channels=3))


@pytest.mark.slow
def test_it_can_be_chosen_on_the_command_line(tmp_path, capsys):
    tiny = ["--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2"]
    tiny += ["--train.steps", "1", "--train.batch", "4", "--train.validation-images", "4", "--train.warmup", "0"]
    out, pictures = str(tmp_path / "run"), ["--n", "1", "--steps", "2", "--no-gif", "--out", str(tmp_path / "drawn")]
    assert main(["train", *tiny, "--variance", "learned", "--out", out]) == 0
    assert load(out).config.denoiser.out_channels == 2
    assert main(["sample", "--model", out, *pictures]) == 0
    assert "has learned the variance of a step, of which dpmpp_2m makes no use; ddpm does" in capsys.readouterr().out
    assert main(["sample", "--model", out, "--sampler", "ddpm", *pictures]) == 0
    assert "makes no use" not in capsys.readouterr().out
    assert main(["train", *tiny, "--start-from", out, "--out", str(tmp_path / "on")]) == 0
    assert load(tmp_path / "on").config.learns_variance
    assert main(["train", *tiny, "--start-from", out, "--variance", "fixed", "--out", str(tmp_path / "off")]) == 0
    assert not load(tmp_path / "off").config.learns_variance
    wrong = ["--variance", "learned", "--unet.out-channels", "1", "--out", str(tmp_path / "wrong")]
    assert main(["train", *tiny, *wrong]) != 0
    assert "unet.out-channels is 1, but a network whose variance is learned has 2 here" in capsys.readouterr().err
