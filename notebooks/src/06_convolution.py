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
# # 06 · Convolution
#
# **You will learn** to write a convolution with four loops, to turn it into one matrix product, and to derive both of
# its gradients. And you will know which way the taps flip.
#
# **Prerequisites:** notebook 05. **Time:** 60 minutes with the exercises.
#
# **Papers:** the operation is standard (LeCun et al., *Gradient-based learning applied to document recognition*, 1998;
# here CONV-1, with its gradients CONV-2); im2col is due to Chellapilla, Puri, Simard (2006); ADJ-1 is the definition of
# the adjoint.

# %%
import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_06 as exercises
from tinydiff.data import load_data
from tinydiff.functional.conv import conv2d_dx, dw_gathering_x, gather_then_multiply
from tinydiff.functional.patches import cut_patches
from tinydiff.gradcheck import adjoint_check, gradcheck
from tinydiff.nn import Conv2d, Gradients, Sequential, SiLU, Tape
from tinydiff.train import AdamW

rng = np.random.default_rng(0)

# %% [markdown]
# ## Every output pixel looks at a patch
#
# An image has the shape (H, W, c_in). A kernel W has $k \times k$ *taps*, and each tap is a small matrix (c_in, c_out).
# To make the output pixel (h, w), lay the kernel over the patch round it, multiply the pixel under each tap by that
# tap's matrix, and add up:
#
# $$y_{hwo} = b_o + \sum_{i, j, c} x_{h + i - p,\; w + j - p,\; c}\; W_{ijco} \qquad \text{(Eq. CONV-1)}$$
#
# p is the *padding*: with $k = 3$ and $p = 1$ the middle tap, $i = j = 1$, lies over (h, w) itself. Outside the image x
# counts as 0. (A *stride* s puts sh + i - p in place of h + i - p, and makes the output smaller. In mathematics the sum
# has minus signs and is called a convolution; this one is a cross-correlation. The whole field calls it convolution.)
#
# **Write it yourself**, for one image, any k, p and s. The patch must fit into the padded image, so the output has
# $\lfloor (H + 2 p - k) / s \rfloor + 1$ rows, and columns likewise. `np.pad(x, ((p, p), (p, p), (0, 0)))` puts p rings
# of zeros round x; a pixel times a tap is `x[...] @ w[i, j]`.


