"""Public checkpoints: folders that diffusers and transformers write, read and written by their tables of names."""

from tinydiff.models.diffusers.folder import PublicCheckpoint, read_checkpoint, read_scheduler
from tinydiff.models.diffusers.inspect import Part, describe_parts, describe_tensors, inspect_checkpoint
from tinydiff.models.diffusers.networks import read_network
from tinydiff.models.diffusers.said import Said, read_said
from tinydiff.models.diffusers.scheduled import scheduled_chain
from tinydiff.models.diffusers.schedulers import Timetable, timetable
from tinydiff.models.diffusers.tensors import find_tensors
from tinydiff.models.diffusers.tokens import read_tokenizer
from tinydiff.models.diffusers.write import write_checkpoint

__all__ = [
    "Part",
    "PublicCheckpoint",
    "Said",
    "Timetable",
    "describe_parts",
    "describe_tensors",
    "find_tensors",
    "inspect_checkpoint",
    "read_checkpoint",
    "read_network",
    "read_said",
    "read_scheduler",
    "read_tokenizer",
    "scheduled_chain",
    "timetable",
    "write_checkpoint",
]
