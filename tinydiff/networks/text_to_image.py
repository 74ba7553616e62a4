"""A text encoder and a denoiser as one network: words in, noise out, one backward through both."""

import math
from collections import namedtuple
from typing import Any

import numpy as np

from tinydiff.base import Array, Condition, InputError, as_condition, check_shape, checks_arguments, xp_of
from tinydiff.networks.conditions import DenoiserGradients
from tinydiff.networks.dit import DiT, DiTConfig
from tinydiff.networks.text_encoder import TextConfig, TextEncoder, first_end
from tinydiff.networks.unet import UNet, UNetConfig
from tinydiff.nn import Gradients, Linear, Module, Tape

EXTRA = 4  # tokens that the embedding of a picture becomes

ReadCache = namedtuple("ReadCache", "one_hot")


@checks_arguments("__init__")
class TextToImage(Module):
    """Reads token numbers, and predicts the noise in x_t with a UNet or a DiT that attends to the text's vectors.

    The context is the token numbers, integers (N, length), or a `Condition` that holds them. Where its tokens are
    vectors already, as `read` returns them, the text encoder is not run. So a text is read only once for many steps,
    and pictures can be drawn from vectors between those of two texts.

    Parameters
    ----------
    denoiser : UNetConfig or DiTConfig
        With `context_channels` as many as the text's channels. With `pooled_channels` as many, the vector at the end
        of the text is added to the embedding of the time.
    text : TextConfig
        The last of its tokens is the end of a text, as in `Tokenizer`.
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    embedding : int or None
        For the decoder of unCLIP: it is also told the embedding of a picture, so many numbers, as `pooled`. These are
        added to the embedding of the time, in place of the text's vector, and become `EXTRA` more tokens behind those
        of the text (Ramesh et al. 2022, arXiv 2204.06125, section 2.1). Zeros say that there is no embedding. It is a
        unit vector, and read times the root of its size, so that its numbers are about 1.
    """

    def __init__(
        self,
        denoiser: UNetConfig | DiTConfig,
        text: TextConfig,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
        embedding: int | None = None,
    ):
        rng = np.random.default_rng(0) if rng is None else rng
        pooled = (None, text.channels) if embedding is None else (embedding,)
        if denoiser.context_channels != text.channels or denoiser.pooled_channels not in pooled:
            expected = "equal or None" if embedding is None else f"that of the embedding, {embedding}"
            raise InputError(
                f"context_channels is {denoiser.context_channels} and pooled_channels {denoiser.pooled_channels}, but "
                f"the text has channels = {text.channels}: the first must be equal, the second {expected}."
            )
        self.text = TextEncoder(text, rng, dtype)
        self.extra: Linear | None = None
        if embedding is not None:
            self.extra = Linear(embedding, EXTRA * text.channels, rng, dtype=dtype)
        self.unet: UNet | None = None  # one of the two; its weights are called after it
        self.dit: DiT | None = None
        if isinstance(denoiser, DiTConfig):
            self.dit = DiT(denoiser, rng, dtype)
        else:
            self.unet = UNet(denoiser, rng, dtype)
        self.pack()

    @property
    def denoiser(self) -> UNet | DiT:
        """The part that predicts the noise."""
        denoiser = self.dit if self.unet is None else self.unet
        assert denoiser is not None
        return denoiser

    def one_input(self) -> tuple[Array, ...]:
        """Return x_t, t and a row of tokens, for one image."""
        x_t, t, *_ = self.denoiser.one_input()
        return x_t, t, *self.text.one_input()

    def read(self, context: Any, tape: Tape | None = None) -> Condition:
        """Encode token numbers (N, length) as the denoiser's context.

        It holds a vector for each token and, if the denoiser takes a pooled vector, that of the end token. A decoder's
        holds the extra tokens too, and as `pooled` the embedding times the root of its size.
        """
        condition = as_condition(context)
        tokens = condition.tokens
        if tokens is None:
            raise InputError("context holds no tokens, but the numbers of tokens of texts were expected.")
        h = self.text.forward(tokens, tape)
        if self.extra is not None:
            return self._with_embedding(h, condition.pooled, tape)
        if self.denoiser.config.pooled_channels is None:
            if tape is not None:
                tape.push(self, ReadCache(None))
            return Condition(tokens=h)
        one_hot = first_end(tokens, self.text.config.vocabulary, h.dtype)
        if tape is not None:
            tape.push(self, ReadCache(one_hot))
        return Condition(tokens=h, pooled=(one_hot @ h)[:, 0])

    def read_backward(self, d_read: Condition, tape: Tape, grads: Gradients | None = None) -> Array | None:
        """Return the gradient of the embedding, if there is one, and add those of the encoder's weights."""
        (one_hot,) = tape.pop(self)
        d_embedding = None
        dh = d_read.tokens
        if one_hot is not None:
            dh = dh + one_hot.swapaxes(-1, -2) @ d_read.pooled[:, None, :]  # pooled = one_hot h
        if self.extra is not None:
            length = self.text.config.length
            dh, d_extra = dh[:, :length], dh[:, length:]
            # two readers, the extra tokens and the embedding of the time: their gradients add
            d_scaled = d_read.pooled + self.extra.backward(d_extra.reshape(len(dh), -1), tape, grads)
            d_embedding = d_scaled * math.sqrt(d_scaled.shape[1])
        self.text.backward(dh, tape, grads)
        return d_embedding

    def forward(self, x_t: Array, t: Array, context: Any = None, tape: Tape | None = None) -> Array:
        """Predict the noise in x_t, like `UNet.forward`; context as above."""
        condition = as_condition(context)
        if condition.tokens is None:
            raise InputError("This network draws from text, but the context holds no tokens.")
        if condition.tokens.dtype.kind in "iu":
            read = self.read(condition, tape)
            condition = condition._replace(tokens=read.tokens, pooled=read.pooled)
        return self.denoiser.forward(x_t, t, condition, tape)

    def backward(self, d_out: Array, tape: Tape, grads: Gradients | None = None) -> DenoiserGradients:
        """Return what `UNet.backward` returns, and add the gradients of all weights.

        d_context is the gradient of the vectors that the denoiser attends to; token numbers have none. Where they were
        read here, its `pooled` is the whole gradient of a decoder's embedding.
        """
        gradients = self.denoiser.backward(d_out, tape, grads)
        if len(tape) and tape.entries[-1].owner is self:  # the forward has run the encoder
            d_embedding = self.read_backward(gradients.d_context, tape, grads)
            if d_embedding is not None:
                gradients = gradients._replace(d_context=gradients.d_context._replace(pooled=d_embedding))
        return gradients

    def _with_embedding(self, h, embedding, tape):
        """Return the vectors of a text's tokens with the embedding of a picture as more tokens, and as `pooled`."""
        assert self.extra is not None
        xp, size = xp_of(h), self.extra.weight.value.shape[0]
        if embedding is None:
            embedding = xp.zeros((len(h), size), h.dtype)
        check_shape("context, pooled", embedding, (len(h), size))
        # a unit vector's numbers are near 1 / sqrt(size), and would hardly be heard beside those of texts and times
        embedding = embedding * math.sqrt(size)
        extra = self.extra.forward(embedding, tape).reshape(len(h), EXTRA, -1)
        if tape is not None:
            tape.push(self, ReadCache(None))
        return Condition(tokens=xp.concatenate([h, extra], axis=1), pooled=embedding)
