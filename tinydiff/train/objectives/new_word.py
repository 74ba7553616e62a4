"""New word: textual inversion, which learns one word from a few pictures while the network stays frozen."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Memo,
    check_images,
    check_shape,
    checked,
    checks_arguments,
    to_numpy,
    xp_of,
)
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel
from tinydiff.nn import Gradients, Module, Tape
from tinydiff.nn.parameter import Parameter
from tinydiff.train.config import TrainConfig
from tinydiff.train.objective import Objective, Phase
from tinydiff.train.run import Run


@checks_arguments("__init__")
@dataclass(frozen=True)
class NewWordConfig(TrainConfig):
    """How a word is learned: the settings of every run (`TrainConfig`), with other defaults.

    The learning rate is constant, no gradient is clipped and no average is kept, as there are few numbers to learn. A
    batch is drawn from the pictures at random, with new noise for each.
    """

    steps: int = 300
    batch: int = 16
    lanes: int = 1
    lr: float = 0.02
    warmup: int = 0
    final_lr: float = 1.0
    clip: float | None = None
    ema: float | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.lanes != 1:
            raise InputError(f"lanes is {self.lanes}, but a word's shards are added one after the other: leave it out.")
        if self.ema is not None:
            raise InputError(
                f"ema is {self.ema}, but the vector of a word is learned without an average: leave it out."
            )


class Row(Module):
    """One row of a table of embeddings as a module: a view, so that training it changes the table."""

    def __init__(self, table: Parameter, row: int):
        self.vector = Parameter(table.value[row])
        self.pack()
        self.move_to(table.value[row])


@checks_arguments("__init__")
class NewWord(Objective):
    """A model learns one more word: what all the pictures show and their prompts do not name (Eq. TI-2).

    Of all numbers in the network only one row changes, that of the word in the text encoder's table. The gradient goes
    back through the denoiser and through the encoder, and stops there; no other weight's gradient is computed.

    Parameters
    ----------
    model : DiffusionModel
        One that reads text; it is not changed.
    images : array, shape (N, H, W, C)
        A few pictures, in [-1, 1].
    prompts : sequence of str
        One for each picture, or another number to choose from at random; each contains the word.
    word : str
        One token: a sign that occurs in no caption, or a word whose old meaning may be lost.
    like : str or None
        One token, whose vector is the starting point; None starts from the word's own.
    config : NewWordConfig or None

    Raises
    ------
    InputError
        If the model reads no text, a word is several tokens, or pictures or prompts do not fit.

    Source: Gal et al. 2022 (arXiv 2208.01618), Eq. 2.
    """

    def __init__(
        self,
        model: DiffusionModel,
        images: Array,
        prompts: Sequence[str],
        word: str = "*",
        like: str | None = None,
        config: NewWordConfig | None = None,
    ):
        model.check_draws()
        if model.config.learns_variance:
            raise InputError(
                "This model has learned the variance too, but a word is learned by the simple loss alone: take a model "
                "without it."
            )
        config = NewWordConfig() if config is None else config
        micro_batch = model.micro_batch if config.micro_batch is None else config.micro_batch
        self.row = token_of(model, word)
        denoiser, xp = model.config.denoiser, xp_of(model.network.theta)
        check_images("images", images)
        check_shape("images", images, (None, *denoiser.shape))
        self.images = xp.asarray(images, dtype=model.network.theta.dtype)
        self.prompts, self.tokens = tuple(prompts), model.tokens(prompts if prompts else [""])
        if not bool((self.tokens == self.row).any(axis=1).all()):
            raise InputError(f"prompts holds {prompts[:1]}, but texts that all hold the word {word!r} were expected.")
        self.model = replace(model, network=model.network.bind(model.network.theta.copy()))
        self.table = self.model.network.text.token.table  # type: ignore[union-attr]  # it reads text
        if like is not None:
            self.table.value[self.row] = self.table.value[token_of(model, like)]
        super().__init__(Row(self.table, self.row), replace(config, micro_batch=micro_batch))
        self.phases = [Phase(self.network, self.add_gradient, self.config, in_order=True, memo=Memo())]

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add a micro-batch's part of the gradient in the word's row; return its part of the loss (Eq. TI-2)."""
        model, noise, batch = self.model, self.noise(step, shard), self.config.batch
        part = self.config.part(shard)
        n = part.stop - part.start
        pictures = noise.integers(0, len(self.images) - 1, n, "picture")
        one_each = len(self.prompts) == len(self.images)
        chosen = pictures if one_each else noise.integers(0, len(self.prompts) - 1, n, "prompt")
        x_0, tokens = self.images[pictures], self.tokens[chosen]
        t, eps = noise.integers(1, model.diffusion.T, n, "t"), noise.normal(x_0.shape, "eps", dtype=x_0.dtype)
        x_t, target = model.diffusion.q_sample(x_0, t, eps), model.target(x_0, eps, t)

        tape, of_table = Tape(), Gradients([self.table])  # of this parameter only
        loss, cache = mse(model.network.forward(x_t, t, tokens, tape), target)  # Eq. DDPM-14
        share = n / batch
        d_output, _ = mse_backward(share, cache)
        model.network.backward(d_output, tape, of_table)
        grads.add(self.network.vector, of_table[self.table.name][self.row])
        return share * loss

    def identity(self) -> dict[str, Any]:
        """Return the model's shape, the word, and checksums of its weights, the pictures and the prompts."""
        arrays = (self.images, np.delete(to_numpy(self.table.value), self.row, axis=0), self.tokens)
        sums = [zlib.crc32(np.ascontiguousarray(to_numpy(a)).tobytes()) for a in arrays]
        return {**asdict(self.model.config), "row": self.row, "checksums of the data": sums}

    def trained(self, *networks: Any) -> DiffusionModel:
        """Return the model that knows the word."""
        return self.model


@checked()
def learn_word(
    model: DiffusionModel,
    images: Array,
    prompts: Sequence[str],
    word: str = "*",
    like: str | None = None,
    config: NewWordConfig | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> DiffusionModel:
    """Return a model that knows one more word (Eq. TI-2): a run of `NewWord`, whose parameters these are.

    Parameters
    ----------
    model, images, prompts, word, like, config
        See `NewWord`.
    log : callable or None
        Gets a record of "step" and "loss", the mean over the last `log_every` steps.

    Raises
    ------
    TrainingError
        If the loss is not finite.
    """
    config = NewWordConfig() if config is None else config
    losses: list[float] = []

    def note(record):
        if "loss" not in record:
            return  # of a step that was skipped
        losses.append(record["loss"])
        if log is not None and record["step"] % config.log_every == 0:
            log({"step": record["step"], "loss": float(np.mean(losses[-config.log_every :]))})

    objective = NewWord(model, images, prompts, word, like, replace(config, log_every=1))
    run = Run(objective, hooks=[note], threads=model.threads)
    run.run(progress=False)
    return run.trained()


def token_of(model: DiffusionModel, word: str) -> int:
    """Return the token number of a word that must be one token."""
    if model.tokenizer is None:
        raise InputError(f"The word is {word!r}, but this model does not read text.")
    tokens = model.tokenizer.encode(word)
    if len(tokens) != 1:
        raise InputError(
            f"The word {word!r} is {len(tokens)} tokens, but one was expected: take a sign, such as '*', or a word "
            "that is frequent in captions."
        )
    return tokens[0]
