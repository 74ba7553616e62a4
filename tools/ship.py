"""Put a trained model among those that ship: its weights as float16, and its card.

    python tools/ship.py runs/scenes-judge scenes-judge

The folder of a run becomes tinydiff/weights/NAME. What the card measures should be measured on those weights.
"""

import shutil
import sys
from pathlib import Path

from tinydiff.models import load, read_about, save

WEIGHTS = Path(__file__).resolve().parent.parent / "tinydiff" / "weights"


def main(run: str, name: str) -> None:
    """Save the model of a run with rounded weights."""
    folder = save(WEIGHTS / name, load(run), half=True, **read_about(run))
    card = Path(run) / "CARD.md"
    if card.exists() and not (folder / card.name).exists():
        shutil.copy(card, folder / card.name)
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    print(f"{folder}: {size / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main(*sys.argv[1:])
