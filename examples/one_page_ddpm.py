"""A whole DDPM on one page: noise becomes digits, with NumPy alone and every gradient by hand.

    python examples/one_page_ddpm.py [--steps N] [--seed S] [--out digits.png]

In about a minute this trains a small UNet on the 8 x 8 digits that ship with tinydiff, and draws ten of each kind.
Read it from top to bottom: layers, network, diffusion, training, picture. A backward stands right below its forward.

It is a twin of the library: names and conventions are the same, and tests/examples/test_one_page.py shows that the
numbers are; only the attention in the middle of the library's UNet is left out. Images are (N, H, W, C) in [-1, 1].
Steps t go from 1 to T, and alpha_bar[0] = 1 is clean data. The gradient of the loss with respect to x is called dx.
Equations, such as Eq. LIN-1, are listed in docs/equations.md.
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
T, CHANNELS, GROUPS = 100, 24, 8  # steps from digit to noise; width of all layers, and groups of channels of all norms
BATCH, PEAK_LR, WARMUP = 32, 4e-3, 50


# ---- Layers: y, cache = f(x, ...) and dx, ... = f_backward(dy, cache), where a cache is what the backward will need.


def linear(x, w, b):
    """Multiply the last axis by a matrix and add a bias (Eq. LIN-1)."""
    return (x.reshape(-1, len(w)) @ w + b).reshape(*x.shape[:-1], len(b)), (x, w)


def linear_backward(dy, cache):
    """Return dx, dw, db: two more matrix products and a sum (Eq. LIN-2)."""
    x, w = cache
    rows, d_rows = x.reshape(-1, w.shape[0]), dy.reshape(-1, w.shape[1])
    return (d_rows @ w.T).reshape(x.shape), rows.T @ d_rows, d_rows.sum(axis=0)


def taps(padded, stride):
    """Return nine views of padded images: what the nine places of a 3 x 3 kernel look at."""
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    return [padded[:, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]


def conv(x, w, b, stride=1):
    """Convolve with a 3 x 3 kernel: lay the nine pixels of each patch side by side, then multiply (Eq. CONV-1)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.concatenate(taps(padded, stride), axis=-1)
    y, product = linear(patches, w.reshape(-1, w.shape[-1]), b)
    return y, (product, padded.shape, w.shape, stride)


def conv_backward(dy, cache):
    """Return dx, dw, db: a pixel lies in up to nine patches, and collects from all of them (Eq. CONV-2)."""
    product, padded_shape, w_shape, stride = cache
    d_patches, dw, db = linear_backward(dy, product)
    d_padded = np.zeros(padded_shape, dy.dtype)
    for d_tap, d_pixels in zip(taps(d_padded, stride), np.split(d_patches, 9, axis=-1), strict=True):
        d_tap += d_pixels  # d_tap is a view: this adds to d_padded
    return d_padded[:, 1:-1, 1:-1], dw.reshape(w_shape), db


def group_mean(x):
    """Return the means over pixels and over the channels of a group; one axis after the other is much faster."""
    return x.mean(axis=1, keepdims=True).mean(axis=3, keepdims=True)


def group_norm(x, gamma, beta):
    """Bring each image's groups of channels to mean 0 and variance 1, then scale and shift as learned (Eq. GN-1)."""
    grouped = x.reshape(len(x), -1, GROUPS, x.shape[-1] // GROUPS)
    centred = grouped - group_mean(grouped)
    rstd = (group_mean(centred * centred) + 1e-5) ** -0.5
    x_hat = centred * rstd
    return x_hat.reshape(x.shape) * gamma + beta, (x_hat, gamma, rstd)


def group_norm_backward(dy, cache):
    """Return dx, d_gamma, d_beta: x acts directly, through the mean and through the variance (Eq. GN-2)."""
    x_hat, gamma, rstd = cache
    g = (dy * gamma).reshape(x_hat.shape)
    dx = rstd * (g - group_mean(g) - x_hat * group_mean(g * x_hat))
    return dx.reshape(dy.shape), (dy * x_hat.reshape(dy.shape)).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))


