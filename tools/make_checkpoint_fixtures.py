"""Write tests/fixtures/checkpoints.npz: what diffusers, transformers and PyTorch's autograd say of small random models.

Run it with PyTorch 2.14, diffusers 0.42 and transformers 5 in the environment: ``python
tools/make_checkpoint_fixtures.py``. The tests need only the file. Weights are drawn by their names (`drawn_weight`), so
that the file need not hold them: of each model it has the config, the names and shapes of the weights, inputs, outputs,
and gradients. All is computed in float64; diffusers takes the sinusoids of the time in float32 even then, so that they
are replaced by exact ones.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet2DModel
from diffusers.models import embeddings
from transformers import CLIPTextConfig, CLIPTextModel

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from parity import drawn_weight, projections  # noqa: E402

rng = np.random.default_rng(0)
DDPM = {  # as in google/ddpm-cifar10-32: one head, asymmetric pad, the clock of DDPM
    "sample_size": 8,
    "block_out_channels": (8, 16, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
    "norm_num_groups": 4,
}
PIXELS = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 4,
    "norm_num_groups": 2,
    "layers_per_block": 1,
}
SD_1 = {
    "sample_size": 8,
    "block_out_channels": (8, 16, 16),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": 4,
    "cross_attention_dim": 6,
    "norm_num_groups": 4,
}
VAE = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 2,
    "norm_num_groups": 4,
}
CLIP = {
    "vocab_size": 40,
    "hidden_size": 8,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 9,
    "bos_token_id": 38,
    "eos_token_id": 39,
}
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddpm": (UNet2DModel, DDPM),
    "pixels": (UNet2DModel, PIXELS),
    "pixels, four heads of two, three layers": (
        UNet2DModel,
        PIXELS | {"attention_head_dim": 2, "layers_per_block": 3, "norm_eps": 1e-3},
    ),
    "pixels, classes, scale and shift": (
        UNet2DModel,
        PIXELS
        | {
            "num_class_embeds": 5,
            "resnet_time_scale_shift": "scale_shift",
            "attn_norm_num_groups": 2,
            "in_channels": 1,
            "out_channels": 1,
        },
    ),
    "pixels, a learned variance, no level with attention": (
        UNet2DModel,
        PIXELS | {"out_channels": 6, "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2},
    ),
    "sd 1": (UNet2DConditionModel, SD_1),
    "sd 2": (
        UNet2DConditionModel,
        SD_1 | {"attention_head_dim": (2, 4, 8), "use_linear_projection": True, "upcast_attention": True},
    ),
    "sd, four levels, one layer": (
        UNet2DConditionModel,
        SD_1
        | {
            "sample_size": 16,
            "block_out_channels": (8, 8, 16, 24),
            "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
            "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
            "layers_per_block": 1,
            "attention_head_dim": 8,
        },
    ),
    "sd, inpainting": (UNet2DConditionModel, SD_1 | {"in_channels": 9}),
    "sd, one level, other eps": (
        UNet2DConditionModel,
        SD_1
        | {
            "block_out_channels": (16,),
            "down_block_types": ("CrossAttnDownBlock2D",),
            "up_block_types": ("CrossAttnUpBlock2D",),
            "norm_eps": 1e-3,
            "cross_attention_dim": 12,
        },
    ),
    "vae": (AutoencoderKL, VAE | {"layers_per_block": 2}),
    "vae, three levels, no quant": (
        AutoencoderKL,
        VAE
        | {
            "block_out_channels": (4, 8, 8),
            "down_block_types": ("DownEncoderBlock2D",) * 3,
            "up_block_types": ("UpDecoderBlock2D",) * 3,
            "norm_num_groups": 2,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
            "mid_block_add_attention": False,
            "in_channels": 1,
            "out_channels": 1,
        },
    ),
    "clip": (CLIPTextModel, CLIP),
    "clip, gelu": (CLIPTextModel, CLIP | {"hidden_act": "gelu", "num_hidden_layers": 1, "num_attention_heads": 4}),
    "clip, an old end": (CLIPTextModel, CLIP | {"eos_token_id": 2}),
}


def exact_clock(timesteps, embedding_dim, flip_sin_to_cos=False, downscale_freq_shift=1, scale=1, max_period=10000):
    """Return what diffusers.models.embeddings.get_timestep_embedding does, in float64."""
    half = embedding_dim // 2
    spacing = torch.arange(half, dtype=torch.float64) / (half - downscale_freq_shift)
    angles = scale * timesteps.double()[:, None] * torch.exp(-math.log(max_period) * spacing)
    parts = [angles.sin(), angles.cos()]
    return torch.cat(parts[::-1] if flip_sin_to_cos else parts, dim=1)


def normal(*shape):
    return torch.from_numpy(rng.normal(size=shape)).requires_grad_()


def inputs_of(model, config) -> dict[str, Any]:
    """Return the arguments of a forward, by the names that the file has for them."""
    if isinstance(model, CLIPTextModel):
        tokens = rng.integers(0, config["vocab_size"] - 2, (2, config["max_position_embeddings"]))
        tokens[:, 0] = config["vocab_size"] - 2
        tokens[0, 4:] = tokens[1, 7:] = config["vocab_size"] - 1
        return {"tokens": torch.from_numpy(tokens)}
    size = config["sample_size"]
    if isinstance(model, AutoencoderKL):
        factor = 2 ** (len(config["block_out_channels"]) - 1)
        x = normal(2, model.config.in_channels, size, 2 * size)
        return {"x": x, "z": normal(2, model.config.latent_channels, size // factor, 2 * size // factor)}
    inputs = {"x": normal(2, model.config.in_channels, size, size), "t": torch.tensor([7, 640])}
    if isinstance(model, UNet2DConditionModel):
        inputs["context"] = normal(2, 5, config["cross_attention_dim"])
    if config.get("num_class_embeds"):
        inputs["labels"] = torch.tensor([1, 4])
    return inputs


def outputs_of(model, inputs) -> dict[str, torch.Tensor]:
    """Return what a forward gives."""
    if isinstance(model, CLIPTextModel):
        found = model(inputs["tokens"])
        return {"y": found.last_hidden_state, "pooled": found.pooler_output}
    if isinstance(model, AutoencoderKL):
        latents = model.encode(inputs["x"]).latent_dist
        return {"mean": latents.mean, "log_variance": latents.logvar, "y": model.decode(inputs["z"]).sample}
    if isinstance(model, UNet2DConditionModel):
        return {"y": model(inputs["x"], inputs["t"], inputs["context"]).sample}
    return {"y": model(inputs["x"], inputs["t"], inputs.get("labels")).sample}


def with_drawn_weights(model):
    """Return the model in float64, with weights drawn by their names."""
    model = model.double().eval()
    for name, parameter in model.named_parameters():
        parameter.data = torch.from_numpy(drawn_weight(name, tuple(parameter.shape)))
    return model


def case(kind: Any, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return what the file has of one model."""
    if kind is CLIPTextModel:
        full = CLIPTextConfig(**config, attn_implementation="sdpa")
        model = CLIPTextModel(full)
        said = full.to_dict() | {"architectures": ["CLIPTextModel"]}
    else:
        model = kind(**config)
        said = dict(model.config) | {"_class_name": kind.__name__}
    model = with_drawn_weights(model)
    inputs = inputs_of(model, config)
    outputs = outputs_of(model, inputs)
    d_outputs = {f"d_{name}": torch.from_numpy(rng.normal(size=tuple(y.shape))) for name, y in outputs.items()}
    torch.autograd.backward(list(outputs.values()), list(d_outputs.values()))
    of_inputs = {f"d_{name}": a.grad for name, a in inputs.items() if a.requires_grad}
    arrays = {name: a.detach().numpy() for name, a in (inputs | outputs | d_outputs | of_inputs).items()}
    named = dict(model.named_parameters())
    return arrays | {
        "said": np.array(json.dumps(said)),
        "given": np.array(json.dumps(config | {"_class_name": kind.__name__})),
        "shapes": np.array(json.dumps({name: tuple(p.shape) for name, p in named.items()})),
        "d_weights": projections({name: p.grad.numpy() for name, p in named.items()}),
    }


def main() -> None:
    torch.set_num_threads(1)  # one order of summation
    embeddings.get_timestep_embedding = exact_clock
    arrays = {f"{name}/{key}": a for name, of in CASES.items() for key, a in case(*of).items()}
    path = ROOT / "tests" / "fixtures" / "checkpoints.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.relative_to(ROOT)}: {len(CASES)} models, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
