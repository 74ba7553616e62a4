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
# # 31 · A codebook: vector quantisation, and FSQ
#
# **You will learn** how a picture becomes a few whole numbers; how a network learns to write them, although what is
# rounded has no useful derivative; why codes die, how to count those that live, and how to do without a learned codebook.
#
# **Prerequisites:** notebooks 05 (gradients by hand, cross-entropy), 08 (blocks that halve and double a picture)
# and 09 (training, moving averages). **Time:** 25 minutes to read and run; an hour with the six exercises.
#
# **Papers:** van den Oord, Vinyals, Kavukcuoglu, *Neural discrete representation learning* (2017), Eq. 1 to 3 and appendix
# A.1 (here VQ-1, VQ-ST, VQ-BOOK, VQ-COMMIT and VQ-EMA); Zeghidour et al., *SoundStream* (2021), section III-C
# (VQ-RESTART); Mentzer et al., *Finite scalar quantization* (2023), section 3.1 (FSQ-1 to FSQ-3).

# %%
import itertools

import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_31 as exercises
from tinydiff.data import load_avatars, peak_signal_to_noise, to_floats, to_images
from tinydiff.networks import QuantisedAutoencoder, QuantisedAutoencoderConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import Quantise, QuantiseConfig, Run

rng = np.random.default_rng(0)
portraits, others = load_avatars("train", 3000), load_avatars("test", 300)
pictures, unseen = to_floats(portraits.images), to_floats(others.images)

# %% [markdown]
# ## A picture in 64 whole numbers
#
# Notebook 22 made a text into a row of whole numbers, its tokens, and networks are good at such rows. Can a picture become
# one, too?
#
# Cut each portrait, 16 x 16 pixels, into 64 blocks of 2 x 2. A block is a vector of 2 x 2 x 3 = 12 numbers. Now choose 64
# blocks, from anywhere in the training pictures, and number them from 0 to 63. That is a *codebook*, and each of its rows is
# a *code*. In place of every block of a portrait, write down the number of the code that is most like it:
#
# $$z_q = e_k, \quad k = \arg\min_j \lVert z - e_j \rVert^2 \qquad \text{(Eq. VQ-1)}$$
#
# Here z is the block, and $e_j$ is row j of the codebook. The whole is called *vector quantisation*.
#
# **Write it yourself:** the numbers k, for vectors z of shape (N, C) and a codebook of shape (K, C).


# %%
def my_nearest(z, codebook):
    """Return for each vector the index of its nearest code, (N,)."""
    ### BEGIN SOLUTION
    return ((z[:, None] - codebook) ** 2).sum(axis=2).argmin(axis=1)
    ### END SOLUTION


# %%
my_nearest = exercises.NEAREST.check(my_nearest)

# %%
CODES = 64


def to_blocks(images):
    """Return the blocks of images as vectors: (N, 16, 16, 3) becomes (N, 8, 8, 12)."""
    return images.reshape(-1, 8, 2, 8, 2, 3).swapaxes(2, 3).reshape(-1, 8, 8, 12)


def from_blocks(blocks):
    """Return the images that blocks make."""
    return blocks.reshape(-1, 8, 8, 2, 2, 3).swapaxes(2, 3).reshape(-1, 16, 16, 3)


assert np.array_equal(from_blocks(to_blocks(unseen)), unseen)
vectors = to_blocks(pictures).reshape(-1, 12)
found = vectors[rng.choice(len(vectors), CODES, replace=False)]
indices = my_nearest(to_blocks(unseen[:8]).reshape(-1, 12), found).reshape(8, 8, 8)
print(f"{unseen[0].size} bytes, {8 * unseen[0].size:,} bits, become 64 numbers of 6 bits, {64 * 6} bits: a sixteenth")
plot.image_rows({"portraits": unseen[:8], "from their numbers": from_blocks(found[indices])}, scale=5)

# %% [markdown]
# Here are the numbers of the first portrait. They are names: code 31 is not more than code 30, only another.

# %%
print(indices[0])

# %% [markdown]
# The library multiplies out the square. Of $\lVert z \rVert^2 - 2 \langle z, e \rangle + \lVert e \rVert^2$ the first term
# is the same for all codes, and the second is a product of matrices, which is fast.

# %%
show_source(F.nearest_code, F.vector_quantise)
z, codebook = rng.standard_normal((5, 4, 3)), rng.standard_normal((7, 3))
z_q, cache = F.vector_quantise(z, codebook)
for place in np.ndindex(5, 4):
    distances = [sum((z[place][c] - e[c]) ** 2 for c in range(3)) for e in codebook]
    assert cache.indices[place] == distances.index(min(distances))
    assert np.array_equal(z_q[place], codebook[distances.index(min(distances))])
assert F.nearest_code(np.zeros((1, 2)), np.array([[3.0, 0], [1, 0], [0, -1]])) == [1], "of equals, the lowest"
far = (1000 + np.array([[0.0, 0], [0.2, 0], [0, 0.2]])).astype(np.float32)  # where products are large, and alike
assert F.nearest_code(far + np.float32(0.05), far).tolist() == [0, 1, 2]

# %% [markdown]
# How good is it? The *peak signal-to-noise ratio* is $10 \log_{10}$ of $255^2$ over the mean squared error of the bytes, in
# decibels (dB). Six decibels more are half the distance.


# %%
def quality(copies, originals=unseen):
    """Return how near copies are to the unseen portraits, in decibels."""
    return peak_signal_to_noise(to_images(copies), to_images(originals))


