"""Models of tinydiff as folders of diffusers: what the reader, which other tests judge, reads from them is the same.

Where diffusers is installed, it opens them and draws the same pictures (slow).
"""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.diffusion import last
from tinydiff.models import (
    DiffusionModel,
    LatentAutoencoder,
    LatentDiffusion,
    ModelConfig,
    Request,
    read_checkpoint,
    scheduled_chain,
    timetable,
    write_checkpoint,
)
from tinydiff.networks import Autoencoder, AutoencoderConfig, TextConfig, TextToImage, UNet, UNetConfig
from tinydiff.text import Tokenizer

TOKENIZER = Tokenizer([("r", "e"), ("re", "d</w>"), ("c", "a"), ("ca", "t</w>")])
TEXT = TextConfig(len(TOKENIZER), 9, 8, 1, 2, causal=True, activation="quick-gelu", attention_bias=True)
OF_LATENTS = UNetConfig(
    8, 2, channels=8, channel_mult=(1, 2), blocks_per_level=1, attention_levels=(0,), heads=(2, 4), groups=4,
    context_channels=8, transformer_eps=1e-6,
)  # fmt: skip
OF_PIXELS = UNetConfig(
    8, 3, channels=8, channel_mult=(1, 2), blocks_per_level=1, attention_levels=(1,), heads=4, groups=2, norm_eps=1e-3,
    asymmetric_pad=True, time_embedding="ddpm",
)  # fmt: skip
OF_PICTURES = AutoencoderConfig(
    16, 3, 8, (1, 2), latent_channels=2, groups=4, mid_attention=True, asymmetric_pad=True, norm_eps=1e-6
)


def stirred(network, seed=0):
    rng = np.random.default_rng(seed)
    network.theta[...] += 0.1 * rng.standard_normal(network.theta.shape)
    return network


def latents(quant_conv=True, unet=OF_LATENTS, text=TEXT, **options):
    network = stirred(TextToImage(unet, text, dtype=np.float64))
    shape = dataclasses.replace(OF_PICTURES, quant_conv=quant_conv)
    autoencoder = LatentAutoencoder(stirred(Autoencoder(shape, dtype=np.float64), 1), [0.3, -0.5], [0.5, 2.0])
    config = ModelConfig(unet, text=text, **options)
    return LatentDiffusion(network, config, 2, tokenizer=TOKENIZER, autoencoder=autoencoder)


def pixels(unet=OF_PIXELS, **options):
    return DiffusionModel(stirred(UNet(unet, dtype=np.float64)), ModelConfig(unet, **options), 2)


