"""CLIP: pictures and texts as points on one sphere, near each other where they belong together."""

import math
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import Array, Condition, Size, checks_arguments, xp_of
from tinydiff.networks.image_encoder import ImageEncoder
from tinydiff.networks.levels import OfPictures, check_levels
from tinydiff.networks.registry import network
from tinydiff.networks.text_encoder import TextConfig, TextEncoder, first_end
from tinydiff.nn import Gradients, Linear, Module, Parameter, Tape, UnitLength

FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0  # of the similarities, as in the paper

PooledCache = namedtuple("PooledCache", "one_hot")


@checks_arguments("__init__")
@dataclass(frozen=True)
class CLIPConfig(OfPictures):
    """The shape of a CLIP.

    Parameters
    ----------
    image_size : int or (int, int)
        Height and width, or both in one number; multiples of ``2 ** (levels - 1)``. Pictures of another size are
        refused: the linear layer after the image encoder reads every position of the last feature map.
    in_channels : int
        Channels of the images.
    channels : tuple of int
        Channels of each level of the image encoder; between two levels height and width are halved.
    embedding : int
        Size of the vector, the embedding, of a picture or of a text.
    text : TextConfig
        Of the text encoder. The last of its tokens is the end of a text, as in `Tokenizer`.
    """

    image_size: Size = 16
    in_channels: int = 3
    channels: tuple[int, ...] = (32, 64, 96)
    embedding: int = 128
    text: TextConfig = field(default_factory=lambda: TextConfig(causal=True))

    def __post_init__(self):
        check_levels(self, "in_channels", "embedding")


@network("clip", CLIPConfig)
@checks_arguments("__init__")
class CLIP(Module):
    """Learns, from pairs only, which text belongs to which picture (Radford et al. 2021, arXiv 2103.00020).

    Parameters
    ----------
    config : CLIPConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: CLIPConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        self.image = ImageEncoder(config.image_size, config.in_channels, config.channels, rng, dtype)
        self.project_image = Linear(self.image.features, config.embedding, rng, bias=False, dtype=dtype)
        self.text = TextEncoder(config.text, rng, dtype)
        self.project_text = Linear(config.text.channels, config.embedding, rng, bias=False, dtype=dtype)
        self.unit_image, self.unit_text = UnitLength(), UnitLength()
        self.log_scale = Parameter(np.full(1, math.log(FIRST_SCALE), dtype), decay=False)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return x_t, t and a row of tokens, for one pair."""
        xp, config = xp_of(self.theta), self.config
        x_t = xp.zeros((1, *config.shape), self.theta.dtype)
        return x_t, xp.zeros(1, np.int64), xp.full((1, config.text.length), config.text.vocabulary - 1)

    def encode_image(self, x_t: Array, t: Array | float, tape: Tape | None = None) -> Array:
        """Return a unit vector for each picture, shape (N, embedding); t is 0 for clean ones, a number or (N,)."""
        h = self.image.forward(x_t, t, tape)
        return self.unit_image.forward(self.project_image.forward(h, tape), tape)

    def encode_image_backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_x_t, and add the gradients of the weights."""
        dh = self.unit_image.backward(dy, tape, grads)
        return self.image.backward(self.project_image.backward(dh, tape, grads), tape, grads)

    def encode_text(self, tokens: Array, tape: Tape | None = None) -> Array:
        """Return a unit vector for each text, shape (N, embedding): that of its end token, projected."""
        return self.read_text(tokens, tape).pooled

    def read_text(self, tokens: Array, tape: Tape | None = None) -> Condition:
        """Return the vectors of each text's tokens, (N, length, channels), and as `pooled` the text's unit vector."""
        h = self.text.forward(tokens, tape)
        one_hot = first_end(tokens, self.config.text.vocabulary, h.dtype)
        if tape is not None:
            tape.push(self, PooledCache(one_hot))
        end = (one_hot @ h)[:, 0]
        return Condition(tokens=h, pooled=self.unit_text.forward(self.project_text.forward(end, tape), tape))

    def encode_text_backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> None:
        """Add the gradients of the weights; tokens have none."""
        dh = self.project_text.backward(self.unit_text.backward(dy, tape, grads), tape, grads)
        (one_hot,) = tape.pop(self)
        self.text.backward(one_hot.swapaxes(-1, -2) @ dh[:, None, :], tape, grads)  # pooled = one_hot h

    def forward(self, x_t: Array, t: Array | float, tokens: Array, tape: Tape | None = None) -> Array:
        """Return how well each picture goes with each text: logits, shape (pictures, texts) (Eq. NCE-1)."""
        image, text = self.encode_image(x_t, t, tape), self.encode_text(tokens, tape)
        return self.logits(image, text, tape)

    def backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_x_t, and add the gradients of all weights and of the temperature."""
        d_image, d_text = self.logits_backward(d_logits, tape, grads)
        self.encode_text_backward(d_text, tape, grads)
        return self.encode_image_backward(d_image, tape, grads)

    def logits(self, image: Array, text: Array, tape: Tape | None = None) -> Array:
        """Return the scaled similarities of unit vectors, shape (pictures, texts) (Eq. NCE-1)."""
        y, cache = F.scaled_similarity(image, text, self.log_scale.value)
        if tape is not None:
            tape.push(self, cache, y.shape)
        return y

    def logits_backward(self, d_logits: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array]:
        """Return d_image and d_text, and add the gradient of the temperature."""
        d_image, d_text, d_log_scale = F.scaled_similarity_backward(d_logits, tape.pop(self))
        if grads is not None:
            grads.add(self.log_scale, d_log_scale)
        return d_image, d_text

    def bound_scale(self) -> None:
        """Bring the scale back to at most 100, as after each step of training (Radford et al. 2021, section 2.5)."""
        value = self.log_scale.value
        value[...] = xp_of(value).minimum(value, math.log(LARGEST_SCALE))