def silu(x):
    """Return x sigmoid(x): x, faded out smoothly where it is negative (Eq. SILU-1)."""
    sigmoid = (1 + np.tanh(x / 2)) / 2  # is 1 / (1 + exp(-x)), but cannot overflow
    return x * sigmoid, (x, sigmoid)


def silu_backward(dy, cache):
    """Return dx by the product rule; the slope of the sigmoid is sigmoid (1 - sigmoid) (Eq. SILU-2)."""
    x, sigmoid = cache
    return dy * (sigmoid + x * sigmoid * (1 - sigmoid))


def upsample(x):
    """Repeat every pixel, twice down and twice across (Eq. UP-1)."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def upsample_backward(dy):
    """Return dx: a pixel was read four times, and its gradients add (Eq. UP-2)."""
    return dy[:, ::2, ::2] + dy[:, ::2, 1::2] + dy[:, 1::2, ::2] + dy[:, 1::2, 1::2]


# ---- Network: theta holds the weights of each layer under its name, [w, b] or [gamma, beta]; grads their gradients.


def embed(t, labels, theta):
    """Turn the step and the label of each image into one vector, which every block reads."""
    (table,) = theta["embed.label"]
    one_hot = np.eye(len(table), dtype=table.dtype)[labels]
    angles = t[:, None] * 10000.0 ** (-np.arange(0, CHANNELS, 2) / CHANNELS)  # many clocks, from fast to slow
    hands = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(table.dtype)  # Eq. TEMB-1
    h, mlp_0 = linear(hands, *theta["embed.mlp.layers.0"])
    h, mlp_1 = silu(h)
    h, mlp_2 = linear(h, *theta["embed.mlp.layers.2"])
    emb, last = silu(h + one_hot @ table)  # Eq. EMB-1
    return emb, (one_hot, mlp_0, mlp_1, mlp_2, last)


def embed_backward(d_emb, cache, grads):
    """Store the gradients of the layers; steps and labels have none."""
    one_hot, mlp_0, mlp_1, mlp_2, last = cache
    dh = silu_backward(d_emb, last)
    grads["embed.label"] = [one_hot.T @ dh]  # Eq. EMB-2
    dh, *grads["embed.mlp.layers.2"] = linear_backward(dh, mlp_2)
    dh = silu_backward(dh, mlp_1)
    _, *grads["embed.mlp.layers.0"] = linear_backward(dh, mlp_0)


def res_block(x, emb, theta, name):
    """Return x and what two convolutions, told the step and the label between them, want to add to it."""
    h, norm_1 = group_norm(x, *theta[f"{name}.norm_1"])
    h, silu_1 = silu(h)
    h, conv_1 = conv(h, *theta[f"{name}.conv_1"])
    told, project = linear(emb, *theta[f"{name}.project"])
    h, norm_2 = group_norm(h + told[:, None, None], *theta[f"{name}.norm_2"])
    h, silu_2 = silu(h)
    h, conv_2 = conv(h, *theta[f"{name}.conv_2"])
    x, shortcut = linear(x, *theta[f"{name}.shortcut"]) if f"{name}.shortcut" in theta else (x, None)
    return x + h, (norm_1, silu_1, conv_1, project, norm_2, silu_2, conv_2, shortcut)


def res_block_backward(dy, cache, grads, name):
    """Return dx and d_emb, and store the gradients of the layers: the forward, read upwards."""
    norm_1, silu_1, conv_1, project, norm_2, silu_2, conv_2, shortcut = cache
    dx = dy
    if shortcut is not None:
        dx, *grads[f"{name}.shortcut"] = linear_backward(dy, shortcut)
    dh, *grads[f"{name}.conv_2"] = conv_backward(dy, conv_2)
    dh = silu_backward(dh, silu_2)
    dh, *grads[f"{name}.norm_2"] = group_norm_backward(dh, norm_2)
    d_emb, *grads[f"{name}.project"] = linear_backward(dh.sum(axis=(1, 2)), project)  # every pixel was told
    dh, *grads[f"{name}.conv_1"] = conv_backward(dh, conv_1)
    dh = silu_backward(dh, silu_1)
    dh, *grads[f"{name}.norm_1"] = group_norm_backward(dh, norm_1)
    return dx + dh, d_emb  # x was read twice: its gradients add


def unet(x_t, t, labels, theta):
    """Predict v: down to 4 x 4 pixels, where all of the digit is near, and up again, beside what was on the way."""
    emb, mlp = embed(t, labels, theta)
    h_0, stem = conv(x_t, *theta["stem"])
    h_1, down_0 = res_block(h_0, emb, theta, "down.0.blocks.0")
    h_2, halve = conv(h_1, *theta["down.0.resample"], stride=2)
    h_3, down_1 = res_block(h_2, emb, theta, "down.1.blocks.0")
    h, mid_1 = res_block(h_3, emb, theta, "mid_1")
    h, mid_2 = res_block(h, emb, theta, "mid_2")
    h, up_0 = res_block(np.concatenate([h, h_3], axis=-1), emb, theta, "up.0.blocks.0")  # h_3 skips the middle
    h, up_1 = res_block(np.concatenate([h, h_2], axis=-1), emb, theta, "up.0.blocks.1")
    h, double = conv(upsample(h), *theta["up.0.resample.layers.1"])
    h, up_2 = res_block(np.concatenate([h, h_1], axis=-1), emb, theta, "up.1.blocks.0")
    h, up_3 = res_block(np.concatenate([h, h_0], axis=-1), emb, theta, "up.1.blocks.1")
    h, norm = group_norm(h, *theta["head.layers.0"])
    h, last = silu(h)
    v_hat, head = conv(h, *theta["head.layers.2"])
    return v_hat, (mlp, stem, down_0, halve, down_1, mid_1, mid_2, up_0, up_1, double, up_2, up_3, norm, last, head)


def unet_backward(d_v_hat, cache):
    """Return the gradients of all layers: the forward, read upwards. What was read twice adds up its gradients."""
    mlp, stem, down_0, halve, down_1, mid_1, mid_2, up_0, up_1, double, up_2, up_3, norm, last, head = cache
    grads = {}
    dh, *grads["head.layers.2"] = conv_backward(d_v_hat, head)
    dh = silu_backward(dh, last)
    dh, *grads["head.layers.0"] = group_norm_backward(dh, norm)
    dh, d_emb_8 = res_block_backward(dh, up_3, grads, "up.1.blocks.1")
    dh, d_h_0 = np.split(dh, 2, axis=-1)  # undoes the concatenation
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
    embed_backward(d_emb_1 + d_emb_2 + d_emb_3 + d_emb_4 + d_emb_5 + d_emb_6 + d_emb_7 + d_emb_8, mlp, grads)
    return grads


def initial_weights(rng):
    """Draw weights that keep the scale of a signal; what is added to a sum starts at zero, and so does the output."""
    c = CHANNELS
    shapes = {"embed.mlp.layers.0": (c, 4 * c), "embed.mlp.layers.2": (4 * c, 4 * c), "stem": (3, 3, 1, c)}
    shapes |= {"down.0.resample": (3, 3, c, c), "up.0.resample.layers.1": (3, 3, c, c)}
    shapes |= {"head.layers.0": (c,), "head.layers.2": (3, 3, c, 1)}
    blocks = {f"down.{i}.blocks.0": c for i in range(2)} | {"mid_1": c, "mid_2": c}
    blocks |= {f"up.{i}.blocks.{j}": 2 * c for i in range(2) for j in range(2)}  # as many channels again from a skip
    for name, c_in in blocks.items():
        shapes |= {f"{name}.norm_1": (c_in,), f"{name}.conv_1": (3, 3, c_in, c), f"{name}.project": (4 * c, c)}
        shapes |= {f"{name}.norm_2": (c,), f"{name}.conv_2": (3, 3, c, c)}
        shapes |= {f"{name}.shortcut": (c_in, c)} if c_in != c else {}
    theta = {"embed.label": [rng.standard_normal((10, 4 * c), np.float32)]}
    for name, shape in shapes.items():
        scale = 0 if name.endswith(("conv_2", "head.layers.2")) else math.prod(shape[:-1]) ** -0.5
        w = scale * rng.standard_normal(shape, np.float32) if len(shape) > 1 else np.ones(shape, np.float32)
        theta[name] = [w, np.zeros(shape[-1], np.float32)]
    return theta


# ---- Diffusion: x_t = a x_0 + b eps, with a = sqrt(alpha_bar) of signal and b = sqrt(1 - alpha_bar) of noise.


def cosine_schedule():
    """Return alpha_bar: how much of the variance at step t is signal, from 1 at t = 0 to 0 at T (Eq. IDDPM-17)."""
    f = np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * np.pi / 2) ** 2
    return f / f[0]


def loss_and_gradients(theta, alpha_bar, x_0, t, eps, labels):
    """Return the mean squared error of the network's v, and its gradients."""
    signal = alpha_bar[t, None, None, None]
    a, b = np.sqrt(signal).astype(x_0.dtype), np.sqrt(1 - signal).astype(x_0.dtype)
    x_t = a * x_0 + b * eps  # Eq. DDPM-4
    # Why v and not eps: at T, x_t is noise alone, and a network that tells eps has said nothing about the digit yet; v
    # tells x_0 and eps at every t. (With a schedule that stops just short of 0, a minute of eps drew as well.)
    v = a * eps - b * x_0  # Eq. V-1
    v_hat, cache = unet(x_t, t, labels, theta)
    error = v_hat - v
    return (error * error).mean(), unet_backward(error * (2 / error.size), cache)  # Eq. MSE-1, Eq. MSE-2


