"""A whole DDPM on one page: noise becomes digits, with NumPy alone and every gradient by hand.

    python examples/one_page_ddpm.py [--steps N] [--seed S] [--out digits.png]

In about a minute this trains a small UNet on the 8 x 8 digits that ship with tinydiff, and draws ten of each kind.
Read it from top to bottom: layers, network, diffusion, training, picture. Each forward has its backward right below.

It is the twin of the library: same names, same conventions, and tests/examples/test_one_page.py shows the same numbers.
Images are (N, H, W, C) in [-1, 1]. Steps t go from 1 to T, and alpha_bar[0] = 1 is clean data. The derivative of the
loss by x is called dx. The equations (Eq. LIN-1) are those of docs/equations.md.
"""

import argparse
import math
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent.parent / "tinydiff" / "data" / "digits.npz"
T, CHANNELS, GROUPS, BATCH, LEARNING_RATE = 200, 32, 8, 32, 2e-3

# ---- Layers: y, cache = f(x, ...), where the cache is what the backward needs: dx, ... = f_backward(dy, cache).


def linear(x, w, b):
    """Multiply the last axis by a matrix, and add a bias (Eq. LIN-1)."""
    return (x.reshape(-1, len(w)) @ w + b).reshape(*x.shape[:-1], len(b)), (x, w)


def linear_backward(dy, cache):
    """Return dx, dw, db: two more matrix products and a sum (Eq. LIN-2)."""
    x, w = cache
    rows, d_rows = x.reshape(-1, w.shape[0]), dy.reshape(-1, w.shape[1])
    return (d_rows @ w.T).reshape(x.shape), rows.T @ d_rows, d_rows.sum(axis=0)


def taps(padded, stride):
    """Return nine views of a padded image: the pixels that each of the 3 x 3 numbers of a kernel is multiplied by."""
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    return [padded[:, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]


def conv(x, w, b, stride=1):
    """Convolve with 3 x 3 kernels: put the nine pixels of each patch side by side, then `linear` (Eq. CONV-1)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.concatenate(taps(padded, stride), axis=-1)
    y, matrix = linear(patches, w.reshape(-1, w.shape[-1]), b)
    return y, (matrix, padded.shape, w.shape, stride)


def conv_backward(dy, cache):
    """Return dx, dw, db: a pixel that several patches read collects from all of them (Eq. CONV-2)."""
    matrix, padded_shape, w_shape, stride = cache
    d_patches, dw, db = linear_backward(dy, matrix)
    d_padded = np.zeros(padded_shape, dy.dtype)
    for d_tap, d_patch in zip(taps(d_padded, stride), np.split(d_patches, 9, axis=-1), strict=True):
        d_tap += d_patch  # a view, so this adds to d_padded
    return d_padded[:, 1:-1, 1:-1], dw.reshape(w_shape), db


def group_norm(x, gamma, beta):
    """Shift and scale each group of an image's channels to mean 0 and variance 1, then as learned (Eq. GN-1)."""
    groups = x.reshape(len(x), -1, GROUPS, x.shape[-1] // GROUPS)
    centred = groups - groups.mean(axis=(1, 3), keepdims=True)
    rstd = ((centred * centred).mean(axis=(1, 3), keepdims=True) + 1e-5) ** -0.5
    x_hat = centred * rstd
    return gamma * x_hat.reshape(x.shape) + beta, (x_hat, gamma, rstd)


def group_norm_backward(dy, cache):
    """Return dx, d_gamma, d_beta: x acts directly, through the mean and through the variance (Eq. GN-2)."""
    x_hat, gamma, rstd = cache
    g = (gamma * dy).reshape(x_hat.shape)
    through_mean = g.mean(axis=(1, 3), keepdims=True)
    through_variance = x_hat * (g * x_hat).mean(axis=(1, 3), keepdims=True)
    dx = rstd * (g - through_mean - through_variance)
    return dx.reshape(dy.shape), (dy * x_hat.reshape(dy.shape)).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))