by_chance = quality(from_blocks(F.vector_quantise(to_blocks(unseen), found)[0]))
error = to_images(unseen).astype(float) - to_images(from_blocks(F.vector_quantise(to_blocks(unseen), found)[0]))
assert np.isclose(by_chance, 10 * np.log10(255**2 / (error**2).mean()), atol=1e-3)
print(f"64 blocks that were chosen by chance: {by_chance:.1f} dB")

# %% [markdown]
# ## Why the gradient is 0, and a lie that works
#
# A block knows nothing of its neighbours. Better let a network, the *encoder*, write the vectors z after a look at more of
# the picture; and let another, the *decoder*, draw the picture from all 64 codes together. Both have to be trained, by a
# loss on what the decoder draws. The gradient comes back through the decoder and arrives at $z_q$. And then?
#
# Move z a little. The same code is still the nearest, so $z_q$ does not move at all. Here for a z of one number, and four
# codes:

# %%
line = np.linspace(-2, 2, 401)[:, None]
four = np.array([[-1.2], [-0.3], [0.4], [1.5]])
stairs, cache = F.vector_quantise(line, four)
slopes = np.diff(stairs[:, 0]) / np.diff(line[:, 0])
assert np.count_nonzero(slopes) == 3, "0 but at three jumps"
plot.curves(line[:, 0], {"z_q": stairs[:, 0], "as the gradient will see it: z": line[:, 0]}, "z", "")

# %% [markdown]
# The derivative is 0, but at the jumps, where there is none. So the true gradient of the encoder is 0: it would stay as
# it was at the start.
#
# Now the lie. On the way back, do as if nothing had been rounded, as the dashed line, and hand the gradient on:
#
# $$d_z = d_{z_q} \qquad \text{(Eq. VQ-ST)}$$
#
# This is called *straight-through*. It is no derivative of the stairs. It is the derivative of something else: write
# $z_q = z + (z_q - z)$, and take the bracket for a constant. That is what is often written
# $z + \mathrm{sg}[z_q - z]$, where sg is *stop gradient*: a number that stands still. The decoder says "I would rather have
# had a redder code"; the encoder moves z towards red, and if it goes on so, z will come to a redder code.

# %%
show_source(F.vector_quantise, F.vector_quantise_backward)
d = rng.standard_normal(z.shape)
z_q, cache = F.vector_quantise(z, codebook)
dz, _ = F.vector_quantise_backward(d, cache)
assert np.array_equal(dz, d)

# %% [markdown]
# **Predict, then run:** a small autoencoder in float64, with random weights. Move all weights of its encoder a little, in a
# random direction. Does the loss change? And if the step from z to $z_q$ is kept as a constant, does the loss then change as
# the straight-through gradient says?

# %%
shape = QuantisedAutoencoderConfig(16, 3, 8, (1, 2), latent_channels=3, codes=16)
tiny = QuantisedAutoencoder(shape, np.random.default_rng(1), np.float64)
tiny.quantiser.codebook.value *= 8
x = unseen[:2].astype(np.float64)
tape, grads = Tape(), Gradients(tiny.parameters())
x_hat = tiny.forward(x, tape)
tiny.backward(x_hat - x, tape, grads)  # the gradient of half the squared error
z = tiny.encode(x)
step = tiny.quantiser.forward(z)[0] - z
direction = np.zeros(tiny.theta.shape)
for name, p in tiny.named_parameters().items():
    if name.startswith("encoder"):
        direction[p.offset : p.offset + p.size] = rng.standard_normal(p.size)


def change(draw, h=1e-7):
    """Return how fast half the squared error changes along the direction."""
    ends = []
    for sign in (h, -h):
        tiny.theta[:] += sign * direction
        ends.append(((draw() - x) ** 2).sum() / 2)
        tiny.theta[:] -= sign * direction
    return (ends[0] - ends[1]) / (2 * h)


print(f"straight-through says                 {grads.flat @ direction:10.4f}")
print(f"the loss changes by                   {change(lambda: tiny.forward(x)):10.4f}")
print(f"with a constant step from z to z_q by {change(lambda: tiny.decode(tiny.encode(x) + step)):10.4f}")
assert abs(change(lambda: tiny.forward(x))) < 1e-6
assert np.isclose(change(lambda: tiny.decode(tiny.encode(x) + step)), grads.flat @ direction, rtol=1e-4)

# %% [markdown]
# ## Two losses, or a running average
#
# The lie is the smaller, the nearer z is to its code. And the codes must go where the encoder's vectors are. So there are
# two more losses. Both are the mean squared distance of z and its code, and they differ only in what stands still:
#
# $$L_\text{book} = \frac{1}{n} \sum \left( \mathrm{sg}[z] - e_k \right)^2, \quad
#   d_{e_k} = d_L \frac{2}{n} \sum_{z \to k} (e_k - z) \qquad \text{(Eq. VQ-BOOK)}$$
#
# $$L_\text{commit} = \frac{1}{n} \sum \left( z - \mathrm{sg}[e_k] \right)^2, \quad
#   d_z = d_L \frac{2}{n} (z - e_k) \qquad \text{(Eq. VQ-COMMIT)}$$
#
# The first draws codes to the vectors that chose them ($z \to k$). The second, the *commitment* loss, keeps the vectors
# near their codes; else the encoder could run away faster than codes follow. n counts all numbers, vectors times C.
#
# **Derive it yourself:** with $L = L_\text{drawn} + L_\text{book} + \beta L_\text{commit}$, what are the gradients of z and
# of the codebook? The decoder has sent back `d_z_q`.


