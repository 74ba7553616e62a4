# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · The UNet
#
# **You will learn** how the network of a diffusion model is put together from the layers of the last notebooks, how it
# is told the time, and why its backward is its forward, read upwards.
#
# **Prerequisites:** notebooks 05 to 07. **Time:** 90 minutes with the exercises.
#
# **Papers:** Ronneberger, Fischer, Brox, *U-Net* (2015), for the shape; Ho, Jain, Abbeel (2020) and Dhariwal and Nichol
# (2021), for this form of it; Vaswani et al. (2017), section 3.5 (here TEMB-1); Srivastava et al., *Dropout* (2014),
# section 4 (DROP-1).

# %%
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_08 as exercises
from tinydiff.data import load_data
from tinydiff.gradcheck import adjoint_check, check_module
from tinydiff.networks import UNet, UNetConfig
from tinydiff.networks import unet as unet_module
from tinydiff.nn import BlockConfig, Dropout, Gradients, ResBlock, Tape

rng = np.random.default_rng(0)

# %% [markdown]
# ## The whole of it
#
# A denoiser must see strokes that cross the whole image, and put every pixel in its place. So the image is made
# smaller, twice, until two convolutions of 3 x 3 span most of it; then it is made large again. On the way up, each
# level gets back what the same level on the way down had found: a *skip*. Drawn as a picture it is the letter U.
#
# Here is the shipped model at work on one noisy digit. Left in each pair is one channel of the features (yellow large,
# blue small), right its gradient (purple above 0, orange below), on the way back from the loss; each map has its own
# scale. One skip is drawn for each level; in truth there is one from every block and every step down. (In the code,
# `watch` hangs a camera on a block: it looks at what goes through, and changes nothing.)


# %%
def watch(block):
    """Return a dict that will hold what the block gives, and the gradient that comes back to it."""
    seen, forward, backward = {}, block.forward, block.backward

    def watched_forward(*args):
        seen["features"] = forward(*args)
        return seen["features"].copy()

    def watched_backward(dy, *args):
        seen["gradient"] = dy.copy()
        return backward(dy, *args)

    block.forward, block.backward = watched_forward, watched_backward
    return seen


def one_channel(seen):
    """Return the channel in which most is to be seen, of the features and of the gradient."""
    channel = seen["features"][0].var(axis=(0, 1)).argmax()
    return seen["features"][0, ..., channel], seen["gradient"][0, ..., channel]


def there_and_back(t):
    """Run the network on the digit, noised to t, and the gradient of the loss back through it."""
    t, tape = np.array([t]), Tape()
    output = network.forward(model.diffusion.q_sample(digit, t, eps), t, None, tape)
    _, cache = F.mse(output, model.target(digit, eps, t))
    d_output, _ = F.mse_backward(1.0, cache)
    network.backward(d_output, tape)
    assert len(tape) == 0, "every cache should have been used"


def draw(t):
    """Draw what the cameras saw."""
    there_and_back(t)
    return plot.unet_passes([one_channel(s) for s in down], one_channel(middle), [one_channel(s) for s in up])


model = tinydiff.load("mnist")
network = model.network
down = [watch(level.blocks[-1]) for level in network.down]
middle = watch(network.mid_1)
up = [watch(level.blocks[-1]) for level in network.up]
digit, _ = load_data("mnist-small", "test").batch(np.array([3]))
eps = rng.standard_normal(digit.shape).astype(np.float32)
draw(300)

# %% [markdown]
# Follow the gradient's arrows: it goes down the right side, through the middle and up the left side. And it takes
# the *skips*, too. At every + two gradients meet, from below and from the right, because two readers had read the same
# features.
#
# With a live kernel, choose how noisy the digit is:

# %%
slider(draw, range(50, 1000, 50), "t", start=5)

