"""A parameter: an array that is trained, and its position in the model's flat vector."""

from typing import TYPE_CHECKING

from tinydiff.base import Array

if TYPE_CHECKING:
    from tinydiff.nn.module import Module


class Parameter:
    """A trainable array: after packing, a named view into its model's flat vector.

    Parameters
    ----------
    value : array
    decay : bool
        Whether weight decay acts on it (on matrices and kernels, not on biases and norms).
    """

    def __init__(self, value: Array, decay: bool = True):
        self.value = value
        self.decay = decay
        self.name = ""
        self.offset = 0
        self.owner: Module | None = None  # the module whose theta it is a view of

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self.value.size)

    def __repr__(self) -> str:
        return f"Parameter({self.name or 'unnamed'}, shape {tuple(self.value.shape)}, {self.value.dtype})"
