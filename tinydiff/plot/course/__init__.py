"""The pictures of the notebooks, by subject."""

from tinydiff.plot.course.clouds import loss_by_timestep_runs, paths_to_data, point_clouds, score_fields
from tinydiff.plot.course.codes import code_regions, usage_bars
from tinydiff.plot.course.densities import bells, density_over_time, noising_strips, reverse_steps
from tinydiff.plot.course.layers import jacobian, roofline, signed_maps, unet_passes
from tinydiff.plot.course.text import attention_maps, guidance_trade, token_maps, token_rows, tone_shares

__all__ = [
    "attention_maps",
    "bells",
    "code_regions",
    "density_over_time",
    "guidance_trade",
    "jacobian",
    "loss_by_timestep_runs",
    "noising_strips",
    "paths_to_data",
    "point_clouds",
    "reverse_steps",
    "roofline",
    "score_fields",
    "signed_maps",
    "token_maps",
    "token_rows",
    "tone_shares",
    "unet_passes",
    "usage_bars",
]
