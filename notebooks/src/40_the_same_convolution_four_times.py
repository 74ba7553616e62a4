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
# # 40 · The same convolution four times
#
# **You will learn** how one sum can take a minute or some milliseconds: by loops, as one matrix product, as a product and
# nine additions, and with a quarter of the multiplications. You will derive the last way, Winograd's, from polynomials,
# and see where your own machine's limits lie.
#
# **Prerequisites:** notebook 06. **Time:** 60 minutes with the exercises.
#
# **Papers:** Lavin and Gray, *Fast algorithms for convolutional neural networks* (2015, arXiv 1509.09308), after
# Winograd, *Arithmetic complexity of computations* (1980); Williams, Waterman, Patterson, *Roofline* (2009).

# %%
import time

import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.base import weights_stand_still
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_40 as exercises
from tinydiff.functional.conv import gather_then_multiply
from tinydiff.functional.fast.shift_conv import multiply_then_add
from tinydiff.functional.fast.winograd import A_T, B_T, G, transform_weights, winograd_conv, winograd_dw
from tinydiff.workers import one_blas_thread

rng = np.random.default_rng(0)


def seconds(f, rounds=7):
    """Return the least time of several calls on one thread: what disturbs a program can only make it slower."""
    times = []
    with one_blas_thread(), weights_stand_still():
        for _ in range(rounds + 1):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
    return min(times[1:])


# %% [markdown]
# ## First, count
#
# An output number of a 3 x 3 convolution is a sum of $9\, c_{in}$ products. An image of H x W pixels has $H W c_{out}$
# of them, so a layer takes $2 \cdot 9\, H W c_{in} c_{out}$ multiplications and additions. One layer of a small UNet,
# on 8 images:

# %%
N, H, C = 8, 32, 64
x = rng.standard_normal((N, H, H, C)).astype(np.float32)
w = (rng.standard_normal((3, 3, C, C)) / 24).astype(np.float32)
arithmetic = 2 * 9 * N * H * H * C * C
print(f"{arithmetic / 1e6:.0f} million operations for {x.size / 1e6:.1f} million numbers")

# %% [markdown]
# ## Once: loops
#
# Notebook 06 wrote it down as the formula says (Eq. CONV-1). Python takes its time for every line, so we let it make
# only a few pixels, and reckon the rest.

# %%
padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def one_pixel(n, h, w_):
    """Return the c_out numbers of one output pixel, by four loops."""
    y = [0.0] * C
    for i in range(3):
        for j in range(3):
            for c in range(C):
                for o in range(C):
                    y[o] += padded[n, h + i, w_ + j, c] * w[i, j, c, o]
    return np.array(y)


times = {"loops": seconds(lambda: one_pixel(0, 5, 7), rounds=2) * N * H * H}
y, _ = F.conv2d(x, w, padding=1, algorithm="im2col")
assert np.allclose(y, sum(padded[:, i : i + H, j : j + H] @ w[i, j] for i in range(3) for j in range(3)), atol=1e-4)
assert np.allclose(one_pixel(0, 5, 7), y[0, 5, 7], atol=1e-4)
print(f"all pixels by loops would take {times['loops']:.0f} seconds")

# %% [markdown]
# All that follows must give these numbers, also at the edges and with a bias. To have something to compare with, here is
# the convolution and its gradients as plain sums over the taps, on images of an odd size: two images, 7 x 10 pixels, 3
# channels to 5.


# %%
def by_taps(padded, kernel, bias):
    """Return y of images that are padded already: for each tap, the pixels it looks at times its matrix."""
    kh, kw = kernel.shape[:2]
    h, w_ = padded.shape[1] - kh + 1, padded.shape[2] - kw + 1
    return bias + sum(padded[:, i : i + h, j : j + w_] @ kernel[i, j] for i in range(kh) for j in range(kw))


