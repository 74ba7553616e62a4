"""Training a CLIP: each batch is a riddle, which caption belongs to which picture."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import (
    InputError,
    Noise,
    TrainingError,
    check_count,
    check_number,
    check_positive,
    check_shape,
    weights_stand_still,
)
from tinydiff.data import to_floats
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.functional import contrastive_loss, contrastive_loss_backward
from tinydiff.models import ClipModel
from tinydiff.networks import CLIP
from tinydiff.nn import Gradients, Tape
from tinydiff.train.checkpoint import RunState, checkpoints, load_checkpoint, save_checkpoint
from tinydiff.train.optim import AdamW, clip_by_global_norm, ema_decay, learning_rate
from tinydiff.workers import run_parallel

SPARE = 4  # of so many candidates for a batch, one may say what another one says


@dataclass(frozen=True)
class ClipTrainConfig:
    """How a CLIP is trained.

    Parameters
    ----------
    steps, batch, micro_batch : int
        The batch is cut into shards of `micro_batch` pairs.
    lr, warmup
        See `learning_rate`.
    weight_decay, clip, ema : float
        See `AdamW`, `clip_by_global_norm` and `ema_decay`.
    clean : float
        Share of pictures without noise; the others have a random time.
    seed, log_every, save_every : int
    """

    steps: int = 1600
    batch: int = 256
    micro_batch: int = 32
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.05
    clip: float = 1.0
    ema: float = 0.995
    clean: float = 0.5
    seed: int = 0
    log_every: int = 20
    save_every: int = 200

    def __post_init__(self):
        for name in ("steps", "micro_batch", "log_every", "save_every"):
            check_count(name, getattr(self, name))
        check_count("batch", self.batch, least=2)
        for name in ("warmup", "seed"):
            check_count(name, getattr(self, name), least=0)
        for name in ("lr", "clip"):
            check_positive(name, getattr(self, name))
        for name in ("ema", "clean"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("weight_decay", self.weight_decay, 0, 1e6)


def gradient_of_batch(network: CLIP, x_t: Any, t: Any, tokens: Any, micro_batch: int) -> tuple[Any, Any]:
    """Return the contrastive loss of pairs and its gradient in theta.

    Pairs are encoded in shards, side by side. The loss compares all with all, so that the shards meet for it; then
    each goes back along its own tape.
    """
    parts = [slice(i, i + micro_batch) for i in range(0, len(x_t), micro_batch)]
    grads, tape = Gradients(network.parameters()), Tape()

    def forward(part):
        own = Tape()
        return network.encode_image(x_t[part], t[part], own), network.encode_text(tokens[part], own), own

    def backward(part, own):
        found = Gradients(network.parameters())
        network.encode_text_backward(d_text[part], own, found)
        network.encode_image_backward(d_image[part], own, found)
        return found.flat

    with weights_stand_still():
        image, text, tapes = zip(*run_parallel([partial(forward, part) for part in parts]), strict=True)
        logits = network.logits(np.concatenate(image), np.concatenate(text), tape)
        loss, cache = contrastive_loss(logits)
        (d_logits,) = contrastive_loss_backward(1.0, cache)
        d_image, d_text = network.logits_backward(d_logits, tape, grads)
        for flat in run_parallel([partial(backward, *work) for work in zip(parts, tapes, strict=True)]):
            grads.flat += flat
    return loss, grads.flat


def next_batch(contents: np.ndarray, batch: int, step: int, seed: int) -> np.ndarray:
    """Return the indices of a step's pairs, in random order and, where there are enough, no two of one content.

    Two captions that say the same would be a riddle without an answer.
    """
    candidates = min(len(contents), batch + batch // SPARE)
    per_epoch = len(contents) // candidates
    epoch, place = divmod(step, per_epoch)
    order = Noise(seed, step=epoch).permutation(len(contents), "data order")
    chosen = order[place * candidates :][:candidates]
    _, first = np.unique(contents[chosen], return_index=True)
    again = np.setdiff1d(np.arange(candidates), first)
    return chosen[np.concatenate([np.sort(first), again])[:batch]]


def noisy(diffusion: GaussianDiffusion, x_0: Any, clean: float, noise: Noise) -> tuple[Any, Any]:
    """Return (x_t, t): pictures at random times, and a share of them clean, at t = 0."""
    t = noise.integers(1, diffusion.T, len(x_0), "t")
    x_t = diffusion.q_sample(x_0, t, noise.normal(x_0.shape, "eps"))
    is_clean = noise.uniform((len(x_0),), "clean") < clean
    return np.where(is_clean[:, None, None, None], x_0, x_t), np.where(is_clean, 0, t)


def train_clip(
    clip: ClipModel,
    images: np.ndarray,
    captions: tuple[str, ...],
    config: ClipTrainConfig,
    contents: np.ndarray | None = None,
    folder: Path | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> Any:
    """Train a CLIP in place, and return the average of its weights; a run that was stopped goes on.

    Parameters
    ----------
    clip : ClipModel
    images : uint8 array, shape (N, H, W, C)
    captions : tuple of str
        One for each image.
    config : ClipTrainConfig
    contents : integer array, shape (N,), or None
        Equal where captions say the same; None compares their texts.
    folder : Path or None
        Where checkpoints go.
    log : callable or None
        Gets a record of "step", "loss", "scale" and "seconds".

    Raises
    ------
    TrainingError
        If the loss is no number any more.
    """
    network = clip.network
    if len(captions) != len(images):
        raise InputError(f"There are {len(captions)} captions for {len(images)} images.")
    if len(images) < config.batch:
        raise InputError(f"There are {len(images)} pairs, but a batch has {config.batch}.")
    contents = np.unique(captions, return_inverse=True)[1] if contents is None else contents
    check_shape("contents", contents, (len(images),))
    tokens = clip.tokenizer.rows(captions, network.config.text.length)
    optimizer = AdamW(network.theta, network.decay_mask(), (0.9, 0.98), weight_decay=config.weight_decay)
    ema, about = network.theta.copy(), {"run": asdict(config), "best": 0.0}
    if folder is not None and (found := checkpoints(folder)):
        state = load_checkpoint(found[-1], network)
        if state.about["run"] != about["run"]:
            raise InputError(f"{folder} holds a run with other settings: take another folder, or the same settings.")
        for name, vector in (("theta", network.theta), ("ema", ema), ("m", optimizer.m), ("v", optimizer.v)):
            vector[:] = state.vectors[name]
        optimizer.steps = state.step
    start = time.perf_counter()
    for step in range(optimizer.steps, config.steps):
        chosen = next_batch(contents, config.batch, step, config.seed)
        x_t, t = noisy(clip.diffusion, to_floats(images[chosen]), config.clean, Noise(config.seed, step=step))
        loss, g = gradient_of_batch(network, x_t, t, tokens[chosen], config.micro_batch)
        if not np.isfinite(loss):
            raise TrainingError(f"The loss of step {step + 1} is {loss}: train with a lower lr.")
        clip_by_global_norm(g, config.clip)
        rate = learning_rate(step + 1, config.steps, config.lr, config.warmup, final=0.01)
        optimizer.step(g, rate)
        network.bound_scale()
        ema += (1 - ema_decay(step + 1, config.ema)) * (network.theta - ema)
        if log is not None and ((step + 1) % config.log_every == 0 or step + 1 == config.steps):
            scale = float(np.exp(network.log_scale.value[0]))
            log({"step": step + 1, "loss": float(loss), "scale": scale, "seconds": time.perf_counter() - start})
        if folder is not None and ((step + 1) % config.save_every == 0 or step + 1 == config.steps):
            vectors = {"theta": network.theta, "ema": ema, "m": optimizer.m, "v": optimizer.v}
            save_checkpoint(folder, network, RunState(step + 1, vectors, about), keep=2)
    return ema
