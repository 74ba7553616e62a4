"""Denoise on latents: Algorithm 1 of DDPM in another space, refused where the latents are another autoencoder's."""

from dataclasses import replace

import numpy as np
import pytest
from latents import autoencoder, latent_diffusion, latents_of

from tinydiff.base import InputError
from tinydiff.models import DiffusionModel, LatentDiffusion, load
from tinydiff.train import Denoise, DenoiseConfig, Run


def trained(folder, data, steps=3):
    model = latent_diffusion()
    model = replace(model, network=model.network.bind(model.network.theta.copy()))
    config = DenoiseConfig(steps=steps, batch=4, warmup=1, save_every=2)
    return Run(Denoise(model, data, config, data), folder, threads=1)


def test_a_run_learns_from_latents_and_saves_the_whole_model(tmp_path):
    run = trained(tmp_path / "run", latents_of(tmp_path / "latents"), steps=30)
    before = run.validate()["validation_loss"]
    run.run(progress=False)
    assert run.validate()["validation_loss"] < before
    model = load(tmp_path / "run")
    assert isinstance(model, LatentDiffusion)
    assert model.autoencoder.checksum() == autoencoder().checksum()


def test_a_resumed_run_has_the_same_bits(tmp_path):
    data = latents_of(tmp_path / "latents")
    whole = trained(tmp_path / "whole", data)
    whole.run(progress=False)
    for _ in range(2):
        run = trained(tmp_path / "parts", data)
        for _ in range(2 if run.step == 0 else 1):
            run.train_step()
        run.save()
    assert (run.objective.network.theta == whole.objective.network.theta).all()


def test_latents_of_another_autoencoder_are_refused(tmp_path):
    data = latents_of(tmp_path)
    with pytest.raises(InputError, match=r"data holds latents of the autoencoder .* but the model's is .*: encode"):
        Denoise(replace(latent_diffusion(), autoencoder=autoencoder(1)), data, DenoiseConfig(steps=1))
    model = latent_diffusion()
    plain = DiffusionModel(model.network, model.config, 4, 1, False, model.tokenizer)
    with pytest.raises(InputError, match="but the model's is none"):
        Denoise(plain, data, DenoiseConfig(steps=1))
    with pytest.raises(InputError, match=r"data has images of shape \(8, 8, 1\)"):
        Denoise(model, replace(data, latents=np.zeros((6, 8, 8, 1), np.float16)), DenoiseConfig(steps=1))