small, kernel, bias = (rng.standard_normal(shape) for shape in ((2, 7, 10, 3), (3, 3, 3, 5), (5,)))
framed = np.pad(small, ((0, 0), (1, 1), (1, 1), (0, 0)))
small_y, small_dy = by_taps(framed, kernel, bias), rng.standard_normal((2, 7, 10, 5))
seen = [[framed[:, i : i + 7, j : j + 10] for j in range(3)] for i in range(3)]
small_dw = np.array([[np.einsum("nhwc,nhwo->co", part, small_dy) for part in row] for row in seen])
turned = kernel[::-1, ::-1].swapaxes(2, 3)  # for dx, taps are flipped (notebook 06)
small_dx = by_taps(np.pad(small_dy, ((0, 0), (1, 1), (1, 1), (0, 0))), turned, 0.0)
for algorithm in ("im2col", "shift", "winograd", None):
    found, cache = F.conv2d(small, kernel, bias, padding=1, algorithm=algorithm)
    assert algorithm in (cache.algorithm, None)
    dx, dw, db = F.conv2d_backward(small_dy, cache)
    assert np.allclose(found, small_y)
    assert np.allclose(dx, small_dx)
    assert np.allclose(dw, small_dw)
    assert np.allclose(db, small_dy.sum(axis=(0, 1, 2)))

# %% [markdown]
# ## Twice: im2col, one matrix product
#
# Copy every patch into a row, and the four loops are one product of two matrices. It does the same arithmetic, only in
# an order in which each number is used many times while it is close at hand, and that is all that makes it fast. The
# price is a copy of nine times the image.

# %%
show_source(gather_then_multiply)
edges = ((2, 0), (0, 1))  # above and below, left and right
uneven = np.pad(small, ((0, 0), *edges, (0, 0)))
gathered = gather_then_multiply(np, small, kernel[:, :2], 2, edges)  # every second pixel, 3 x 2 taps
assert np.allclose(gathered, by_taps(uneven, kernel[:, :2], 0.0)[:, ::2, ::2])
times["im2col"] = seconds(lambda: F.conv2d(x, w, padding=1, algorithm="im2col"))
print(f"{1e3 * times['im2col']:.1f} ms, {arithmetic / times['im2col'] / 1e9:.0f} billion operations a second")

# %% [markdown]
# ## Three times: multiply first, then shift and add
#
# A tap is a matrix (c_in, c_out). Multiply every *pixel* by all nine of them, in one product; then add the nine
# results, each shifted to where its tap looks. Now the nine-fold array is on the side of the output. With 64 channels
# in and 64 out it makes no difference. The last layer of a UNet makes 1 channel of 64:

# %%
show_source(multiply_then_add)
assert np.allclose(multiply_then_add(np, small, kernel[:, :2], edges), by_taps(uneven, kernel[:, :2], 0.0))
times["shift"] = seconds(lambda: F.conv2d(x, w, padding=1, algorithm="shift"))
narrow = w[..., :1].copy()
for algorithm in ("im2col", "shift"):
    took = seconds(lambda algorithm=algorithm: F.conv2d(x, narrow, padding=1, algorithm=algorithm))
    print(f"64 channels to 1, {algorithm}: {1e3 * took:.2f} ms")
assert np.allclose(F.conv2d(x, w, padding=1, algorithm="shift")[0], y, atol=1e-4)

# %% [markdown]
# ## Fewer multiplications: a lesson from polynomials
#
# All three do the same multiplications. Can there be fewer? Multiply two polynomials, $u(a) = u_0 + u_1 a$ and
# $w(a) = w_0 + w_1 a + w_2 a^2$. By hand that is 6 products. But the result has degree 3, and *a polynomial of degree 3
# is known from its values at 4 points*. So:
#
# 1. evaluate u and w at 4 points, say $a = 0, 1, -1$ and $\infty$ (the value "at infinity" is the highest coefficient);
# 2. multiply the values: **4** products;
# 3. interpolate: find the coefficients that have these values.
#
# Evaluating at a point is a row of powers. With $V_k$ the matrix of the rows $1, a, \ldots, a^{k-1}$, and 0, ..., 0, 1
# for infinity, the coefficients of the product s are
#
# $$V_4\, s = (V_2 u) \odot (V_3 w) \quad\Rightarrow\quad s = V_4^{-1} \big[ (V_2 u) \odot (V_3 w) \big]$$
#
# Steps 1 and 3 take only additions and small constants. **Write it yourself**: the matrix $V_k$ for a list of points,
# followed by infinity.


