"""Write tests/fixtures/torch_*.npz: what PyTorch's autograd says about every pair, every model and the optimiser.

Run it with PyTorch 2.14 in the environment: ``python tools/make_torch_fixtures.py``. The tests need only the files.
All is float64. Arrays are in tinydiff's layout; autograd itself carries the gradients back through each transposition.
"""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks import torch_unet  # noqa: E402
from parity import BATCH, BETAS, DECAY, LR, STEPS, draw_batch, draw_weights, projections  # noqa: E402
from torch_blocks import nchw, nhwc, of_blocks  # noqa: E402

from tinydiff.networks import (  # noqa: E402
    AttributeClassifier,
    AttributeClassifierConfig,
    Classifier,
    ClassifierConfig,
    PatchDiscriminator,
    PatchDiscriminatorConfig,
    UNet,
    UNetConfig,
)

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape)


def pair(f, **inputs) -> dict:
    """Return inputs, output ``y``, a random upstream gradient ``dy``, and ``d_NAME`` of each float input if any."""
    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    wanted = [name for name, tensor in tensors.items() if tensor.is_floating_point() and name != "uniform"]
    for name in wanted:
        tensors[name].requires_grad_()
    y = f(*tensors.values())
    dy = torch.from_numpy(np.asarray(normal(*y.shape)))
    gradients = torch.autograd.grad(y, [tensors[name] for name in wanted], dy, allow_unused=True) if wanted else []
    found = {f"d_{name}": d for name, d in zip(wanted, gradients, strict=True) if d is not None}
    return inputs | {name: a.detach().numpy() for name, a in {"y": y, "dy": dy, **found}.items()}


def conv(stride, padding):
    (top, bottom), (left, right) = padding

    def f(x, w, b=None):
        return nhwc(F.conv2d(F.pad(nchw(x), (left, right, top, bottom)), w.permute(3, 2, 0, 1), b, stride))

    return f


def timestep(spacing_less, sines_first):
    def f(t):
        frequencies = torch.exp(torch.arange(4, dtype=torch.float64) * (-math.log(10000.0) / (4 - spacing_less)))
        waves = [(t.double()[:, None] * frequencies).cos(), (t.double()[:, None] * frequencies).sin()]
        return torch.cat(waves[::-1] if sines_first else waves, dim=1)

    return f


