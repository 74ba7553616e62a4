"""Textual inversion: one new word, learned from a few pictures, while the network stands still."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinydiff.base import (
    InputError,
    Memo,
    Noise,
    TrainingError,
    check_count,
    check_images,
    check_number,
    check_shape,
    weights_stand_still,
    xp_of,
)
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel
from tinydiff.nn import Gradients, Tape
from tinydiff.train.optim import AdamW
from tinydiff.workers import run_parallel


@dataclass(frozen=True)
class InversionConfig:
    """How a word is learned.

    Parameters
    ----------
    steps, batch : int
        A batch is drawn from the pictures, each with noise of its own.
    lr : float
        Of `AdamW`; constant, as there are few numbers to learn.
    seed : int
    log_every : int
    """

    steps: int = 300
    batch: int = 16
    lr: float = 0.02
    seed: int = 0
    log_every: int = 10

    def __post_init__(self):
        for name in ("steps", "batch", "log_every"):
            check_count(name, getattr(self, name))
        check_number("lr", self.lr, 0, 1e3)


def learn_word(
    model: DiffusionModel,
    images: Any,
    prompts: Sequence[str],
    word: str = "*",
    like: str | None = None,
    config: InversionConfig | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> DiffusionModel:
    """Return a model that knows one more word: what all the pictures show, and their prompts do not say (Eq. TI-2).

    Of all numbers in the network only one row changes, that of the word in the text encoder's table. The gradient goes
    back through the UNet and through the encoder, and stops there; no other weight's gradient is computed.

    Parameters
    ----------
    model : DiffusionModel
        One that reads text; it stays as it is.
    images : array, shape (N, H, W, C)
        A few pictures, in [-1, 1].
    prompts : sequence of str
        One for each picture, or some to choose from by chance; each holds the word.
    word : str
        One token: a sign that no caption has, or a word whose old meaning may go.
    like : str or None
        One token, at whose row the search begins; None begins at the word's own.
    config : InversionConfig or None
    log : callable or None
        Gets a record of "step" and "loss", the mean over the last `log_every` steps.

    Raises
    ------
    InputError
        If the model reads no text, a word is several tokens, or pictures or prompts do not fit.
    TrainingError
        If the loss is no number any more.

    Source: Gal et al. 2022 (arXiv 2208.01618), Eq. 2.
    """
    config = InversionConfig() if config is None else config
    row = token_of(model, word)
    unet, xp = model.config.unet, xp_of(model.network.theta)
    check_images("images", images)
    check_shape("images", images, (None, *unet.shape))
    images = xp.asarray(images, dtype=model.network.theta.dtype)
    tokens = model.tokens(prompts if prompts else [""])
    if not bool((tokens == row).any(axis=1).all()):
        raise InputError(f"prompts holds {prompts[:1]}, but texts that all hold the word {word!r} were expected.")
    model = replace(model, network=model.network.bind(model.network.theta.copy()))
    table = _table(model).value
    learned = table[row]  # a view: what changes it changes the network
    if like is not None:
        learned[...] = table[token_of(model, like)]
    optimizer, losses, memo = AdamW(learned), [], Memo()
    for step in range(config.steps):
        noise = Noise(config.seed, step=step, xp=xp)
        shown = noise.integers(0, len(images) - 1, config.batch, "picture")
        said = shown if len(prompts) == len(images) else noise.integers(0, len(prompts) - 1, config.batch, "prompt")
        loss, gradient = gradient_of_word(model, images[shown], tokens[said], row, noise, memo)
        losses.append(float(loss))
        if not np.isfinite(losses[-1]):
            raise TrainingError(f"The loss of step {step + 1} is {loss}: learn the word with a lower lr.")
        optimizer.step(gradient, config.lr)
        if log is not None and (step + 1) % config.log_every == 0:
            log({"step": step + 1, "loss": float(np.mean(losses[-config.log_every :]))})
    return model


def token_of(model: DiffusionModel, word: str) -> int:
    """Return the number of a word that is one token."""
    if model.tokenizer is None:
        raise InputError(f"The word is {word!r}, but this model does not read text.")
    tokens = model.tokenizer.encode(word)
    if len(tokens) != 1:
        raise InputError(
            f"The word {word!r} is {len(tokens)} tokens, but one was expected: take a sign, such as '*', or a word "
            "that captions often have."
        )
    return tokens[0]


def gradient_of_word(
    model: DiffusionModel, x_0: Any, tokens: Any, row: int, noise: Noise, memo: Memo | None = None
) -> tuple[Any, Any]:
    """Return the loss of a batch (Eq. DDPM-14) and its gradient in one row of the table of words (Eq. TI-2).

    Parameters
    ----------
    model : DiffusionModel
    x_0 : array, shape (N, H, W, C)
    tokens : integer array, shape (N, length)
    row : int
        A token.
    noise : Noise
        Gives t and eps.
    memo : Memo or None
        What is derived from the weights, which stand still.
    """
    network, n = model.network, len(x_0)
    table = _table(model)
    t, eps = noise.integers(1, model.diffusion.T, n, "t"), noise.normal(x_0.shape, "eps", dtype=x_0.dtype)
    x_t, target = model.diffusion.q_sample(x_0, t, eps), model.target(x_0, eps, t)

    def of_shard(part):
        tape, grads = Tape(), Gradients([table])  # of this parameter, and of no other
        loss, cache = mse(network.forward(x_t[part], t[part], tokens[part], tape), target[part])
        share = len(x_t[part]) / n
        d_output, _ = mse_backward(share, cache)
        network.backward(d_output, tape, grads)
        return share * loss, grads[table.name][row]

    parts = [slice(i, i + model.micro_batch) for i in range(0, n, model.micro_batch)]
    threads = model.threads if xp_of(x_0) is np else 1
    with weights_stand_still(memo):
        losses, gradients = zip(*run_parallel([partial(of_shard, part) for part in parts], threads), strict=True)
    return sum(losses), sum(gradients)


def _table(model):
    return model.network.text.token.table
