"""A GAN, a variational autoencoder, a normalising flow and diffusion, on the same data, with ten seeds each.

The data are eight Gaussians in a ring, whose density is known, and digits of 8 x 8 pixels. All networks are made of
linear layers and SiLU, all see as many batches of the same size. It writes what it finds of each training into a file
that a notebook reads, and goes on where it was stopped:

    python tests/benchmarks/families.py --out tinydiff/course/results/families.json
"""

import argparse
import json
import math
import os
import platform
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import Noise, TrainingError, atomic_write
from tinydiff.data import load_data, load_points, point_shape, points
from tinydiff.diffusion import density_of
from tinydiff.diffusion.likelihood import prior_term, step_term
from tinydiff.evaluate import frechet_distance_of, precision_and_recall
from tinydiff.functional import mse, mse_backward, softmax
from tinydiff.models import DiffusionModel, ModelConfig, Request, draw_at_once
from tinydiff.networks import (
    MLP,
    VAE,
    Classifier,
    ClassifierConfig,
    Generator,
    GeneratorConfig,
    MLPConfig,
    RealNVP,
    RealNVPConfig,
    VAEConfig,
    VectorDiscriminator,
    VectorDiscriminatorConfig,
)
from tinydiff.nn import Tape
from tinydiff.train import (
    Adversarial,
    AdversarialConfig,
    Classify,
    ClassifyConfig,
    FlowLikelihood,
    FlowLikelihoodConfig,
    Run,
    ValidatedConfig,
    Variational,
    VariationalConfig,
    bits_per_number,
    dequantise,
    importance_bound,
)
from tinydiff.train.of_data import OfData

FAMILIES = ("GAN", "VAE", "flow", "diffusion")
LEVELS = 17  # shades of grey of the digits
COPIES = 8  # of each digit, each with other noise between the shades
MODES, RADIUS, WIDTH = 8, 0.8, 0.06  # of the ring
SURE = 0.9  # the probability from which on the judge's answer counts
SHARE = 0.2  # of its fair share, from which on a mode counts as covered
DRAWN = {"ring": 2000, "digits": 1000}


@dataclass(frozen=True)
class Numbers:
    """Data in memory: pictures (N, H, W, C), or points as pictures of one pixel."""

    x: np.ndarray
    name: str

    def __len__(self):
        return len(self.x)

    def batch(self, indices, xp=np):
        return xp.asarray(self.x[indices]), np.zeros(len(indices), int)


class DenoiseVectors(OfData):
    """Denoise vectors, as `Denoise` does pictures: the squared error of v (Eq. DDPM-ALG1)."""

    def __init__(self, model, data, config):
        self.model = model
        super().__init__(model.network, data, config)

    def add_gradient(self, step, shard, grads):
        x_0, noise, share = self.drawn(step, shard)
        t, eps = noise.integers(1, self.model.diffusion.T, len(x_0), "t"), noise.normal(x_0.shape, "eps")
        tape = Tape()
        v = self.network.forward(self.model.diffusion.q_sample(x_0, t, eps), t, None, tape)
        loss, cache = mse(v, self.model.target(x_0, eps, t))
        self.network.backward(mse_backward(share, cache)[0], tape, grads)
        return share * loss


# ------------------------------------------------------------------------------------------------------- trainings


