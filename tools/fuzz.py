"""Run commands on damaged and strange input, in this process, and report each that does not end as it should.

    python tools/fuzz.py --cases 2000 --seed 0        # `make fuzz`
    python tools/fuzz.py --seed 0 --only 137          # one case again, with what it printed

Case i of a seed is always the same. A case must end with status 0, or with 1 or 2 and one sentence on stderr; without a
traceback or a warning that shows lines of source; and with a peak of memory below 1.5 times that of the same command
on honest input. A training is stopped after two steps. An alarm ends what does not end by itself.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy
from PIL import Image
from strange import TEXTS, as_words, damaged, mutated_table, pick, strange, strange_arrays, strange_metadata

from tinydiff.apps.cli import main
from tinydiff.apps.cli.edit import Edit
from tinydiff.apps.cli.evaluate import Evaluate
from tinydiff.apps.cli.info import Info
from tinydiff.apps.cli.naming import _fields
from tinydiff.apps.cli.sample import Sample
from tinydiff.apps.cli.train import Train
from tinydiff.models import DiffusionModel, ModelConfig, save
from tinydiff.networks import TextConfig, TextToImage, UNet, UNetConfig
from tinydiff.text import Tokenizer
from tinydiff.train.run import Run

ALARM = 120  # seconds
GIB_ALLOWED = 0.06  # what TINYDIFF_MEMORY says: an honest command that needs more is refused, as a larger one would be
STATUS = (0, 1, 2, 130)  # 130: a training that was stopped
TINY = [
    "--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.blocks-per-level", "1", "--train.batch", "4", "--train.micro-batch", "2", "--train.steps", "2",
    "--train.validation-images", "4", "--threads", "1",
]  # fmt: skip


class Hang(BaseException):
    """The alarm rang."""


class Fuzz:
    """Honest inputs in a folder, and cases made from them.

    Parameters
    ----------
    folder : Path
        Empty; everything is written here.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.makers: list[Callable] = [
            self.options, self.options, self.config, self.weights, self.tokenizer, self.toml, self.checkpoint,
            self.pictures, self.edited, self.judged, self.drawn, self.informed,
        ]  # fmt: skip
        unet = UNetConfig(8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=3)
        save(folder / "model", DiffusionModel(UNet(unet), ModelConfig(unet, T=20), micro_batch=2))
        tokenizer = Tokenizer.train(["a red hat", "a green hat"], 4)
        text = TextConfig(len(tokenizer), length=6, channels=8, layers=1, heads=2)
        unet = UNetConfig(8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, context_channels=8)
        words = DiffusionModel(TextToImage(unet, text), ModelConfig(unet, T=20, text=text), 2, tokenizer=tokenizer)
        save(folder / "words", words)
        (folder / "pictures").mkdir()
        (folder / "grey").mkdir()
        for name in "abc":
            (folder / "classes" / name).mkdir(parents=True)
        rng = np.random.default_rng(0)
        for i in range(6):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / f"{i}.png")
            (folder / "pictures" / f"{i}.txt").write_text("a red hat")
            for place in ("grey", f"classes/{'abc'[i // 2]}"):
                Image.fromarray(pixels[:, :, 0]).save(folder / place / f"{i}.png")
        table = 'data = "digits"\nthreads = 1\n[unet]\nimage_size = 8\nchannels = 8\nchannel_mult = [1, 2]\n'
        (folder / "run.toml").write_text(table + "[train]\nsteps = 2\nbatch = 4\nlr = 0.001\nbetas = [0.9, 0.99]\n")

    def honest(self) -> list[list[str]]:
        """Return the commands that the cases are made from."""
        f, out = self.folder, ["--out", str(self.folder / "honest")]
        edit = ["edit", "--image", str(f / "grey/0.png"), "--model", str(f / "model"), "--n", "1", "--steps", "2"]
        return [
            ["sample", "--model", str(f / "model"), "--n", "2", "--steps", "2", *out],
            ["sample", "--model", str(f / "words"), "--prompt", "a red hat", "--n", "2", "--steps", "2", *out],
            [*edit, *out],
            ["train", *TINY, "--out", str(f / "run")],
            ["train", "--config", str(f / "run.toml"), "--out", str(f / "run-2")],
            [*self.evaluating("model", "classes"), *out],
            [*self.evaluating("words", "pictures"), *out],
            ["info"],
            ["info", str(f / "honest/grid.png")],
        ]

    def evaluating(self, model: str | Path, data: str | Path) -> list[str]:
        """Return the command that evaluates a model."""
        return [
            "evaluate",
            "--model",
            str(self.folder / model),
            "--data",
            str(self.folder / data),
            "--n",
            "3",
            "--steps",
            "1",
        ]

    def case(self, seed: int, i: int) -> tuple[str, list[str]]:
        """Write the files of a case; return its kind and its command."""
        rng = np.random.default_rng((seed, i))
        maker = self.makers[int(rng.integers(len(self.makers)))]
        shutil.rmtree(self.folder / "case", ignore_errors=True)
        (self.folder / "case").mkdir()
        return maker.__name__, maker(rng)

    def copy(self, name: str) -> Path:
        """Return a fresh copy of an honest folder."""
        return Path(shutil.copytree(self.folder / name, self.folder / "case" / name))

    def options(self, rng) -> list[str]:
        """Return a command line with strange values."""
        commands = [Sample, Sample, Edit, Train, Train, Evaluate, Evaluate, Info]
        which = int(rng.integers(len(commands)))
        if commands[which] is Info:
            return ["info", *(str(pick(rng, TEXTS)) for _ in range(rng.integers(1, 3)))]
        honest = self.honest()[[0, 1, 2, 3, 3, 5, 6][which]]
        options = [name.replace("_", "-") for name in _fields(commands[which]) if name not in ("out", "called")]
        line = [*honest[:-1], str(self.folder / "case" / "out")]
        for _ in range(rng.integers(1, 4)):
            option = pick(rng, options)
            line += [f"--{option}", *as_words(strange(rng, option))]
        if rng.random() < 0.1:
            line += [str(pick(rng, TEXTS))]
        return line

    def config(self, rng) -> list[str]:
        """Return how to draw with a config.json with strange values, or damaged."""
        folder = self.copy(pick(rng, ["model", "words"]))
        path = folder / "config.json"
        path.write_bytes(
            mutated_table(rng, path.read_bytes()) if rng.random() < 0.8 else damaged(rng, path.read_bytes())
        )
        return self.using(rng, folder)

    def weights(self, rng) -> list[str]:
        """Return how to draw with weights of another type, with NaN or huge numbers, of other shapes, or damaged."""
        folder = self.copy(pick(rng, ["model", "words"]))
        path = folder / "model.safetensors"
        if rng.random() < 0.4:
            path.write_bytes(damaged(rng, path.read_bytes()))
        else:
            path.write_bytes(safetensors.numpy.save(strange_arrays(rng, safetensors.numpy.load(path.read_bytes()))))
        return self.using(rng, folder)

    def tokenizer(self, rng) -> list[str]:
        """Return how to draw with a tokenizer with strange values, or damaged."""
        folder = self.copy("words")
        path = folder / "tokenizer.json"
        path.write_bytes(pick(rng, [mutated_table, damaged])(rng, path.read_bytes()))
        return self.using(rng, folder)

    def using(self, rng, folder: Path) -> list[str]:
        """Return the command that draws with a folder, or one that evaluates it."""
        if rng.random() < 0.3:
            data = "pictures" if folder.name == "words" else "classes"
            return [*self.evaluating(folder, data), "--out", str(folder / "out")]
        prompt = ["--prompt", "a red hat"] if folder.name == "words" else []
        return ["sample", "--model", str(folder), "--n", "1", "--steps", "1", *prompt, "--out", str(folder / "out")]

    def toml(self, rng) -> list[str]:
        """Return a training by a recipe with strange values, or damaged."""
        text = (self.folder / "run.toml").read_text()
        if rng.random() < 0.8:
            lines = text.splitlines()
            at = int(rng.integers(len(lines)))
            value = strange(rng, lines[at])
            lines[at] = lines[at].split(" = ")[0] + f" = {json.dumps(value)}" if " = " in lines[at] else str(value)
            data = "\n".join(lines).encode("utf-8", "surrogatepass")
        else:
            data = damaged(rng, text.encode())
        path = self.folder / "case" / "run.toml"
        path.write_bytes(data)
        return ["train", "--config", str(path), "--out", str(self.folder / "case" / "out")]

    def checkpoint(self, rng) -> list[str]:
        """Return how to go on with a run whose checkpoint, log or settings are damaged, resumed."""
        folder = self.copy("run")
        path = pick(rng, sorted(folder.glob("*.*")))
        path.write_bytes(damaged(rng, path.read_bytes()))
        return ["train", *TINY, "--train.steps", pick(rng, ["2", "3"]), "--out", str(folder)]

    def pictures(self, rng) -> list[str]:
        """Return a training on a folder of pictures and captions, some of which are damaged or something else."""
        folder = self.copy("pictures")
        for path in sorted(folder.iterdir()):
            if rng.random() < 0.3:
                path.write_bytes(damaged(rng, path.read_bytes()))
            elif rng.random() < 0.1:
                path.rename(folder / str(pick(rng, ["x\x1b[2J.png", "фото.png", "a\nb.png", "c.gif", "d.tif", "e"])))
        return ["train", *TINY, "--data", str(folder), "--out", str(self.folder / "case" / "out")]

    def judged(self, rng) -> list[str]:
        """Return an evaluation on a folder of pictures, some of which are damaged or gone."""
        name = pick(rng, ["classes", "pictures"])
        folder = self.copy(name)
        for path in sorted(folder.rglob("*.*")):
            if rng.random() < 0.2:
                path.write_bytes(damaged(rng, path.read_bytes()))
            elif rng.random() < 0.2:
                path.unlink()
        model = "words" if name == "pictures" else "model"
        return [*self.evaluating(model, folder), "--out", str(self.folder / "case" / "out")]

    def drawn(self, rng) -> list[str]:
        """Return an edit of a picture that tinydiff drew, or of a grid, with strange texts in it."""
        path = self.copy("honest") / pick(rng, ["pictures/000.png", "pictures/000.png", "grid.png"])
        strange_metadata(rng, path)
        line = self.honest()[2]
        return [*line[:2], str(path), *line[3:-1], str(self.folder / "case" / "out")]

    def informed(self, rng) -> list[str]:
        """Return the question what a picture was drawn from, which is damaged or has strange texts in it."""
        path = self.copy("honest") / pick(rng, ["pictures/000.png", "grid.png", "chain.gif", "arrays.npz"])
        if path.suffix == ".png" and rng.random() < 0.6:
            strange_metadata(rng, path)
        else:
            path.write_bytes(damaged(rng, path.read_bytes() if path.exists() else b"PK"))
        return ["info", str(path)]

    def edited(self, rng) -> list[str]:
        """Return an edit of a damaged picture, or with a damaged mask."""
        folder = self.copy("grey")
        (folder / "0.png").write_bytes(damaged(rng, (folder / "0.png").read_bytes()))
        honest = self.honest()[2]
        line = [*honest[:2], str(folder / pick(rng, ["0.png", "1.png"])), *honest[3:-1], str(folder / "out")]
        return [*line, *pick(rng, [[], ["--mask", str(folder / "0.png")]])]