# %%
def my_through(d_z_q, z, codebook, indices, beta):
    """Return dz, (N, C), and d_codebook, (K, C); d_z_q and z are (N, C), indices (N,)."""
    ### BEGIN SOLUTION
    pull = 2 * (z - codebook[indices]) / z.size
    d_codebook = np.zeros(codebook.shape)
    np.add.at(d_codebook, indices, -pull)
    return d_z_q + beta * pull, d_codebook
    ### END SOLUTION


# %%
my_through = exercises.THROUGH.check(my_through)
show_source(F.codebook_loss, F.codebook_loss_backward, F.commitment_loss, F.commitment_loss_backward)
z, d, codebook = rng.standard_normal((9, 4)), rng.standard_normal((9, 4)), rng.standard_normal((5, 4))
indices = np.array([0, 1, 1, 3, 0, 1, 3, 3, 0])
book, book_cache = F.codebook_loss(codebook, z, indices)
commit, commit_cache = F.commitment_loss(z, codebook[indices])
assert np.isclose(book, ((codebook[indices] - z) ** 2).mean())
assert np.isclose(commit, ((codebook[indices] - z) ** 2).mean()), "one value, and two gradients"


def slope(function, array, h=1e-6):
    """Return the slopes of a number in each entry of an array: plain central differences."""
    slopes = np.zeros(array.shape)
    for i in np.ndindex(array.shape):
        moved = np.zeros(array.shape)
        moved[i] = h
        slopes[i] = (function(array + moved) - function(array - moved)) / (2 * h)
    return slopes


of_book = F.codebook_loss_backward(1.7, book_cache)
of_commit = F.commitment_loss_backward(1.7, commit_cache)
assert np.allclose(of_book[0], 1.7 * slope(lambda e: ((e[indices] - z) ** 2).mean(), codebook))
assert np.allclose(of_commit[0], 1.7 * slope(lambda a: ((a - codebook[indices]) ** 2).mean(), z))
assert of_book[1] is None, "in the codebook loss z stands still"
assert of_commit[1] is None, "in the commitment loss codes stand still"
mine = my_through(d, z, codebook, indices, 0.25)
assert np.allclose(mine[0], d + F.commitment_loss_backward(0.25, commit_cache)[0])
assert np.allclose(mine[1], F.codebook_loss_backward(1.0, book_cache)[0])

# %% [markdown]
# The first loss can be spared. It is least where its gradient is 0, and $\sum_{z \to k} (e_k - z) = 0$ says: $e_k$ is the
# *mean* of the vectors that chose it. So why take small steps towards the mean, and not the mean itself? One batch is few
# vectors, and the encoder changes. So keep two running averages, as notebook 09 does with weights: of how many vectors
# choose a code, $n_k$, and of their sum:
#
# $$N_k \leftarrow \gamma N_k + (1 - \gamma)\, n_k, \quad
#   m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{z \to k} z, \quad
#   e_k = \frac{m_k}{\tilde N_k} \qquad \text{(Eq. VQ-EMA)}$$
#
# Where $N_k$ is nearly 0, that would be a division by nearly nothing. So each code is given a little, $\varepsilon$, of the
# total $N = \sum_k N_k$, which stays the same: $\tilde N_k = \frac{N_k + \varepsilon}{N + K \varepsilon} N$.
#
# **Write it yourself:** one such step.


# %%
def my_average(z, indices, sizes, sums, decay, smoothing):
    """Return codebook (K, C), sizes (K,) and sums (K, C) after a batch of z (N, C); decay is gamma."""
    ### BEGIN SOLUTION
    chosen = np.eye(len(sizes))[indices]  # (N, K), 1 where vector n has chosen code k
    sizes = decay * sizes + (1 - decay) * chosen.sum(axis=0)
    sums = decay * sums + (1 - decay) * chosen.T @ z
    smoothed = (sizes + smoothing) * sizes.sum() / (sizes.sum() + len(sizes) * smoothing)
    return sums / smoothed[:, None], sizes, sums
    ### END SOLUTION


# %%
my_average = exercises.AVERAGE.check(my_average)
show_source(F.average_codebook)
sizes, sums = rng.uniform(0.1, 2, 5), rng.standard_normal((5, 4))
counts, batch_sums = F.codebook_sums(z, indices, 5)
assert counts.tolist() == [3, 3, 0, 3, 0]
assert np.allclose(batch_sums[1], z[1] + z[2] + z[5])
averaged = F.average_codebook(codebook, sizes, sums, counts, batch_sums, decay=0.8, smoothing=0.05)
for mine, theirs in zip(my_average(z, indices, sizes, sums, 0.8, 0.05), averaged, strict=True):
    assert np.allclose(mine, theirs)
fresh = F.average_codebook(codebook, np.zeros(5), np.zeros((5, 4)), counts, batch_sums, decay=0.8)[0]
assert np.allclose(fresh[0], z[indices == 0].mean(axis=0), atol=1e-3), "after one batch, the mean"
assert np.array_equal(fresh[2], codebook[2]), "what nothing has chosen yet stays"

# %% [markdown]
# ### All of it in the plane
#
# To see it, take the smallest autoencoder there is: the encoder is a matrix from the 12 numbers of a block to 2, and the
# decoder is a matrix back (and a bias). There are 16 codes, points in the plane, and at the start all lie near the middle.