def objective_of(family: str, data: Any, seed: int, steps: int) -> Any:
    """Return what a family minimises on the data; its networks have about as many weights as those of the others."""
    shape, rng = data.x.shape[1:], np.random.default_rng(seed)
    size, channels, small = shape[0], shape[-1], shape[0] == 1
    width, latent = (64, 2) if small else (128, 16)
    every = {"steps": steps, "batch": 128, "seed": seed, "warmup": 50, "log_every": 10**6, "ema": 0.99}
    if family == "GAN":
        generator = Generator(GeneratorConfig(size, channels, latent if small else 32, (width, width)), rng)
        judge = VectorDiscriminator(VectorDiscriminatorConfig(size, channels, (width, width)), rng)
        return Adversarial(generator, data, AdversarialConfig(**every, lr=1e-3), judge)
    if family == "VAE":
        vae = VAE(VAEConfig(size, channels, latent, (width, width)), rng)
        return Variational(vae, data, VariationalConfig(**every, lr=5e-3))
    if family == "flow":
        couplings, hidden = (8, (32, 32)) if small else (6, (64, 64))
        flow = RealNVP(RealNVPConfig(size, channels, couplings, hidden), rng)
        return FlowLikelihood(flow, data, FlowLikelihoodConfig(**every, lr=5e-3))
    shape = MLPConfig(math.prod(shape), 44 if small else 80, 1 if small else 2)
    model = DiffusionModel(MLP(shape, rng), ModelConfig(mlp=shape), threads=1, processes=False)
    return DenoiseVectors(
        model, Numbers(data.x.reshape(len(data), 1, 1, -1), data.name), ValidatedConfig(**every, lr=5e-3)
    )


def trained(objective: Any) -> tuple[Any, float]:
    """Return the trained network, and how many seconds of a core it took."""
    started = time.process_time()
    run = Run(objective, threads=1, processes=False)
    run.run(progress=False)
    return run.trained(), time.process_time() - started


def drawn_by(objective: Any, network: Any, n: int, shape: tuple, seed: int) -> np.ndarray:
    """Return n samples: of a chain by 20 steps of dpmpp_2m; of a VAE of points with the decoder's own noise."""
    request = Request(n=n, seed=seed)
    if isinstance(network, MLP):
        model = DiffusionModel(network, objective.model.config, threads=1, processes=False)
        return np.asarray(model.draw(request, "dpmpp_2m", 20)).reshape(n, *shape)
    if isinstance(network, VAE) and shape[0] == 1:
        noise = Noise(seed)
        z = noise.normal((n, network.latent), "z")
        return network.draw(z, noise.normal((n, *shape), "x given z"))
    return draw_at_once(network, request)


# ------------------------------------------------------------------------------------------------------ likelihoods


def flow_log_density(model: Any, x: np.ndarray, steps: int = 40) -> np.ndarray:
    """Return log p(x) of the probability-flow ODE, (N,), in nats, for points of the plane.

    In units in which the signal keeps its size, x / a, the ODE is dx / dsigma = eps_hat, so that the log density falls
    by the divergence of eps_hat, here by central differences in float64. Heun's method, from t = 1 to T, on steps that
    are even in log sigma.
    """
    network = model.network.bind(model.network.theta.astype(np.float64))
    diffusion, h, total = model.diffusion, 1e-4, np.zeros(len(x))
    a_and_b = [
        (float(diffusion.alpha_bar_at(t)) ** 0.5, float(1 - diffusion.alpha_bar_at(t)) ** 0.5) for t in (1, 1000)
    ]
    sigmas = np.geomspace(a_and_b[0][1] / a_and_b[0][0], min(a_and_b[1][1] / a_and_b[1][0], 80.0), steps + 1)

    def eps_hat(y, sigma):
        a = (1 + sigma**2) ** -0.5
        t = np.full(len(y), diffusion.time_at(-math.log(sigma)))
        return diffusion.eps_from_v(
            (a * y).reshape(-1, 1, 1, 2), t, network.forward((a * y).reshape(-1, 1, 1, 2), t)
        ).reshape(-1, 2)

    def slope(y, sigma):
        moves = np.concatenate([y + s * h * e for e in np.eye(2) for s in (1, -1)] + [y])
        parts = eps_hat(moves, sigma).reshape(5, len(y), 2)
        return parts[4], (parts[0, :, 0] - parts[1, :, 0] + parts[2, :, 1] - parts[3, :, 1]) / (2 * h)

    y = x.reshape(-1, 2).astype(np.float64)
    for sigma, following in pairwise(sigmas):
        d, divergence = slope(y, sigma)
        d_2, divergence_2 = slope(y + (following - sigma) * d, following)
        y = y + (following - sigma) * (d + d_2) / 2
        total += (following - sigma) * (divergence + divergence_2) / 2
    variance = 1 + sigmas[-1] ** 2  # of noise and data there
    return total - (y * y).sum(axis=1) / (2 * variance) - math.log(2 * math.pi * variance)