# %% [markdown]
# The rest of the notebook goes through the parts.
#
# ## Smaller and larger
#
# *Upsampling* repeats every pixel $f$ times in both directions; *pooling* takes the average of every block of
# $f \times f$:
#
# $$y_{hw} = x_{\lfloor h/f \rfloor \lfloor w/f \rfloor} \quad \text{(Eq. UP-1)}, \qquad
#   y_{hw} = \frac{1}{f^2} \sum_{i, j < f} x_{hf + i,\, wf + j} \quad \text{(Eq. POOL-1)}$$
#
# Their backwards: a pixel that was copied to $f^2$ places collects from all of them; a pixel that had the share $1/f^2$
# in an average gets the share $1/f^2$ of its gradient:
#
# $$d_{x,\, hw} = \sum_{i, j < f} d_{y,\, hf + i,\, wf + j} \quad \text{(Eq. UP-2)}, \qquad
#   d_{x,\, hw} = \frac{1}{f^2}\, d_{y,\, \lfloor h/f \rfloor \lfloor w/f \rfloor} \quad \text{(Eq. POOL-2)}$$
#
# Look at them twice: each one's backward is the other one's forward, but for a factor of $f^2$. (This UNet goes down by
# a convolution with stride 2, which can learn what to keep; the classifier that judges samples pools.)
#
# **Write it yourself:** the backward of upsampling, for any f that divides H and W. (`dy[:, ::f, ::f]` is the upper left
# pixel of every block.)


