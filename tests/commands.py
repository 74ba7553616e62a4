"""Commands of the command line on tiny models, and how they fail."""

import os
import signal
from contextlib import contextmanager

from tinydiff.apps.cli import main
from tinydiff.train import Run

TINY = [
    "--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.blocks-per-level", "1", "--unet.num-classes", "10", "--train.batch", "8", "--train.micro-batch", "4",
    "--train.validation-images", "16",
]  # fmt: skip


def train(out, *more, steps=4):
    return main(["train", *TINY, "--train.steps", str(steps), "--out", str(out), *more])


@contextmanager
def ctrl_c_at(step, monkeypatch):
    """Let Ctrl-C be pressed in this step of every run inside."""
    with monkeypatch.context() as patch:
        take_step = Run.train_step

        def pressed(self):
            record = take_step(self)
            if self.step == step:
                os.kill(os.getpid(), signal.SIGINT)
            return record

        patch.setattr(Run, "train_step", pressed)
        yield


def fails(capsys, arguments, status, *words):
    """Run a command that must fail with one sentence, without a traceback."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # arguments that do not parse
        code = stop.code
    error = capsys.readouterr().err
    assert code == status, error
    assert "Traceback" not in error
    assert "dummy" not in error
    assert error.rpartition("tinydiff: ")[2].strip()
    assert status != 2 or error.rpartition("tinydiff: ")[2].count("\n") == 1, error
    for word in words:
        assert word in error, error


TINY_TEXT = [
    "avatars", "--images", "24", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.attention-levels", "1", "--unet.heads", "2", "--text.layers", "1", "--text.channels", "8",
    "--text.heads", "2", "--train.steps", "2", "--train.batch", "8", "--train.validation-images", "16",
]  # fmt: skip


def without_classes(options):
    i = options.index("--unet.num-classes")
    return options[:i] + options[i + 2 :]
