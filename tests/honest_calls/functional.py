"""Good calls of `tinydiff.functional`."""

import numpy as np

from tinydiff import functional as F

rng = np.random.default_rng(0)
X, MATRIX, BIAS = rng.normal(size=(2, 4, 4, 8)).astype("f4"), rng.normal(size=(8, 4)).astype("f4"), np.ones(4, "f4")
KERNEL, TOKENS, ROWS = rng.normal(size=(3, 3, 8, 4)).astype("f4"), rng.normal(size=(2, 3, 8)).astype("f4"), X[:, 0, 0]
SCALE, LABELS, UNIFORM = np.ones(8, "f4"), np.array([1, 0]), rng.uniform(size=X.shape).astype("f4")
SQUARE = rng.normal(size=(3, 3)).astype("f4")
HEADS = TOKENS[:, None]  # one head
LOG_SCALE = np.zeros(1, "f4")
CODES, NEAREST = rng.normal(size=(3, 8)).astype("f4"), np.array([[0, 2, 1], [1, 1, 0]])
COUNTS = np.array([2, 3, 1], "f4")


def backward(pair, *arguments, **options):
    """Return an honest call of a pair's backward, for the dy that is the output itself."""
    y, cache = getattr(F, pair)(*arguments, **options)
    dy = "d_loss" if y.ndim == 0 else "dy"
    return getattr(F, f"{pair}_backward"), {dy: 0.5 if y.ndim == 0 else np.asarray(y).copy(), "cache": cache}


PAIRS = {
    "linear": {"x": X, "w": MATRIX, "b": BIAS},
    "conv2d": {"x": X, "w": KERNEL, "b": BIAS, "stride": 1, "padding": 1, "algorithm": "im2col", "keep": True},
    "group_norm": {"x": X, "gamma": SCALE, "beta": SCALE, "groups": 2, "eps": 1e-5},
    "group_norm_silu": {"x": X, "gamma": SCALE, "beta": SCALE, "groups": 2, "eps": 1e-5},
    "layer_norm": {"x": X, "gamma": SCALE, "beta": SCALE, "eps": 1e-5},
    "batch_norm": {"x": X, "gamma": SCALE, "beta": SCALE, "eps": 1e-5},
    "unit_length": {"x": ROWS},
    "silu": {"x": X},
    "gelu": {"x": X},
    "quick_gelu": {"x": X},
    "geglu": {"x": X},
    "leaky_relu": {"x": X, "slope": 0.25},
    "softmax": {"x": ROWS},
    "clamp": {"x": X, "least": -0.5, "most": 1.0},
    "dropout": {"x": X, "rate": 0.25, "uniform": UNIFORM},
    "attention": {"q": HEADS, "k": HEADS, "v": HEADS, "mask": np.tri(3, dtype=bool)},
    "attention_in_pieces": {"q": HEADS, "k": HEADS, "v": HEADS},
    "modulate": {"x": TOKENS, "shift": ROWS, "scale": ROWS * 2},
    "gate": {"x": TOKENS, "gate": ROWS},
    "space_to_depth": {"x": X, "factor": 2},
    "depth_to_space": {"x": X, "factor": 2},
    "avg_pool": {"x": X, "factor": 2},
    "upsample_bilinear": {"x": X, "factor": 2},
    "upsample_nearest": {"x": X, "factor": 2},
    "embedding": {"indices": LABELS, "table": MATRIX},
    "mse": {"prediction": ROWS, "target": ROWS * 2},
    "mae": {"prediction": ROWS, "target": ROWS * 2},
    "edge_loss": {"prediction": X, "target": X * 2},
    "reparameterise": {"mean": X, "log_variance": X * 2, "eps": UNIFORM},
    "kl_to_standard_normal": {"mean": X, "log_variance": X * 2},
    "cross_entropy": {"logits": ROWS, "labels": LABELS},
    "masked_cross_entropy": {"logits": ROWS, "labels": np.array([1, -1])},
    "perceptual_distance": {"maps_a": [X, TOKENS], "maps_b": [X * SCALE[::-1] + 1, TOKENS + 1]},
    "contrastive_loss": {"logits": SQUARE},
    "hinge_discriminator": {"real": ROWS, "fake": ROWS * 2},
    "hinge_generator": {"fake": ROWS},
    "scaled_similarity": {"a": ROWS, "b": ROWS, "log_scale": LOG_SCALE},
    "vector_quantise": {"z": TOKENS, "codebook": CODES},
    "codebook_loss": {"codebook": CODES, "z": TOKENS, "indices": NEAREST},
    "commitment_loss": {"z": TOKENS, "z_q": TOKENS * 2},
    "finite_scalar_quantise": {"z": TOKENS[..., :2], "levels": (8, 5)},
}
CALLS = {pair: lambda pair=pair: (getattr(F, pair), PAIRS[pair]) for pair in PAIRS}
CALLS |= {f"{pair}_backward": lambda pair=pair: backward(pair, **PAIRS[pair]) for pair in PAIRS}
CALLS |= {
    "adaptive_weight": lambda: (F.adaptive_weight, {"d_reconstruction": KERNEL, "d_adversary": KERNEL * 2}),
    "nearest_code": lambda: (F.nearest_code, {"z": TOKENS, "codebook": CODES}),
    "codebook_sums": lambda: (F.codebook_sums, {"z": TOKENS, "indices": NEAREST, "codes": 3}),
    "average_codebook": lambda: (
        F.average_codebook,
        {"codebook": CODES, "sizes": COUNTS, "sums": CODES, "counts": COUNTS, "batch_sums": CODES, "decay": 0.5},
    ),
    "restart_codes": lambda: (
        F.restart_codes,
        {"codebook": CODES, "sizes": COUNTS, "sums": CODES, "candidates": CODES * 2, "below": 2.5},
    ),
    "codebook_usage": lambda: (F.codebook_usage, {"counts": COUNTS}),
    "finite_scalar_indices": lambda: (F.finite_scalar_indices, {"z_q": TOKENS[..., :2] * 0, "levels": (8, 5)}),
    "finite_scalar_codes": lambda: (F.finite_scalar_codes, {"indices": NEAREST, "levels": (8, 5)}),
    "default_groups": lambda: (F.default_groups, {"channels": 24}),
    "split_heads": lambda: (F.split_heads, {"x": TOKENS, "heads": 2}),
    "merge_heads": lambda: (F.merge_heads, {"x": HEADS}),
    "fits_in_one_piece": lambda: (F.fits_in_one_piece, {"q": HEADS, "k": HEADS}),
    "grid_embedding": lambda: (F.grid_embedding, {"height": 2, "width": 3, "channels": 8, "max_period": 1e4}),
    "timestep_embedding": lambda: (
        F.timestep_embedding,
        {"t": np.array([1.0, 7.5]), "channels": 8, "max_period": 1e4, "variant": "ddpm", "dtype": np.float32},
    ),
}
