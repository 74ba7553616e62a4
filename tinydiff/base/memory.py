"""How much memory there is, and refusals of what would need more.

A system may grant memory that it does not have, and end the process without a word when it is used. So what is known
to be too large is refused before it is allocated. Four limits are looked at, and the smallest counts: what the machine
has free, what the control group (the container) allows, what the process may take, and what the environment variable
``TINYDIFF_MEMORY`` says, in GiB.
"""

import math
import os
from pathlib import Path

from tinydiff.base.errors import InputError

GIB = 2**30
MEMORY_INFO = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
# file of the limit, file of what is taken, and the name of what can be dropped of it, in versions 2 and 1
GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory() -> float:
    """Return how many bytes this process can still take; infinity where nothing says so."""
    return max(0.0, min(_of_machine(), _of_group(), _of_process(), _of_user()))


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Raise `InputError` if something needs more memory than there is.

    Parameters
    ----------
    needed : int or float
        Bytes.
    what : str
        The beginning of the sentence: what needs them, with its value, such as "batch is 1000000".
    remedy : str
        The end of the sentence: what to do.
    """
    available = available_memory()
    if needed > available:
        raise InputError(
            f"{what}, which takes about {in_gib(needed)} of memory, but {in_gib(available)} can be had here: {remedy}."
        )


def in_gib(count: float) -> str:
    """Return a number of bytes in words, such as "1.5 GiB"."""
    if count > 1e15 * GIB:
        return "far more than 1,000,000 GiB"
    return f"{count / GIB:,.1f} GiB" if count < 100 * GIB else f"{count / GIB:,.0f} GiB"


def _of_machine():
    """Return what the kernel says can be had without swapping, and what is free of the swap."""
    try:
        lines = MEMORY_INFO.read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.split()}
        return 1024 * (kib["MemAvailable"] + kib.get("SwapFree", 0))
    except (OSError, ValueError, KeyError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # macOS says no more than this
    except (AttributeError, OSError, ValueError):  # Windows has no such question
        return math.inf


def _of_group():
    """Return what the control group, and those above it, leave: their limit, less what is taken and cannot go."""
    return min((_left_in(folder) for folder in _folders_of_group()), default=math.inf)


def _folders_of_group():
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        root = GROUPS / "memory" if controllers else GROUPS
        own = root / path.lstrip("/")
        folders += [folder for folder in (own, *own.parents) if folder == root or root in folder.parents]
    return folders


def _left_in(folder):
    for limit, taken, droppable in GROUP_FILES:
        try:
            most = int((folder / limit).read_text())  # "max", where there is none, is no number
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return most - int((folder / taken).read_text()) + int(counts.get(droppable, 0))
        except (OSError, ValueError):
            continue
    return math.inf


def _of_process():
    """Return what is left of the address space that the process may have (``ulimit -v``)."""
    try:
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most == resource.RLIM_INFINITY:
            return math.inf
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return most - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return math.inf


def _of_user():
    given = os.environ.get("TINYDIFF_MEMORY")
    if not given:
        return math.inf
    try:
        most = float(given) * GIB
    except ValueError:
        most = math.nan
    if not most > 0:
        raise InputError(f"The variable TINYDIFF_MEMORY is {given!r}, but a number of GiB, such as 4, was expected.")
    return most
