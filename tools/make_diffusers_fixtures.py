"""Write tests/fixtures/diffusers_autoencoder.npz: what diffusers' AutoencoderKL and PyTorch's autograd say.

Run it with PyTorch 2.14 and diffusers 0.42 in the environment: ``python tools/make_diffusers_fixtures.py``. The test
needs only the file, and says which of tinydiff's parameters each of diffusers' is. All is computed in float64; the
weights are float32 numbers, so that they take half the room.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from parity import projections  # noqa: E402

SHAPE = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "latent_channels": 2,
    "norm_num_groups": 4,
    "sample_size": 8,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "mid_block_add_attention": True,
}
rng = np.random.default_rng(0)


def nchw(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1).numpy()


def draw_weights(model) -> dict[str, np.ndarray]:
    """Give every parameter random values of a sound size, and return them; a norm's weights lie around 1."""
    weights = {}
    for name, parameter in model.named_parameters():
        fan_in = int(np.prod(parameter.shape[1:])) if parameter.ndim > 1 else 100
        start = 1.0 if name.endswith("weight") and parameter.ndim == 1 else 0.0
        weights[name] = (start + rng.normal(size=tuple(parameter.shape)) * fan_in**-0.5).astype(np.float32)
        parameter.data = torch.from_numpy(weights[name].astype(np.float64))
    return weights


def main() -> None:
    torch.set_num_threads(1)  # one order of summation
    model = AutoencoderKL(**SHAPE).double()
    weights = draw_weights(model)
    height, width = 8, 12
    x = nchw(rng.uniform(-1, 1, (2, height, width, 3))).requires_grad_()
    eps = nchw(rng.normal(size=(2, height // 2, width // 2, 2)))
    posterior = model.encode(x).latent_dist
    z = posterior.mean + posterior.std * eps
    x_hat = model.decode(z).sample
    outputs = {"x_hat": x_hat, "mean": posterior.mean, "log_variance": posterior.logvar}
    d_outputs = {f"d_{name}": nchw(rng.normal(size=nhwc(a).shape)) for name, a in outputs.items()}
    torch.autograd.backward(list(outputs.values()), list(d_outputs.values()))
    arrays = {name: nhwc(a) for name, a in {"x": x, "eps": eps, **outputs, **d_outputs, "d_x": x.grad}.items()}
    arrays["d_theta"] = projections({name: p.grad.numpy() for name, p in model.named_parameters()})
    path = ROOT / "tests" / "fixtures" / "diffusers_autoencoder.npz"
    np.savez_compressed(path, **arrays, **{f"weight/{name}": w for name, w in weights.items()})
    print(f"{path.relative_to(ROOT)}: {len(weights)} weights, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
