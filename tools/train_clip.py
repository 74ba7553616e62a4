"""Train the CLIP that judges and guides portraits, and write its folder with a card.

    python tools/train_clip.py --out tinydiff/weights/avatars-clip

It reads with the tokenizer of the model `avatars`, and half of its pictures are noisy, by the same forward process.
A run that was stopped goes on when the command is given again.
"""

import argparse
import json
import platform
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tinydiff.base import atomic_write
from tinydiff.data.avatars import compose, describe, draw
from tinydiff.data.avatars.pairs import said
from tinydiff.evaluate import retrieval
from tinydiff.models import SHIPPED, ClipModel, load_clip, save_clip
from tinydiff.models.store import TOKENIZER
from tinydiff.networks import CLIP, CLIPConfig, TextConfig
from tinydiff.text import Tokenizer
from tinydiff.train import ClipTrainConfig, train_clip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=ClipTrainConfig.steps)
    parser.add_argument("--run", type=Path, default=Path("runs/avatars-clip"), help="folder of checkpoints and log")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(SHIPPED / "avatars" / TOKENIZER)
    text = TextConfig(len(tokenizer), channels=64, layers=2, heads=4, causal=True)
    clip = ClipModel(CLIP(CLIPConfig(text=text), np.random.default_rng(0)), tokenizer)
    portraits = compose(options.pairs)
    captions = describe(portraits)
    says = said(portraits, captions)
    _, contents = np.unique(says.reshape(len(says), -1), axis=0, return_inverse=True)
    config = ClipTrainConfig(steps=options.steps)

    def log(record):
        print(json.dumps(record), flush=True)
        with (options.run / "log.jsonl").open("a") as file:
            print(json.dumps(record), file=file)

    start, cpu = time.perf_counter(), time.process_time()
    texts = tuple(caption.text for caption in captions)
    ema = train_clip(clip, draw(portraits), texts, config, contents, options.run, log)
    minutes, cpu_minutes = (time.perf_counter() - start) / 60, (time.process_time() - cpu) / 60

    save_clip(options.out, clip, ema, step=config.steps, train=asdict(config), data="avatars", images=options.pairs)
    measured = retrieval(load_clip(options.out))
    card = CARD.format(
        parameters=clip.network.theta.size,
        pairs=options.pairs,
        measured=measured,
        minutes=minutes,
        cpu_minutes=cpu_minutes,
        machine=f"{platform.machine()}, NumPy {np.__version__}",
        steps=config.steps,
        batch=config.batch,
        out=options.out,
        name=options.out.name,
    )
    atomic_write(options.out / "CARD.md", lambda file: file.write(card.encode()))
    print(card)


CARD = """# CLIP of the avatars

It says how well a portrait of 16 x 16 pixels and a text go together, for clean portraits and for noisy ones.
{parameters:,} parameters: the way down of a UNet, a causal Transformer, 128 numbers for a picture or a text.

| | |
|---|---|
| data | {pairs:,} captioned portraits, drawn from DiceBear's parts (CC0 1.0); none of the test split |
| training | {steps:,} steps of {batch} pairs, half of them noisy (cosine schedule), AdamW, averaged weights |
| time | {minutes:.0f} minutes, {cpu_minutes:.0f} of one core ({machine}) |
| command | `python tools/train_clip.py --pairs {pairs} --steps {steps} --out {out}` |

`tinydiff evaluate --model {name}` prints:

```
{measured}
```

The ceiling is that of a reader who knows exactly what each portrait shows and how captions are written, and answers for
each by itself. Captions leave out a part in four, and some say the same. It knows these portraits and nothing else.
"""

if __name__ == "__main__":
    main()
