"""Rectify: flow matching on pairs that a flow has made itself, so that its lines cross no more and become straight."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_count, check_shape, checked, checks_arguments, to_numpy
from tinydiff.data import LatentData
from tinydiff.data.dataset import selection
from tinydiff.models import DiffusionModel, Request
from tinydiff.models.weights import checksum_of
from tinydiff.train.objectives.denoise import Denoise, DenoiseConfig

AT_ONCE = 256  # pictures that are drawn together
MOST_PAIRS = 10_000_000  # they lie in memory


@checks_arguments("__init__", "take")
@dataclass(frozen=True, eq=False)
class Couplings(LatentData):
    """Pairs of noise and what a model drew from it, to learn from: as latents, but float32, and with their noise.

    Parameters
    ----------
    latents : float32 array, shape (N, h, w, c)
        What was drawn, x_0: pictures, or the latents of a `LatentDiffusion`.
    labels : integer array, shape (N,)
    captions, name, autoencoder, source, of
        As in `LatentData`.
    x_T : float32 array, like `latents`
        The noise that each was drawn from.
    """

    x_T: Any = None

    def __post_init__(self):
        for name in ("latents", "x_T"):
            found = getattr(self, name)
            if type(found) is not np.ndarray or found.dtype != np.float32 or found.ndim != 4:
                raise InputError(f"{name} is not an array of float32 with four axes, but that was expected.")
        check_shape("x_T", self.x_T, self.latents.shape)
        check_shape("labels", self.labels, self.latents.shape[:1])
        if self.labels.dtype.kind not in "iu":
            raise InputError(f"labels has dtype {self.labels.dtype}, but whole numbers were expected.")
        object.__setattr__(self, "labels", self.labels.astype(np.int64))

    def noise_of(self, indices: np.ndarray, xp: Any = np) -> Array:
        """Return the noise that these were drawn from."""
        return xp.asarray(self.x_T[indices])

    def take(self, indices: Array | slice | Sequence[Any]) -> "Couplings":
        """Return these pairs only (indices, a slice or a mask)."""
        indices, _ = selection(indices, len(self), "pair")
        return replace(self, latents=self.latents[indices], labels=self.labels[indices], x_T=self.x_T[indices])

    def identity(self) -> dict[str, Any]:
        """Return what decides the pairs: a run is resumed only with the same."""
        return {"checksum of pairs": checksum_of("", [self.latents, self.x_T])}


@checked()
def couplings(model: DiffusionModel, n: int, steps: int = 50, seed: int = 0) -> Couplings:
    """Return pairs of noise and what a flow draws from it in so many steps of `ddim` (Eq. REFLOW-1).

    Parameters
    ----------
    model : DiffusionModel
        On the path ``"straight"``; one that reads text is refused.
    n : int
        How many pairs, ten million at most; of a model that knows classes, of all of them in turn.
    steps : int
        Of the chain: many, since the pairs are taken for the flow's own.
    seed : int

    Raises
    ------
    InputError
        If the model is not on the straight path, or reads text, or so many pairs cannot be drawn.
    """
    refuse_bent(model)
    if model.reads_text:
        raise InputError("The model reads text, but pairs are drawn of models of classes, or of none: take another.")
    check_count("n", n, most=MOST_PAIRS)
    drawn, noise = [], []
    classes = model.config.denoiser.num_classes
    for first in range(0, n, AT_ONCE):
        part = np.arange(first, min(first + AT_ONCE, n))
        labels = None if classes is None else [int(i % classes) for i in part]
        request = Request(n=len(part), seed=seed, first=first, labels=labels)
        noise.append(to_numpy(model.start(request)[0]))
        *_, (_, x_0, _) = model.chain(request, "ddim", steps)
        drawn.append(to_numpy(x_0))
    of_all = np.arange(n) % (1 if classes is None else classes)
    autoencoder = model.latents_of()[1]
    source = f"{n} pairs, drawn in {steps} steps"
    return Couplings(np.concatenate(drawn), of_all, None, "drawn pairs", autoencoder, source, x_T=np.concatenate(noise))


@checks_arguments("__init__")
class Rectify(Denoise):
    """Flow matching on a flow's own pairs: the second rectified flow, 2-rectified, and so on (Liu et al. 2023).

    Lines between data and noise that were drawn independently cross, and where they cross a flow must take the mean
    velocity and bend. Pairs of noise and what the flow made of it never cross in the flow; lines between them cross
    less, and the next flow is straighter. A straight one needs one step.

    Parameters
    ----------
    model : DiffusionModel
        On the path ``"straight"``; trained in place.
    data : Couplings
        What `couplings` returns.
    config : DenoiseConfig

    Raises
    ------
    InputError
        If the model is not on the straight path, or pairs would be torn: by `flip`, or by offset noise.
    """

    data: Couplings

    def __init__(self, model: DiffusionModel, data: Couplings, config: DenoiseConfig):
        refuse_bent(model)
        for name in ("flip", "offset_noise"):
            if getattr(config, name):
                raise InputError(f"{name} is {getattr(config, name)}, but pairs go together as they are: leave it out.")
        super().__init__(model, data, config)

    def pairs(self, indices: np.ndarray, noise: Noise) -> tuple[Array, Array]:
        """Return the x_0 and the eps of one micro-batch: what was drawn, and of which noise (Eq. REFLOW-1)."""
        x_0, _ = self.data.batch(indices, noise.xp)
        return x_0, self.data.noise_of(indices, noise.xp)


def refuse_bent(model: DiffusionModel) -> None:
    """Raise `InputError` unless the model is on the straight path."""
    if model.config.path != "straight":
        raise InputError(
            f"The model's path is {model.config.path!r}, but lines between noise and data are straight on the path "
            "'straight' only: train a flow with --path straight --schedule straight --kind flow-v."
        )