def peak() -> float:
    """Return the peak of memory since `forget_peak`, in MiB; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return 0.0


def forget_peak() -> None:
    """Begin to look for the peak anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def run(line: list[str]) -> tuple[object, str, float]:
    """Run a command; return its status, what it said on stderr, and its peak of memory."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    forget_peak()
    signal.setitimer(signal.ITIMER_REAL, ALARM)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            status: object = main(line)
    except Hang:
        status = "hang"
    except SystemExit as stop:
        status = stop.code
    except BaseException as error:
        status = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return status, streams[1].buffer.getvalue().decode("utf-8", "replace"), peak()


def fault(status: object, said: str, mib: float, most: float) -> str:
    """Return what is wrong with the end of a case, or ""."""
    if status not in STATUS:
        return f"status {status}"
    for word in ("Traceback", "fault of tinydiff", "Warning:", ".py:"):
        if word in said:
            return f"{word!r} on the screen"
    sentences = [part for part in said.replace("\r", "\n").splitlines() if part.startswith("tinydiff: ")]
    if status in (1, 2) and (len(sentences) != 1 or not said.rstrip("\n").endswith(sentences[0])):
        return f"{len(sentences)} sentences, or something after them"
    return f"{mib:.0f} MiB, above {most:.0f}" if mib > most else ""


def stop_after_two_steps() -> None:
    """Let every training end after two steps, as if somebody had pressed Ctrl-C."""
    take = Run.train_step

    def train_step(self):
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken > 2:
            raise KeyboardInterrupt
        return take(self)

    Run.train_step = train_step  # type: ignore[method-assign]


def ring(number, frame):
    raise Hang


def fuzz(cases: range, seed: int, loud: bool = False) -> int:
    """Run cases of a seed and print each fault; return how many there were."""
    os.environ["TINYDIFF_MEMORY"] = str(GIB_ALLOWED)
    os.environ["TINYDIFF_MALLOPT"] = "0"  # memory that is freed goes back, so that a peak is that of its case
    signal.signal(signal.SIGALRM, ring)
    stop_after_two_steps()
    kinds: Counter[str] = Counter()
    ends: Counter[object] = Counter()
    faults, started = 0, time.time()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        fuzzer = Fuzz(Path(folder))
        most: dict[str, float] = {}  # by command
        for line in 2 * fuzzer.honest():  # the first time, modules are imported
            status, said, mib = run(line)
            if status != 0:
                raise RuntimeError(f"{line} is honest, but ended with {status}: {said}")
            most[line[0]] = max(1.5 * mib, most.get(line[0], 0))
        print("MiB allowed:", {name: round(mib) for name, mib in most.items()}, flush=True)
        for i in cases:
            kind, line = fuzzer.case(seed, i)
            status, said, mib = run(line)
            kinds[kind] += 1
            ends[status] += 1
            wrong = fault(status, said, mib, most[line[0]])
            faults += bool(wrong)
            if wrong or loud:
                shown = " ".join(word[:200] for word in line)
                if kind in ("toml", "config", "tokenizer") and loud:
                    print(ascii("\n".join(p.read_text(errors="replace")[:2000] for p in Path("case").rglob("*.[tj]*"))))
                print(f"case {i} ({kind}): {wrong or 'as it should be'}\n  {shown!a}\n  {said[-1500:]!a}", flush=True)
    print(f"{sum(kinds.values())} cases of seed {seed} in {time.time() - started:.0f} s: {faults} faults.")
    print(f"  {dict(kinds)}; ends: {dict(ends)}")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    given = parser.parse_args()
    which = range(given.cases) if given.only is None else range(given.only, given.only + 1)
    sys.exit(1 if fuzz(which, given.seed, loud=given.only is not None) else 0)
