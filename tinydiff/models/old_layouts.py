"""How config.json was laid out before it had a format number; such folders are still read.

The name of the model's class held its configuration, and everything else stood beside it::

    {"model": {"unet": {...}, ...}, "micro_batch": 8, "step": 10000, "train": {...}, "data": "mnist"}
    {"clip": {...}, "schedule": "cosine", "T": 1000, "micro_batch": 16, ...}
    {"classifier": {...}}    {"noisy_classifier": {...}}
"""

from typing import Any

from tinydiff.base import CheckpointError

# the name that held the configuration -> the class's name today, and which of the names beside it are its options
CLASSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "model": ("diffusion", ("micro_batch",)),
    "clip": ("clip", ("schedule", "T", "micro_batch")),
    "classifier": ("classifier", ()),
    "noisy_classifier": ("noisy-classifier", ()),
}


def in_todays_layout(table: dict[str, Any], source: str, number: int) -> dict[str, Any]:
    """Return what an old config.json holds as today's would say it, with the number of today's format.

    Raises
    ------
    CheckpointError
        If it describes no model.
    """
    found = [name for name in CLASSES if name in table]
    if not found:
        raise CheckpointError(
            f"{source} does not say which model it describes: it has no format, and none of {', '.join(CLASSES)}."
        )
    model, options = CLASSES[found[0]]
    config = table[found[0]]
    reads_text = isinstance(config, dict) and config.get("text") is not None
    return {
        "format": number,
        "tinydiff": "unknown",
        "model": model,
        "parts": ["network", "tokenizer"] if reads_text else ["network"],
        "config": config,
        **{name: table[name] for name in options if name in table},
        "about": {name: value for name, value in table.items() if name not in (found[0], *options)},
    }