# %%
def my_powers(points, k):
    """Return V_k, shape (len(points) + 1, k): the powers 0 .. k - 1 of each point, then the row for infinity."""
    ### BEGIN SOLUTION
    rows = [[a**p for p in range(k)] for a in points]
    return np.array([*rows, [0.0] * (k - 1) + [1.0]])
    ### END SOLUTION


# %%
my_powers = exercises.POWERS.check(my_powers)
u_, w_ = rng.standard_normal(2), rng.standard_normal(3)
V_2, V_3, V_4 = (my_powers([0, 1, -1], k) for k in (2, 3, 4))
s = np.linalg.solve(V_4, (V_2 @ u_) * (V_3 @ w_))
assert np.allclose(s, np.polynomial.polynomial.polymul(u_, w_))
print("product of the polynomials:", s.round(3))

# %% [markdown]
# ## From polynomials to a convolution
#
# With w fixed, $s = M(w)\, u$ is a matrix times u: its column i holds w, moved down by i. The *transposed* matrix does
# what a convolution layer does: $(M^\top x)_i = \sum_j x_{i+j} w_j$, each output reads three neighbours. And the
# transpose of a product is the product of the transposes, in reverse:
#
# $$M = V_n^{-1}\, \mathrm{diag}(V_3 w)\, V_m \quad\Rightarrow\quad
# y = M^\top x = \underbrace{V_m^\top}_{A^\top} \big[ \underbrace{V_3}_{G} w \odot \underbrace{V_n^{-\top}}_{B^\top} x \big]$$
#
# with $n = m + 2$: m outputs from n inputs take n multiplications instead of 3m. This is F(m, 3). In the plane, do it
# along rows and along columns (Eq. WINO-1):
#
# $$Y = A^\top \big[ (G w G^\top) \odot (B^\top x B) \big] A$$
#
# The library takes m = 4 and the points 0, 1, -1, 2, -2, infinity. A row of G may be divided by a number if that of
# $B^\top$ is multiplied by it; the library does so to make $B^\top$ whole.

# %%
points = [0, 1, -1, 2, -2]
V_4, V_3, V_6 = (my_powers(points, k) for k in (4, 3, 6))
assert np.allclose(A_T, V_4.T)
scale = np.array([4, -6, -6, 24, 24, 1.0])[:, None]
assert np.allclose(G, V_3 / scale)
assert np.allclose(B_T, np.linalg.inv(V_6).T * scale)
print("B^T =", B_T, sep="\n")

# %% [markdown]
# **Write it yourself**: one tile, 4 x 4 outputs of one channel, from 6 x 6 inputs.


# %%
def my_tile(x, w):
    """Return Y, shape (4, 4), of x, shape (6, 6), and w, shape (3, 3), by Eq. WINO-1; A_T, B_T and G are given."""
    ### BEGIN SOLUTION
    return A_T @ ((G @ w @ G.T) * (B_T @ x @ B_T.T)) @ A_T.T
    ### END SOLUTION


# %%
my_tile = exercises.TILE.check(my_tile)
tile, one_kernel = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
assert np.allclose(
    my_tile(tile, one_kernel), by_taps(tile[None, :, :, None], one_kernel[:, :, None, None], 0.0)[0, :, :, 0]
)
library, _ = winograd_conv(np, tile[None, :, :, None], transform_weights(one_kernel[:, :, None, None]))
assert np.allclose(my_tile(tile, one_kernel), library[0, :, :, 0])
print("36 multiplications instead of", 16 * 9)