def diffusion_bound(model: Any, x: np.ndarray) -> float:
    """Return DDPM's bound on -log p in nats for each number: every step once, with one noise for each picture.

    Each picture sees every third step, another third than its neighbours.
    """
    diffusion, x = model.diffusion, x.reshape(len(x), 1, 1, -1)
    total = prior_term(diffusion, x)
    for t in range(1, diffusion.T + 1):
        third = x[t % 3 :: 3]
        eps = Noise(5, step=t).normal(third.shape, "bound")
        total[t % 3 :: 3] += 3 * step_term(model.predict, diffusion, third, t, eps)
    return float(np.mean(total)) / x.shape[-1]


def log_likelihood(family: str, objective: Any, network: Any, x: np.ndarray) -> dict[str, Any]:
    """Return how likely held-out data are, where it can be said, and what kind of number that is."""
    numbers = math.prod(x.shape[1:])
    if family == "flow":
        return {"kind": "exact", "nats": float(network.log_density(x).mean()) / numbers}
    if family == "VAE":
        return {"kind": "bound", "nats": float(importance_bound(network, x, Noise(3), 100).mean()) / numbers}
    if family == "diffusion":
        model = DiffusionModel(network, objective.model.config, threads=1, processes=False)
        if numbers == 2:
            return {"kind": "ODE", "nats": float(flow_log_density(model, x).mean()) / numbers}
        return {"kind": "bound", "nats": -diffusion_bound(model, x)}
    return {"kind": "none", "nats": None}


# -------------------------------------------------------------------------------------------------------- measures


def of_the_ring(x: np.ndarray) -> dict[str, Any]:
    """Return how many modes are covered, and the share of points within three deviations of one."""
    angle = 2 * np.pi * np.arange(MODES) / MODES
    centres = RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    distance = np.linalg.norm(x.reshape(-1, 1, 2) - centres, axis=2)
    good = distance.min(axis=1) < 3 * WIDTH
    return shares(distance.argmin(axis=1), good, MODES)


def shares(which: np.ndarray, good: np.ndarray, modes: int) -> dict[str, Any]:
    """Return the good share, how many modes have at least `SHARE` of their fair share of all, and each mode's share."""
    counts = np.bincount(which[good], minlength=modes) / len(which)
    return {
        "good": float(good.mean()),
        "modes": int((counts >= SHARE / modes).sum()),
        "shares": np.round(counts, 4).tolist(),
    }


def judge_of_digits() -> Run:
    """Return the training of a classifier of digits of 8 x 8 pixels, not yet begun."""
    network = Classifier(ClassifierConfig(8, channels=(16, 32)), np.random.default_rng(0))
    config = ClassifyConfig(steps=600, batch=64, micro_batch=None, log_every=10**6, ema=0.95)
    return Run(Classify(network, load_data("digits"), config, load_data("digits", "test")), threads=1, processes=False)


def of_digits(judge: Classifier, x: np.ndarray, real: np.ndarray) -> dict[str, Any]:
    """Return the classes that are covered, the share that the judge is sure of, and how near all are to real digits."""
    x = np.clip(x, -1, 1).astype(np.float32)
    p, _ = softmax(judge.forward(x))
    flat, known = (a.reshape(len(a), -1).astype(float) for a in (x[: len(real)], real))
    precision, recall = precision_and_recall(known, flat)
    distance = frechet_distance_of(flat, known)
    return {
        **shares(p.argmax(axis=1), p.max(axis=1) > SURE, 10),
        "precision": precision,
        "recall": recall,
        "frechet": distance,
    }


