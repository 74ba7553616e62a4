"""Training: Algorithm 1 of DDPM in shards, and everything a run needs to be trusted and taken up again."""

import json
import math
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tinydiff.base import (
    CheckpointError,
    InputError,
    Noise,
    TrainingError,
    as_condition,
    atomic_write,
    check_count,
    check_number,
    check_positive,
    xp_of,
)
from tinydiff.data import Dataset
from tinydiff.data.masks import random_masks
from tinydiff.diffusion.editing import erased
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel, save_model
from tinydiff.nn import Gradients, Tape
from tinydiff.train.checkpoint import RunState, checkpoints, load_checkpoint, save_checkpoint
from tinydiff.train.optim import AdamW, clip_by_global_norm, ema_decay, learning_rate
from tinydiff.workers import LaneSum, map_shards

# What may differ when a run is taken up again.
FREE = ("log_every", "save_every", "keep", "validate_every", "validation_images", "check_every")


@dataclass(frozen=True)
class TrainConfig:
    """How to train. All but the names in `FREE` decides the bits of the result.

    Parameters
    ----------
    steps, batch : int
        Optimizer steps, and images in each.
    micro_batch : int or None
        A batch is walked in micro-batches of so many images. None takes the model's, and the run's files say which.
    lanes : int
        The micro-batches are summed in so many lanes (see `LaneSum`).
    lr, warmup, final_lr
        Peak of the learning rate, steps to reach it, and its share at the end (Eq. LR-1).
    betas, weight_decay, clip
        Of AdamW (Eq. ADAMW-1), and the largest norm of a gradient (Eq. CLIP-1).
    ema : float
        Decay of the average of the weights (Eq. EMA-1).
    condition_dropout : float
        Share of images that are shown without their label or caption, so that the model also learns to draw anything.
    flip : bool
        Mirror half of the images, left for right, anew each time: for pictures that allow it, not for digits.
    seed : int
    log_every : int
        Steps between records in the log.
    save_every, keep : int
        Steps between checkpoints, and how many of them are kept.
    validate_every, validation_images : int
        Steps between looks at held-out images, and how many.
    check_every : int
        On a GPU, steps between two reads of whether the loss was finite; on the CPU every step is checked.
    """

    steps: int = 2000
    batch: int = 32
    micro_batch: int | None = None
    lanes: int = 8
    lr: float = 2e-3
    warmup: int = 100
    final_lr: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    condition_dropout: float = 0.1
    flip: bool = False
    seed: int = 0
    log_every: int = 10
    save_every: int = 500
    keep: int = 2
    validate_every: int = 500
    validation_images: int = 500
    check_every: int = 20

    def __post_init__(self):
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.micro_batch is not None:
            check_count("micro_batch", self.micro_batch)
        for name in ("steps", "batch", "lanes", *FREE):
            check_count(name, getattr(self, name))
        for name in ("warmup", "seed"):
            check_count(name, getattr(self, name), least=0)
        if len(self.betas) != 2:
            raise InputError(f"betas is {self.betas}, but two numbers were expected.")
        for name in ("lr", "clip"):
            check_positive(name, getattr(self, name))
        for name in ("final_lr", "ema", "condition_dropout"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("weight_decay", self.weight_decay, 0, 1e6)


class Trainer:
    """A training run: the model, its data, and the folder where it is kept.

    A model whose UNet has ``image_channels = 1 + in_channels`` learns to fill in: it sees each picture with a random
    part erased (Nichol et al. 2021, GLIDE, section 4.3).

    Parameters
    ----------
    model : DiffusionModel
        Trained in place.
    data : Dataset
        Training images.
    config : TrainConfig
    folder : str, Path or None
        Where checkpoints, the log and the trained model go; None keeps nothing.
    validation : Dataset or None
        Held-out images.
    hooks : sequence of callables
        ``hook(record)`` gets every record of the log, a dict with "step": the place for other loggers.
    threads : int or None
        How many work at the same time; None takes one for each core. It changes the time, not the bits.
    processes : bool or None
        Whether they are processes, where those can be made (Linux), or threads of this one; None takes processes
        unless the network is large, see `processes_pay`. They are made at the first step, and see no change of data or
        of the network's layers after it; weights they see always.

    Examples
    --------
    >>> trainer = Trainer(model, data, TrainConfig(steps=100), "runs/mine")  # doctest: +SKIP
    >>> trainer.run()                                                        # doctest: +SKIP
    """

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset,
        config: TrainConfig,
        folder: str | Path | None = None,
        validation: Dataset | None = None,
        hooks: Sequence[Callable[[dict[str, Any]], None]] = (),
        threads: int | None = None,
        processes: bool | None = None,
    ):
        self.micro_batch = model.micro_batch if config.micro_batch is None else config.micro_batch
        config = replace(config, micro_batch=self.micro_batch)
        self.model, self.data, self.config, self.validation = model, data, config, validation
        self.folder = None if folder is None else Path(folder)
        self.hooks, self.threads = hooks, threads
        self._check_data()
        self.network, self.diffusion = model.network, model.diffusion
        self.conditions = self._conditions(data)
        self.xp = xp_of(self.network.theta)
        self.gradient_sum = LaneSum(
            self._add_shard, self._shards(), self.network.theta, config.lanes, threads, processes
        )
        self.gradient_sum.share(self.network)
        theta = self.network.theta
        self.parameters = self.network.parameters()
        self.optimizer = AdamW(theta, self.network.decay_mask(), config.betas, weight_decay=config.weight_decay)
        self.ema = theta.copy()
        self.noise = Noise(config.seed, xp=self.xp)
        self.step = self.saved = 0
        self.best = math.inf
        self.epoch_order: tuple[int, Any] = (-1, None)
        self.all_finite = self.xp.asarray(True)
        if self.folder is not None:
            self._take_up(self.folder)

    def train_step(self) -> dict[str, Any]:
        """Take one optimizer step; return its loss, gradient norm and learning rate."""
        config = self.config
        losses = self.gradient_sum(self.step, self.indices(self.step))
        loss, gradient = sum(losses), self.gradient_sum.totals[0]
        norm = clip_by_global_norm(gradient, config.clip)
        finite = self.xp.isfinite(loss) & self.xp.isfinite(norm)
        self.all_finite = self.all_finite & finite  # on the device: reading it would make the step wait
        self.step += 1
        lr = learning_rate(self.step, config.steps, config.lr, config.warmup, config.final_lr)
        self.optimizer.step(gradient, lr, self.all_finite, self.ema, ema_decay(self.step, config.ema))
        if self.xp is np or self.step % config.check_every == 0:
            self.stop_if_not_finite()
        return {"step": self.step, "loss": loss, "gradient_norm": norm, "lr": lr}

    def add_gradient(self, shard: int, indices: np.ndarray, flat: Any) -> Any:
        """Add one micro-batch's part of the gradient to `flat`; return its part of the loss (Eq. DDPM-ALG1)."""
        config = self.config
        start = shard * self.micro_batch
        indices = indices[start : start + self.micro_batch]
        n = len(indices)
        noise = self.noise.at(first=start, step=self.step)

        flip = noise.at(xp=np).uniform((n,), "flip") < 0.5 if config.flip else None
        x_0, _ = self.data.batch(indices, self.xp, flip)  # x_0 ~ q(x_0)
        context = self._with_erased(self._context(indices, noise), x_0, noise)
        t = noise.integers(1, self.diffusion.T, n, "t")  # t ~ Uniform({1, ..., T})
        eps = noise.normal(x_0.shape, "eps", dtype=x_0.dtype)  # eps ~ N(0, I)
        x_t = self.diffusion.q_sample(x_0, t, eps)  # Eq. DDPM-4
        target = self.model.target(x_0, eps, t)

        tape, grads = Tape(noise), Gradients(self.parameters, flat)
        output = self.network.forward(x_t, t, context, tape)
        loss, cache = mse(output, target)  # Eq. DDPM-14
        share = n / config.batch
        d_output, _ = mse_backward(share, cache)
        self.network.backward(d_output, tape, grads)
        return share * loss

    def _add_shard(self, shard, flat, step, indices):
        self.step = step  # in another process, the trainer is still at the step it was made in
        return self.add_gradient(shard, indices, flat)

    def indices(self, step: int) -> np.ndarray:
        """Return which images step 0, 1, ... sees: every epoch is a new order of all of them."""
        places = np.arange(step * self.config.batch, (step + 1) * self.config.batch)
        epochs, within = places // len(self.data), places % len(self.data)
        return np.array([self._order(int(e))[w] for e, w in zip(epochs, within, strict=True)])

    def validation_loss(self) -> float:
        """Return the EMA model's loss on held-out images, each with the same t and eps every time."""
        data = self.validation
        if data is None:
            raise InputError("There are no held-out images: give the Trainer validation=.")
        n = min(self.config.validation_images, len(data))
        x_0, _ = data.batch(np.arange(n), xp=self.xp)
        noise = Noise(0, xp=self.xp)
        t, eps = noise.integers(1, self.diffusion.T, n, "validation t"), noise.normal(x_0.shape, "validation eps")
        conditions = self._conditions(data.take(slice(0, n)))
        context = None if conditions is None else self.xp.asarray(conditions)
        context = self._with_erased(context, x_0, noise)
        ema = self.network.bind(self.ema)
        x_t = self.diffusion.q_sample(x_0, t, eps)
        output = map_shards(ema.forward, (x_t, t, context), self.micro_batch, self.threads)
        loss, _ = mse(output, self.model.target(x_0, eps, t))
        return float(loss)

    def run(self, progress: bool = True, on_step: Callable[["Trainer"], None] | None = None) -> None:
        """Train until `config.steps`; save on the way and at the end.

        Ctrl-C finishes the step, saves, and leaves by KeyboardInterrupt; a second one leaves at once.

        Parameters
        ----------
        progress : bool
            Show a progress bar on stderr.
        on_step : callable or None
            Called with the trainer after every step, for example to draw.

        Raises
        ------
        TrainingError
            If the loss or the gradient is not finite. The files keep the state before.
        """
        config = self.config
        bar = tqdm(total=config.steps, initial=self.step, unit="step", disable=not progress, dynamic_ncols=True)
        started, first = time.perf_counter(), self.step
        with bar, closing(self.gradient_sum), _interruptible() as interrupted:
            while self.step < config.steps:
                record = self.train_step()
                done = self.step == config.steps
                if done or self.step % config.log_every == 0:
                    self.stop_if_not_finite()
                    rate = (self.step - first) * config.batch / (time.perf_counter() - started)
                    record = {key: float(value) for key, value in record.items()}
                    record |= {"step": self.step, "images_per_second": round(rate, 1)}
                    self.log(record)
                    bar.set_postfix_str(f"loss {record['loss']:.4f}, {rate:.0f} images/s", refresh=False)
                bar.update()
                if self.validation is not None and (done or self.step % config.validate_every == 0):
                    self._validate()
                if on_step is not None:
                    on_step(self)
                if self.folder is not None and (done or interrupted or self.step % config.save_every == 0):
                    self.save()
                if interrupted:
                    raise KeyboardInterrupt
        if self.folder is not None:
            save_model(self.folder, self.model, self.ema, **self._about())

    def trained(self) -> DiffusionModel:
        """Return the model with the average of the weights, the one to sample from."""
        return replace(self.model, network=self.network.bind(self.ema), threads=self.threads)

    def save(self) -> Path:
        """Write a checkpoint."""
        if self.folder is None:
            raise InputError("This run has no folder, so it cannot be saved: give the Trainer folder=.")
        self.stop_if_not_finite()
        vectors = {"theta": self.network.theta, "ema": self.ema, "m": self.optimizer.m, "v": self.optimizer.v}
        about = {"run": self._identity(), "best": self.best}
        path = save_checkpoint(self.folder, self.network, RunState(self.step, vectors, about), self.config.keep)
        self.saved = self.step
        return path

    def log(self, record: dict[str, Any]) -> None:
        """Append a record to log.jsonl, and hand it to the hooks."""
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(record, allow_nan=False) + "\n")
            except OSError as error:
                raise CheckpointError(f"{self.folder / 'log.jsonl'} cannot be written: {error.strerror}.") from error
        for hook in self.hooks:
            hook(record)

    def _validate(self):
        loss = self.validation_loss()
        if not math.isfinite(loss):
            raise TrainingError(
                f"Training stopped at step {self.step}: the validation loss is {loss}. The last checkpoint is that of "
                f"step {self.saved}. Try a smaller learning rate (lr is {self.config.lr}) or a longer warm-up."
            )
        self.log({"step": self.step, "validation_loss": loss})
        if loss < self.best:
            self.best = loss
            if self.folder is not None:
                save_model(self.folder / "best", self.model, self.ema, **self._about(), validation_loss=loss)

    def _conditions(self, data):
        """Return what a network of this kind is told of each image: a row of tokens, a label, or nothing."""
        config, tokenizer = self.model.config, self.model.tokenizer
        if config.text is not None and tokenizer is not None:
            return tokenizer.rows(data.captions, config.text.length)
        return None if config.unet.num_classes is None else data.labels

    def _context(self, indices, noise):
        """Return what is told of some images, and of a share of them nothing."""
        if self.conditions is None:
            return None
        rows = self.xp.asarray(self.conditions[indices])
        hidden = noise.uniform((len(rows),), "label dropout") < self.config.condition_dropout
        return self.xp.where(hidden.reshape(-1, *[1] * (rows.ndim - 1)), self.model.null_context(), rows)

    def _with_erased(self, context, x_0, noise):
        """Return a context with the pictures, a part of them erased, for a network that learns to fill in."""
        if not self.model.config.unet.image_channels:
            return context
        return as_condition(context)._replace(image=erased(x_0, random_masks(len(x_0), x_0.shape[1:3], noise)))

    def _order(self, epoch):
        if self.epoch_order[0] != epoch:
            self.epoch_order = (epoch, Noise(self.config.seed, step=epoch).permutation(len(self.data), "data order"))
        return self.epoch_order[1]

    def _shards(self):
        return -(-self.config.batch // self.micro_batch)

    def stop_if_not_finite(self) -> None:
        """Raise `TrainingError` if a loss or a gradient so far was not finite; it makes a GPU wait."""
        if bool(self.all_finite):
            return
        gradients = Gradients(self.parameters, self.gradient_sum.totals[0]).named()
        bad = [name for name, g in gradients.items() if not bool(self.xp.isfinite(g).all())]
        where = f"the gradient of {bad[0]} is not finite" if bad else "the loss or its gradient was not finite"
        raise TrainingError(
            f"Training stopped at step {self.step}: {where}. Nothing was overwritten; the weights are those before it. "
            f"Try a smaller learning rate (lr is {self.config.lr}), a longer warm-up, or look for NaN in the data."
        )

    def _about(self):
        return {"step": self.step, "train": asdict(self.config), "data": self.data.name, "images": len(self.data)}

    def _identity(self):
        """Return all that decides the bits of a run: to go on, a run must have the same."""
        train = {name: value for name, value in asdict(self.config).items() if name not in FREE}
        sums = [zlib.crc32(a.tobytes()) for a in (self.data.images, self.data.labels)]
        if self.model.config.text is not None:
            sums.append(zlib.crc32("\n".join(self.data.captions or ()).encode()))
        data = {"data": self.data.name, "images": len(self.data), "checksums of the data": sums}
        return json.loads(json.dumps({**train, **asdict(self.model.config), **data}))  # tuples become lists

    def _check_data(self):
        unet = self.model.config.unet
        shape = unet.shape
        if unet.image_channels not in (0, 1 + unet.in_channels):
            raise InputError(
                f"image_channels is {unet.image_channels}, but 0, or {1 + unet.in_channels} to learn to fill in "
                "(a mask and the picture without what is to be drawn), were expected."
            )
        for name, data in (("data", self.data), ("validation", self.validation)):
            if data is not None and not len(data):
                raise InputError(f"{name} is empty: there is nothing to train on.")
            if data is not None and tuple(data.images.shape[1:]) != shape:
                raise InputError(
                    f"{name} has images of shape {tuple(data.images.shape[1:])}, but the model's are {shape}."
                )
            if data is not None and self.model.config.text is not None and data.captions is None:
                raise InputError(f"{name} has no captions, but the model learns from text.")
            if data is not None and unet.num_classes is not None and data.labels.max() >= unet.num_classes:
                raise InputError(
                    f"{name} has labels up to {data.labels.max()}, but the model's num_classes is {unet.num_classes}."
                )

    def _take_up(self, folder):
        """Go on from the last checkpoint in the folder, if there is one."""
        found = checkpoints(folder)
        if not found:
            self._cut_log(folder / "log.jsonl")
            return
        state = load_checkpoint(found[-1], self.network)
        before, now = state.about["run"], self._identity()
        changed = [name for name in now if before.get(name) != now[name]]
        if changed:
            raise InputError(
                f"{folder} holds a run with {changed[0]} = {before.get(changed[0])}, but {changed[0]} = "
                f"{now[changed[0]]} was asked for. Use the same options to go on, or another folder to start anew."
            )
        self.step, self.best = state.step, state.about["best"]
        self.saved = state.step
        self.optimizer.steps = state.step
        places = {"theta": self.network.theta, "ema": self.ema, "m": self.optimizer.m, "v": self.optimizer.v}
        for part, vector in places.items():
            vector[...] = self.xp.asarray(state.vectors[part])
        self._cut_log(folder / "log.jsonl")

    def _cut_log(self, path):
        """Drop the records of steps that were logged after the checkpoint: they will be taken again."""
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if _step_of(line) <= self.step]
            text = "".join(f"{line}\n" for line in lines)
            atomic_write(path, lambda file: file.write(text.encode()), error=CheckpointError)


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """Return the records of a run's log; none if there is no log, and without what a killed process left half."""
    path = Path(folder) / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if _step_of(line) < math.inf]


def _step_of(line):
    try:
        return json.loads(line)["step"]
    except (ValueError, TypeError, KeyError):  # the process was killed while it wrote
        return math.inf


@contextmanager
def _interruptible() -> Iterator[list]:
    """Collect the first Ctrl-C instead of raising it; the second raises as usual."""
    pressed: list[int] = []
    try:
        previous = signal.getsignal(signal.SIGINT)

        def remember(number, frame):
            pressed.append(number)
            signal.signal(signal.SIGINT, previous)

        signal.signal(signal.SIGINT, remember)
    except ValueError:  # not in the main thread: Ctrl-C does not arrive here
        yield pressed
        return
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)
