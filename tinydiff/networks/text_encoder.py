"""The text encoder: a Transformer that reads tokens and gives one vector for each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, check_choice, check_count, check_divisible, check_shape, checks_arguments, xp_of
from tinydiff.networks.levels import LARGEST_WIDTH, MOST_CLASSES, MOST_LAYERS
from tinydiff.networks.registry import network
from tinydiff.nn import ACTIVATIONS, Embedding, Gradients, LayerNorm, Module, Tape, TransformerBlock


@checks_arguments("__init__")
@dataclass(frozen=True)
class TextConfig:
    """The shape of a text encoder.

    Parameters
    ----------
    vocabulary : int
        Number of different tokens.
    length : int
        Number of tokens in each text; shorter texts are filled up.
    channels : int
        Size of a token's vector.
    layers : int
        Blocks of the Transformer. Without layers, a token's vector depends only on the token and its position, not on
        the other tokens.
    heads : int
        Heads of every attention; they divide `channels`.
    causal : bool
        Whether a token attends only to itself and those before it, as in CLIP, or to all.
    positions : bool
        Whether an embedding of each token's position is added. Without it, and without a causal mask, the order of the
        words is lost: a bag of words.
    activation : str
        Of the feed-forward networks: ``"geglu"``, or ``"gelu"`` or ``"quick-gelu"``, as in CLIPs.
    attention_bias : bool
        Whether queries, keys and values have biases, as in CLIPs.
    """

    vocabulary: int = 1024
    length: int = 32
    channels: int = 64
    layers: int = 2
    heads: int = 4
    causal: bool = False
    positions: bool = True
    activation: str = "geglu"
    attention_bias: bool = False

    def __post_init__(self):
        check_count("vocabulary", self.vocabulary, most=MOST_CLASSES)
        for name in ("length", "channels", "heads"):
            check_count(name, getattr(self, name), most=LARGEST_WIDTH)
        check_count("layers", self.layers, least=0, most=MOST_LAYERS)
        check_divisible("channels", self.channels, "heads", self.heads)
        check_choice("activation", self.activation, ACTIVATIONS)


@network("text-encoder", TextConfig)
@checks_arguments("__init__")
class TextEncoder(Module):
    """Token numbers (N, length) to vectors (N, length, channels): learned positions, pre-norm blocks, a last norm.

    Parameters
    ----------
    config : TextConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: TextConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        self.token = Embedding(config.vocabulary, config.channels, rng, dtype=dtype)
        # the embedding of positions; files of weights know it by this name
        self.place = Embedding(config.length, config.channels, rng, dtype=dtype) if config.positions else None
        self.blocks = [
            TransformerBlock(
                config.channels,
                config.heads,
                rng,
                activation=config.activation,
                bias=config.attention_bias,
                dtype=dtype,
            )
            for _ in range(config.layers)
        ]
        self.norm = LayerNorm(config.channels, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one row of tokens."""
        return (xp_of(self.norm.gamma.value).zeros((1, self.config.length), np.int64),)

    def forward(self, tokens: Array, tape: Tape | None = None) -> Array:
        """Return one vector for each token, shape (N, length, channels)."""
        xp = xp_of(tokens, self.norm.gamma.value)
        length = self.config.length
        check_shape("tokens", tokens, (None, length))
        h = self.token.forward(tokens, tape)
        if self.place is not None:
            h = h + self.place.forward(xp.arange(length), tape)
        mask = xp.tril(xp.ones((length, length), bool)) if self.config.causal else None
        for block in self.blocks:
            h = block.forward(h, tape=tape, mask=mask)
        return self.norm.forward(h, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> None:
        """Add the gradients of the weights; tokens have none."""
        dh = self.norm.backward(dy, tape, grads)
        for block in reversed(self.blocks):
            dh, _ = block.backward(dh, tape, grads)
        if self.place is not None:
            self.place.backward(dh.sum(axis=0), tape, grads)  # every text of the batch has the same positions
        self.token.backward(dh, tape, grads)


def first_end(tokens: Array, vocabulary: int, dtype: Any) -> Array:
    """Return one-hot rows (N, 1, length) for each text's first end token, which is the last of the vocabulary."""
    is_end = tokens == vocabulary - 1
    return (is_end & (xp_of(tokens).cumsum(is_end, axis=1) == 1)).astype(dtype)[:, None, :]