MODELS = {
    "latents": lambda: latents(),
    "latents, x_0, linear": lambda: latents(False, kind="x_0", schedule="linear", beta_range=(1e-3, 0.03), T=100),
    "latents, no signal at T": lambda: latents(schedule="scaled_linear", zero_snr=True, kind="v"),
    "pixels": lambda: pixels(kind="eps", schedule="linear"),
    "pixels, scale and shift": lambda: pixels(dataclasses.replace(OF_PIXELS, scale_shift=True, time_offset=1)),
    "pixels, another clock": lambda: pixels(dataclasses.replace(OF_PIXELS, time_embedding="stable-diffusion")),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_is_read_again_to_the_last_digits(name, tmp_path):
    model = MODELS[name]()
    assert write_checkpoint(tmp_path / "there", model) == []
    checkpoint = read_checkpoint(tmp_path / "there", dtype=np.float64)
    again = checkpoint.model
    rng = np.random.default_rng(2)
    shape = (2, *model.x_size(), model.config.denoiser.in_channels)
    x, t = rng.standard_normal(shape), np.array([1, model.config.T])
    context = model.tokens(["a red cat", ""]) if model.reads_text else None
    np.testing.assert_allclose(
        again.network.forward(x, t, context), model.network.forward(x, t, context), rtol=1e-9, atol=1e-10
    )
    if model.reads_text:
        np.testing.assert_array_equal(again.tokens(["a red cat"]), model.tokens(["a red cat"]))
        images = rng.uniform(-1, 1, (2, 16, 16, 3))
        np.testing.assert_allclose(again.encode(images), model.encode(images), rtol=1e-6, atol=1e-6)  # kept as float32
        np.testing.assert_allclose(again.decode(x), model.decode(x), rtol=1e-6, atol=1e-6)
    asked = {"prompt": "a red cat", "guidance": 2.0} if model.reads_text else {}
    request = Request(n=2, seed=5, **asked)
    if not model.is_bounded:  # where guesses are clipped, DDIM there leaves the noise as it was
        theirs = last(scheduled_chain(again, timetable(checkpoint.scheduler, 5), request))
        np.testing.assert_allclose(theirs, last(model.chain(request, "ddim", 5)), rtol=1e-6, atol=1e-6)


def test_classes_have_no_pipeline_but_open_part_by_part(tmp_path):
    model = pixels(dataclasses.replace(OF_PIXELS, num_classes=4))
    (note,) = write_checkpoint(tmp_path, model)
    assert "No pipeline of diffusers" in note
    assert not (tmp_path / "model_index.json").exists()
    assert (tmp_path / "unet" / "config.json").is_file()


def test_another_eps_is_said(tmp_path):
    (note,) = write_checkpoint(tmp_path, latents(unet=dataclasses.replace(OF_LATENTS, transformer_eps=1e-5)))
    assert "transformer_eps is 1e-05, and 1e-06 there" in note


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: latents(unet=dataclasses.replace(OF_LATENTS, groups=None)), "groups is None"),
        (lambda: latents(unet=dataclasses.replace(OF_LATENTS, pooled_channels=8)), "pooled_channels is 8"),
        (lambda: latents(text=dataclasses.replace(TEXT, activation="geglu")), "text.activation is 'geglu'"),
        (lambda: latents(text=dataclasses.replace(TEXT, causal=False)), "text.causal is False"),
        (lambda: latents(schedule="sigmoid"), "schedule is 'sigmoid'"),
        (lambda: pixels(kind="score", schedule="linear"), "kind is 'score'"),
        (lambda: pixels(path="straight", kind="flow-v"), "path is 'straight'"),
        (lambda: pixels(dataclasses.replace(OF_PIXELS, patch=2)), "patch is 2"),
        (
            lambda: pixels(dataclasses.replace(OF_PIXELS, attention_levels=(0, 1), heads=(4, 4))),
            "heads have 2 and 4 channels",
        ),
    ],
)
def test_what_diffusers_does_not_have_is_refused_before_anything_is_written(make, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_checkpoint(tmp_path / "there", make())
    assert not (tmp_path / "there").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("name", MODELS)
def test_diffusers_draws_the_same_pictures(name, tmp_path):
    diffusers, torch = pytest.importorskip("diffusers"), pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = MODELS[name]()
    write_checkpoint(tmp_path, model)
    pipeline = diffusers.DiffusionPipeline.from_pretrained(tmp_path).to(torch.float64)
    pipeline.set_progress_bar_config(disable=True)
    checkpoint = read_checkpoint(tmp_path, dtype=np.float64)
    request = Request(n=2, seed=5, **({"prompt": "a red cat", "guidance": 2.0} if model.reads_text else {}))
    x_T, _ = model.start(request)
    there = torch.from_numpy(np.ascontiguousarray(x_T.transpose(0, 3, 1, 2)))
    mine = last(scheduled_chain(checkpoint.model, timetable(checkpoint.scheduler, 5), request))
    if model.reads_text:
        theirs = pipeline(
            "a red cat", num_images_per_prompt=2, latents=there, guidance_scale=2.0, num_inference_steps=5,
            output_type="np", height=16, width=16,
        ).images  # fmt: skip
        assert abs((checkpoint.model.decode(mine) + 1) / 2 - theirs).max() < 1e-4
        return
    pipeline.scheduler.set_timesteps(5)
    for t in pipeline.scheduler.timesteps:
        with torch.no_grad():
            there = pipeline.scheduler.step(pipeline.unet(there, t).sample, t, there).prev_sample
    assert abs(mine - there.numpy().transpose(0, 2, 3, 1)).max() < 1e-4