# %% [markdown]
# ## Four times: Winograd
#
# With channels, $\odot$ becomes a matrix product at each of the 36 numbers of a tile: (tiles, c_in) times (c_in,
# c_out). The transforms are matrix products too:
# $\mathrm{vec}(B^\top x B) = (B^\top \otimes B^\top)\, \mathrm{vec}(x)$.
#
# And the gradients? The whole thing is linear in x and in w. **Derive it yourself:** for one tile and one channel, `dy` is
# the gradient of Y, shape (4, 4). What is that of the kernel? Go backwards through WINO-1; you know from notebook 05 that
# the backward of $Z = P M$ is $d_M = P^\top d_Z$, and on the other side likewise.


# %%
def my_kernel_gradient(x, dy):
    """Return d_w, shape (3, 3), from x, shape (6, 6), and dy, shape (4, 4); A_T, B_T and G are given."""
    ### BEGIN SOLUTION
    dm = A_T.T @ dy @ A_T
    return G.T @ (dm * (B_T @ x @ B_T.T)) @ G
    ### END SOLUTION


# %%
my_kernel_gradient = exercises.KERNEL.check(my_kernel_gradient)

# %% [markdown]
# Over all tiles these gradients add (Eq. WINO-2):
#
# $$d_w = G^\top \Big[ \sum_{tiles} (B^\top x B) \odot (A\, d_Y A^\top) \Big] G$$

# %%
show_source(winograd_conv, winograd_dw)
u = transform_weights(kernel)  # with channels, a bias, and tiles at the edges that are not whole: 7 x 10 pixels
assert np.allclose(u.reshape(6, 6, 3, 5), np.einsum("ak,klco,bl->abco", G, kernel, G))
found, v = winograd_conv(np, framed, u, bias)
assert np.allclose(found, small_y)
assert np.allclose(winograd_conv(np, framed, u)[0], small_y - bias)
first_tile = np.einsum("ak,klc,bl->abc", B_T, framed[0, :6, :6], B_T)
assert np.allclose(v[0].reshape(6, 6, 3), first_tile)
dw, db = winograd_dw(np, small_dy, v)
assert np.allclose(dw, small_dw)
assert np.allclose(db, small_dy.sum(axis=(0, 1, 2)))
one_dy = rng.standard_normal((4, 4))
_, one_v = winograd_conv(np, tile[None, :, :, None], transform_weights(one_kernel[:, :, None, None]))
assert np.allclose(my_kernel_gradient(tile, one_dy), winograd_dw(np, one_dy[None, :, :, None], one_v)[0][:, :, 0, 0])

times["Winograd"] = seconds(lambda: F.conv2d(x, w, padding=1, algorithm="winograd"))
fast, cache = F.conv2d(x, w, padding=1, algorithm="winograd")
dy = rng.standard_normal(y.shape).astype(np.float32)
shifted = [[padded[:, i : i + H, j : j + H].reshape(-1, C) for j in range(3)] for i in range(3)]
plain_dw = np.array([[part.T @ dy.reshape(-1, C) for part in row] for row in shifted])
biases = rng.standard_normal(C).astype(np.float32)
for algorithm in ("im2col", "shift", "winograd"):  # so many pixels that the library works through them in parts
    with_bias, of_algorithm = F.conv2d(x, w, biases, padding=1, algorithm=algorithm)
    _, dw, db = F.conv2d_backward(dy, of_algorithm)
    assert np.allclose(with_bias, y + biases, atol=1e-3)
    assert abs(dw - plain_dw).max() < 1e-4 * abs(plain_dw).max()
    assert np.allclose(db, dy.sum(axis=(0, 1, 2)), rtol=0, atol=0.1)
fast_dw, _ = winograd_dw(np, dy, cache.inputs)
assert np.array_equal(winograd_conv(np, padded, transform_weights(w))[0], fast)
assert abs(fast - y).max() < 3e-5 * abs(y).max()
assert abs(fast_dw - plain_dw).max() < 1e-4 * abs(plain_dw).max()
for name, took in times.items():
    print(f"{name:<9} {1e3 * took:12.2f} ms   {times['loops'] / took:12,.0f} times as fast as loops")

