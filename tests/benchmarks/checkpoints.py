"""How far networks and chains of public checkpoints are from diffusers and transformers, as tables.

The numbers of both are in tests/fixtures, so that neither library is needed:

    python tests/benchmarks/checkpoints.py
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "models")]

from checkpoints import cases, class_of, config_of, pipelines, write_part, write_pipeline  # noqa: E402
from test_checkpoint_networks import differences  # noqa: E402
from test_checkpoint_pipelines import compared  # noqa: E402

from tinydiff.models.diffusers import read_checkpoint, read_network  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        print("| network | class | outputs | gradients |\n|---|---|---|---|")
        for case, stored in cases().items():
            config = config_of(case)
            network = read_network(write_part(root / case, case, config), dtype=np.float64)
            outputs, gradients = differences(network, stored, config.get("use_linear_projection", False))
            print(f"| {case} | `{class_of(config)}` | {max(outputs):.0e} | {max(gradients):.0e} |")
        print("\n| chain | scheduler | steps | largest difference of x |\n|---|---|---|---|")
        found = {name: read_checkpoint(write_pipeline(root / name, name), dtype=np.float64) for name in PIPELINES}
        for chain in (name for name in pipelines() if "/" in name):
            pipeline, _, name = chain.partition("/")
            said, off, _ = compared(found[pipeline], chain, root)
            print(f"| {pipeline}, {name} | `{said.class_name}` | {len(off)} | {off.max():.0e} |")


PIPELINES = ("latents", "pixels")

if __name__ == "__main__":
    main()
