"""Activations as layers: pairs without parameters."""

from tinydiff import functional as F
from tinydiff.base import checks_arguments
from tinydiff.functional.values import check_slope
from tinydiff.nn.layers import Layer, Pair


@checks_arguments("__init__")
class SiLU(Layer):
    """``x * sigmoid(x)`` (Eq. SILU-1)."""

    def __init__(self, pair: Pair = (F.silu, F.silu_backward)):
        self.pair = pair


@checks_arguments("__init__")
class GELU(Layer):
    """``x * Phi(x)`` (Eq. GELU-1)."""

    def __init__(self, pair: Pair = (F.gelu, F.gelu_backward)):
        self.pair = pair


@checks_arguments("__init__")
class QuickGELU(Layer):
    """``x * sigmoid(1.702 x)`` (Eq. QGELU-1)."""

    def __init__(self, pair: Pair = (F.quick_gelu, F.quick_gelu_backward)):
        self.pair = pair


@checks_arguments("__init__")
class LeakyReLU(Layer):
    """x where it is positive, and ``slope * x`` elsewhere (Eq. LRELU-1)."""

    def __init__(self, slope: float = 0.2, pair: Pair = (F.leaky_relu, F.leaky_relu_backward)):
        check_slope(slope)
        self.pair = pair
        self.slope = slope

    def options(self):
        return {"slope": self.slope}


@checks_arguments("__init__")
class GEGLU(Layer):
    """One half of the channels, multiplied by GELU of the other half (Eq. GEGLU-1)."""

    def __init__(self, pair: Pair = (F.geglu, F.geglu_backward)):
        self.pair = pair
