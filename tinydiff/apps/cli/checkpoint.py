"""``tinydiff sample --checkpoint``: a public checkpoint drawn with, by the steps of a scheduler of diffusers."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tinydiff.apps.cli.options import ProgressBar, given_options, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.base import Device, InputError, check_memory, counted, in_gib, to_numpy, writable_folder
from tinydiff.diffusion import last
from tinydiff.models import inspect_checkpoint, read_checkpoint, scheduled_chain, timetable
from tinydiff.models.diffusers.inspect import BYTES, weights_of

if TYPE_CHECKING:
    from tinydiff.apps.cli.sample import Sample

SCHEDULERS = {
    "ddpm": "DDPMScheduler",
    "ddim": "DDIMScheduler",
    "pndm": "PNDMScheduler",
    "dpm-solver": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
}
GUIDANCE, STEPS = 7.5, 50  # unless others are asked for, as in diffusers


def sample_checkpoint(command: "Sample", folder: Path, device: Device) -> None:
    """Draw the pictures, save them, and say where; what a checkpoint does not take is refused."""
    refuse_given(command, "model", "--checkpoint names the model: leave one of them out")
    refuse_given(command, "classifier", "a checkpoint is drawn with by itself: leave it out")
    why = "--scheduler says how a checkpoint is drawn with; give the folder as --model for tinydiff's samplers"
    refuse_given(command, "sampler", why)
    for option in given_options(command.of_sampler):
        raise InputError(f"{option} was given, but {why}.")
    refuse_given(command.advanced, "threshold", "a scheduler clips as its config says: leave it out")
    weights = weights_of(inspect_checkpoint(folder))
    check_memory(BYTES * weights, f"checkpoint is {folder}, with {weights:,} weights", "close other programs")
    say(f"{folder}: {weights:,} weights, {in_gib(BYTES * weights)} in memory.")
    checkpoint = read_checkpoint(folder, device=device)
    model, said = checkpoint.model, checkpoint.scheduler
    for note in checkpoint.notes:
        say(note)
    if model.reads_text:
        say("Nothing checks what is drawn: there is no safety checker here.")
    if command.scheduler is not None:
        said = said.as_class(SCHEDULERS[command.scheduler])
    steps = STEPS if command.steps is None else command.steps
    table = timetable(said, steps)
    if table.led_to is not None:
        say(
            f"{said.class_name} takes steps of {said['timestep_spacing']!r} for others than they are, as published: so "
            "it is done here. 'leading' has no such fault."
        )
    request = command.request_for(model, device, n=1, guidance=GUIDANCE if model.reads_text else 1.0)
    start = time.perf_counter()
    with ProgressBar() as bar:
        chain = scheduled_chain(model, table, request, bar)
        writable_folder(command.out)
        images = to_numpy(model.decode(last(chain)))
    took = f"{counted(len(images), 'image')} in {time.perf_counter() - start:.1f} s on {device.name}"
    saved = command.save(model, request, str(folder), images, None, (said.class_name, steps))
    say(f"Drew {took} ({counted(steps, 'step')} of {said.class_name}; no film is made of a checkpoint's): {saved}")