def pairs() -> dict:
    """Return case -> arrays; `test_torch_parity.py` says for each case which pair it is and with which options."""
    one = ((1, 1), (1, 1))
    images, kernel = normal(2, 5, 7, 3), normal(3, 3, 3, 4)
    affine = {"gamma": normal(6), "beta": normal(6)}
    qkv = {"q": normal(2, 2, 4, 3), "k": normal(2, 2, 5, 3), "v": normal(2, 2, 5, 2)}
    mask = rng.random((4, 5)) < 0.7
    mask[:, 0] = True  # PyTorch gives NaN to a query that may look nowhere
    return {
        "linear": pair(lambda x, w, b: F.linear(x, w.T, b), x=normal(2, 3, 4), w=normal(4, 5), b=normal(5)),
        "linear without bias": pair(lambda x, w: F.linear(x, w.T), x=normal(1, 4), w=normal(4, 5)),
        "conv2d": pair(conv(1, one), x=images, w=kernel, b=normal(4)),
        "conv2d without bias": pair(conv(1, one), x=images, w=kernel),
        "conv2d by shifts": pair(conv(1, one), x=normal(2, 5, 4, 8), w=normal(3, 3, 8, 2), b=normal(2)),
        "conv2d by Winograd": pair(conv(1, one), x=images, w=kernel, b=normal(4)),
        "conv2d with stride 2": pair(conv(2, one), x=images, w=kernel, b=normal(4)),
        "conv2d 5x3, asymmetric": pair(conv(2, ((0, 3), (2, 1))), x=images, w=normal(5, 3, 3, 2), b=normal(2)),
        "group_norm": pair(
            lambda x, g, b: nhwc(F.group_norm(nchw(x), 3, g, b, 1e-3)), x=normal(2, 4, 3, 6) + 2, **affine
        ),
        "layer_norm": pair(lambda x, g, b: F.layer_norm(x, (6,), g, b, 1e-3), x=normal(2, 3, 6) + 2, **affine),
        "batch_norm": pair(
            lambda x, g, b: nhwc(F.batch_norm(nchw(x), None, None, g, b, True, eps=1e-3)),
            x=normal(3, 2, 3, 6) + 2,
            **affine,
        ),
        "silu": pair(F.silu, x=3 * normal(3, 5)),
        "gelu": pair(F.gelu, x=3 * normal(3, 5)),
        "geglu": pair(lambda x: x[..., :3] * F.gelu(x[..., 3:]), x=3 * normal(2, 4, 6)),
        "softmax": pair(lambda x: F.softmax(x, dim=-1), x=3 * normal(3, 5)),
        "attention": pair(F.scaled_dot_product_attention, **qkv),
        "attention with a mask": pair(F.scaled_dot_product_attention, **qkv, mask=mask),
        "upsample_nearest": pair(lambda x: nhwc(F.interpolate(nchw(x), scale_factor=2)), x=normal(2, 3, 2, 3)),
        "avg_pool": pair(lambda x: nhwc(F.avg_pool2d(nchw(x), 2)), x=normal(2, 4, 6, 3)),
        "dropout": pair(lambda x, u: x * (u >= 0.3) / (1 - 0.3), x=normal(3, 5), uniform=rng.random((3, 5))),
        "embedding": pair(F.embedding, indices=np.array([3, 0, 3, 1]), table=normal(4, 5)),
        "timestep_embedding": pair(timestep(0, False), t=np.array([1, 37, 1000])),
        "timestep_embedding, DDPM": pair(timestep(1, True), t=np.array([1, 37, 1000])),
        "mse": pair(F.mse_loss, prediction=normal(2, 3), target=normal(2, 3)),
        "cross_entropy": pair(F.cross_entropy, logits=3 * normal(4, 5), labels=np.array([3, 0, 3, 1])),
        "group_norm_silu": pair(
            lambda x, g, b: F.silu(nhwc(F.group_norm(nchw(x), 3, g, b, 1e-3))), x=normal(2, 4, 3, 6) + 2, **affine
        ),
        "attention_in_pieces": pair(F.scaled_dot_product_attention, **qkv),
        "unit_length": pair(lambda x: F.normalize(x, dim=-1), x=normal(2, 3, 4)),
        "scaled_similarity": pair(
            lambda a, b, log_scale: log_scale.exp() * a @ b.T, a=normal(3, 4), b=normal(5, 4), log_scale=normal(1)
        ),
        "contrastive_loss": pair(both_ways, logits=3 * normal(5, 5)),
        "clamp": pair(lambda x: x.clamp(-0.5, 0.8), x=normal(3, 5)),
        "mae": pair(F.l1_loss, prediction=normal(2, 3), target=normal(2, 3)),
        "edge_loss": pair(edges, prediction=normal(2, 4, 3, 2), target=normal(2, 4, 3, 2)),
        "reparameterise": pair(
            lambda mean, log_variance, eps: mean + (log_variance / 2).exp() * eps,
            mean=normal(2, 3),
            log_variance=normal(2, 3),
            eps=normal(2, 3),
        ),
        "kl_to_standard_normal": pair(standard_kl, mean=normal(2, 3), log_variance=normal(2, 3)),
    }


def both_ways(logits):
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def edges(prediction, target):
    return sum(F.l1_loss(prediction.diff(dim=axis), target.diff(dim=axis)) for axis in (1, 2))


def standard_kl(mean, log_variance):
    posterior, standard = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    return kl_divergence(posterior, standard).mean()


