"""Pictures: grids of images, the reverse chain as a strip and as a GIF, curves of the loss, the pictures of the course.

Functions take arrays and return Pillow images or Matplotlib figures; nothing is drawn on a global canvas.
Pixels are enlarged by whole factors, never smoothed. Images are floats in [-1, 1], where values outside are
clipped (x_t of a chain has many), or uint8; with shape (N, H, W), (N, H, W, 1) or (N, H, W, 3).
"""

from tinydiff.plot.animations import chain_gif, save_gif
from tinydiff.plot.charts import curves, loss_by_timestep_curve, loss_curve
from tinydiff.plot.course.clouds import loss_by_timestep_runs, paths_to_data, point_clouds, score_fields
from tinydiff.plot.course.codes import code_regions, usage_bars
from tinydiff.plot.course.densities import bells, density_over_time, noising_strips, reverse_steps
from tinydiff.plot.course.layers import jacobian, roofline, signed_maps, unet_passes
from tinydiff.plot.course.text import attention_maps, guidance_trade, token_maps, token_rows, tone_shares
from tinydiff.plot.images import (
    captioned_images,
    chain_strip,
    image_grid,
    image_rows,
    neighbour_rows,
    training_progress,
)
from tinydiff.plot.pictures import about_picture, save_picture
from tinydiff.plot.plane import plane_densities, plane_gif, plane_image, plane_paths
from tinydiff.plot.sheets import save_image

__all__ = [
    "about_picture",
    "attention_maps",
    "bells",
    "captioned_images",
    "chain_gif",
    "chain_strip",
    "code_regions",
    "curves",
    "density_over_time",
    "guidance_trade",
    "image_grid",
    "image_rows",
    "jacobian",
    "loss_by_timestep_curve",
    "loss_by_timestep_runs",
    "loss_curve",
    "neighbour_rows",
    "noising_strips",
    "paths_to_data",
    "plane_densities",
    "plane_gif",
    "plane_image",
    "plane_paths",
    "point_clouds",
    "reverse_steps",
    "roofline",
    "save_gif",
    "save_image",
    "save_picture",
    "score_fields",
    "signed_maps",
    "token_maps",
    "token_rows",
    "tone_shares",
    "training_progress",
    "unet_passes",
    "usage_bars",
]
