"""Write tests/fixtures/pipelines.npz: small random pipelines, and what diffusers draws with them, step for step.

Run it with PyTorch 2.14, diffusers 0.42 and transformers 5 in the environment: ``python
tools/make_pipeline_fixtures.py``. Weights are drawn by their names, noise comes from `Noise`, so that the file holds
configs, a tokenizer, and x after each step of each scheduler. All is computed in float64, but what the schedulers for
sigmas round to float32; their tables of alpha_bar, which are float32 too, are replaced by those of float64.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from diffusers.models import embeddings
from diffusers.schedulers import scheduling_ddpm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tools")]

from checkpoints import PROMPTS, SEED, tokenizer_table  # noqa: E402
from make_checkpoint_fixtures import exact_clock, with_drawn_weights  # noqa: E402

from tinydiff.base import Noise  # noqa: E402

SD = {
    "unet": {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 2,
        "cross_attention_dim": 8,
        "norm_num_groups": 4,
        "layers_per_block": 1,
    },
    "vae": {
        "sample_size": 16,
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 4,
        "norm_num_groups": 4,
    },
    "text_encoder": {
        "hidden_size": 8,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 9,
    },
}
OF_SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
LATENTS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "pndm": (PNDMScheduler, OF_SD | {"skip_prk_steps": True, "set_alpha_to_one": False}, 7),
    "pndm, one": (PNDMScheduler, OF_SD | {"skip_prk_steps": True, "set_alpha_to_one": True}, 3),
    "ddim": (DDIMScheduler, OF_SD | {"clip_sample": False, "set_alpha_to_one": False}, 6),
    "ddim, no offset": (
        DDIMScheduler,
        OF_SD | {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 0},
        6,
    ),
    "ddim, trailing, v, no signal at the end": (
        DDIMScheduler,
        OF_SD
        | {
            "clip_sample": False,
            "timestep_spacing": "trailing",
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
        },
        7,
    ),
    "ddim, linspace, as published": (DDIMScheduler, OF_SD | {"clip_sample": False, "timestep_spacing": "linspace"}, 7),
    "dpm": (DPMSolverMultistepScheduler, OF_SD, 7),
    "dpm, order 1, trailing": (
        DPMSolverMultistepScheduler,
        OF_SD | {"solver_order": 1, "timestep_spacing": "trailing"},
        5,
    ),
    "dpm, order 3": (DPMSolverMultistepScheduler, OF_SD | {"solver_order": 3, "timestep_spacing": "leading"}, 16),
    "dpm, order 3, few": (DPMSolverMultistepScheduler, OF_SD | {"solver_order": 3}, 6),
    "dpm, order 3, two": (DPMSolverMultistepScheduler, OF_SD | {"solver_order": 3}, 2),
    "dpm, karras, v": (
        DPMSolverMultistepScheduler,
        OF_SD | {"use_karras_sigmas": True, "prediction_type": "v_prediction"},
        6,
    ),
    "euler": (EulerDiscreteScheduler, OF_SD | {"timestep_spacing": "leading"}, 6),
    "euler, linspace, x_0": (EulerDiscreteScheduler, OF_SD | {"prediction_type": "sample"}, 6),
    "euler, no signal at the end": (
        EulerDiscreteScheduler,
        OF_SD | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"},
        6,
    ),
    "dpm, no signal at the end": (
        DPMSolverMultistepScheduler,
        OF_SD | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"},
        6,
    ),
    "pndm, v": (
        PNDMScheduler,
        OF_SD | {"skip_prk_steps": True, "set_alpha_to_one": False, "prediction_type": "v_prediction"},
        5,
    ),
    "pndm, two steps, no offset": (
        PNDMScheduler,
        OF_SD | {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 0},
        2,
    ),
    "euler, karras, trailing": (
        EulerDiscreteScheduler,
        OF_SD | {"use_karras_sigmas": True, "timestep_spacing": "trailing"},
        6,
    ),
    "heun": (HeunDiscreteScheduler, OF_SD | {"timestep_spacing": "leading"}, 5),
    "heun, linspace": (HeunDiscreteScheduler, OF_SD | {"prediction_type": "v_prediction"}, 5),
}
PIXELS = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
    "layers_per_block": 1,
}
OF_PIXELS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "ddpm": (DDPMScheduler, {}, 6),
    "ddpm, large variance, linspace": (
        DDPMScheduler,
        {"variance_type": "fixed_large", "timestep_spacing": "linspace", "clip_sample": False},
        6,
    ),
    "ddpm, cosine": (DDPMScheduler, {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"}, 6),
    "ddim, clipped": (DDIMScheduler, {}, 6),
}


def exact(scheduler):
    """Return a scheduler whose table is float64."""
    betas = scheduler.config
    T = betas.num_train_timesteps
    if betas.beta_schedule == "linear":
        beta = np.linspace(betas.beta_start, betas.beta_end, T)
    elif betas.beta_schedule == "scaled_linear":
        beta = np.linspace(betas.beta_start**0.5, betas.beta_end**0.5, T) ** 2
    else:
        left = np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * np.pi / 2) ** 2
        beta = np.minimum(1 - left[1:] / left[:-1], 0.999)
    beta = torch.from_numpy(beta)
    if betas.get("rescale_betas_zero_snr"):
        from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

        beta = rescale_zero_terminal_snr(beta)
    scheduler.betas = beta
    scheduler.alphas = 1 - beta
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    if betas.get("rescale_betas_zero_snr") and "final_sigmas_type" in betas:
        scheduler.alphas_cumprod[-1] = 2**-24
    if hasattr(scheduler, "one"):
        scheduler.one = torch.tensor(1.0, dtype=torch.float64)
    if "set_alpha_to_one" in betas:
        one = torch.tensor(1.0, dtype=torch.float64)
        scheduler.final_alpha_cumprod = one if betas.set_alpha_to_one else scheduler.alphas_cumprod[0]
    return scheduler


def latent_pipeline() -> StableDiffusionPipeline:
    table = tokenizer_table()
    merges = [tuple(pair) for pair in table["merges"]]
    tokenizer = CLIPTokenizer(vocab=table["vocab"], merges=merges, model_max_length=9)
    text = CLIPTextConfig(**SD["text_encoder"], vocab_size=len(tokenizer), bos_token_id=518, eos_token_id=519)
    return StableDiffusionPipeline(
        vae=with_drawn_weights(AutoencoderKL(**SD["vae"])),
        text_encoder=with_drawn_weights(CLIPTextModel(text)),
        tokenizer=tokenizer,
        unet=with_drawn_weights(UNet2DConditionModel(**SD["unet"])),
        scheduler=PNDMScheduler(**OF_SD, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def drawn_latents(pipeline, scheduler, steps) -> dict[str, np.ndarray]:
    """Return x after each step, on DDPM's path, and the pictures."""
    pipeline.scheduler = scheduler
    pipeline.set_progress_bar_config(disable=True)
    x_T = Noise(SEED).normal((2, 8, 8, 4), "x_T").astype(np.float64)
    states = []

    def look(pipe, i, t, kept):
        x = kept["latents"]
        if hasattr(scheduler, "sigmas") and not isinstance(scheduler, DPMSolverMultistepScheduler):
            x = x / (1 + scheduler.sigmas[scheduler.step_index].double() ** 2) ** 0.5
        states.append(x.permute(0, 2, 3, 1).numpy().copy())
        return {}

    pictures = pipeline(
        PROMPTS[0],
        negative_prompt=PROMPTS[1],
        latents=torch.from_numpy(x_T).permute(0, 3, 1, 2).contiguous(),
        num_images_per_prompt=2,
        guidance_scale=3.0,
        num_inference_steps=steps,
        output_type="np",
        callback_on_step_end=look,
    ).images
    kept = states
    if isinstance(scheduler, PNDMScheduler):
        kept = states[1:]  # its first step is taken twice
    if isinstance(scheduler, HeunDiscreteScheduler):
        kept = states[1::2] + states[-1:]  # each step is two there, but the last
    return {"x": np.stack(kept), "pictures": 2 * pictures - 1}


