"""The command ``tinydiff demo``."""

from dataclasses import dataclass
from pathlib import Path

from tinydiff.apps.demo import run_demo


@dataclass(frozen=True)
class Demo:
    """Draw digits with the shipped weights, then train a model from scratch and draw with it."""

    out: Path = Path("demo")
    """Folder for the pictures."""
    steps: int = 1600
    """Optimizer steps of the training."""
    seed: int = 0
    """Of the weights, the training and the samples."""

    def run(self) -> None:
        """Run the demo."""
        run_demo(self.out, self.steps, self.seed)
