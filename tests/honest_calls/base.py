"""Good calls of `tinydiff.base`: noise, arrays, conditions."""

import numpy as np

from tinydiff import base as B
from tinydiff.base import Noise

X = np.ones((2, 3), "f4")

CALLS = {
    "Noise": lambda: (Noise, {"seed": 3, "first": 1, "step": 2, "xp": np}),
    "Noise.at": lambda: (Noise(3).at, {"first": 1, "step": 2}),
    "Noise.words": lambda: (Noise(3).words, {"n_samples": 2, "n_words": 3, "purpose": "x", "layer": ""}),
    "Noise.uniform": lambda: (Noise(3).uniform, {"shape": (2, 3), "purpose": "x", "layer": "", "dtype": np.float32}),
    "Noise.normal": lambda: (Noise(3).normal, {"shape": (2, 3), "purpose": "x", "layer": "", "dtype": np.float32}),
    "Noise.integers": lambda: (Noise(3).integers, {"low": 1, "high": 9, "n": 4, "purpose": "x"}),
    "Noise.permutation": lambda: (Noise(3).permutation, {"n": 5, "purpose": "x"}),
    "erf": lambda: (B.erf, {"x": X}),
    "height_and_width": lambda: (B.height_and_width, {"name": "size", "size": 4}),
    "select_device": lambda: (B.select_device, {"choice": "cpu"}),
}
# Checks and tools of the library itself, of which some take anything on purpose, such as float16 weights to move;
# files and records have tests of their own.
WITHOUT = {
    *("as_condition", "check_finite", "check_numbers", "check_sides", "synchronize", "to_device", "to_numpy", "xp_of"),
    *(
        "arrays_of",
        "map_arrays",
        "bare",
        "checked",
        "checks_arguments",
        "derived",
        "import_modules",
        "is_plain",
        "is_real",
    ),
    *(
        "check_alike",
        "check_choice",
        "check_count",
        "check_divisible",
        "check_images",
        "check_number",
        "check_positive",
    ),
    *("check_rank", "check_shape", "check_shapes", "plain", "weights_stand_still", "with_prefix", "philox"),
    *(
        "FolderLock",
        "FolderLock.check",
        "available_memory",
        "check_memory",
        "in_gib",
        "gunzip",
        "read_at_most",
        "sweep",
    ),
    *("counted", "log_normal_cdf", "power_of_two", "printable", "shown", "there_are"),
    *("atomic_write", "folder_to_fill", "from_table", "read_table", "to_table", "writable_folder", "write_json"),
}
RECORDS = {"Choices", "Condition", "Device", "Memo"}