# %%
def my_upsample_backward(dy, f):
    """Return dx, shape (N, H / f, W / f, C), of dy, shape (N, H, W, C)."""
    ### BEGIN SOLUTION
    n, height, width, channels = dy.shape
    return dy.reshape(n, height // f, f, width // f, f, channels).sum(axis=(2, 4))
    ### END SOLUTION


# %%
my_upsample_backward = exercises.UPSAMPLE.check(my_upsample_backward)
show_source(F.upsample_nearest_backward, F.avg_pool_backward)
for f, x in ((2, rng.standard_normal((3, 4, 6, 2))), (3, rng.standard_normal((2, 3, 9, 4)))):
    repeated = x.repeat(f, axis=1).repeat(f, axis=2)
    large, up_cache = F.upsample_nearest(x, f)
    small, pool_cache = F.avg_pool(x, f)
    (dx_up,), (dx_pool,) = F.upsample_nearest_backward(x, up_cache), F.avg_pool_backward(x, pool_cache)
    assert np.allclose(large, repeated)
    assert np.allclose(small, my_upsample_backward(x, f) / f**2)  # pooling is upsampling's backward, divided
    assert np.allclose(dx_up, my_upsample_backward(x, f))
    assert np.allclose(dx_pool, repeated / f**2)
assert F.upsample_nearest(x)[0].shape == (2, 6, 18, 4), "f is 2 if it is not given"
assert F.avg_pool(np.arange(4.0).reshape(1, 2, 2, 1))[0].item() == 1.5
assert adjoint_check(F.upsample_nearest, F.upsample_nearest_backward, [x]) < 1e-14
assert adjoint_check(F.avg_pool, F.avg_pool_backward, [rng.standard_normal((2, 4, 6, 3))]) < 1e-14

# %% [markdown]
# ## What time is it?
#
# The network must know t: the same x calls for much change at t = 900 and for little at t = 10. A single number is a
# poor input, for t = 500 and t = 501 should look alike, and t = 1 and t = 20 should not. So time is shown as the hands
# of many clocks, from fast to slow:
#
# $$\left[\cos(t \omega_i), \sin(t \omega_i)\right], \quad \omega_i = P^{-i / n}, \quad i = 0 \ldots n - 1
#   \qquad \text{(Eq. TEMB-1)}$$
#
# with P = 10,000. The fast hands tell neighbours apart, the slow ones tell early from late. Two traps: the hands are
# made for steps 1 to 1000, and a time between 0 and 1 would hardly move them; and DDPM's own code puts the sines first
# and divides by n - 1 instead of n, so that weights trained with one form do not fit the other. The library has both
# (`variant`).

# %%
show_source(F.timestep_embedding)
t = np.arange(1, 1001)
hands = F.timestep_embedding(t, 64, dtype=np.float64)
start, end = F.timestep_embedding(np.array([0, 1]), 64, dtype=np.float64)
assert start @ end > 0.9 * (start @ start), "from 0 to 1 the hands should hardly move"
angles = t[:, None] * 10_000.0 ** (-np.arange(32) / 32)
assert np.allclose(hands, np.concatenate([np.cos(angles), np.sin(angles)], axis=1))
angles = np.array([[3.5], [700.0]]) * 500.0 ** (-np.arange(5) / 4)  # DDPM's own form, with another P
as_ddpm = F.timestep_embedding(np.array([3.5, 700.0]), 10, max_period=500, variant="ddpm", dtype=np.float64)
assert np.allclose(as_ddpm, np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
chosen = {f"hand {i}": hands[:, i] for i in (12, 16, 20, 24)}
plot.curves(t, chosen, "step t", "cos(t omega)", title="Four hands of the clock")

# %% [markdown]
# The product of two such vectors is
# $\sum_i \cos(t \omega_i) \cos(s \omega_i) + \sin(t \omega_i) \sin(s \omega_i) = \sum_i \cos((t - s) \omega_i)$: it
# depends on the *distance* of the two times alone, and falls with it at first.

# %%
near = hands @ hands[499]
for i, j in ((0, 100), (300, 400), (800, 900)):
    assert np.isclose(hands[i] @ hands[j], np.cos(100 * 10_000 ** (-np.arange(32) / 32)).sum())
plot.curves(t, {"with t = 500": near}, "step t", "product of the embeddings", title="Near times look alike")

# %% [markdown]
# ## Which digit?
#
# A class is a row of a table that is learned. Looking up row $k_i$ is a product with a matrix that has a single 1 in
# each row; so the backward is that of a linear layer, and a row collects from every place where it was read:
#
# $$y_i = \sum_r 1[r = k_i]\, E_r \quad \text{(Eq. EMB-1)}, \qquad
#   d_{E_r} = \sum_i 1[r = k_i]\, d_{y_i} \quad \text{(Eq. EMB-2)}$$
#
# There is one row more than there are digits: the last stands for "no class", which is no digit at all, and not the
# digit 0.
#
# **Find the fault:** `table_gradient` is the backward without that matrix, which would be large for large tables. A
# network with it learns, only too slowly, and the slower, the larger the batch is. Below, row 2 is read twice. Mend one
# line. (`indices` may have several axes, and dy has one more.)


# %%
def table_gradient(dy, indices, rows):
    """Return d_table, shape (rows, C), from dy, shape (*indices.shape, C)."""
    d_table = np.zeros((rows, dy.shape[-1]))
    ### BEGIN SOLUTION
    np.add.at(d_table, indices, dy)
    ### INSTEAD
    d_table[indices] += dy
    ### END SOLUTION
    return d_table


# %%
labels, dy = np.array([2, 0, 2]), np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
print("row 2 was read with the gradients", dy[0], "and", dy[2])
print("table_gradient gives it          ", table_gradient(dy, labels, 5)[2])

# %%
table_gradient = exercises.EMBEDDING.check(table_gradient)
show_source(F.embedding, F.embedding_backward)
for labels in (np.array([2, 0, 2, 4]), np.array([[1, 1, 3], [0, 1, 3]])):
    table, dy = rng.standard_normal((5, 3)), rng.standard_normal((*labels.shape, 3))
    y, cache = F.embedding(labels, table)
    _, d_table = F.embedding_backward(dy, cache)
    assert np.allclose(y, table[labels])
    assert np.allclose(d_table, table_gradient(dy, labels, 5))
    assert np.allclose(d_table[1], dy[labels == 1].sum(axis=0)), "a row collects from every place where it was read"
assert network.embed.label.table.value.shape[0] == 11

# %% [markdown]
# ## A block
#
# Time and class are added and become one vector, `emb`, that every block reads. A block computes, in short,
# $y = x + f(x, \text{emb})$: norm, SiLU and convolution, twice, *beside* a way straight through, which lets gradients
# pass undamped, however deep the network is. (Where the number of channels changes, the way through is a linear layer
# on them. Some blocks end with attention.) In the middle of it, emb is added to every pixel.
#
# **Derive it yourself:** let g be all of it before emb comes in, and f all that follows: $h = g(x) + \text{emb}$,
# $y = x + f(h)$. x, h and y are images (N, H, W, C), emb has shape (N, C). From dy, what are dx and d_emb? The backwards
# of f and g are given, as functions: `f_backward(d)` returns what reaches the input of f if d reaches its output.


# %%
def my_block_backward(dy, f_backward, g_backward):
    """Return dx, like dy, and d_emb, shape (N, C)."""
    ### BEGIN SOLUTION
    dh = f_backward(dy)
    return dy + g_backward(dh), dh.sum(axis=(1, 2))
    ### END SOLUTION


# %%
my_block_backward = exercises.BLOCK.check(my_block_backward)
show_source(ResBlock.forward, ResBlock.backward)

# %% [markdown]
# Here is the forward of a block without attention in NumPy, and its backward against central differences. Both also for
# a block that changes the number of channels, and for the variant `scale_shift`, in which the embedding brings a scale
# and a shift for each channel of the second norm.


# %%
def convolve(x, weight, bias):
    """Return a 3 x 3 convolution of images (N, H, W, C), with zeros round them, as a sum over the nine taps."""
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    (h, w), taps = x.shape[1:3], np.ndindex(3, 3)
    return bias + sum(wide[:, i : i + h, j : j + w] @ weight[i, j] for i, j in taps)


def normed(x, norm):
    """Return group norm with one group, scaled and shifted."""
    mean, var = x.mean(axis=(1, 2, 3), keepdims=True), x.var(axis=(1, 2, 3), keepdims=True)
    return norm.gamma.value * (x - mean) / np.sqrt(var + 1e-5) + norm.beta.value


def by_hand(block, x, emb):
    """Return what a block without attention gives."""

    def silu(x):
        return x / (1 + np.exp(-x))

    h = convolve(silu(normed(x, block.norm_1)), block.conv_1.weight.value, block.conv_1.bias.value)
    time = (emb @ block.project.weight.value + block.project.bias.value)[:, None, None]
    if block.scale_shift:
        scale, shift = np.split(time, 2, axis=-1)
        h = normed(h, block.norm_2) * (1 + scale) + shift
    else:
        h = normed(h + time, block.norm_2)
    h = convolve(silu(h), block.conv_2.weight.value, block.conv_2.bias.value)
    return h + (x if block.shortcut is None else x @ block.shortcut.weight.value + block.shortcut.bias.value)


x, emb, dy = rng.standard_normal((2, 3, 4, 6)), rng.standard_normal((2, 5)), rng.standard_normal((2, 3, 4, 6))
along_x, along_emb = rng.standard_normal(x.shape) * 1e-5, rng.standard_normal(emb.shape) * 1e-5
for scale_shift, c_in in ((False, 6), (True, 6), (False, 4)):
    block = ResBlock(c_in, 6, BlockConfig(5, groups=1, scale_shift=scale_shift), rng, dtype=np.float64)
    if block.shortcut is None:  # a fresh block is its way straight through
        assert np.array_equal(block.forward(x, emb), x)
    for parameter in block.parameters():
        parameter.value[...] += 0.3 * rng.standard_normal(parameter.value.shape)  # the last convolution starts at 0
    x, along = x[..., :c_in], along_x[..., :c_in]
    tape = Tape()
    assert np.allclose(block.forward(x, emb, tape), by_hand(block, x, emb))
    dx, d_emb, _ = block.backward(dy, tape)
    difference = by_hand(block, x + along, emb + along_emb) - by_hand(block, x - along, emb - along_emb)
    assert np.isclose((dx * along).sum() + (d_emb * along_emb).sum(), (dy * difference).sum() / 2, rtol=1e-5)

# %% [markdown]
# Read the two from both ends: the last line of the forward is the first of the backward. *Dropout* (a share p of the
# numbers is set to 0 at random in training, the others are scaled up to keep the mean; the paper's p is the share that
# is *kept*, and it scales after training instead) has the simplest backward of all, the same mask again:
#
# $$y = x \odot \frac{1[u \ge p]}{1 - p} \quad \text{(Eq. DROP-1)}, \qquad
#   d_x = d_y \odot \frac{1[u \ge p]}{1 - p} \quad \text{(Eq. DROP-2)}$$

# %%
x, dy, uniform = rng.standard_normal((200, 50)), rng.standard_normal((200, 50)), rng.uniform(size=(200, 50))
uniform[0] = 0.3  # u = p counts as kept
y, cache = F.dropout(x, 0.3, uniform)
(dx,) = F.dropout_backward(dy, cache)
assert np.allclose(y, np.where(uniform >= 0.3, x / 0.7, 0))
assert np.allclose(dx, np.where(uniform >= 0.3, dy / 0.7, 0))
ones, _ = F.dropout(np.ones((200, 50)), 0.3, uniform)
layer, tape = Dropout(0.3), Tape(Noise(0))  # the layer drops where a tape has noise, that is in training
assert layer.forward(x) is x, "nothing should be dropped when pictures are drawn"
kept = layer.forward(x, tape) != 0
assert abs(kept.mean() - 0.7) < 0.02  # standard error 0.005
assert np.allclose(layer.backward(dy, tape), kept * dy / 0.7)
print(f"share dropped {np.mean(y == 0):.3f}; mean of ones after dropout {ones.mean():.3f}")

# %% [markdown]
# ## Skips
#
# On the way up, the features from below and the skip are put side by side along the channels, and the next block reads
# both. What was put side by side is cut apart on the way back.
#
# **Predict, then run:** are skips ignored in the backward?
#
# **Derive it yourself:** here is the forward of a small U, in which all features have c channels:
#
#     h, skips = x, []
#     for block in down:
#         h = block(h)
#         skips.append(h)
#     h = middle(h)
#     for block in up:
#         h = block(np.concatenate([h, skips.pop()], axis=-1))
#
# Its backward has the backwards of the blocks: `down` and `up` are lists of functions, in the order of the forward, and
# `middle` is a function. Each takes the gradient of what its block gave, and returns that of what its block read: c
# channels on the way down and in the middle, 2 c on the way up.


# %%
def my_u_backward(dy, down, middle, up):
    """Return dx, like dy, (N, H, W, c)."""
    ### BEGIN SOLUTION
    c, dh, d_skips = dy.shape[-1], dy, []
    for backward in reversed(up):
        d_both = backward(dh)
        dh = d_both[..., :c]
        d_skips.append(d_both[..., c:])
    dh = middle(dh)
    for backward in reversed(down):
        dh = backward(dh + d_skips.pop())
    return dh
    ### END SOLUTION


# %%
my_u_backward = exercises.SKIPS.check(my_u_backward)

# %% [markdown]
# So there *is* a gradient for the skip, and it must be kept until the backward reaches the block that made it. As the
# forward had pushed skips on a stack and popped them in reverse, so does the backward, with their gradients. Forward
# and backward, whole. (Tokens, a pooled vector and an image belong to models that read texts or fill in, notebooks 23
# to 25; here they are None.)

# %%
with tinydiff.plain():
    show_source(UNet.forward, UNet.backward)

# %% [markdown]
# ## Is all of it right?
#
# One check for the whole: move all weights, and all inputs, in random directions, and compare the slopes. A small UNet
# in float64 will do, with every kind of part in it. (Some last layers start from zeros, so that a fresh block does
# nothing; zeros would hide mistakes, so fill them.)

# %%
config = UNetConfig(
    image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, attention_levels=(1,), heads=2, num_classes=3
)
small = UNet(config, np.random.default_rng(1), dtype=np.float64)
assert not small.forward(rng.standard_normal((2, 8, 8, 1)), np.array([3, 700])).any()  # a fresh network says 0
zeros = small.theta == 0
small.theta[zeros] = 0.1 * rng.standard_normal(zeros.sum())
inputs = [rng.standard_normal((2, 8, 8, 1)), np.array([3, 700]), np.array([0, 3])]


def wired_by_hand(x_t, t, labels):
    """Return what the small UNet gives: the blocks are its own, the wires are drawn once more."""
    mlp, table = small.embed.mlp, small.embed.label.table.value
    angles = t[:, None] * 10_000.0 ** (-np.arange(4) / 4)
    emb = mlp.forward(np.concatenate([np.cos(angles), np.sin(angles)], axis=1)) + table[labels]
    emb = emb / (1 + np.exp(-emb))
    first = small.stem.forward(x_t)
    second = small.down[0].blocks[0].forward(first, emb)
    third = small.down[0].resample.forward(second)
    fourth = small.down[1].blocks[0].forward(third, emb)
    h = small.mid_2.forward(small.mid_1.forward(fourth, emb), emb)
    h = small.up[0].blocks[0].forward(np.concatenate([h, fourth], axis=-1), emb)
    h = small.up[0].blocks[1].forward(np.concatenate([h, third], axis=-1), emb)
    h = small.up[0].resample.forward(h)
    h = small.up[1].blocks[0].forward(np.concatenate([h, second], axis=-1), emb)
    h = small.up[1].blocks[1].forward(np.concatenate([h, first], axis=-1), emb)
    return small.head.forward(h)


x_t, t, labels = inputs
output = small.forward(x_t, t, labels)
assert np.allclose(output, wired_by_hand(x_t, t, labels))
assert np.allclose(small.forward(x_t, t), wired_by_hand(x_t, t, np.array([3, 3]))), "3 is no class"
shifted = UNet(replace(config, time_offset=1), dtype=np.float64).bind(small.theta)
assert np.allclose(shifted.forward(x_t, t, labels), wired_by_hand(x_t, t - 1, labels)), "some count from t - 1"
assert abs(output - small.forward(x_t, t + 1, labels)).max() > 1e-3, "another time should change the output"
assert abs(output - small.forward(x_t, t, (labels + 1) % 4)).max() > 1e-3, "another class should, too"

with tinydiff.plain():
    report = check_module(small, inputs, Tape, Gradients)
assert report.ok
report

# %% [markdown]
# The check is the library's; is *it* right? One slope by hand: move all weights along one random direction, and compare
# with the gradients that the backward adds up.

# %%
direction, d_output = rng.standard_normal(small.theta.shape), rng.standard_normal(output.shape)
tape, grads, before = Tape(), Gradients(small.parameters()), small.theta.copy()
small.forward(x_t, t, labels, tape)
d_x_t, _, _ = small.backward(d_output, tape, grads)
ends = []
for sign in (1, -1):
    small.theta[:] = before + sign * 1e-6 * direction
    ends.append((small.forward(x_t, t, labels) * d_output).sum())
small.theta[:] = before
slope = (ends[0] - ends[1]) / 2e-6
print(f"slope along the direction {slope:.6f}, by the gradients {grads.flat @ direction:.6f}")
assert np.isclose(slope, grads.flat @ direction, rtol=1e-5)
x_up, x_down = x_t.copy(), x_t.copy()
x_up[1, 2, 5, 0] += 1e-5
x_down[1, 2, 5, 0] -= 1e-5
by_difference = ((small.forward(x_up, t, labels) - small.forward(x_down, t, labels)) * d_output).sum() / 2e-5
assert np.isclose(by_difference, d_x_t[1, 2, 5, 0], rtol=1e-4, atol=1e-7)

# %% [markdown]
# And now cut the wires of the skips: let the gradient of every skip be 0.


# %%
@contextmanager
def cut_skips():
    """Let the backward of every concatenation forget the skip's share."""
    whole = unet_module.split_channels
    unet_module.split_channels = lambda x, c: (x[..., :c].copy(), np.zeros_like(x[..., c:]))
    try:
        yield
    finally:
        unet_module.split_channels = whole


with tinydiff.plain(), cut_skips():
    report = check_module(small, inputs, Tape, Gradients)
names = [parameter.name for parameter in small.parameters()]
before = [name for name in names if name.startswith(("embed.", "stem.", "down."))]
assert not report.ok
assert f"{len(before)} of {len(names)} parameters are wrong" in str(report)
report

# %% [markdown]
# The check counts the parameters whose gradients are wrong, and names some: they are all that stand on the way *down*,
# and the embeddings of time and class, which collect from the blocks there. In the middle and on the way up, all is
# right: the backward comes there before it comes to a place where a skip's gradient should be added. How much of the
# gradient did the skips carry? For the first block of the shipped model:

# %%
there_and_back(300)
full = down[0]["gradient"]
with cut_skips():
    there_and_back(300)
without = down[0]["gradient"]
print(f"norm of the gradient {np.linalg.norm(full):.2e}, of what came without skips {np.linalg.norm(without):.2e}")
assert np.linalg.norm(full - without) > 0.5 * np.linalg.norm(full), "the skips should carry most of it"

# %% [markdown]
# ## Summary
#
# 1. A UNet goes down to see far and up to see sharply; skips bring back what each level had found.
# 2. It is told the time by the hands of many clocks, and the class by a row of a table; every block reads both.
# 3. A block is a way straight through, with a correction beside it.
# 4. The backward is the forward, read upwards: concatenations are cut, sums are copied, copies are summed.
# 5. One check of the whole network, with numbers in every layer, finds a wire that is cut, and says on which side.
#
# <details><summary>Are skips ignored in the backward?</summary>
#
# No. They carry most of the gradient that reaches the upper levels on the way down. A network whose backward forgets
# them may still learn something, as with the flipped taps of notebook 06; only the check tells.
#
# </details>
#
# <details><summary>Why must the gradients of emb be summed over all blocks?</summary>
#
# Because all blocks read the same vector. What is used several times collects from every use.
#
# </details>
#
# <details><summary>Why do the last layers of blocks start at zero?</summary>
#
# Then every block starts as its way straight through, and the network as a whole says 0. If it is to predict the noise,
# 0 is the mean of that: a good first guess.
#
# </details>
#
# **Next:** train it: [09 · Train and sample](09_train_and_sample.ipynb).
