"""Editing pictures with a model that was trained to draw them: run a part of the chain, towards noise or back.

As everywhere in `tinydiff.diffusion`, a model is any ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``.
"""

from tinydiff.diffusion.editing.fill_in import erased, keep_known
from tinydiff.diffusion.editing.inversion import ddim_inversion
from tinydiff.diffusion.editing.masks import check_mask
from tinydiff.diffusion.editing.repaint import repaint
from tinydiff.diffusion.editing.sdedit import times_below
from tinydiff.diffusion.editing.slerp import slerp

__all__ = ["check_mask", "ddim_inversion", "erased", "keep_known", "repaint", "slerp", "times_below"]