# %%
def in_the_plane(straight_through, steps=300, codes=16, lr=0.05, beta=0.25):
    """Return (vectors, codebook) after each step, and the loss on 2,000 blocks."""
    rng = np.random.default_rng(2)
    encoder, decoder, bias = 0.3 * rng.standard_normal((12, 2)), 0.3 * rng.standard_normal((2, 12)), np.zeros(12)
    book, sizes, sums = rng.uniform(-1, 1, (codes, 2)) / codes, np.zeros(codes), np.zeros((codes, 2))
    looked_at, moments, losses = vectors[rng.choice(len(vectors), 2000)].astype(np.float64), [], []
    for _ in range(steps):
        moments.append((looked_at[:400] @ encoder, book))
        drawn = F.vector_quantise(looked_at @ encoder, book)[0] @ decoder + bias
        losses.append(((drawn - looked_at) ** 2).mean())
        x = vectors[rng.choice(len(vectors), 512)].astype(np.float64)
        z = x @ encoder
        z_q, cache = F.vector_quantise(z, book)
        d_drawn = 2 * (z_q @ decoder + bias - x) / len(x)
        (dz, _), (d_commit, _) = (
            F.vector_quantise_backward(d_drawn @ decoder.T, cache),
            F.commitment_loss_backward(beta, F.commitment_loss(z, z_q)[1]),
        )
        decoder, bias = decoder - lr * z_q.T @ d_drawn, bias - lr * d_drawn.sum(axis=0)
        if straight_through:
            encoder = encoder - lr * x.T @ (dz + d_commit)
        of_batch = F.codebook_sums(z, cache.indices, codes)
        book, sizes, sums = F.average_codebook(book, sizes, sums, *of_batch, decay=0.9)
    return moments, np.array(losses)


moments, with_lie = in_the_plane(True)
_, without = in_the_plane(False)
plot.code_regions({f"step {k}": moments[k] for k in (0, 3, 30, 299)}, reach=4.0)

# %% [markdown]
# Blue are blocks, red are codes, and within a border all points have one code. At the start nearly everything is far
# outside, and few codes are chosen; then codes go where blocks are, and the encoder turns and stretches the plane.

# %%
slider(lambda k: plot.code_regions({f"step {k}": moments[k]}, reach=4.0), [0, 1, 2, 3, 5, 10, 30, 100, 299], "step")

# %% [markdown]
# **Predict, then run:** the true gradient of the encoder is 0. So with the truth it stays a random matrix, and only the
# decoder and the codes learn. How much better is it with the lie?

# %%
print(f"with the truth {without[-1]:.3f}, with the lie {with_lie[-1]:.3f}")
assert with_lie[-1] < 0.95 * without[-1]
plot.curves(
    np.arange(1, 301), {"the truth, 0": without, "straight-through": with_lie}, "step", "squared error", log="x"
)

# %% [markdown]
# ## Dead codes
#
# Back to the blocks of 12 numbers. Let the codes begin as random numbers, as weights do, and run averages over 200 batches
# of 512 blocks. How often is each code used then?


# %%
def stream(restart=None):
    """Return a codebook of blocks, averaged over 200 batches, and the indices of each batch."""
    rng = np.random.default_rng(3)
    book = rng.standard_normal((CODES, 12)).astype(np.float32)
    sizes, sums, history = np.zeros(CODES, np.float32), np.zeros((CODES, 12), np.float32), []
    for _ in range(200):
        z = vectors[rng.choice(len(vectors), 512)]
        history.append(F.nearest_code(z, book))
        book, sizes, sums = F.average_codebook(book, sizes, sums, *F.codebook_sums(z, history[-1], CODES), decay=0.9)
        if restart is not None:
            book, sizes, sums = F.restart_codes(book, sizes, sums, z[:CODES].copy(), restart)
    return book, np.array(history)


def uses_of(book):
    """Return how often each code is used for the unseen portraits."""
    return np.bincount(F.nearest_code(to_blocks(unseen), book).ravel(), minlength=len(book))


alone, history = stream()
plot.usage_bars({"averages": uses_of(alone)}, title="19,200 blocks of unseen portraits")

# %% [markdown]
# The dashed line is where all bars would end if all codes were used equally. More than half of the codes are never used.
# They are *dead*: for every block another code is nearer, so they are never chosen; and what is never chosen is never moved
# to where blocks are. (The library's $\varepsilon$ draws them towards 0 in the end, for what that is worth.)
#
# A count of the codes that were used at least once says little, for one use would do. A better measure: if code k has the
# share $p_k$ of all uses, the mean surprise $-\log p_k$ (notebook 05) is the *entropy* of the codes. If K codes are used
# equally, it is $\log K$. So of how many codes, used equally, would it be the entropy that we have? That number is called
# the *perplexity* (Eq. VQ-USE).
#
# **Derive it yourself:** the perplexity of a whole epoch; `indices` has a row for each batch. A code without a use adds
# nothing, but in NumPy `0 * np.log(0)` is NaN.


# %%
def my_perplexity(indices, codes):
    """Return the perplexity of codes 0 to codes - 1 in indices (batches, N)."""
    ### BEGIN SOLUTION
    counts = np.bincount(indices.reshape(-1), minlength=codes)
    p = counts[counts > 0] / counts.sum()
    return np.exp(-(p * np.log(p)).sum())
    ### END SOLUTION


# %%
my_perplexity = exercises.PERPLEXITY.check(my_perplexity)

# %% [markdown]
# $$\exp\left( -\sum_k p_k \log p_k \right), \quad p_k = n_k / \sum_j n_j \qquad \text{(Eq. VQ-USE)}$$