def silu(x):
    """Return x sigmoid(x): x, faded out where it is negative (Eq. SILU-1)."""
    sigmoid = (1 + np.tanh(x / 2)) / 2  # cannot overflow, unlike 1 / (1 + exp(-x))
    return x * sigmoid, (x, sigmoid)


def silu_backward(dy, cache):
    """Return dx, by the product rule; the slope of the sigmoid is sigmoid (1 - sigmoid) (Eq. SILU-2)."""
    x, sigmoid = cache
    return dy * (sigmoid + x * sigmoid * (1 - sigmoid))


def upsample(x):
    """Repeat every pixel, twice down and twice across (Eq. UP-1)."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def upsample_backward(dy):
    """Return dx: a pixel that was read four times collects four gradients (Eq. UP-2)."""
    return dy[:, ::2, ::2] + dy[:, 1::2, ::2] + dy[:, ::2, 1::2] + dy[:, 1::2, 1::2]


# ---- The network. theta holds the weights of each layer by its name, [w, b] or [gamma, beta]; so does grads.


def embed(t, labels, theta):
    """Turn the step and the label of each image into one vector, which every block reads."""
    (table,) = theta["embed.label"]
    angles = t[:, None] * 10000.0 ** (-np.arange(0, CHANNELS, 2) / CHANNELS)  # the hands of clocks, fast to slow
    clocks = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(table.dtype)  # Eq. TEMB-1
    one_hot = np.eye(len(table), dtype=table.dtype)[labels]
    h, mlp_0 = linear(clocks, *theta["embed.mlp.layers.0"])
    h, mlp_1 = silu(h)
    h, mlp_2 = linear(h, *theta["embed.mlp.layers.2"])
    emb, last = silu(h + one_hot @ table)  # Eq. EMB-1
    return emb, (one_hot, mlp_0, mlp_1, mlp_2, last)


def embed_backward(d_emb, cache, grads):
    """Store the gradients of these layers; t and labels have none."""
    one_hot, mlp_0, mlp_1, mlp_2, last = cache
    dh = silu_backward(d_emb, last)
    grads["embed.label"] = [one_hot.T @ dh]  # Eq. EMB-2
    dh, *grads["embed.mlp.layers.2"] = linear_backward(dh, mlp_2)
    dh = silu_backward(dh, mlp_1)
    _, *grads["embed.mlp.layers.0"] = linear_backward(dh, mlp_0)


def res_block(x, emb, theta, name):
    """Return x plus a correction, from two convolutions that are told the time and the label in between."""
    h, norm_1 = group_norm(x, *theta[f"{name}.norm_1"])
    h, silu_1 = silu(h)
    h, conv_1 = conv(h, *theta[f"{name}.conv_1"])
    time, project = linear(emb, *theta[f"{name}.project"])
    h, norm_2 = group_norm(h + time[:, None, None], *theta[f"{name}.norm_2"])
    h, silu_2 = silu(h)
    h, conv_2 = conv(h, *theta[f"{name}.conv_2"])
    x, shortcut = linear(x, *theta[f"{name}.shortcut"]) if f"{name}.shortcut" in theta else (x, None)
    return x + h, (norm_1, silu_1, conv_1, project, norm_2, silu_2, conv_2, shortcut)


def res_block_backward(dy, cache, grads, name):
    """Return dx and d_emb, and store the gradients of the block's layers: the forward, read upwards."""
    norm_1, silu_1, conv_1, project, norm_2, silu_2, conv_2, shortcut = cache
    dx, *grads[f"{name}.shortcut"] = (dy,) if shortcut is None else linear_backward(dy, shortcut)
    dh, *grads[f"{name}.conv_2"] = conv_backward(dy, conv_2)
    dh = silu_backward(dh, silu_2)
    dh, *grads[f"{name}.norm_2"] = group_norm_backward(dh, norm_2)
    d_emb, *grads[f"{name}.project"] = linear_backward(dh.sum(axis=(1, 2)), project)  # all pixels read it
    dh, *grads[f"{name}.conv_1"] = conv_backward(dh, conv_1)
    dh = silu_backward(dh, silu_1)
    dh, *grads[f"{name}.norm_1"] = group_norm_backward(dh, norm_1)
    return dx + dh, d_emb  # two readers of x: their gradients add


