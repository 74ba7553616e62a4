"""The prior of unCLIP: a Transformer that guesses a picture's embedding from a text."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinydiff import functional as F
from tinydiff.base import (
    Array,
    Condition,
    InputError,
    as_condition,
    check_alike,
    check_count,
    check_divisible,
    check_numbers,
    check_shape,
    checks_arguments,
    xp_of,
)
from tinydiff.networks.conditions import DenoiserGradients
from tinydiff.networks.levels import LARGEST_WIDTH, MOST_LAYERS, OfOneVector
from tinydiff.networks.registry import network
from tinydiff.nn import Embedding, Gradients, LayerNorm, Linear, Module, Sequential, SiLU, Tape, TransformerBlock

AFTER_TEXT = 4  # tokens: the text's embedding, the time, the noisy embedding, and the one that is read


@checks_arguments("__init__")
@dataclass(frozen=True)
class PriorConfig(OfOneVector):
    """The shape of a prior. What it denoises is, to samplers, a picture of one pixel with many channels.

    Parameters
    ----------
    embedding : int
        Numbers in the embedding of a picture, and in that of a text, as the CLIP has them.
    text_channels : int
        Size of the vectors that the CLIP's text encoder has for each token.
    length : int
        Tokens of a text.
    channels : int
        Of every token inside the Transformer; a multiple of `heads`, and even.
    layers : int
        Transformer blocks.
    heads : int
        Heads of every attention.
    """

    embedding: int = 128
    text_channels: int = 64
    length: int = 48
    channels: int = 128
    layers: int = 4
    heads: int = 4

    num_classes: ClassVar[None] = None

    def __post_init__(self):
        for name in ("embedding", "text_channels", "length", "heads"):
            check_count(name, getattr(self, name), most=LARGEST_WIDTH)
        check_count("channels", self.channels, least=2, most=LARGEST_WIDTH)
        check_count("layers", self.layers, most=MOST_LAYERS)
        check_divisible("channels", self.channels, "heads", self.heads)
        if self.channels % 2:
            raise InputError(f"channels is {self.channels}, but an even number was expected, for sines and cosines.")

    @property
    def tokens(self) -> int:  # type: ignore[override]  # it follows from the length
        """How many tokens the Transformer sees."""
        return self.length + AFTER_TEXT

    @property
    def in_channels(self) -> int:  # type: ignore[override]  # it is the embedding's size
        """Channels of what is denoised: the numbers of an embedding."""
        return self.embedding


@network("prior", PriorConfig)
@checks_arguments("__init__")
class PriorTransformer(Module):
    """Predicts the embedding of a picture, without noise, from a noisy one and a text (Ramesh et al. 2022, 2204.06125).

    The tokens are, in this order: the vectors of the text's tokens, the text's embedding, the time, the noisy
    embedding, and one that holds nothing but its learned place: what is read off at this last one, after causal blocks,
    is the prediction (section 2.2 there).

    Parameters
    ----------
    config : PriorConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: PriorConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config, c = config, config.channels
        self.text = Linear(config.text_channels, c, rng, dtype=dtype)
        self.text_embedding = Linear(config.embedding, c, rng, dtype=dtype)
        self.time = Sequential(Linear(c, c, rng, dtype=dtype), SiLU(), Linear(c, c, rng, dtype=dtype))
        self.noisy = Linear(config.embedding, c, rng, dtype=dtype)
        self.place = Embedding(config.length + AFTER_TEXT, c, rng, dtype=dtype)
        self.blocks = [TransformerBlock(c, config.heads, rng, dtype=dtype) for _ in range(config.layers)]
        self.norm = LayerNorm(c, dtype=dtype)
        self.head = Linear(c, config.embedding, None, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return x_t, t and a context, for one embedding."""
        config, weights = self.config, self.head.weight.value
        xp = xp_of(weights)
        tokens = xp.zeros((1, config.length, config.text_channels), weights.dtype)
        embedding = xp.zeros((1, config.embedding), weights.dtype)
        return embedding[:, None, None], xp.ones(1, np.int64), Condition(tokens=tokens, pooled=embedding)

    def forward(self, x_t: Array, t: Array, context: Any = None, tape: Tape | None = None) -> Array:
        """Predict an embedding.

        Parameters
        ----------
        x_t : array, shape (N, 1, 1, embedding)
            Noisy embeddings.
        t : array, shape (N,)
            Steps, 1 .. T, integer or real.
        context : Condition
            Its `tokens` (N, length, text_channels) are what the CLIP's text encoder has for each token, `pooled` (N,
            embedding) is the embedding of the text.
        tape : Tape or None
            None remembers nothing for a backward.

        Returns
        -------
        array, shape of x_t
        """
        config, condition = self.config, as_condition(context)
        self._check(x_t, t, condition)
        xp, n = xp_of(x_t), len(x_t)
        clock = F.timestep_embedding(t, config.channels, dtype=x_t.dtype)
        parts = [
            self.text.forward(condition.tokens, tape),
            self.text_embedding.forward(condition.pooled[:, None], tape),
            self.time.forward(clock, tape)[:, None],
            self.noisy.forward(x_t.reshape(n, 1, config.embedding), tape),
            xp.zeros((n, 1, config.channels), x_t.dtype),
        ]
        h = xp.concatenate(parts, axis=1)
        length = h.shape[1]
        h += self.place.forward(xp.arange(length), tape)
        mask = xp.tril(xp.ones((length, length), bool))
        for block in self.blocks:
            h = block.forward(h, tape=tape, mask=mask)
        y = self.head.forward(self.norm.forward(h[:, -1], tape), tape)
        return y.reshape(x_t.shape)

    def backward(self, d_out: Array, tape: Tape, grads: Gradients | None = None) -> DenoiserGradients:
        """Return (d_x_t, d_context, d_time), and add the weights' gradients to `grads`: the forward in reverse order.

        d_context is a `Condition` of gradients, of tokens and of the text's embedding.
        """
        check_alike(d_out=d_out, theta=self.head.weight.value)
        check_shape("d_out", d_out, (None, 1, 1, self.config.embedding))
        length, n = self.config.length, len(d_out)
        d_last = self.norm.backward(
            self.head.backward(d_out.reshape(n, self.config.embedding), tape, grads), tape, grads
        )
        dh = xp_of(d_out).zeros((n, length + AFTER_TEXT, self.config.channels), d_out.dtype)
        dh[:, -1] = d_last  # nothing else was read
        for block in reversed(self.blocks):
            dh, _ = block.backward(dh, tape, grads)
        self.place.backward(dh.sum(axis=0), tape, grads)  # every row of the batch has the same places
        d_text, d_embedding, d_time, d_noisy = (
            dh[:, :length],
            dh[:, length : length + 1],
            dh[:, length + 1],
            dh[:, length + 2 : length + 3],
        )
        d_x_t = self.noisy.backward(d_noisy, tape, grads).reshape(d_out.shape)
        self.time.backward(d_time, tape, grads)
        d_pooled = self.text_embedding.backward(d_embedding, tape, grads)[:, 0]
        d_tokens = self.text.backward(d_text, tape, grads)
        return DenoiserGradients(d_x_t, Condition(tokens=d_tokens, pooled=d_pooled), d_time)

    def _check(self, x_t, t, condition):
        config = self.config
        check_alike(x_t=x_t, theta=self.head.weight.value)
        check_shape("x_t", x_t, (None, 1, 1, config.embedding))
        n = len(x_t)
        check_numbers("t", t)
        check_shape("t", t, (n,))
        shapes = {"tokens": (n, config.length, config.text_channels), "pooled": (n, config.embedding)}
        for name, given in condition._asdict().items():
            if name not in shapes and given is not None:
                raise InputError(f"context holds {name}, but a prior takes none: leave it out.")
        for name, shape in shapes.items():
            given = getattr(condition, name)
            if given is None:
                raise InputError(f"A prior guesses from a text, but the context holds no {name}.")
            check_alike(x_t=x_t, **{f"context_{name}": given})
            check_shape(f"context, {name}", given, shape)