# %%
show_source(F.codebook_usage)
used, perplexity = F.codebook_usage(np.array([4, 0, 2, 2]))
assert used == 3
assert np.isclose(perplexity, np.exp(np.log(2) / 2 + np.log(4) / 2)), "half of all have 1/2, the others 1/4 each"
assert np.isclose(F.codebook_usage(np.full(64, 3))[1], 64)
last = history[-50:]
used, perplexity = F.codebook_usage(np.bincount(last.ravel(), minlength=CODES))
assert np.isclose(perplexity, my_perplexity(last, CODES))
small = last[:, :16]  # as if batches had 16 vectors
each = np.mean([my_perplexity(row[None], CODES) for row in small])
print(f"{used} of {CODES} codes used, perplexity {perplexity:.1f}; the mean of batches of 16 would say {each:.1f}")
assert each < 0.7 * my_perplexity(small, CODES)

# %% [markdown]
# Measure it over an epoch, as here. In a batch of 16 vectors not more than 16 codes *can* be used, whatever the codebook.
#
# ### Begin anew
#
# What can be done for the dead? Bury them, and let them begin anew where there is something to do. A code whose average
# count $N_k$ is below r is put onto a random vector $z_j$ of the batch:
#
# $$N_k < r: \quad e_k \leftarrow z_j, \quad N_k \leftarrow r, \quad m_k \leftarrow r\, z_j \qquad \text{(Eq. VQ-RESTART)}$$
#
# **Explore:** points in the plane that lie in clusters, and codes that begin in the middle. Below is what averages alone
# make of it. Find a rule of your own that leads codes to the clusters! It need not be the one above. The check counts
# clusters that have no code near; of the 30 in its three streams, up to 4 may be missed, since chance has a part in it.

# %%
clusters, start = exercises.RESTART.cases[1]


# %%
def my_codes(batches, codebook):
    """Return a codebook (K, 2) after a stream of batches (steps, N, 2), whose vectors come in random order."""
    codebook, sizes, sums = codebook.copy(), np.zeros(len(codebook)), np.zeros(codebook.shape)
    for z in batches:
        of_batch = F.codebook_sums(z, F.nearest_code(z, codebook), len(codebook))
        codebook, sizes, sums = F.average_codebook(codebook, sizes, sums, *of_batch, decay=0.9)
        ### BEGIN SOLUTION
        unused = sizes < 1
        codebook[unused] = z[: len(codebook)][unused]
        sizes[unused] = 1
        sums[unused] = codebook[unused]
        ### END SOLUTION
    return codebook


# %%
my_codes = exercises.RESTART.check(my_codes)
averages, sizes, sums = start, np.zeros(len(start)), np.zeros(start.shape)
for z in clusters:
    of_batch = F.codebook_sums(z, F.nearest_code(z, averages), len(start))
    averages, sizes, sums = F.average_codebook(averages, sizes, sums, *of_batch, decay=0.9)
shown = clusters[-8:].reshape(-1, 2)
panels = {"start": start, "averages": averages, "with your rule": my_codes(clusters, start)}
plot.code_regions({name: (shown, book) for name, book in panels.items()}, reach=1.4)

# %% [markdown]
# The library's line, and what it does for the blocks:

# %%
show_source(F.restart_codes)
sizes, sums, new = np.array([0.2, 3, 0.9]), rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
book = rng.standard_normal((3, 4))
after = F.restart_codes(book, sizes, sums, new, 1.5)
assert np.array_equal(after[0], [new[0], book[1], new[2]])
assert np.array_equal(after[1], [1.5, 3, 1.5])
assert np.array_equal(after[2], [1.5 * new[0], sums[1], 1.5 * new[2]]), "or the next average would take it back"

restarted, _ = stream(restart=1.0)
bars = {"averages": uses_of(alone), "with restarts": uses_of(restarted)}
blocks_alone = quality(from_blocks(F.vector_quantise(to_blocks(unseen), restarted)[0]))
for name, book in (("by chance", found), ("averages", alone), ("with restarts", restarted)):
    used, perplexity = F.codebook_usage(uses_of(book))
    drawn = from_blocks(F.vector_quantise(to_blocks(unseen), book)[0])
    print(f"{name:<16} {quality(drawn):.1f} dB, {used} codes used, perplexity {perplexity:.1f}")
assert (uses_of(restarted) > 0).sum() > (uses_of(alone) > 0).sum() + 20
assert blocks_alone > quality(from_blocks(F.vector_quantise(to_blocks(unseen), alone)[0])) + 1
plot.usage_bars(bars)

# %% [markdown]
# ## FSQ: without any of it
#
# Averages, commitment, restarts: much care for one table. In 2023 came a simpler thought: leave the table away. Let z have
# only a few channels, and round each to a few *levels*. With 4 levels in each of 3 channels there are 4 x 4 x 4 = 64 codes;
# they stand on a grid, nobody learns them, and none can die for being in a bad place. This is *finite scalar quantisation*:
#
# $$z_q = \frac{\mathrm{round}\left( h \tanh(z + s) - o \right)}{\lfloor L / 2 \rfloor}, \quad
#   h = (1 - \varepsilon) \frac{L - 1}{2}, \quad
#   o = \begin{cases} 1/2 & L \text{ even} \\ 0 & L \text{ odd} \end{cases}, \quad
#   s = \tanh^{-1}(o / h) \qquad \text{(Eq. FSQ-1)}$$
#
# - tanh bounds z, and h stretches it to just less than L levels, a distance of 1 apart ($\varepsilon$ is 0.001);
# - an odd L has a level in the middle: 5 levels are -2, -1, 0, 1, 2. An even L has none, so half a level is taken off, and 4
#   levels are -2, -1, 0, 1;
# - s undoes that half at z = 0: what is rounded there is 0, in the middle of a level and not on an edge;
# - at the end all is divided, so that levels lie between -1 and 1.
#
# **Find the fault:** one line of this is wrong. It trains, and nothing fails. But it has fewer codes than it should.