def unet(x_t, t, labels, theta):
    """Predict v: down to 4 x 4 pixels, where the whole digit is near, and up again, past what was on the way."""
    emb, embedding = embed(t, labels, theta)
    h_0, stem = conv(x_t, *theta["stem"])
    h_1, down_0 = res_block(h_0, emb, theta, "down.0.blocks.0")
    h_2, halve = conv(h_1, *theta["down.0.resample"], stride=2)
    h_3, down_1 = res_block(h_2, emb, theta, "down.1.blocks.0")
    h, mid_1 = res_block(h_3, emb, theta, "mid_1")
    h, mid_2 = res_block(h, emb, theta, "mid_2")
    h, up_0 = res_block(np.concatenate([h, h_3], axis=-1), emb, theta, "up.0.blocks.0")
    h, up_1 = res_block(np.concatenate([h, h_2], axis=-1), emb, theta, "up.0.blocks.1")
    h, double = conv(upsample(h), *theta["up.0.resample.layers.1"])
    h, up_2 = res_block(np.concatenate([h, h_1], axis=-1), emb, theta, "up.1.blocks.0")
    h, up_3 = res_block(np.concatenate([h, h_0], axis=-1), emb, theta, "up.1.blocks.1")
    h, norm = group_norm(h, *theta["head.layers.0"])
    h, last = silu(h)
    v_hat, head = conv(h, *theta["head.layers.2"])
    cache = embedding, stem, down_0, halve, down_1, mid_1, mid_2, up_0, up_1, double, up_2, up_3, norm, last, head
    return v_hat, cache


def unet_backward(d_v_hat, cache):
    """Return the gradients of all layers: the forward, read upwards; where two read a value, gradients add."""
    embedding, stem, down_0, halve, down_1, mid_1, mid_2, up_0, up_1, double, up_2, up_3, norm, last, head = cache
    grads = {}
    dh, *grads["head.layers.2"] = conv_backward(d_v_hat, head)
    dh = silu_backward(dh, last)
    dh, *grads["head.layers.0"] = group_norm_backward(dh, norm)
    dh, d_emb_8 = res_block_backward(dh, up_3, grads, "up.1.blocks.1")
    dh, d_h_0 = np.split(dh, 2, axis=-1)
    dh, d_emb_7 = res_block_backward(dh, up_2, grads, "up.1.blocks.0")
    dh, d_h_1 = np.split(dh, 2, axis=-1)
    dh, *grads["up.0.resample.layers.1"] = conv_backward(dh, double)
    dh, d_emb_6 = res_block_backward(upsample_backward(dh), up_1, grads, "up.0.blocks.1")
    dh, d_h_2 = np.split(dh, 2, axis=-1)
    dh, d_emb_5 = res_block_backward(dh, up_0, grads, "up.0.blocks.0")
    dh, d_h_3 = np.split(dh, 2, axis=-1)
    dh, d_emb_4 = res_block_backward(dh, mid_2, grads, "mid_2")
    dh, d_emb_3 = res_block_backward(dh, mid_1, grads, "mid_1")
    dh, d_emb_2 = res_block_backward(dh + d_h_3, down_1, grads, "down.1.blocks.0")
    dh, *grads["down.0.resample"] = conv_backward(dh + d_h_2, halve)
    dh, d_emb_1 = res_block_backward(dh + d_h_1, down_0, grads, "down.0.blocks.0")
    _, *grads["stem"] = conv_backward(dh + d_h_0, stem)
    embed_backward(d_emb_1 + d_emb_2 + d_emb_3 + d_emb_4 + d_emb_5 + d_emb_6 + d_emb_7 + d_emb_8, embedding, grads)
    return grads