# %% [markdown]
# ## What the count says
#
# Per output pixel and pair of channels, a plain convolution takes 9 multiplications. F(m, 3) takes $(m + 2)^2$ for
# $m^2$ pixels. But the transforms are not free: each takes $n^2 \cdot n^2$ or $m^2 \cdot n^2$ operations a tile and
# channel, and pays only if there are many channels to share it.

# %%
channels = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])


def operations(m, c):
    """Return multiplications per pixel, c channels to c channels, for F(m, 3), transforms included."""
    n2, m2 = (m + 2) ** 2, m**2
    return (n2 * c * c + n2 * n2 * c + m2 * n2 * c) / m2


shares = {f"F({m} x {m}, 3 x 3)": operations(m, channels) / (9.0 * channels**2) for m in (2, 4, 6)}
assert shares["F(4 x 4, 3 x 3)"][-1] < 0.5 < 1 < shares["F(4 x 4, 3 x 3)"][2]
plot.curves(channels, shares, "channels", "multiplications / plain ones", "When it pays", log="xy")

# %% [markdown]
# **Predict, then run:** larger tiles take fewer multiplications. F(6, 3) needs two points more; let us take 3 and -3.
# Will its results be more exact, because there is less to add up, or less?


# %%
def float32_error(points):
    """Return the largest error of F(m, 3) in float32, against float64, on tiles of normal numbers."""
    m = len(points) - 1
    V_m, V_3, V_n = (my_powers(points, k) for k in (m, 3, m + 2))
    a_t, g, b_t = V_m.T, V_3, np.linalg.inv(V_n).T
    size = abs(g).max(axis=1, keepdims=True)
    g, b_t = g / size, b_t * size
    tiles, kernels = rng.standard_normal((200, m + 2, m + 2)), rng.standard_normal((200, 3, 3))
    results = []
    for dtype in (np.float64, np.float32):
        a, gg, b = (matrix.astype(dtype) for matrix in (a_t, g, b_t))
        d, k = tiles.astype(dtype), kernels.astype(dtype)
        results.append(a @ ((gg @ k @ gg.T) * (b @ d @ b.T)) @ a.T)
    return abs(results[1] - results[0]).max() / abs(results[0]).max()


all_points = [0, 1, -1, 2, -2, 3, -3, 4, -4]
sizes = np.array([2, 4, 6, 8])
errors = np.array([float32_error(all_points[: m + 1]) for m in sizes])
for m, error in zip(sizes, errors, strict=True):
    print(f"F({m}, 3): error {error:.0e}")
assert errors[0] < errors[1] < errors[2] < errors[3]
plot.curves(sizes, {"largest error": errors}, "m", "error / largest number", "The price of large tiles", log="y")

# %% [markdown]
# Less exact, and the error grows quickly. Interpolation divides by differences of powers of the points, and large
# powers swallow the digits of small ones. That is why the library stops at m = 4: its error is about ten times
# im2col's, and still below 3e-5.
#
# ## The roof over your machine
#
# A processor has two limits: so many operations a second, and so many bytes a second from memory. A program that does
# *i* operations for each byte it moves can reach at most $\min(\text{peak},\; i \cdot \text{bandwidth})$: the
# *roofline*. Measure both limits on this machine, and put the ways of our convolution under the roof:

# %%
a, b = (rng.standard_normal((768, 768)).astype(np.float32) for _ in range(2))
peak = 2 * 768**3 / seconds(lambda: a @ b)
big, a_big, out = (np.ones(16_000_000, np.float32) for _ in range(3))
few, few_more, few_out = (np.ones(30_000, np.float32) for _ in range(3))
bandwidth = 2 * big.nbytes / seconds(lambda: np.multiply(big, 1.5, out=out))
print(f"peak {peak / 1e9:.0f} billion operations a second, memory {bandwidth / 1e9:.1f} billion bytes a second")