def sample(theta, alpha_bar, x_t, labels, rng):
    """Turn noise x_T into digits, one step after the other: Algorithm 2 of the DDPM paper (Eq. DDPM-ALG2)."""
    for t in range(T, 0, -1):
        alpha_bar_t, alpha_bar_s = float(alpha_bar[t]), float(alpha_bar[t - 1])  # floats keep float32 arrays float32
        v_hat, _ = unet(x_t, np.full(len(x_t), t), labels, theta)
        x_0_hat = np.clip(alpha_bar_t**0.5 * x_t - (1 - alpha_bar_t) ** 0.5 * v_hat, -1, 1)  # Eq. V-2
        alpha, beta = alpha_bar_t / alpha_bar_s, 1 - alpha_bar_t / alpha_bar_s
        mean = (alpha_bar_s**0.5 * beta * x_0_hat + alpha**0.5 * (1 - alpha_bar_s) * x_t) / (1 - alpha_bar_t)
        variance = beta * (1 - alpha_bar_s) / (1 - alpha_bar_t)  # Eq. DDPM-7, both; 0 at the last step
        x_t = mean + variance**0.5 * rng.standard_normal(x_t.shape, x_t.dtype)
    return x_t


# ---- Training


def adamw(theta, grads, moments, step, lr, betas=(0.9, 0.99), decay=0.01):
    """Go against the average gradient, in units of its usual size, and let matrices decay a little (Eq. ADAMW-1)."""
    for name, arrays in theta.items():
        for w, g, (m, v) in zip(arrays, grads[name], moments[name], strict=True):
            m += (1 - betas[0]) * (g - m)
            v += (1 - betas[1]) * (g * g - v)
            m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)  # both averages started at 0
            w -= lr * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * (w.ndim > 1) * w)