# %%
def my_levels(z, levels):
    """Return z_q, the shape of z (..., channels); levels is a tuple with a number for each channel."""
    levels = np.asarray(levels)
    half = 0.999 * (levels - 1) / 2
    ### BEGIN SOLUTION
    offset = np.where(levels % 2 == 1, 0.0, 0.5)
    ### INSTEAD
    offset = np.where(levels % 2 == 1, 0.5, 0.0)
    ### END SOLUTION
    shift = np.arctanh(offset / half)
    return np.rint(half * np.tanh(z + shift) - offset) / (levels // 2)


# %%
wide = np.linspace(-9, 9, 1001)[:, None]
for L in (4, 5):
    print(f"{L} levels were asked for; there are", np.unique(my_levels(wide, (L,))) + 0.0)

# %%
my_levels = exercises.LEVELS.check(my_levels)
show_source(F.finite_scalar_quantise)
LEVELS = (4, 5, 3, 6)
z = 2 * rng.standard_normal((40, 4))
z_q, cache = F.finite_scalar_quantise(z, LEVELS)
assert np.array_equal(z_q, my_levels(z, LEVELS))
assert np.array_equal(np.unique(F.finite_scalar_quantise(wide, (4,))[0]), [-1, -0.5, 0, 0.5])
assert np.array_equal(np.unique(F.finite_scalar_quantise(wide, (5,))[0]), [-1, -0.5, 0, 0.5, 1])
side = np.linspace(-4, 4, 400)[:, None]
plot.curves(
    side[:, 0],
    {f"L = {L}": F.finite_scalar_quantise(side, (L,))[0][:, 0] for L in (4, 5)}
    | {"not rounded, L = 5": 0.999 * np.tanh(side[:, 0])},
    "z",
    "z_q",
)

# %% [markdown]
# The way back goes straight through the rounding, and the right way through all else:
#
# $$d_z = d_{z_q}\, \frac{h}{\lfloor L / 2 \rfloor} \left( 1 - \tanh^2(z + s) \right) \qquad \text{(Eq. FSQ-2)}$$
#
# So it is the slope of the smooth curve above. Far outside it is nearly 0: tanh does what the commitment loss did.

# %%
show_source(F.finite_scalar_quantise_backward)
d = rng.standard_normal(z.shape)
(dz,) = F.finite_scalar_quantise_backward(d, cache)
half, offset, width = (0.999 * np.array([3, 4, 2, 5]) / 2, np.array([0.5, 0, 0, 0.5]), np.array([2, 2, 1, 3]))
assert np.allclose(dz, slope(lambda a: (d * half * np.tanh(a + np.arctanh(offset / half)) / width).sum(), z))

# %% [markdown]
# And the number of a code? The levels of the channels are digits, each place with its own base. A clock does the same: in
# 3 h 25 min 7 s, seconds count 1, minutes 60 and hours 3,600. The first channel is the last digit:
#
# $$k = \sum_c \left( z_{q,c} \lfloor L_c / 2 \rfloor + \lfloor L_c / 2 \rfloor \right) \prod_{i < c} L_i
#   \qquad \text{(Eq. FSQ-3)}$$

# %%
show_source(F.finite_scalar_indices, F.finite_scalar_codes)
digits = itertools.product(range(6), range(3), range(5), range(4))  # counts up; the last digit is the first channel
grid = np.array([[(i - 2) / 2, (j - 2) / 2, k - 1, (m - 3) / 3] for m, k, j, i in digits])
assert np.array_equal(F.finite_scalar_indices(grid, LEVELS), np.arange(4 * 5 * 3 * 6)), "each has its own number"
assert np.allclose(F.finite_scalar_codes(np.arange(4 * 5 * 3 * 6), LEVELS), grid), "and the way back"
print("codes 0 to 4 of levels 4, 5, 3, 6:", *F.finite_scalar_codes(np.arange(5), LEVELS).round(2).tolist())

# %% [markdown]
# ## Four of equal size
#
# Now train networks: one encoder and one decoder, of notebook 08's blocks, and between them a map of 8 x 8 vectors of 3
# numbers each, which become 64 whole numbers from 0 to 63. What is drawn is compared by the mean of absolute differences.
# Here are the two ways through the network, and the gradient of one step:

# %%
show_source(QuantisedAutoencoder.forward, QuantisedAutoencoder.backward, Quantise.add_gradient)

# %% [markdown]
# Is it what you have derived? First a step with the codebook loss, put together from your own lines, then a step with
# averages. (It is a long check. Run it, and read it when you want to know how a step is put together.)


# %%
def new_network(quantiser="vq", channels=16, seed=1):
    """Return an autoencoder with 64 codes."""
    shape = QuantisedAutoencoderConfig(
        16, 3, channels, (1, 2), latent_channels=3, quantiser=quantiser, codes=CODES, levels=(4, 4, 4)
    )
    return QuantisedAutoencoder(shape, np.random.default_rng(seed))


def looked_at(settings):
    """Return a small network, its objective, and what it makes of the first batch: x, z, z_q and indices."""
    network = new_network(channels=8)
    network.quantiser.codebook.value *= CODES  # apart as far as vectors are
    objective = Quantise(network, portraits, settings)
    x, _ = portraits.batch(objective.indices(0))
    z = network.encode(x)
    indices = my_nearest(z.reshape(-1, 3), network.quantiser.codebook.value)
    return network, objective, x, z, network.quantiser.codebook.value[indices].reshape(z.shape), indices


settings = QuantiseConfig(batch=4, micro_batch=4, commitment=0.7, codebook_decay=None, restart_below=None)
network, objective, x, z, z_q, indices = looked_at(settings)
grads = Gradients(network.parameters())
loss = objective.add_gradient(0, 0, grads)
x_hat = network.decode(z_q)
distance = ((z - z_q) ** 2).mean()
assert np.isclose(loss, abs(x_hat - x).mean() + 0.7 * distance + distance, rtol=1e-4)

tape, mine = Tape(), Gradients(network.parameters())
network.encode(x, tape)
network.decode(z_q, tape)
d_z_q = network.decode_backward((np.sign(x_hat - x) / x.size).astype(np.float32), tape, mine)
dz, d_codebook = my_through(*(a.reshape(-1, 3) for a in (d_z_q, z)), network.quantiser.codebook.value, indices, 0.7)
network.encode_backward(dz.reshape(z.shape).astype(np.float32), tape, mine)
assert np.allclose(grads["quantiser.codebook"], d_codebook, rtol=1e-3, atol=1e-7)
for name in ("encoder.stem.weight", "decoder.stem.weight"):
    assert np.allclose(grads[name], mine[name], rtol=1e-2, atol=1e-3 * abs(mine[name]).max())
assert np.array_equal(network.to_indices(x).ravel(), indices)
assert np.allclose(network.from_indices(indices.reshape(4, 8, 8)), network.forward(x), atol=1e-6)

settings = QuantiseConfig(batch=4, micro_batch=2, codebook_decay=0.8, restart_below=None)
network, objective, x, z, z_q, indices = looked_at(settings)
before = network.quantiser.codebook.value.copy()
Run(objective).train_step()
counts = np.bincount(indices, minlength=CODES)
sums = np.stack([z.reshape(-1, 3)[indices == k].sum(axis=0) for k in range(CODES)])
assert np.allclose(network.quantiser.sizes.value, 0.2 * counts, rtol=1e-4)
assert np.allclose(network.quantiser.sums.value, 0.2 * sums, rtol=1e-3, atol=1e-5)
used = counts > 0
assert np.allclose(network.quantiser.codebook.value[used], sums[used] / counts[used, None], rtol=0.01, atol=0.01)
assert np.array_equal(network.quantiser.codebook.value[~used], before[~used])
assert np.array_equal(network.quantiser.uses.value[0], counts), "uses are counted over the whole batch"

# %% [markdown]
# Four ways to quantise, and everything else the same: 700 steps of 8 portraits, a quarter of a minute each.


# %%
def trained(quantiser="vq", **options):
    """Return an autoencoder with 64 codes, trained on the portraits."""
    network = new_network(quantiser)
    settings = {"steps": 700, "batch": 8, "lr": 8e-3, "warmup": 30, "ema": None, "restart_below": None} | options
    Run(Quantise(network, portraits, QuantiseConfig(**settings))).run(progress=False)
    assert network.quantiser.uses.value[1].sum() == 3000 * 64, "an epoch: every portrait once"
    return network


networks = {
    "codebook loss": trained(codebook_decay=None),
    "averages": trained(),
    "averages, restarts": trained(restart_below=0.3),
    "FSQ": trained("fsq"),
}

# %% [markdown]
# **Predict, then run:** which one draws best? Which one uses its codes most evenly? And is any of them better than the
# blocks with restarts, which had 64 codes, too, and no network?

# %%
written = {name: network.to_indices(unseen) for name, network in networks.items()}
drawn = {name: networks[name].from_indices(indices) for name, indices in written.items()}
uses = {name: np.bincount(indices.ravel(), minlength=CODES) for name, indices in written.items()}
used, perplexity = F.codebook_usage(uses_of(restarted))
print(f"{'blocks, no network':<20}{blocks_alone:6.2f} dB {used:5} codes used, perplexity {perplexity:.1f}")
for name in networks:
    used, perplexity = F.codebook_usage(uses[name])
    assert np.isclose(perplexity, my_perplexity(written[name].reshape(1, -1), CODES), rtol=1e-6)
    print(f"{name:<20}{quality(drawn[name]):6.2f} dB {used:5} codes used, perplexity {perplexity:.1f}")
plot.usage_bars(uses)

# %%
of_blocks = from_blocks(F.vector_quantise(to_blocks(unseen), restarted)[0])
plot.image_rows(
    {"portraits": unseen[:8], "blocks": of_blocks[:8]} | {name: images[:8] for name, images in drawn.items()}, scale=4
)

# %%
assert quality(drawn["averages"]) > quality(drawn["codebook loss"]) + 0.5
assert quality(drawn["averages"]) > blocks_alone + 1
assert quality(drawn["averages, restarts"]) > blocks_alone + 1
assert min((counts > 0).sum() for counts in uses.values()) == CODES

# %% [markdown]
# With averages, the networks beat the blocks by more than a decibel, with as many codes and as many numbers for each
# portrait: a code need not speak for itself, for the decoder reads all of them together. The codes are used more evenly, too;
# of the blocks, nearly a quarter are plain background and have one code.
#
# Among the four, read the table with care. Averages are ahead of the codebook loss, whose codes follow at the learning rate
# of everything else. Restarts bring no gain here: in this training no code died, so there was nothing to bring back. (With
# the blocks above, whose codes began in bad places, they were worth nearly 2 dB.) FSQ comes within a decibel of the best,
# with a codebook that nobody learned. And one training is one throw of the dice: tried
# once more, with other first weights and the portraits in another order, all of these figures were 0.6 to 1 dB lower, and in
# the same order.
#
# The highest perplexity does not belong to the best pictures. It says how much the numbers *could* carry.
#
# ## What does a code mean?
#
# **Predict, then run:** take a portrait's 64 numbers, change *one* of them, and let the decoder draw. Which pixels change:
# only the 2 x 2 of that place? Purple is where the picture became lighter, orange darker.

# %%
network = networks["averages, restarts"]
(portrait,) = network.to_indices(unseen[2:3])
some = np.arange(0, CODES, 8)


def with_one_changed(row, column):
    """Return pictures of the portrait with other codes at one place, and the picture with its own."""
    changed = portrait[None].repeat(len(some), axis=0)
    changed[:, row, column] = some
    return network.from_indices(changed), network.from_indices(portrait[None])[0]


images, own = with_one_changed(2, 3)
plot.image_rows({"its own": own[None].repeat(8, axis=0), "one changed": images}, scale=5, column_labels=some)

# %%
difference = abs(images - own).mean(axis=(0, 3))
inside, near = difference[4:6, 6:8].sum() / difference.sum(), difference[2:8, 4:10].sum() / difference.sum()
print(f"of all change, {inside:.0%} is in the 2 x 2 pixels of the place, and {near:.0%} in the 6 x 6 around")
assert inside < 0.8
assert near > inside
plot.signed_maps({f"code {some[k]}": (images[k] - own).mean(axis=-1) for k in (1, 3, 5)})

# %%
slider(lambda row: plot.image_grid(with_one_changed(row, 3)[0], columns=8, scale=6), range(8), "row")

# %% [markdown]
# Most of the change is not in the place itself, but around it. The decoder's convolutions look at neighbours, so a code is no
# tile: it says something that holds together with the codes around. That is why the networks beat the blocks.
#
# Numbers can be cut and pasted. Give each portrait the upper half of its neighbour's numbers, which hold most of the head:

# %%
numbers = network.to_indices(unseen[:8])
swapped = np.concatenate([np.roll(numbers, 1, axis=0)[:, :4], numbers[:, 4:]], axis=1)
mixed = network.from_indices(swapped)
kept, other = (quality(mixed[:, 10:], network.from_indices(n)[:, 10:]) for n in (numbers, np.roll(numbers, 1, axis=0)))
print(f"the lower part: {kept:.1f} dB from the portrait's own, {other:.1f} dB from its neighbour's")
assert kept > other + 5
plot.image_rows({"portraits": unseen[:8], "upper numbers of the left neighbour": mixed}, scale=5)

# %% [markdown]
# And what do numbers look like that nobody wrote? Throw dice: all codes alike; or each as often as portraits use it *at this
# place*.

# %%
written_by = network.to_indices(pictures[:500])
at_place = np.take_along_axis(written_by, rng.integers(0, 500, (8, 8, 8)), axis=0)
by_dice = network.from_indices(rng.integers(0, CODES, (8, 8, 8)))
plot.image_rows({"dice": by_dice, "dice for each place": network.from_indices(at_place)}, scale=5)

# %% [markdown]
# The second row has hair where hair belongs, but no two places know of each other. A decoder knows how to draw *from*
# numbers, and not which numbers make a portrait. That is the work of another model, which learns the numbers of pictures: a
# Transformer that writes them one after another (van den Oord's, and the first DALL-E), or diffusion in the space of the
# vectors.
#
# ## Summary
#
# 1. A codebook makes a picture into a few whole numbers: each vector becomes its nearest code.
# 2. What is rounded has the derivative 0. Straight-through hands the gradient on as if it had not been rounded: no derivative
#    of the loss, but the one with the rounding's step held constant.
# 3. Codes go to the mean of their vectors, by a loss or, better here, by a running average; the commitment keeps vectors near.
# 4. Codes that nothing is near die. The perplexity, over an epoch, says how many are worth something; restarts bring them back.
# 5. FSQ rounds each channel to a few levels, and needs no codebook, no loss and no restarts.
#
# <details><summary>Why does the encoder not need the gradient of the codebook loss?</summary>
#
# It has its own, the commitment. With both in one loss, without sg, vectors would be drawn to codes as strongly as codes to
# vectors. Codes should do most of the way, for vectors carry what the decoder needs; so the commitment has a weight of its
# own, 0.25.
#
# </details>
#
# <details><summary>Why does FSQ have so few channels?</summary>
#
# The number of codes is the product of the levels: 3 channels of 4 levels have 64, 8 would have 65,536. And a vector code may
# have as many channels as one likes without more codes, though 3 to 8 are best: in many dimensions everything is far from all
# codes.
#
# </details>
#
# <details><summary>A perplexity of 64 of 64: is it the best codebook?</summary>
#
# Not for sure. The mean squared error may be less with codes that are used unequally: a rare red may need one of its own.
# Perplexity says how much the numbers can carry, and the decibels whether it is put to use. Look at both.
#
# </details>
#
# **Next:** diffusion in the space of an encoder's vectors: [32 · Latent diffusion](32_latent_diffusion.ipynb).