def initial_weights(rng):
    """Draw weights that keep the scale of a signal; last layers start at zero, so that every block starts as x."""
    c = CHANNELS
    shapes = {"embed.mlp.layers.0": (c, 4 * c), "embed.mlp.layers.2": (4 * c, 4 * c), "embed.label": (10, 4 * c)}
    shapes |= {"stem": (3, 3, 1, c), "down.0.resample": (3, 3, c, c), "up.0.resample.layers.1": (3, 3, c, c)}
    shapes |= {"head.layers.0": (c,), "head.layers.2": (3, 3, c, 1)}
    down, up = ("down.0.blocks.0", "down.1.blocks.0", "mid_1", "mid_2"), ("up.0.blocks.0", "up.0.blocks.1", "up.1.blocks.0", "up.1.blocks.1")
    for name in (*down, *up):
        c_in = c if name in down else 2 * c
        shapes |= {f"{name}.norm_1": (c_in,), f"{name}.conv_1": (3, 3, c_in, c), f"{name}.project": (4 * c, c)}
        shapes |= {f"{name}.norm_2": (c,), f"{name}.conv_2": (3, 3, c, c)}
        if c_in != c:
            shapes |= {f"{name}.shortcut": (c_in, c)}
    theta = {}
    for name, shape in shapes.items():
        gain = 0 if name.endswith((".conv_2", "head.layers.2")) else math.prod(shape[:-1]) ** -0.5
        w = gain * rng.standard_normal(shape, np.float32) if len(shape) > 1 else np.ones(shape, np.float32)
        theta[name] = [w, np.zeros(shape[-1], np.float32)]
    theta["embed.label"] = [rng.standard_normal((10, 4 * c), np.float32)]
    return theta


# ---- Diffusion: x_t = a x_0 + b eps, where a^2 = alpha_bar and b^2 = 1 - alpha_bar.


def cosine_schedule(s=0.008):
    """Return alpha_bar, the share of the signal that is left: 1 at t = 0, 0 at t = T (Eq. IDDPM-17)."""
    f = np.cos((np.arange(T + 1) / T + s) / (1 + s) * np.pi / 2) ** 2
    return f / f[0]


def loss_and_gradients(theta, alpha_bar, x_0, t, eps, labels):
    """Return how far off the network's v is, and the gradients of that."""
    share = alpha_bar[t, None, None, None]
    a, b = np.sqrt(share).astype(x_0.dtype), np.sqrt(1 - share).astype(x_0.dtype)
    x_t, v = a * x_0 + b * eps, a * eps - b * x_0  # Eq. DDPM-4, Eq. V-1
    v_hat, cache = unet(x_t, t, labels, theta)
    error = v_hat - v
    return (error * error).mean(), unet_backward(error * (2 / error.size), cache)  # Eq. MSE-1, Eq. MSE-2


def sample(theta, alpha_bar, labels, rng):
    """Turn noise into digits step by step: Algorithm 2 of the DDPM paper (Eq. DDPM-ALG2)."""
    dtype = theta["stem"][0].dtype
    x_t = rng.standard_normal((len(labels), 8, 8, 1)).astype(dtype)
    for t in range(T, 0, -1):
        now, before = float(alpha_bar[t]), float(alpha_bar[t - 1])
        v_hat, _ = unet(x_t, np.full(len(x_t), t), labels, theta)
        x_0_hat = np.clip(now**0.5 * x_t - (1 - now) ** 0.5 * v_hat, -1, 1)  # Eq. V-2
        alpha = now / before
        mean = (before**0.5 * (1 - alpha) * x_0_hat + alpha**0.5 * (1 - before) * x_t) / (1 - now)  # Eq. DDPM-7
        variance = (1 - before) / (1 - now) * (1 - alpha)
        x_t = mean + variance**0.5 * rng.standard_normal(x_t.shape).astype(dtype)
    return x_t