# ------------------------------------------------------------------------------------------------------------ data


def data_sets() -> dict[str, tuple[Numbers, np.ndarray]]:
    """Return training and held-out data by name."""
    ring = Numbers(load_points("mixture", 20_000).batch(np.arange(20_000))[0], "ring")
    held_out = points("mixture", 2000, seed=1).reshape(-1, 1, 1, 2)
    pictures = {split: load_data("digits", split) for split in ("train", "test")}
    filled = {}
    for split, copies in (("train", COPIES), ("test", 1)):
        x, _ = pictures[split].batch(np.tile(np.arange(len(pictures[split])), copies))
        filled[split] = dequantise(x, Noise(9).uniform(x.shape, f"dequantise {split}"), LEVELS)
    return {"ring": (ring, held_out), "digits": (Numbers(filled["train"], "digits"), filled["test"])}


def one(family: str, name: str, seed: int, steps: int, data: dict, judge: Any) -> dict[str, Any]:
    """Train one family on one set of data; return what is known of it."""
    training, held_out = data[name]
    record: dict[str, Any] = {"family": family, "data": name, "seed": seed, "steps": steps}
    objective = objective_of(family, training, seed, steps)
    try:
        network, seconds = trained(objective)
    except TrainingError as error:
        return {**record, "failed": str(error)}
    n, shape = DRAWN[name], training.x.shape[1:]
    started = time.process_time()
    x = drawn_by(objective, network, n, shape, seed=1000 + seed)
    drawing = time.process_time() - started
    found = of_the_ring(x) if name == "ring" else of_digits(judge, x, held_out)
    weights = sum(phase.network.theta.size for phase in objective.phases)
    record |= {"seconds": round(seconds, 2), "drawing": round(drawing, 4), "weights": weights, **found}
    likelihood = log_likelihood(family, objective, network, held_out)
    record |= likelihood
    if name == "digits" and likelihood["nats"] is not None:
        record["bits"] = float(bits_per_number(-likelihood["nats"], LEVELS))
    if seed == 0:
        kept = 400 if name == "ring" else 20
        record["drawn"] = np.round(x[:kept].reshape(kept, -1), 2).astype(float).tolist()
    return record


def of_the_exact_ring(held_out: np.ndarray) -> dict[str, Any]:
    """Return what held-out points themselves score: nobody who learns them can do better, but by chance."""
    density = density_of(point_shape("mixture"), ModelConfig(mlp=MLPConfig()).diffusion())
    return {**of_the_ring(held_out), "nats": float(np.mean(density.log_density(held_out.reshape(-1, 1, 1, 2), 0))) / 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--data", nargs="+", default=("ring", "digits"), choices=("ring", "digits"))
    parser.add_argument("--out", type=Path, default=Path("families.json"))
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"trainings": []}
    data, judge, run = data_sets(), None, judge_of_digits()
    known.setdefault("reference", {})
    if "digits" in options.data:
        run.run(progress=False)
        judge = run.trained()
        known["judge"] = run.validate()
        known["reference"]["digits"] = of_digits(
            judge, data["digits"][0].x[: len(data["digits"][1])], data["digits"][1]
        )
    if "ring" in options.data:
        known["reference"]["ring"] = of_the_exact_ring(data["ring"][1])
    known["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, one used; NumPy {np.__version__}"
    done = {(r["family"], r["data"], r["seed"]) for r in known["trainings"] if r["steps"] == options.steps}
    for seed in range(options.first, options.first + options.seeds):
        for name in options.data:
            for family in options.families:
                if (family, name, seed) in done:
                    continue
                record = one(family, name, seed, options.steps, data, judge)
                known["trainings"].append(record)
                text = json.dumps(known)
                atomic_write(options.out, lambda file, text=text: file.write(text.encode()))
                print({key: value for key, value in record.items() if key not in ("drawn", "shares")}, flush=True)


if __name__ == "__main__":
    main()
