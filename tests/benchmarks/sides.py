"""The two sides of the benchmarks: tinydiff and PyTorch eager, with the same UNet, weights and inputs."""

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np

from tinydiff.base import Noise
from tinydiff.diffusion import last
from tinydiff.diffusion.times import step_pairs
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel, ModelConfig, Request
from tinydiff.networks import UNet, UNetConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW
from tinydiff.workers import LaneSum

# Of float32: largest difference / largest number. DDIM's first step divides by sqrt(alpha_bar_T) = 0.006.
TOLERANCE = {"output": 1e-5, "gradients": 1e-4, "sample": 1e-5 / 0.006}
LANES, LR, BETAS, EMA_DECAY = 2, 1e-4, (0.9, 0.99), 0.999
COMPARED_STEPS = 4  # of DDIM, for which samples are compared
SAMPLE_BATCHES = (64, 1)
SEED = 0


class Tinydiff:
    """Our side: one train step, and sampling."""

    def __init__(self, config: dict, batch: int, threads: int | None = None):
        unet = UNetConfig(**config["unet"])
        self.network = UNet(unet)
        noise = Noise(0)
        rng = np.random.default_rng(0)
        self.network.theta[...] += 0.02 * rng.standard_normal(self.network.theta.shape, np.float32)  # no zeros left
        shape = (batch, unet.image_size, unet.image_size, unet.in_channels)
        self.x_t, self.eps = noise.normal(shape, "x_t"), noise.normal(shape, "eps")
        self.t = noise.integers(1, 1000, batch, "t")
        self.model = DiffusionModel(self.network, ModelConfig(unet, "linear", kind="eps"), threads=threads)
        self.micro_batch = self.model.micro_batch
        self.ema = self.network.theta.copy()
        self.parameters = self.network.parameters()
        self.gradient_sum = LaneSum(self.add_gradient, -(-batch // self.micro_batch), self.ema, LANES, threads)
        self.gradient_sum.share(self.network)
        self.optimizer = AdamW(self.network.theta, self.network.decay_mask(), BETAS, weight_decay=0.01)

    def gradient(self) -> np.ndarray:
        """Return the gradient of the loss of the whole batch."""
        self.gradient_sum()
        return self.gradient_sum.totals[0]

    def add_gradient(self, shard: int, flat: np.ndarray) -> None:
        images = slice(shard * self.micro_batch, (shard + 1) * self.micro_batch)
        tape, grads = Tape(), Gradients(self.parameters, flat)
        eps_hat = self.network.forward(self.x_t[images], self.t[images], tape=tape)
        _, cache = mse(eps_hat, self.eps[images])
        d_eps_hat, _ = mse_backward(len(eps_hat) / len(self.x_t), cache)
        self.network.backward(d_eps_hat, tape, grads)

    def train_step(self) -> None:
        self.optimizer.step(self.gradient(), LR, ema=self.ema, decay=EMA_DECAY)

    def chain(self, batch: int, steps: int) -> Iterator:
        """Return DDIM's chain; a single image is a shard of its own."""
        model = dataclasses.replace(self.model, micro_batch=min(batch, self.micro_batch))
        return model.chain(Request(n=batch, seed=SEED), steps=steps)


class PyTorch:
    """The other side, from our weights and inputs, in micro-batches of so many images or in one piece."""

    def __init__(self, ours: Tinydiff, threads: int):
        import torch
        import torch_unet

        torch.set_num_threads(threads)
        self.torch = torch
        self.named = {name: p.value for name, p in ours.network.named_parameters().items()}
        self.gradients_of = torch_unet.gradients_of
        self.network = torch_unet.UNet(ours.network.config)
        torch_unet.load_from(self.network, self.named)
        self.x_t, self.eps = (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous() for x in (ours.x_t, ours.eps))
        self.t = torch.from_numpy(ours.t)
        self.diffusion = ours.model.diffusion
        self.parameters = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=LR, betas=BETAS, weight_decay=0.01, fused=True)
        self.ema = [p.detach().clone() for p in self.parameters]

    def shards(self, micro_batch):
        size = len(self.x_t) if micro_batch == "whole batch" else micro_batch
        return [slice(start, start + size) for start in range(0, len(self.x_t), size)]

    def compute_gradients(self, micro_batch="whole batch") -> None:
        self.optimizer.zero_grad()
        for images in self.shards(micro_batch):
            eps_hat = self.network(self.x_t[images], self.t[images])
            (((eps_hat - self.eps[images]) ** 2).sum() / self.eps.numel()).backward()

    def train_step(self, micro_batch) -> None:
        self.compute_gradients(micro_batch)
        self.optimizer.step()
        self.torch._foreach_lerp_(self.ema, [p.detach() for p in self.parameters], 1 - EMA_DECAY)

    def chain(self, batch: int, steps: int, micro_batch: str | int = "whole batch") -> Iterator:
        """Yield x_t after every step of DDIM, from the noise that tinydiff's chain starts with."""
        _, *shape = self.x_t.shape
        x_T = Noise(SEED).normal((batch, *shape[1:], shape[0]), "x_T")
        x_t = self.torch.from_numpy(x_T).permute(0, 3, 1, 2).contiguous()
        size = batch if micro_batch == "whole batch" else micro_batch
        alpha_bar = self.diffusion.alpha_bar
        for t, s in step_pairs(self.diffusion, steps):
            with self.torch.inference_mode():
                a_t, a_s = float(alpha_bar[int(t)]), float(alpha_bar[int(s)])
                step = self.torch.full((size,), int(t))
                parts = [self.network(x, step[: len(x)]) for x in x_t.split(size)]
                eps_hat = self.torch.cat(parts)
                x_0_hat = ((x_t - (1 - a_t) ** 0.5 * eps_hat) / a_t**0.5).clamp(-1, 1)
                eps_hat = (x_t - a_t**0.5 * x_0_hat) / (1 - a_t) ** 0.5
                x_t = a_s**0.5 * x_0_hat + (1 - a_s) ** 0.5 * eps_hat
            yield x_t


def compare(ours: Tinydiff, theirs: PyTorch) -> str:
    """Return how far outputs, gradients and samples differ; exit if by more than float32 explains."""
    with theirs.torch.inference_mode():
        output = theirs.network(theirs.x_t, theirs.t)
    theirs.compute_gradients()
    gradients = theirs.gradients_of(theirs.network, theirs.named)
    differences = {
        "output": difference(ours.model.network_output(ours.x_t, ours.t), to_nhwc(output)),
        "gradients": difference(ours.gradient(), np.concatenate([g.ravel() for g in gradients.values()])),
        "sample": difference(
            last(ours.chain(SAMPLE_BATCHES[0], COMPARED_STEPS)),
            to_nhwc(list(theirs.chain(SAMPLE_BATCHES[0], COMPARED_STEPS))[-1]),
        ),
    }
    for name, value in differences.items():
        if not value <= TOLERANCE[name]:
            sys.exit(
                f"The {name} differ by {value:.1e}, more than {TOLERANCE[name]:.0e}: the timings would mean nothing."
            )
    return ", ".join(f"{name} {value:.0e} (at most {TOLERANCE[name]:.0e})" for name, value in differences.items())


def difference(ours, theirs) -> float:
    return float(abs(ours - theirs).max() / abs(theirs).max())


def to_nhwc(x) -> np.ndarray:
    return x.permute(0, 2, 3, 1).numpy()
