"""What variational autoencoders share, whatever their layers: latents are drawn, and gradients go past the drawing."""

from collections import namedtuple

from tinydiff import functional as F
from tinydiff.base import Array, check_alike, check_shape, xp_of
from tinydiff.nn import Gradients, Module, Tape
from tinydiff.nn.attention import cut

Posterior = namedtuple("Posterior", "mean log_variance")  # what the encoder says of the latents
Reconstruction = namedtuple("Reconstruction", "x_hat mean log_variance")

LOG_VARIANCE = (-30.0, 20.0)  # the least and the most that an encoder may say, as in latent diffusion


class Variational(Module):
    """An encoder that says mean and log variance of each latent number, and a decoder of numbers that are drawn so.

    A subclass has `decode` and `decode_backward`, and `_encoded` and `_encoded_backward`, which know of both halves of
    the last axis as one array.
    """

    def decode(self, z: Array, tape: Tape | None = None) -> Array:
        """Return pictures (N, H, W, in_channels) from latents."""
        raise NotImplementedError

    def decode_backward(self, d_x_hat: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dz, and add the weights' gradients to `grads`."""
        raise NotImplementedError

    def _encoded(self, x, tape):
        raise NotImplementedError

    def _encoded_backward(self, dh, tape, grads):
        raise NotImplementedError

    def encode(self, x: Array, tape: Tape | None = None) -> Posterior:
        """Return (mean, log_variance) of the latents, each an array (N, ...) of their shape.

        The log variance is clamped to `LOG_VARIANCE` here, before anything reads it. So neither the sample nor the KL
        divergence can overflow, and what lies outside gets no gradient from either (Eq. CLAMP-2).

        Parameters
        ----------
        x : array, shape (N, H, W, in_channels)
            For an `Autoencoder`, H and W are any multiples of its `factor`.
        tape : Tape or None
        """
        mean, log_variance = cut(self._encoded(x, tape), 2)
        log_variance, cache = F.clamp.bare(log_variance, *LOG_VARIANCE)
        if tape is not None:
            tape.push(self, cache, log_variance.shape)
        return Posterior(mean, log_variance)

    def encode_backward(
        self, d_mean: Array, d_log_variance: Array, tape: Tape, grads: Gradients | None = None
    ) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        cache = tape.pop(self)
        _check_both(d_mean, d_log_variance, cache.inside)
        (d_log_variance,) = F.clamp_backward.bare(d_log_variance, cache)
        dh = xp_of(d_mean).concatenate([d_mean, d_log_variance], axis=-1)
        return self._encoded_backward(dh, tape, grads)

    def forward(self, x: Array, eps: Array, tape: Tape | None = None) -> Reconstruction:
        """Return (x_hat, mean, log_variance): images decoded from a sample of their latents, and what it is drawn from.

        Parameters
        ----------
        x : array, shape (N, H, W, in_channels)
        eps : array like the latents
            Standard normal numbers; zeros decode the means.
        tape : Tape or None
        """
        mean, log_variance = self.encode(x, tape)
        check_alike(x=x, eps=eps)
        check_shape("eps", eps, mean.shape)
        z, cache = F.reparameterise.bare(mean, log_variance, eps)
        if tape is not None:
            tape.push(self, cache, z.shape)
        return Reconstruction(self.decode(z, tape), mean, log_variance)

    def backward(
        self, d_x_hat: Array, d_mean: Array, d_log_variance: Array, tape: Tape, grads: Gradients | None = None
    ) -> Array:
        """Return dx, and add the weights' gradients to `grads`: the forward in reverse order.

        d_mean and d_log_variance are the gradients of what reads both besides the decoder, such as the KL divergence.
        """
        dz = self.decode_backward(d_x_hat, tape, grads)
        cache = tape.pop(self)
        _check_both(d_mean, d_log_variance, cache.eps)
        d_mean_of_z, d_log_variance_of_z, _ = F.reparameterise_backward.bare(dz, cache)
        d_mean = d_mean + d_mean_of_z  # two readers, the sample and the loss: their gradients add
        d_log_variance = d_log_variance + d_log_variance_of_z
        return self.encode_backward(d_mean, d_log_variance, tape, grads)


def _check_both(d_mean, d_log_variance, latents):
    """Raise `InputError` unless both gradients are arrays like the latents."""
    check_alike(d_mean=d_mean, d_log_variance=d_log_variance, latents=latents)
    check_shape("d_mean", d_mean, latents.shape)
    check_shape("d_log_variance", d_log_variance, latents.shape)
