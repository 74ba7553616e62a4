"""What all other rooms use: errors, files and records, arrays and devices, noise, conditions, derived weights."""

from tinydiff.base.arrays import (
    Array,
    Device,
    check_numbers,
    erf,
    power_of_two,
    select_device,
    synchronize,
    to_device,
    to_numpy,
    xp_of,
)
from tinydiff.base.checks import Checked, bare, check_alike, check_shapes, checked, checks_arguments
from tinydiff.base.choices import Choices, import_modules
from tinydiff.base.condition import Condition, arrays_of, as_condition, map_arrays
from tinydiff.base.errors import (
    CheckpointError,
    DataError,
    DeviceError,
    InputError,
    TinydiffError,
    TrainingError,
    check_choice,
    check_count,
    check_divisible,
    check_images,
    check_number,
    check_positive,
    check_rank,
    check_shape,
    is_real,
)
from tinydiff.base.files import atomic_write, sweep, writable_folder
from tinydiff.base.lock import FolderInUse, FolderLock
from tinydiff.base.memo import Memo, derived, weights_stand_still
from tinydiff.base.memory import available_memory, check_memory, in_gib
from tinydiff.base.noise import Noise, philox
from tinydiff.base.plain import is_plain, plain
from tinydiff.base.reading import gunzip, read_at_most
from tinydiff.base.records import from_table, read_table, to_table, with_prefix, write_json
from tinydiff.base.size import Size, check_sides, height_and_width
from tinydiff.base.words import counted, printable, shown, there_are

__all__ = [
    "Array",
    "Checked",
    "CheckpointError",
    "Choices",
    "Condition",
    "DataError",
    "Device",
    "DeviceError",
    "FolderInUse",
    "FolderLock",
    "InputError",
    "Memo",
    "Noise",
    "Size",
    "TinydiffError",
    "TrainingError",
    "arrays_of",
    "as_condition",
    "atomic_write",
    "available_memory",
    "bare",
    "check_alike",
    "check_choice",
    "check_count",
    "check_divisible",
    "check_images",
    "check_memory",
    "check_number",
    "check_numbers",
    "check_positive",
    "check_rank",
    "check_shape",
    "check_shapes",
    "check_sides",
    "checked",
    "checks_arguments",
    "counted",
    "derived",
    "erf",
    "from_table",
    "gunzip",
    "height_and_width",
    "import_modules",
    "in_gib",
    "is_plain",
    "is_real",
    "map_arrays",
    "philox",
    "plain",
    "power_of_two",
    "printable",
    "read_at_most",
    "read_table",
    "select_device",
    "shown",
    "sweep",
    "synchronize",
    "there_are",
    "to_device",
    "to_numpy",
    "to_table",
    "weights_stand_still",
    "with_prefix",
    "writable_folder",
    "write_json",
    "xp_of",
]
