"""Put a trained model among those that ship: its weights as float16, and its card.

    python tools/ship.py runs/scenes-judge scenes-judge
    python tools/ship.py runs/scenes scenes 4

The folder of a run becomes tinydiff/weights/NAME. What the card measures should be measured on those weights. The
number, where there is one, is how many pictures the model computes together: few, where people will mostly ask for one.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinydiff.models import load, read_about, save

WEIGHTS = Path(__file__).resolve().parent.parent / "tinydiff" / "weights"


def main(run: str, name: str, micro_batch: str = "") -> None:
    """Save the model of a run with rounded weights."""
    model: Any = load(run)
    if micro_batch:
        of_parts = hasattr(model, "with_micro_batch")
        model = model.with_micro_batch(int(micro_batch)) if of_parts else replace(model, micro_batch=int(micro_batch))
    shipped = {config.parent.name: read_about(config.parent) for config in (WEIGHTS / name).glob("*/config.json")}
    # a part says on what it was trained: one that shipped before, such as an autoencoder, as it did then
    parts = {config.parent.name: read_about(config.parent) for config in Path(run).glob("*/config.json")}
    folder = save(WEIGHTS / name, model, None, True, parts | shipped, **read_about(run))
    card = Path(run) / "CARD.md"
    if card.exists() and not (folder / card.name).exists():
        shutil.copy(card, folder / card.name)
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    print(f"{folder}: {size / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main(*sys.argv[1:])