def quantisers() -> dict:
    """Return case -> arrays for what rounds, where PyTorch's ``detach`` says what stands still."""
    global rng
    before, rng = rng, np.random.default_rng(1)  # of their own, so that no other file changes with them
    cases = {
        "vector_quantise": pair(
            lambda z, codebook: z + (codebook[torch.cdist(z, codebook).argmin(dim=-1)] - z).detach(),
            z=normal(2, 3, 4),
            codebook=normal(5, 4),
        ),
        "codebook_loss": pair(
            lambda codebook, z, indices: F.mse_loss(codebook[indices], z.detach()),
            codebook=normal(5, 4),
            z=normal(2, 3, 4),
            indices=np.array([[3, 0, 3], [1, 4, 3]]),
        ),
        "commitment_loss": pair(lambda z, z_q: F.mse_loss(z, z_q.detach()), z=normal(2, 3, 4), z_q=normal(2, 3, 4)),
        "finite_scalar_quantise": pair(scalars_rounded, z=2 * normal(2, 3, 3)),
    }
    rng = before
    return cases


def scalars_rounded(z):
    levels = torch.tensor([8, 5, 4])
    half = (levels - 1).double() * (1 - 1e-3) / 2
    offset = (levels % 2 == 0).double() / 2
    bounded = half * (z + (offset / half).atanh()).tanh() - offset
    return (bounded + (bounded.round() - bounded).detach()) / (levels // 2)


def unet(config: UNetConfig) -> dict:
    """Return the output, the gradients, and the first ten losses of training, from the weights of `draw_weights`."""
    model = UNet(config, dtype=np.float64)
    draw_weights(model)
    named = {name: p.value for name, p in model.named_parameters().items()}
    twin = torch_unet.UNet(config).double()
    torch_unet.load_from(twin, named)
    shape = (BATCH, *config.shape)
    x_t, t, d_eps_hat, labels = draw_batch(shape, config.num_classes)
    labels = None if labels is None else torch.from_numpy(labels)
    x_t = torch.from_numpy(x_t).requires_grad_()
    eps_hat = nhwc(twin(nchw(x_t), torch.from_numpy(t), labels))
    eps_hat.backward(torch.from_numpy(d_eps_hat))
    return {
        "config": np.array(json.dumps(asdict(config))),
        "y": eps_hat.detach().numpy(),
        "d_x": x_t.grad.numpy(),
        "d_theta": projections(torch_unet.gradients_of(twin, named)),
        "losses": first_losses(twin, model, shape, config.num_classes),
    }


def first_losses(twin, model, shape, classes) -> np.ndarray:
    decays = {torch_unet.torch_name(name): p.decay for name, p in model.named_parameters().items()}
    groups = [[p for name, p in twin.named_parameters() if decays[name] == on] for on in (True, False)]
    optimizer = torch.optim.AdamW(
        [{"params": groups[0], "weight_decay": DECAY}, {"params": groups[1], "weight_decay": 0.0}], lr=LR, betas=BETAS
    )
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), dim=0)
    losses = []
    for step in range(1, STEPS + 1):
        x_0, t, eps, labels = draw_batch(shape, classes, step)
        x_0, t, eps = torch.from_numpy(x_0), torch.from_numpy(t), torch.from_numpy(eps)
        at = alpha_bar[t - 1][:, None, None, None]
        x_t = at.sqrt() * x_0 + (1 - at).sqrt() * eps
        loss = F.mse_loss(nhwc(twin(nchw(x_t), t, None if labels is None else torch.from_numpy(labels))), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def classifier(config: ClassifierConfig) -> dict:
    model = Classifier(config, dtype=np.float64)
    draw_weights(model)
    named = {name: p.value for name, p in model.named_parameters().items()}
    twin = torch_unet.Classifier(config).double()
    torch_unet.load_from(twin, named)
    shape = (BATCH, *config.shape)
    x, _, _, labels = draw_batch(shape, config.num_classes - 1)
    x = torch.from_numpy(x).requires_grad_()
    logits = twin(nchw(x))
    F.cross_entropy(logits, torch.from_numpy(labels)).backward()
    return {
        "config": np.array(json.dumps(asdict(config))),
        "y": logits.detach().numpy(),
        "d_x": x.grad.numpy(),
        "d_theta": projections(torch_unet.gradients_of(twin, named)),
    }


def perceptual(*maps):
    """Return the distance of two batches' feature maps (N, H, W, C): those of one, level by level, then the other's."""
    levels = len(maps) // 2
    directions = [F.normalize(a, dim=-1) for a in maps]
    pairs = zip(directions[:levels], directions[levels:], strict=True)
    return sum((a - b).square().sum(dim=-1).mean() for a, b in pairs) / levels


def attributes(config: AttributeClassifierConfig) -> dict:
    """Return the pairs of a network that reads attributes, and the network with both of its losses added up."""
    model = AttributeClassifier(config, dtype=np.float64)
    draw_weights(model)
    named = {name: p.value for name, p in model.named_parameters().items()}
    twin = torch_unet.AttributeClassifier(config).double()
    torch_unet.load_from(twin, named)
    (x, *_), (other, *_) = (draw_batch((BATCH, *config.shape), None, step) for step in (0, 1))
    x = torch.from_numpy(x).requires_grad_()
    maps, logits = twin(nchw(x))
    with torch.no_grad():
        other_maps, _ = twin(nchw(torch.from_numpy(other)))
    loss = perceptual(*map(nhwc, maps), *map(nhwc, other_maps))
    for part, labels in zip(config.slices.values(), ([1, -1, 0], [-1, 2, -1]), strict=True):
        loss = loss + F.cross_entropy(logits[:, part], torch.tensor(labels), ignore_index=-1)
    loss.backward()
    return {
        "masked_cross_entropy": pair(
            lambda logits, labels: F.cross_entropy(logits, labels, ignore_index=-1),
            logits=3 * normal(5, 4),
            labels=np.array([3, -1, 0, -1, 1]),
        ),
        "perceptual_distance": pair(
            perceptual,
            a_0=normal(2, 4, 4, 3),
            a_1=normal(2, 2, 3, 5),
            b_0=normal(2, 4, 4, 3),
            b_1=normal(2, 2, 3, 5),
        ),
        "network": {
            "config": np.array(json.dumps(asdict(config))),
            "y": logits.detach().numpy(),
            "loss": loss.detach().numpy(),
            "d_x": x.grad.numpy(),
            "d_theta": projections(torch_unet.gradients_of(twin, named)),
        },
    }


def hinge(real, fake):
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def adversarial(config: PatchDiscriminatorConfig) -> dict:
    """Return the pairs of adversarial training, and a discriminator with its loss on real pictures and on fakes."""
    model = PatchDiscriminator(config, dtype=np.float64)
    draw_weights(model)
    weights = {name: torch.from_numpy(p.value.copy()).requires_grad_() for name, p in model.named_parameters().items()}

    def convolve(x, name, stride):
        kernel = weights[f"{name}.weight"].permute(3, 2, 0, 1).contiguous()
        return F.conv2d(x, kernel, weights[f"{name}.bias"], stride, 1)

    def logits(x):
        h = F.leaky_relu(convolve(nchw(x), "body.layers.0", 2), 0.2)
        for i in range(config.layers):
            conv, norm = f"body.layers.{3 * i + 2}", f"body.layers.{3 * i + 3}"
            h = convolve(h, conv, 2 if i < config.layers - 1 else 1)
            groups = min(32, h.shape[1] // 4)
            h = F.leaky_relu(F.group_norm(h, groups, weights[f"{norm}.gamma"], weights[f"{norm}.beta"], 1e-5), 0.2)
        return nhwc(convolve(h, "logits", 1))

    real, fake = (torch.from_numpy(normal(BATCH, 9, 8, config.in_channels)).requires_grad_() for _ in range(2))
    loss = hinge(logits(real), logits(fake))
    loss.backward()
    return {
        "leaky_relu": pair(lambda x: F.leaky_relu(x, 0.3), x=3 * normal(3, 5)),
        "hinge_discriminator": pair(hinge, real=2 * normal(3, 4, 4, 1), fake=2 * normal(2, 4, 4, 1)),
        "hinge_generator": pair(lambda fake: -fake.mean(), fake=normal(2, 4, 4, 1)),
        "network": {
            "config": np.array(json.dumps(asdict(config))),
            "real": real.detach().numpy(),
            "fake": fake.detach().numpy(),
            "y": logits(real).detach().numpy(),
            "loss": loss.detach().numpy(),
            "d_real": real.grad.numpy(),
            "d_fake": fake.grad.numpy(),
            "d_theta": projections({name: w.grad.numpy() for name, w in weights.items()}),
        },
    }


def optimizer() -> dict:
    """Return weights and their average over five steps of AdamW; the first three weights decay, the rest do not."""
    gradients, rates = normal(5, 6), np.array([1e-2, 2e-2, 1e-2, 5e-3, 1e-3])
    start = normal(6)
    decaying, other = torch.from_numpy(start[:3].copy()), torch.from_numpy(start[3:].copy())
    groups = [{"params": [decaying], "weight_decay": DECAY}, {"params": [other], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=1.0, betas=BETAS)
    ema, average = torch.from_numpy(start.copy()), torch.optim.swa_utils.get_ema_avg_fn(0.9)
    thetas, emas = [], []
    for step in range(5):
        g = torch.from_numpy(gradients[step])
        decaying.grad, other.grad = g[:3], g[3:]
        for group in adamw.param_groups:
            group["lr"] = rates[step]
        adamw.step()
        theta = torch.cat([decaying, other])
        ema = average(ema, theta, None)
        thetas.append(theta.numpy())
        emas.append(ema.numpy())
    clipped = torch.from_numpy(gradients[0]).clone()
    clipped.grad = clipped.clone()
    norm = torch.nn.utils.clip_grad_norm_([clipped], 0.5)
    return {
        "start": start,
        "gradients": gradients,
        "rates": rates,
        "theta": np.stack(thetas),
        "ema": np.stack(emas),
        "norm": norm.numpy(),
        "clipped": clipped.grad.numpy(),
    }


def main() -> None:
    torch.set_num_threads(1)  # one order of summation
    models = {
        "unet": unet(UNetConfig(12, channels=16, channel_mult=(1, 2), blocks_per_level=1, heads=2)),
        "unet with everything": unet(
            UNetConfig(
                8, 3, None, 16, (1, 1, 2), 2, (1,), 4, 8, 0.0, 3, scale_shift=True, time_embedding="ddpm", time_offset=1
            )
        ),
        "classifier": classifier(ClassifierConfig(image_size=9, num_classes=4, channels=(8, 16), features=12)),
    }
    files = {"pairs": pairs(), "quantisers": quantisers(), "models": models, "optimizer": {"adamw": optimizer()}}
    files["attributes"] = attributes(
        AttributeClassifierConfig(9, 2, (4, 6, 8), 1, 2, 5, {"shape": ("circle", "square"), "colour": ("a", "b", "c")})
    )
    files["adversarial"] = adversarial(PatchDiscriminatorConfig(3, 8, 2))
    files["blocks"] = of_blocks(pair, normal)
    for file, cases in files.items():
        arrays = {f"{case}/{name}": a for case, found in cases.items() for name, a in found.items()}
        path = ROOT / "tests" / "fixtures" / f"torch_{file}.npz"
        np.savez_compressed(path, **arrays)
        print(f"{path.relative_to(ROOT)}: {len(arrays)} arrays, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
