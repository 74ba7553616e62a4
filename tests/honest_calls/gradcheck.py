"""Good calls of `tinydiff.gradcheck`."""

import numpy as np

from tinydiff import gradcheck as G
from tinydiff.functional import linear, linear_backward
from tinydiff.nn import Gradients, Linear, Tape

rng = np.random.default_rng(0)
ARGS = [rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)]
PAIR = {"f": linear, "f_backward": linear_backward, "args": ARGS}

CALLS = {
    "gradcheck": lambda: (
        G.gradcheck,
        {**PAIR, "wrt": [0, 1], "seed": 1, "tolerance": 1e-7, "name": "linear", "options": {}},
    ),
    "adjoint_check": lambda: (G.adjoint_check, {**PAIR, "args": ARGS[:2], "seed": 1, "options": {}}),
    "check_module": lambda: (
        G.check_module,
        {
            "model": Linear(3, 4, np.random.default_rng(0), dtype=np.float64),
            "inputs": ARGS[:1],
            "new_tape": Tape,
            "new_gradients": Gradients,
            "wrt": [0],
            "seed": 1,
            "tolerance": 1e-7,
        },
    ),
}
RECORDS = {"Finding", "GradcheckReport"}