def train(theta, alpha_bar, images, labels, steps, rng):
    """Change theta in place: Algorithm 1 of the DDPM paper (Eq. DDPM-ALG1)."""
    moments = {name: [(np.zeros_like(w), np.zeros_like(w)) for w in arrays] for name, arrays in theta.items()}
    losses, start = [], time.perf_counter()
    for step in range(1, steps + 1):
        chosen = rng.integers(len(images), size=BATCH)
        x_0, t = images[chosen], rng.integers(1, T + 1, BATCH)
        eps = rng.standard_normal(x_0.shape, x_0.dtype)
        loss, grads = loss_and_gradients(theta, alpha_bar, x_0, t, eps, labels[chosen])
        lr = PEAK_LR * min(1, step / WARMUP) * (1 + math.cos(math.pi * step / steps)) / 2
        adamw(theta, grads, moments, step, lr)
        losses.append(loss)
        if step % 100 == 0 or step == steps:
            loss, seconds = np.mean(losses[-100:]), time.perf_counter() - start
            print(f"step {step} of {steps}: loss {loss:.4f}, {seconds:.0f} s", flush=True)


# ---- Picture


def png(x):
    """Return a grey PNG, as bytes, of images (N, 8, 8, 1) in rows of ten, each pixel six times as high and wide."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    grey = np.rint((np.clip(x[..., 0], -1, 1) + 1) * 127.5).astype(np.uint8)
    tiles = np.pad(grey, ((0, 0), (1, 1), (1, 1))).reshape(-1, 10, 10, 10)  # row, column, and 10 x 10 with the margin
    page = tiles.swapaxes(1, 2).reshape(len(tiles) * 10, 100).repeat(6, axis=0).repeat(6, axis=1)
    header = struct.pack(">IIBBBBB", page.shape[1], page.shape[0], 8, 0, 0, 0, 0)  # 8 bits, grey
    lines = np.pad(page, ((0, 0), (1, 0))).tobytes()  # the 0 before each line says that it is not filtered
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def main(arguments=None):
    """Train, draw ten of each digit, and write the picture."""
    parser = argparse.ArgumentParser(description="Train a small diffusion model on 8 x 8 digits, and draw with it.")
    parser.add_argument("--steps", default="2000", help="steps of training (2000)")
    parser.add_argument("--seed", default="0", help="of all random numbers (0)")
    parser.add_argument("--out", default="digits.png", type=Path, help="the picture (digits.png)")
    options = parser.parse_args(arguments)
    for name in ("steps", "seed"):
        if not getattr(options, name).isdecimal():
            parser.exit(2, f"--{name} is {getattr(options, name)!r}, but a whole number was expected.\n")
    if options.out.is_dir() or not options.out.parent.is_dir():
        parser.exit(2, f"--out is {options.out}, but the name of a file in a folder that exists was expected.\n")
    if not DATA.is_file():
        parser.exit(1, f"{DATA} is missing: run this file where it lies, in a copy of tinydiff's repository.\n")

    with np.load(DATA) as data:
        images, labels = data["train_images"][..., None].astype(np.float32) / 127.5 - 1, data["train_labels"]
    rng, alpha_bar = np.random.default_rng(int(options.seed)), cosine_schedule()
    theta = initial_weights(rng)
    train(theta, alpha_bar, images, labels, int(options.steps), rng)
    x_T = rng.standard_normal((100, 8, 8, 1), np.float32)
    picture = png(sample(theta, alpha_bar, x_T, np.tile(np.arange(10), 10), rng))
    aside = options.out.with_name(f"{options.out.name}.part")
    aside.write_bytes(picture)
    os.replace(aside, options.out)  # so the file is there whole or not at all
    print(f"{options.out}: ten samples of each digit, none left out")


if __name__ == "__main__":
    main()
