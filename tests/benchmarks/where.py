"""Where the time of a train step goes: each module's own time, without that of the modules inside it."""

import time
from collections import defaultdict
from collections.abc import Callable

from sides import Tinydiff

KINDS = {
    "convolution": ("Conv2d",),
    "linear": ("Linear",),
    "normalisation and SiLU": ("GroupNorm", "GroupNormSiLU", "SiLU"),
    "attention": ("SelfAttention",),
    "additions and joins": ("ResBlock", "UNet", "Downsample", "Upsample"),
    "optimizer and average": ("AdamW",),
}


class OwnTime:
    """Seconds of each kind of module, by a stack: a call's time is taken off that of the call around it."""

    def __init__(self):
        self.seconds: dict[str, float] = defaultdict(float)
        self.inner = [0.0]

    def measure(self, kind: str, f: Callable) -> Callable:
        """Return f, which from now on adds its own time to `kind`."""

        def measured(*args, **kwargs):
            self.inner.append(0.0)
            start = time.perf_counter()
            result = f(*args, **kwargs)
            whole = time.perf_counter() - start
            self.seconds[kind] += whole - self.inner.pop()
            self.inner[-1] += whole
            return result

        return measured


def where_table(configs: list[dict], steps: int = 5) -> list[str]:
    """Return the table: one thread, milliseconds of an image and shares."""
    kinds = [*KINDS, "all else"]
    lines = [
        "Where a train step goes on one thread: milliseconds for an image in all, and the share of each kind of work. "
        "A convolution's time is that of its products and transforms; what Python itself takes is spread over all.",
        "",
        f"| | ms | {' | '.join(kinds)} |",
        f"|---|---|{'---|' * len(kinds)}",
    ]
    for config in configs:
        seconds, whole = own_times(config, steps)
        shares = {kind: sum(seconds.get(name, 0.0) for name in names) / whole for kind, names in KINDS.items()}
        shares["all else"] = 1 - sum(shares.values())
        cells = " | ".join(f"{shares[kind]:.0%}" for kind in kinds)
        lines.append(f"| {config['name']} | {1e3 * whole / steps / config['batch']:.1f} | {cells} |")
        print(lines[-1], flush=True)
    return lines


def own_times(config: dict, steps: int) -> tuple[dict[str, float], float]:
    """Return class name -> own seconds, and the seconds of all, over some train steps."""
    ours, clock = Tinydiff(config, config["batch"], threads=1), OwnTime()
    ours.train_step()
    for _, module in ours.network.named_modules():
        for name in ("forward", "backward") if hasattr(module, "forward") else ():
            setattr(module, name, clock.measure(type(module).__name__, getattr(module, name)))
    ours.optimizer.step = clock.measure("AdamW", ours.optimizer.step)
    start = time.perf_counter()
    for _ in range(steps):
        ours.train_step()
    return clock.seconds, time.perf_counter() - start