# %%
def my_conv(x, w, b, stride, padding):
    """Return y, shape (H_out, W_out, c_out), of x (H, W, c_in), w (k, k, c_in, c_out) and b (c_out,)."""
    ### BEGIN SOLUTION
    k, c_out = w.shape[0], w.shape[3]
    H, W = ((side + 2 * padding - k) // stride + 1 for side in x.shape[:2])
    padded = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    y = np.zeros((H, W, c_out))
    for h in range(H):
        for v in range(W):
            y[h, v] = b
            for i in range(k):
                for j in range(k):
                    y[h, v] += padded[stride * h + i, stride * v + j] @ w[i, j]
    return y
    ### END SOLUTION


# %%
my_conv = exercises.FORWARD.check(my_conv)
x, w, b = rng.standard_normal((2, 6, 7, 2)), rng.standard_normal((3, 3, 2, 4)), rng.standard_normal(4)
with tinydiff.plain():  # the library's plainest algorithm
    for stride in (1, 2):
        for padding in (0, 1, 2):
            y, _ = F.conv2d(x, w, b, stride=stride, padding=padding)
            assert np.allclose(y, [my_conv(image, w, b, stride, padding) for image in x])
    y, _ = F.conv2d(x, w, padding=1)
    assert np.allclose(y, [my_conv(image, w, 0 * b, 1, 1) for image in x])
    wider = np.pad(x, ((0, 0), (0, 1), (2, 0), (0, 0)))  # each side may have a padding of its own
    assert np.allclose(F.conv2d(x, w, b, padding=((0, 1), (2, 0)))[0], [my_conv(image, w, b, 1, 0) for image in wider])

# %% [markdown]
# (Without `plain` the library chooses the fastest of three algorithms. They must all give the same numbers.)

# %%
for c_in, c_out in ((2, 3), (9, 2), (16, 17)):  # im2col, and its twins "shift" and "winograd"
    maps, kernel = rng.standard_normal((2, 5, 6, c_in)), rng.standard_normal((3, 3, c_in, c_out))
    bias = rng.standard_normal(c_out)
    assert np.allclose(F.conv2d(maps, kernel, bias, padding=1)[0], [my_conv(one, kernel, bias, 1, 1) for one in maps])
layer = Conv2d(2, 4, 3, rng, stride=2, dtype=np.float64)  # a layer pads by k // 2, unless it is told otherwise
layer.bias.value[...] = b
assert np.allclose(layer.forward(x), [my_conv(image, layer.weight.value, b, 2, 1) for image in x])

# %% [markdown]
# ## One matrix product
#
# Python loops are slow. But the sum over i, j and c is a product of two long vectors: the patch, written as one row of
# $9\, c_\text{in}$ numbers, and the kernel, written as a matrix with $9\, c_\text{in}$ rows. So write *all* patches as
# rows, one for each output pixel, and multiply once. This is called **im2col**. (The rows need not be copied one by
# one: `cut_patches` returns a view of the padded image that shows each pixel in nine places, for some images at a time.)

# %%
show_source(gather_then_multiply)
((_, patches),) = cut_patches(np, x, 3, 3, 1, ((1, 1), (1, 1)))
rows = patches.reshape(2 * 6 * 7, -1)
print("patches", patches.shape, "-> matrix", rows.shape, "times kernel", w.reshape(-1, 4).shape)
padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
for n, h, v in np.ndindex(2, 6, 7):
    assert np.allclose(patches[n, h, v], padded[n, h : h + 3, v : v + 3])
assert np.allclose((rows @ w.reshape(-1, 4)).reshape(2, 6, 7, 4), [my_conv(image, w, 0 * b, 1, 1) for image in x])
(_, patches), *more = cut_patches(np, x, 5, 3, 2, ((2, 2), (0, 1)))  # rows and columns may differ
padded = np.pad(x, ((0, 0), (2, 2), (0, 1), (0, 0)))
assert not more
assert patches.shape == (2, 3, 3, 5, 3, 2)
for n, h, v in np.ndindex(2, 3, 3):
    assert np.allclose(patches[n, h, v], padded[n, 2 * h : 2 * h + 5, 2 * v : 2 * v + 3])

# %% [markdown]
# Nine times the memory for patches, but now the work is a matrix product, the thing that processors are best at.
# (Notebook 40 will take this further.)
#
# ## The gradient of the kernel
#
# As in notebook 05: who uses $W_{ijco}$? Every output pixel (h, w), with the factor $x_{h+i-p,\, w+j-p,\, c}$, and in
# every image n of the batch. What is used several times collects from every use:
#
# $$d_{W,\,ijco} = \sum_{n, h, w} x_{n,\; h + i - p,\; w + j - p,\; c}\; d_{y,\, nhwo}$$
#
# There is nothing to flip here. For tap (i, j): shift x by (i - p, j - p), multiply by $d_y$, sum over all pixels and
# images.
#
# **Write it yourself:** two loops, over the taps. `np.einsum("nhwc,nhwo->co", a, b)` multiplies and sums over n, h and
# w.


# %%
def my_dw(dy, x):
    """Return dw, shape (3, 3, c_in, c_out), of a batch: x (N, H, W, c_in), dy (N, H, W, c_out)."""
    ### BEGIN SOLUTION
    _, H, W, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    dw = np.zeros((3, 3, x.shape[3], dy.shape[3]))
    for i in range(3):
        for j in range(3):
            dw[i, j] = np.einsum("nhwc,nhwo->co", padded[:, i : i + H, j : j + W], dy)
    return dw
    ### END SOLUTION


# %%
my_dw = exercises.DW.check(my_dw)
dy = rng.standard_normal((2, 6, 7, 4))
with tinydiff.plain():
    dx, dw, db = F.conv2d_backward(dy, F.conv2d(x, w, b, padding=1)[1])
assert np.allclose(dw, my_dw(dy, x))
assert np.allclose(db, dy.sum(axis=(0, 1, 2)))  # b is used by every pixel of every image
ones = ((1, 1), (1, 1))
assert np.allclose(dw_gathering_x(np, dy, x, w, 1, ones), my_dw(dy, x))
many, d_many = rng.standard_normal((120, 64, 64, 4)), rng.standard_normal((120, 64, 64, 1))  # too many for one go
assert len(list(cut_patches(np, d_many, 3, 3, 1, ones))) > 1
for algorithm in ("im2col", "shift"):
    _, cache = F.conv2d(many, w[..., :1].repeat(2, axis=2), padding=1, algorithm=algorithm)
    assert np.allclose(F.conv2d_backward(d_many, cache, need_dx=False)[1], my_dw(d_many, many))
d_half = rng.standard_normal((2, 3, 4, 4))  # at stride 2: dy with zeros between
d_spread = np.zeros((2, 6, 7, 4))
d_spread[:, ::2, ::2] = d_half
assert np.allclose(F.conv2d_backward(d_half, F.conv2d(x, w, b, 2, 1)[1])[1], my_dw(d_spread, x))

# %% [markdown]
# ## The gradient of the image: which way do the taps flip?
#
# Who uses the input pixel $x_{h'w'c}$? The output pixel (h, w) reads it through tap (i, j) if $h + i - p = h'$, that
# is, if $h = h' - i + p$. So for each tap there is one reader, and it lies *against* the direction of the tap:
#
# $$d_{x,\,h'w'c} = \sum_{i, j, o} d_{y,\; h' - i + p,\; w' - j + p,\; o}\; W_{ijco} \qquad \text{(Eq. CONV-2, with the one above)}$$
#
# In words: the pixel below and to the right of (h, w) was read through the tap below and to the right of the middle. So
# it gets its gradient back *through that tap*. Paint the gradient of a single output pixel: it is the kernel itself,
# laid onto the patch that it has read. The patches of two neighbours overlap, and where they do, **gradients add**.

# %%
kernel = np.array([[1.0, 2.0, 3.0], [0.0, 5.0, 0.0], [-3.0, -2.0, -1.0]]).reshape(3, 3, 1, 1)
with tinydiff.plain():
    _, cache = F.conv2d(np.zeros((1, 7, 7, 1)), kernel, padding=1)


def painted(*pixels):
    """Return dy with ones at these pixels, and dx."""
    dy = np.zeros((1, 7, 7, 1))
    for h, v in pixels:
        dy[0, h, v] = 1
    dx, _, _ = F.conv2d_backward(dy, cache)
    return dy[0, ..., 0], dx[0, ..., 0]


(one, of_one), (two, of_two) = painted((2, 2)), painted((2, 2), (3, 3))
assert np.allclose(of_one[1:4, 1:4], kernel[..., 0, 0])
assert np.allclose(of_two, of_one + painted((3, 3))[1])
plot.signed_maps({"d_y: one pixel": one, "its d_x": of_one, "d_y: two pixels": two, "their d_x": of_two}, numbers=True)

# %% [markdown]
# Move the second pixel with the slider:

# %%
slider(
    lambda v: plot.signed_maps(dict(zip(("d_y", "d_x"), painted((2, 2), (3, v)), strict=True)), numbers=True),
    range(7),
    "column",
)

# %% [markdown]
# **Find the fault:** painting as code, for one image, any stride and padding. With a $d_y$ that is 1 at a single pixel
# it gives the kernel, as it should. With the two pixels of the second picture it gives something else, where the patches
# meet. Mend one line.


# %%
def paint(dy, w, x_shape, stride, padding):
    """Return dx of one image, x_shape is (H, W, c_in); dy (H_out, W_out, c_out), w (k, k, c_in, c_out)."""
    H, W, c_in = x_shape
    k = w.shape[0]
    dx = np.zeros((H + 2 * padding, W + 2 * padding, c_in))
    for h in range(dy.shape[0]):
        for v in range(dy.shape[1]):
            rows, columns = slice(stride * h, stride * h + k), slice(stride * v, stride * v + k)
            ### BEGIN SOLUTION
            dx[rows, columns] += w @ dy[h, v]  # shape (k, k, c_in)
            ### INSTEAD
            dx[rows, columns] = w @ dy[h, v]  # shape (k, k, c_in)
            ### END SOLUTION
    return dx[padding : padding + H, padding : padding + W]


# %%
paint = exercises.PAINT.check(paint)
assert np.allclose(of_two, paint(two[..., None], kernel, (7, 7, 1), 1, 1)[..., 0])
for stride, d in ((1, dy), (2, d_half)):
    for algorithm in ("im2col", None):  # the plainest, and what is fastest here
        _, cache_of_it = F.conv2d(x, w, b, stride, 1, algorithm=algorithm)
        dx, _, _ = F.conv2d_backward(d, cache_of_it)
        assert np.allclose(dx, [paint(one, w, (6, 7, 2), stride, 1) for one in d])
d = rng.standard_normal((2, 5, 7, 4))  # of a forward that pads each side otherwise: as if x were wider from the start
dx, dw, _ = F.conv2d_backward(d, F.conv2d(x, w, b, padding=((0, 1), (2, 0)))[1])
assert np.allclose(dx, [paint(one, w, (7, 9, 2), 1, 0)[:6, 2:] for one in d])
assert np.allclose(dw, my_dw(np.pad(d, ((0, 0), (1, 1), (1, 1), (0, 0))), wider))
for c_in, c_out in ((9, 2), (16, 17)):  # the fast algorithms, forward and backward
    maps, weights = rng.standard_normal((2, 5, 6, c_in)), rng.standard_normal((3, 3, c_in, c_out))
    d = rng.standard_normal((2, 5, 6, c_out))
    dx, dw, db = F.conv2d_backward(d, F.conv2d(maps, weights, np.zeros(c_out), padding=1)[1])
    assert np.allclose(dx, [paint(one, weights, (5, 6, c_in), 1, 1) for one in d])
    assert np.allclose(dw, my_dw(d, maps))
    assert np.allclose(db, d.sum(axis=(0, 1, 2)))

# %% [markdown]
# So where is the famous flip? It appears when the sum CONV-2 is *read* as a convolution of $d_y$. A convolution has plus
# signs, and here are minus signs. So count the taps from the other end, with $i = k - 1 - i'$ and $j = k - 1 - j'$.
#
# **Derive it yourself:** which kernel, and which padding, must a convolution with stride 1 be given (CONV-1, no bias), so
# that it makes $d_x$ of $d_y$? The forward had the kernel w, (k, k, c_in, c_out), with any k, and the padding p.


# %%
def my_flip(w, padding):
    """Return (kernel, padding), with which the convolution of dy is dx; padding is a whole number."""
    ### BEGIN SOLUTION
    return w[::-1, ::-1].swapaxes(2, 3), w.shape[0] - 1 - padding
    ### END SOLUTION


# %%
my_flip = exercises.FLIP.check(my_flip)
show_source(F.conv2d_backward, conv2d_dx, dw_gathering_x)
for padding in (0, 1, 2):
    flipped, rest = my_flip(w, padding)
    d = rng.standard_normal((2, 4 + 2 * padding, 5 + 2 * padding, 4))
    by_convolution = [my_conv(one, flipped, np.zeros(2), 1, rest) for one in d]
    assert np.allclose(by_convolution, [paint(one, w, (6, 7, 2), 1, padding) for one in d])
    sides = ((padding, padding), (padding, padding))
    assert np.allclose(by_convolution, conv2d_dx(np, d, x.shape, w, 1, sides, "im2col"))
turned, _ = my_flip(kernel, 1)
plot.signed_maps({"the kernel": kernel[..., 0, 0], "by half a turn": turned[..., 0, 0]}, numbers=True)

# %% [markdown]
# With $h' - i + p = h' + i' - (k - 1 - p)$, the sum is
#
# $$d_{x,\,h'w'c} = \sum_{i', j', o} d_{y,\; h' + i' - p',\; w' + j' - p',\; o}\; W_{k-1-i',\; k-1-j',\; c\, o}, \qquad p' = k - 1 - p .$$
#
# This is CONV-1 with three changes: $d_y$ for x, the kernel turned by half a turn (rows *and* columns), and in and out
# channels swapped.

# %% [markdown]
# **Predict, then run:** would a check notice a forgotten flip if the kernel were a blur, the same after half a turn?


# %%
def unflipped_backward(dy, cache):
    """Return dx with the flip forgotten: a mistake."""
    dx, _ = F.conv2d(dy, cache.w.swapaxes(2, 3), padding=1)
    return dx, None, None


blur = np.outer([1.0, 2, 1], [1.0, 2, 1]).reshape(3, 3, 1, 1) / 16
noise = rng.standard_normal((2, 5, 6, 1))
for name, taps in (("blur", blur), ("random taps", rng.standard_normal((3, 3, 1, 1)))):
    report = gradcheck(F.conv2d, unflipped_backward, [noise, taps], wrt=[0], options={"padding": 1}, name=name)
    print(f"{name}: the check {'sees nothing wrong' if report.ok else 'finds the mistake'}")
    assert report.ok == (name == "blur")

# %% [markdown]
# ## Two checks
#
# Central differences (Eq. GC-1 of notebook 05) see everything. But a convolution is *linear* in x, $y = A x$ for some
# huge matrix A, and its backward must be the product with $A^\top$. That has a test of its own, without any
# differences. For all x and y
#
# $$\langle A x, y \rangle = \langle x, A^\top y \rangle \qquad \text{(Eq. ADJ-1)}$$
#
# because both are $\sum_{ij} y_i A_{ij} x_j$. Run the forward on a random x, the backward on a random y, and compare
# two numbers. They agree to all digits, where differences agree to ten.

# %%
x, w, b = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((3, 3, 3, 4)), rng.standard_normal(4)
dy = rng.standard_normal((2, 5, 6, 4))
with tinydiff.plain():
    _, cache = F.conv2d(x, w, b, padding=1)
    dx, dw, db = F.conv2d_backward(dy, cache)
    assert np.allclose(dw, my_dw(dy, x))
    assert np.allclose(dx, [paint(one, w, (5, 6, 3), 1, 1) for one in dy])
    assert np.allclose(db, dy.sum(axis=(0, 1, 2)))
    left = (my_conv(x[0], w, 0 * b, 1, 1) * dy[0]).sum()  # ADJ-1, with nothing of the library
    assert np.isclose(left, (x[0] * paint(dy[0], w, (5, 6, 3), 1, 1)).sum())
    for stride in (1, 2):
        options = {"stride": stride, "padding": 1}
        report = gradcheck(F.conv2d, F.conv2d_backward, [x, w, b], options=options)
        assert report.ok
        off = adjoint_check(F.conv2d, F.conv2d_backward, [x, w, None], options=options)
        print(
            f"stride {stride}: largest error by differences {max(f.error for f in report.findings):.1e}, by the adjoint {off:.1e}"
        )
        assert off < 1e-13
    wrong = adjoint_check(F.conv2d, lambda dy, cache: (dy @ w[1, 1].T,), [x, w, None], options={"padding": 1})
    assert wrong > 1e-3  # a backward that knows the middle tap only is found

# %% [markdown]
# ## A mistake that trains
#
# Why so much care? Because a wrong gradient often trains. Here two convolutions learn to take noise off digits: once
# with the right $d_W$, and once with the taps of $d_W$ flipped in the first of them. (A layer of `tinydiff.nn` takes
# any pair: yours, too.)


# %%
def reversed_backward(dy, cache):
    """Return the gradients with dw turned by half a turn: a mistake."""
    dx, dw, db = F.conv2d_backward(dy, cache)
    return dx, dw[::-1, ::-1], db


def train(backward, steps=450):
    """Return the losses of a small network that learns to denoise."""
    start, losses = np.random.default_rng(1), []
    first = Conv2d(1, 8, 3, start, pair=(F.conv2d, backward))
    network = Sequential(first, SiLU(), Conv2d(8, 1, 3, start))
    optimizer = AdamW(network.theta)
    for _ in range(steps):
        tape, grads = Tape(), Gradients(network.parameters())
        loss, cache = F.mse(network.forward(noisy, tape), clean)
        d_y, _ = F.mse_backward(1.0, cache)
        network.backward(d_y, tape, grads)
        optimizer.step(grads.flat, 0.01)
        losses.append(float(loss))
    return np.array(losses)


clean, _ = load_data("mnist-small", "train").batch(np.arange(16))
noisy = clean + 0.7 * rng.standard_normal(clean.shape).astype(np.float32)
runs = {"right dw": train(F.conv2d_backward), "taps of dw flipped": train(reversed_backward)}
for name, losses in runs.items():
    print(f"{name:<20} loss {losses[0]:.4f} at first, {losses[149]:.4f} after 150 steps, {losses[-1]:.4f} after 450")
assert runs["taps of dw flipped"][-1] < runs["taps of dw flipped"][0] / 10
assert runs["taps of dw flipped"][-1] > 1.2 * runs["right dw"][-1]
plot.curves(np.arange(450), runs, "step", "loss", title="Both seem to learn", log="y")

# %% [markdown]
# Who sees only the second curve has no reason for doubt: the loss falls to a thirtieth. The second layer learns
# rightly, and makes good for much of what the first does wrong. Only beside the right curve do we see that it stays
# behind, and for a new network nobody has the right curve. The gradient check needs none:

# %%
with tinydiff.plain():
    report = gradcheck(F.conv2d, reversed_backward, [x, w, b], options={"padding": 1}, name="conv2d with a flipped dw")
assert not report.ok
report

# %% [markdown]
# ## Summary
#
# 1. A convolution lays the same small matrices over every patch, and adds up.
# 2. All patches as rows make it one matrix product.
# 3. $d_W$: shift x as the tap does, multiply by $d_y$, sum over pixels and images. No flip.
# 4. $d_x$: each output pixel paints the kernel onto its patch, and overlaps add. Read as a convolution, its taps are
# flipped.
# 5. Wrong gradients often train. Check them.
#
# <details><summary>Which way do the taps flip?</summary>
#
# By half a turn, rows and columns, and only in $d_x$ when it is written as a convolution. Written as painting
# (scatter-add), nothing flips.
#
# </details>
#
# <details><summary>Would a check with a symmetric kernel find a forgotten flip?</summary>
#
# No. The flipped kernel is the same kernel. That is why checks use random numbers: they have no symmetry to hide
# behind.
#
# </details>
#
# <details><summary>What changes with stride 2?</summary>
#
# The forward reads at 2h + i - p. Painting does the same: $d_y$ at h goes to 2h + i - p. As a convolution it would need
# zeros between the numbers of $d_y$, most of the work would be for nothing, and so the library paints.
#
# </details>
#
# **Next:** layers in which everything depends on everything: [07 · Normalisation and
# attention](07_normalisation_and_attention.ipynb).