pixels, number = N * H * H, 4  # bytes
moved = {  # numbers written and read, in units of one image's channels: what each way makes besides x and y
    "im2col": (1 + 9 + 9 + 1) * C * pixels * number,
    "shift": (1 + 9 + 9 + 1) * C * pixels * number,
    "Winograd": (1 + 2 * 2.25 + 2 * 2.25 + 2 * 2.25 + 2 * 1 + 1) * C * pixels * number,
}
done = {"im2col": arithmetic, "shift": arithmetic, "Winograd": 2 * operations(4, C) * pixels}
ways = {name: (done[name] / moved[name], done[name] / times[name]) for name in done}
ways["addition, from memory"] = (1 / 12, big.size / seconds(lambda: np.add(big, a_big, out=out)))
ways["addition, in the cache"] = (1 / 12, few.size / seconds(lambda: np.add(few, few_more, out=few_out), rounds=50))
plot.roofline(ways, peak, bandwidth)

# %% [markdown]
# A convolution stands to the right, under the flat part of the roof: arithmetic limits it, so only doing less of it
# helps, and Winograd does less. (Its rate may be higher or lower than im2col's; what counts is the time.) An addition
# stands far to the left, on the slope: there only moving less helps. That is what `group_norm_silu` is for, which
# computes two layers with fewer walks through memory. The point above the roof is no error: its numbers stay in the
# cache, which is faster than memory, and a machine has a roof for each of its caches. (The roof is measured, too: while
# other programs run it comes out too low, and other points may lie above it. Run the cell again when it is quiet.)
#
# Where would F(m, 3) stand, with how many channels?

# %%
slider(
    lambda c: plot.curves(
        np.array([2, 4, 6, 8]),
        {
            "with transforms": np.array([operations(m, c) / (9 * c * c) for m in (2, 4, 6, 8)]),
            "without": np.array([(m + 2) ** 2 / m**2 / 9 for m in (2, 4, 6, 8)]),
        },
        "m",
        "multiplications / plain ones",
        f"{c} channels",
    ),
    [4, 16, 64, 256, 1024],
    "c",
)

# %% [markdown]
# ## What PyTorch does
#
# PyTorch hands a convolution on the CPU to oneDNN. That chooses among kernels that were generated for the processor at
# hand, mostly *direct* ones: loops, in machine code, over blocks of channels that fit the registers, with the same
# count of operations as im2col and without its copy. They run close to the peak, so what remains is to do less.
# Measured side by side on two cores, tinydiff's layers in plain NumPy are the faster ones where Winograd applies ([the
# figures](../docs/benchmarks.md)); on a GPU, cuDNN chooses Winograd itself where it pays.
#
# ## Summary
#
# 1. Loops, im2col and shifts do the same arithmetic; the order decides whether it takes a minute or milliseconds.
# 2. Multiplying polynomials by their values takes fewer products; transposed, it is a convolution with fewer.
# 3. F(4 x 4, 3 x 3) needs 36 products where a plain convolution needs 144; the transforms pay from about 20 channels
# on.
# 4. Larger tiles lose digits.
# 5. Work with much arithmetic per byte is limited by arithmetic, the rest by memory; the roofline tells which.
#
# <details><summary>Why are four points enough for F(2, 3), and not three?</summary>
#
# Degree 1 times degree 2 is degree 3, which has 4 coefficients. Three values leave one of them open.
#
# </details>
#
# <details><summary>Where is the bias added?</summary>
#
# At the point (1, 1) alone: there every pixel of the constant picture has the value 1, and $A^\top$ takes that number
# to all 16 pixels with the factor 1. One number in 36 instead of 16 pixels.
#
# </details>
#
# <details><summary>Why does the library transform the weights only once for all images of a step?</summary>
#
# They are the same for all images, and four times as large once transformed: for a deep layer with few pixels, making
# and reading them costs more than the convolution.
#
# </details>
#
# **Next:** back to the [contents](../README.md#the-course), or switch Winograd off yourself: `with tinydiff.plain():`.
