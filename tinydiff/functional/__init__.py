"""Pairs: every operation with its hand-written backward beside it.

``y, cache = f(x, ...)`` computes; ``dx, ... = f_backward(dy, cache)`` returns gradients in the order of the
forward's arguments. No function here keeps state, and none writes to its inputs.

A pair's own lines check shapes and compute. The decorator `checked` says what else its arguments must be, and checks it
before each call: which arrays share one floating dtype and device, and the values that `functional.values` refuses.
``f.bare`` is the pair without these checks, for layers and other pairs, which have made them already.
"""

from tinydiff.functional.activation import (
    clamp,
    clamp_backward,
    dropout,
    dropout_backward,
    geglu,
    geglu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
)
from tinydiff.functional.adversarial import (
    adaptive_weight,
    hinge_discriminator,
    hinge_discriminator_backward,
    hinge_generator,
    hinge_generator_backward,
)
from tinydiff.functional.attention import (
    attention,
    attention_backward,
    merge_heads,
    split_heads,
)
from tinydiff.functional.conv import conv2d, conv2d_backward
from tinydiff.functional.embedding import embedding, embedding_backward, timestep_embedding
from tinydiff.functional.fast.attention_in_pieces import (
    attention_in_pieces,
    attention_in_pieces_backward,
    fits_in_one_piece,
)
from tinydiff.functional.fast.group_norm_silu import group_norm_silu, group_norm_silu_backward
from tinydiff.functional.linear import linear, linear_backward
from tinydiff.functional.loss import (
    contrastive_loss,
    contrastive_loss_backward,
    cross_entropy,
    cross_entropy_backward,
    edge_loss,
    edge_loss_backward,
    mae,
    mae_backward,
    masked_cross_entropy,
    masked_cross_entropy_backward,
    mse,
    mse_backward,
    scaled_similarity,
    scaled_similarity_backward,
)
from tinydiff.functional.norm import (
    batch_norm,
    batch_norm_backward,
    default_groups,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    unit_length,
    unit_length_backward,
)
from tinydiff.functional.perceptual import perceptual_distance, perceptual_distance_backward
from tinydiff.functional.resample import avg_pool, avg_pool_backward, upsample_nearest, upsample_nearest_backward
from tinydiff.functional.variational import (
    kl_to_standard_normal,
    kl_to_standard_normal_backward,
    reparameterise,
    reparameterise_backward,
)

__all__ = [
    "adaptive_weight",
    "attention",
    "attention_backward",
    "attention_in_pieces",
    "attention_in_pieces_backward",
    "avg_pool",
    "avg_pool_backward",
    "batch_norm",
    "batch_norm_backward",
    "clamp",
    "clamp_backward",
    "contrastive_loss",
    "contrastive_loss_backward",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "default_groups",
    "dropout",
    "dropout_backward",
    "edge_loss",
    "edge_loss_backward",
    "embedding",
    "embedding_backward",
    "fits_in_one_piece",
    "geglu",
    "geglu_backward",
    "gelu",
    "gelu_backward",
    "group_norm",
    "group_norm_backward",
    "group_norm_silu",
    "group_norm_silu_backward",
    "hinge_discriminator",
    "hinge_discriminator_backward",
    "hinge_generator",
    "hinge_generator_backward",
    "kl_to_standard_normal",
    "kl_to_standard_normal_backward",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "mae",
    "mae_backward",
    "masked_cross_entropy",
    "masked_cross_entropy_backward",
    "merge_heads",
    "mse",
    "mse_backward",
    "perceptual_distance",
    "perceptual_distance_backward",
    "reparameterise",
    "reparameterise_backward",
    "scaled_similarity",
    "scaled_similarity_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "split_heads",
    "timestep_embedding",
    "unit_length",
    "unit_length_backward",
    "upsample_nearest",
    "upsample_nearest_backward",
]
