"""The command ``tinydiff demo``."""

from dataclasses import dataclass
from pathlib import Path

from tinydiff.apps.cli.drawings import kept_folder
from tinydiff.apps.cli.screen import say
from tinydiff.apps.demo import WRITTEN, run_demo
from tinydiff.base import check_count


@dataclass(frozen=True)
class Demo:
    """Draw digits with the shipped weights, then train a model from scratch and draw with it."""

    out: Path = Path("demo")
    """Folder for the pictures. If it holds those of another demo, they go into a new folder in it: 2, 3, ..."""
    steps: int = 1600
    """Optimizer steps of the training."""
    seed: int = 0
    """Of the weights, the training and the samples."""

    def run(self) -> None:
        """Run the demo."""
        check_count("steps", self.steps)
        check_count("seed", self.seed, least=0)
        with kept_folder(self.out, WRITTEN) as folder:
            if folder != self.out:
                say(f"{self.out} holds the pictures of another demo, which stay: those of this one are in {folder}.")
            run_demo(folder, self.steps, self.seed)