def drawn_pixels(unet, scheduler, steps) -> dict[str, np.ndarray]:
    """Return x after each step."""
    noise = Noise(SEED)
    scheduler.set_timesteps(steps)
    x = torch.from_numpy(noise.normal((2, 8, 8, 3), "x_T").astype(np.float64)).permute(0, 3, 1, 2)
    states = []
    for k, t in enumerate(scheduler.timesteps):
        of_step = noise.at(step=k).normal((2, 8, 8, 3), "sampler", dtype=np.float64)
        scheduling_ddpm.randn_tensor = lambda *_, of_step=of_step, **__: torch.from_numpy(of_step).permute(0, 3, 1, 2)
        with torch.no_grad():
            x = scheduler.step(unet(x, t).sample, t, x).prev_sample
        states.append(x.permute(0, 2, 3, 1).numpy().copy())
    return {"x": np.stack(states)}


def configs_of(pipeline) -> dict[str, str]:
    """Return the JSON files that a pipeline writes, by their names."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline.save_pretrained(folder)
        files = [path for path in Path(folder).rglob("*.json") if not path.name.endswith(".index.json")]
        return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def shapes_of(model) -> dict[str, tuple]:
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def main() -> None:
    torch.set_num_threads(1)
    embeddings.get_timestep_embedding = exact_clock
    arrays: dict[str, np.ndarray] = {}

    def put(pipeline: str, files: dict, shapes: dict) -> None:
        arrays[f"{pipeline}/files"] = np.array(json.dumps(files))
        arrays[f"{pipeline}/shapes"] = np.array(json.dumps(shapes))

    latent = latent_pipeline()
    put(
        "latents",
        configs_of(latent),
        {part: shapes_of(getattr(latent, part)) for part in ("unet", "vae", "text_encoder")},
    )
    unet = with_drawn_weights(UNet2DModel(**PIXELS))
    put("pixels", configs_of(DDPMPipeline(unet, DDPMScheduler())), {"unet": shapes_of(unet)})
    runs: list[tuple[str, str, Any, dict, int]] = [("latents", name, *of) for name, of in LATENTS.items()]
    runs += [("pixels", name, *of) for name, of in OF_PIXELS.items()]
    for pipeline, name, kind, config, steps in runs:
        scheduler = exact(kind(**config))
        of_latents = pipeline == "latents"
        drawn = drawn_latents(latent, scheduler, steps) if of_latents else drawn_pixels(unet, scheduler, steps)
        said = json.loads(scheduler.to_json_string()) | {"steps": steps}
        arrays |= {f"{pipeline}/{name}/{key}": a.astype(np.float64) for key, a in drawn.items()}
        arrays[f"{pipeline}/{name}/said"] = np.array(json.dumps(said))
    path = ROOT / "tests" / "fixtures" / "pipelines.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.relative_to(ROOT)}: {len(runs)} chains, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