def adamw(theta, grads, moments, step, lr, betas=(0.9, 0.99), decay=0.01):
    """Go one step against the average gradient, in units of its usual size (Eq. ADAMW-1)."""
    for name, arrays in theta.items():
        for w, g, (m, v) in zip(arrays, grads[name], moments[name], strict=True):
            m += (1 - betas[0]) * (g - m)
            v += (1 - betas[1]) * (g * g - v)
            m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
            w -= lr * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * (w.ndim > 1) * w)


def train(theta, alpha_bar, images, labels, steps, rng):
    """Train in place: Algorithm 1 of the DDPM paper (Eq. DDPM-ALG1)."""
    moments = {name: [(np.zeros_like(w), np.zeros_like(w)) for w in arrays] for name, arrays in theta.items()}
    losses, start = [], time.perf_counter()
    for step in range(1, steps + 1):
        batch = rng.integers(len(images), size=BATCH)
        t, eps = rng.integers(1, T + 1, BATCH), rng.standard_normal((BATCH, 8, 8, 1), np.float32)
        loss, grads = loss_and_gradients(theta, alpha_bar, images[batch], t, eps, labels[batch])
        lr = LEARNING_RATE * min(1, step / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        adamw(theta, grads, moments, step, lr)
        losses.append(loss)
        if step % 100 == 0 or step == steps:
            print(f"step {step} of {steps}, loss {np.mean(losses[-100:]):.4f}, {time.perf_counter() - start:.0f} s", flush=True)


# ---- Picture


def png(x, columns=10, zoom=6):
    """Return the bytes of a grey PNG of images (N, 8, 8, 1), in rows, each pixel enlarged."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = np.pad(np.rint(127.5 * (np.clip(x[..., 0], -1, 1) + 1)).astype(np.uint8), ((0, 0), (1, 1), (1, 1)))
    rows = pixels.reshape(-1, columns, 10, 10).swapaxes(1, 2).reshape(-1, columns * 10).repeat(zoom, 0).repeat(zoom, 1)
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 0, 0, 0, 0)  # 8 bits, grey
    body = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())  # a 0 before each row: not filtered
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def main(arguments=None):
    """Train, draw ten of each digit, and write the picture."""
    parser = argparse.ArgumentParser(description="Train a small diffusion model on 8 x 8 digits, and draw some.")
    parser.add_argument("--steps", default="1300", help="of training (1300)")
    parser.add_argument("--seed", default="0", help="of all random numbers (0)")
    parser.add_argument("--out", type=Path, default=Path("digits.png"), help="the picture (digits.png)")
    options = parser.parse_args(arguments)
    for name in ("steps", "seed"):
        if not getattr(options, name).isdecimal():
            parser.error(f"--{name} is {getattr(options, name)!r}, but a whole number was expected.")
    if options.out.is_dir() or not options.out.parent.is_dir():
        parser.error(f"--out is {options.out}, but the name of a file in a folder that exists was expected.")
    if not DATA.is_file():
        parser.exit(1, f"{DATA} is missing: run this file where it lies in the repository of tinydiff.")

    rng = np.random.default_rng(int(options.seed))
    with np.load(DATA) as data:
        images = data["train_images"][..., None].astype(np.float32) * (2 / 255) - 1
        labels = data["train_labels"].astype(int)
    theta, alpha_bar = initial_weights(rng), cosine_schedule()
    train(theta, alpha_bar, images, labels, int(options.steps), rng)
    picture = png(sample(theta, alpha_bar, np.tile(np.arange(10), 10), rng))
    aside = options.out.with_name(options.out.name + ".part")
    aside.write_bytes(picture)
    os.replace(aside, options.out)  # whole or not at all
    print(f"{options.out}: ten samples of each digit")


if __name__ == "__main__":
    main()
