"""Kill commands at random moments, and look at what they leave: no process, no half of a file, no temporary file.

    python tools/kills.py --n 200 --seed 0

Each command runs on tiny models in a folder of its own. At a random moment it gets a random signal: the command alone,
its whole group, or one of its workers. Then no process of it may be left, each file must be whole, and after the next
command in the folder there must be no temporary file. Linux only, as it looks into /proc.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy
from PIL import Image

from tinydiff.base import files

MARK = "TINYDIFF_KILLS"  # an environment variable, which all processes of a command inherit
PATIENCE = 60.0  # seconds until a process that is left counts as left for good
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
TINY = [
    "--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.blocks-per-level", "1", "--unet.num-classes", "10", "--train.batch", "8", "--train.micro-batch", "2",
    "--train.validation-images", "16",
]  # fmt: skip
OFTEN = ["--train.save-every", "2", "--train.log-every", "1", "--train.validate-every", "3", "--threads", "3"]
CLASSIFIER = ["train", "--objective", "classify", "--data", "digits", "--network.image-size", "8"]
ENDLESS = ["--train.steps", "1000000"]


def commands(models: Path, out: str) -> dict[str, list[str]]:
    """Return commands that take longer than anybody waits, by name; each writes into the folder `out`."""
    model, classifier, picture = str(models / "model"), str(models / "classifier"), str(models / "picture.png")
    endless = {
        "train, processes": ["train", *TINY, *OFTEN, *ENDLESS, "--processes", "True"],
        "train, threads": ["train", *TINY, *OFTEN, *ENDLESS, "--processes", "False"],
        "train a classifier": [*CLASSIFIER, *OFTEN, *ENDLESS, "--processes", "True"],
        "sample": ["sample", "--model", model, "--n", "256", "--steps", "200"],
        "edit": ["edit", "--image", picture, "--model", model, "--n", "64", "--steps", "400"],
        "evaluate": ["evaluate", "--model", model, "--data", "digits", "--classifier", classifier, "--n", "200"],
        "demo": ["demo", "--steps", "80"],
    }
    return {name: [*command, "--out", out] for name, command in endless.items()}


def afterwards(name: str, models: Path, out: Path) -> list[str]:
    """Return a short command for the folder: a training goes on for one step, and a picture is drawn for the others."""
    if not name.startswith("train"):
        return ["sample", "--model", str(models / "model"), "--n", "1", "--steps", "1", "--out", str(out)]
    saved = sorted(out.glob("step-*.safetensors"))
    steps = int(saved[-1].stem.removeprefix("step-")) + 1 if saved else 1
    command = commands(models, str(out))[name]
    return [*command, "--train.steps", str(steps)]


def prepare(models: Path) -> None:
    """Train the tiny models that the commands use."""
    for name, command in (("model", ["train", *TINY]), ("classifier", CLASSIFIER)):
        once([*command, "--train.steps", "2", "--out", str(models / name)])
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save(models / "picture.png")


def start(command: list[str], mark: str, said: Path) -> subprocess.Popen:
    """Start a command in a session of its own, with a mark by which its processes are found."""
    with open(said, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "tinydiff", *command],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, env=os.environ | {MARK: mark},
        )  # fmt: skip


def once(command: list[str]) -> None:
    """Run a command to its end; what it says is shown where it fails."""
    done = subprocess.run([sys.executable, "-m", "tinydiff", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")


def marked(mark: str) -> Iterator[int]:
    """Yield the processes that have the mark, and have not ended."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
        except OSError:  # it has ended, or is another user's
            pass


def until(happens: Callable[[], bool], seconds: float) -> bool:
    """Wait until something happens, at most so long; return whether it did."""
    last = time.monotonic() + seconds
    while not (happened := happens()) and time.monotonic() < last:
        time.sleep(0.02)
    return happened


def damaged(folder: Path) -> list[str]:
    """Return the files in a folder that are not whole."""
    return [f"{path.name} is damaged" for path in folder.rglob("*") if path.is_file() and not is_whole(path)]


def is_whole(path: Path) -> bool:
    """Return whether a file can be read to its end; files that are being written are nobody's yet."""
    if files.TEMPORARY.fullmatch(path.name):
        return True
    try:
        if path.suffix == ".safetensors":
            safetensors.numpy.load_file(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix in (".png", ".gif"):
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                dict(arrays)
    except Exception:
        return False
    return True


def kill_one(name: str, models: Path, out: Path, rng: random.Random) -> tuple[str, list[str]]:
    """Start a command, kill it at a random moment, and return (how, what was found wrong).

    The moment is counted from when it makes its folder, or, for one in five, from its start.
    """
    mark, said = secrets.token_hex(8), out.with_suffix(".txt")
    number, target = rng.choice(SIGNALS), rng.choice(("alone", "alone", "its group", "a worker"))
    early, moment = rng.random() < 0.2, rng.uniform(0, 2)
    process = start(commands(models, str(out))[name], mark, said)
    try:
        if not early:
            until(lambda: out.exists() or process.poll() is not None, PATIENCE)
        time.sleep(moment)
        others = [pid for pid in marked(mark) if pid != process.pid]
        if target == "a worker" and others:
            os.kill(rng.choice(others), signal.SIGKILL)
            until(lambda: process.poll() is not None, 0.5)
        if target == "its group":
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        since = f"{moment:.1f} s after its {'start' if early else 'folder'}"
        how = f"{name}: {number.name} {since}, {target}, {len(others)} workers"
        if not until(lambda: process.poll() is not None, PATIENCE):
            return how, ["it goes on"]
        wrong = [] if until(lambda: not any(marked(mark)), PATIENCE) else ["a process is left"]
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        process.wait()
    wrong += damaged(out) if out.exists() else []
    once(afterwards(name, models, out))
    wrong += [f"{path.name} is left" for path in out.rglob("*") if files.TEMPORARY.fullmatch(path.name)]
    return f"{how}, status {process.returncode}", wrong


def run(n: int, seed: int, show: Callable[[str], object] = print) -> list[str]:
    """Kill n commands; return what was found wrong, a line each."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background deaf to it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup to this: the commands would inherit it
    rng, faults, counts = random.Random(seed), [], Counter()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        prepare(Path(folder))
        names = list(commands(Path(folder), ""))
        for i in range(n):
            name = names[i % len(names)]
            how, wrong = kill_one(name, Path(folder), Path(folder) / f"out{i}", rng)
            counts[name] += 1
            show(f"{i + 1}/{n} {how}: {', '.join(wrong) or 'nothing is left'}")
            faults += [f"{how}: {one}" for one in wrong]
    show(f"{n} kills ({', '.join(f'{name} {count}' for name, count in counts.items())}): {len(faults)} faults.")
    return faults


def main() -> int:
    """Kill as many commands as are asked for; return 1 if anything was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="how many commands")
    parser.add_argument("--seed", type=int, default=0, help="of the commands' ends and moments")
    arguments = parser.parse_args()
    return 1 if run(arguments.n, arguments.seed, lambda line: print(line, flush=True)) else 0


if __name__ == "__main__":
    sys.exit(main())
