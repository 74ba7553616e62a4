"""The settings of a training run that several objectives share."""

from dataclasses import dataclass

from tinydiff.base import InputError, check_count, check_number, check_positive, checks_arguments

# What may change when a run is resumed: it decides what is written and when, or what ends it, and no bit of the result.
FREE = ("log_every", "save_every", "keep", "validate_every", "validation_images", "check_every", "most_skipped")

# What can still be calculated with; whether a batch fits into memory is seen when a run begins.
LARGEST_BATCH, MOST_LANES, MOST_STEPS = 2**24, 1024, 10**9
LARGEST_SEED = 2**32 - 1  # as `Noise` takes


@checks_arguments("__init__")
@dataclass(frozen=True)
class TrainConfig:
    """How to train, whatever is minimised. All settings except those in `FREE` decide the bits of the result.

    An objective adds its own settings in a subclass, such as `DenoiseConfig`.

    Parameters
    ----------
    steps : int
        Optimizer steps.
    batch : int
        Samples in each step.
    micro_batch : int or None
        A batch is computed in micro-batches (shards) of this many samples. None takes the micro-batch of the model
        that is trained, or the whole batch where the model has none; the run's files say which.
    lanes : int
        The gradients of the micro-batches are summed in this many groups (see `LaneSum`).
    lr : float
        Peak of the learning rate (Eq. LR-1).
    warmup : int
        Steps until the learning rate has reached its peak.
    final_lr : float
        Learning rate at the last step, as a share of the peak.
    betas : (float, float)
        How long AdamW's averages of the gradient and of its square remember (Eq. ADAMW-1).
    weight_decay : float
        How strongly AdamW pulls weights to 0, times the learning rate; 0 does not.
    clip : float or None
        The largest norm of a gradient (Eq. CLIP-1); None does not clip.
    ema : float or None
        Decay of the average of the weights (Eq. EMA-1); None keeps no average, and the weights are the result.
    ema_warmup : bool
        Whether the decay is smaller in the first steps (Eq. EMA-2), or the same from the first step on.
    seed : int
        Of the first weights, the order of the data and the noise: the same seed trains the same model.
    log_every : int
        Steps between records in the log.
    save_every : int
        Steps between checkpoints.
    keep : int
        How many checkpoints are kept: the newest.
    check_every : int
        On a GPU, steps between two checks that the loss is finite; on the CPU every step is checked.
    most_skipped : int
        A step whose loss or gradient is not finite, such as one that overflows, is skipped: no weight moves. So many in
        a row may be; one more ends the run, as does the first step of all. 0 skips none.
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
    clip: float | None = 1.0
    ema: float | None = 0.999
    ema_warmup: bool = True
    seed: int = 0
    log_every: int = 10
    save_every: int = 500
    keep: int = 2
    check_every: int = 20
    most_skipped: int = 3

    def __post_init__(self):
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.micro_batch is not None:
            check_count("micro_batch", self.micro_batch, most=LARGEST_BATCH)
        check_count("batch", self.batch, most=LARGEST_BATCH)
        check_count("lanes", self.lanes, most=MOST_LANES)
        check_count("steps", self.steps, most=MOST_STEPS)
        for name in ("log_every", "save_every", "keep", "check_every"):
            check_count(name, getattr(self, name))
        check_count("warmup", self.warmup, least=0)
        check_count("most_skipped", self.most_skipped, least=0)
        check_count("seed", self.seed, least=0, most=LARGEST_SEED)
        if len(self.betas) != 2:
            raise InputError(f"betas is {self.betas}, but two numbers were expected.")
        for i, beta in enumerate(self.betas):
            check_number(f"betas[{i}]", beta, 0, 1 - 1e-9)  # as `AdamW` does, before any work
        check_positive("lr", self.lr)
        if self.clip is not None:
            check_positive("clip", self.clip)
        check_number("final_lr", self.final_lr, 0, 1)
        if self.ema is not None:
            check_number("ema", self.ema, 0, 1)
        check_number("weight_decay", self.weight_decay, 0, 1e6)

    @property
    def shard_size(self) -> int:
        """How many samples a shard has; the last shard of a batch may have fewer."""
        return self.batch if self.micro_batch is None else self.micro_batch

    @property
    def shards(self) -> int:
        """How many micro-batches a batch has."""
        return -(-self.batch // self.shard_size)

    def part(self, shard: int) -> slice:
        """Return which samples of a batch belong to a shard."""
        check_count("shard", shard, least=0, most=self.shards - 1)
        start = shard * self.shard_size
        return slice(start, min(start + self.shard_size, self.batch))


@checks_arguments("__init__")
@dataclass(frozen=True)
class ValidatedConfig(TrainConfig):
    """How to train an objective that is validated on held-out samples.

    Parameters
    ----------
    validate_every : int
        Steps between two validations; there is one at the end in any case, and none without held-out samples.
    validation_images : int
        How many held-out samples are used, at most.
    """

    validate_every: int = 500
    validation_images: int = 500

    def __post_init__(self):
        super().__post_init__()
        check_count("validate_every", self.validate_every)
        check_count("validation_images", self.validation_images)
