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
# # 30 · Autoencoders: what a latent sees
#
# **You will learn** how a picture becomes a sixth of its numbers and a picture again; which simple code a network has
# to beat before it may be called good; how a gradient passes through a random number; what each of the new numbers, the
# *latents*, sees of the picture; why random latents are no picture; and where Stable Diffusion's 0.18215 comes from.
#
# **Prerequisites:** notebooks 01 (one noising step), 04 (KL divergence), 05 (gradients by hand) and 08 (the UNet's
# blocks). **Time:** 75 minutes with the exercises.
#
# **Papers:** Kingma and Welling, *Auto-encoding variational Bayes* (2014), section 2.4 and appendix B (here VAE-1 and
# VAE-3); Rombach et al., *High-resolution image synthesis with latent diffusion models* (2022), section 3.1 and
# appendix G (here VAE-5); Zhang et al., *The unreasonable effectiveness of deep features as a perceptual metric*
# (2018), Eq. 1 (here PERC-1); Skorokhodov et al., *Improving the diffusability of autoencoders* (2025) (here VAE-7); and,
# for the bar to clear, Pearson (1901) and Hotelling (1933) (here PCA-1).

# %%
import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_30 as exercises
from tinydiff.data import peak_signal_to_noise, to_floats, to_images
from tinydiff.data.scenes import DrawnScenes, load_scenes
from tinydiff.diffusion import GaussianDiffusion, linear_schedule
from tinydiff.evaluate import BlockPCA, fit_block_pca
from tinydiff.models import LatentAutoencoder, fit_preview, measure_latents
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig, Autoencoder, AutoencoderConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW, Reconstruct, ReconstructConfig, Run

rng = np.random.default_rng(0)
autoencoder = tinydiff.load("scenes/autoencoder")


def slope(function, array, h=1e-6):
    """Return the slopes of a number in each entry of an array: plain central differences."""
    slopes = np.zeros(array.shape)
    for i in np.ndindex(array.shape):
        step = np.zeros(array.shape)
        step[i] = h
        slopes[i] = (function(array + step) - function(array - step)) / (2 * h)
    return slopes


# %% [markdown]
# ## 12,288 numbers, or 2,048
#
# A UNet that draws 64 x 64 pictures works at every step on 64 x 64 x 3 = 12,288 numbers, and most of these tell it
# little: the sky is blue, and so is the pixel beside it. *Latent diffusion* first packs a picture into fewer numbers,
# lets the diffusion model draw those, and unpacks them at the end. So there are two more networks: an *encoder*, which
# packs, and a *decoder*, which unpacks. Together they are an *autoencoder*. Here is one at work, on scenes that it has
# never seen:

# %%
scenes = DrawnScenes("test", 150, size=64)
x = to_floats(load_scenes("test", 150, size=64).images)
z = autoencoder.encode(x)
x_hat = autoencoder.decode(z)
print(f"{x.shape[1:]} -> {z.shape[1:]}: {x[0].size:,} numbers become {z[0].size:,}")
plot.image_rows({"scenes": x[:8], "16 x 16 x 8 latents": x_hat[:8]}, scale=2)

# %% [markdown]
# How good is that? The usual measure compares the mean squared error of the bytes with the largest square that one
# could have, $255^2$. Its logarithm is the *peak signal-to-noise ratio* in decibels:
#
# $$\mathrm{PSNR} = 10 \log_{10} \left( 255^2 / \overline{(a - b)^2} \right) \qquad \text{(Eq. PSNR-1)}$$
#
# Ten more decibels are a tenth of the squared error, so six are half of the distance. The error is pooled over all
# pictures first; the mean of the ratios of single pictures is another, larger number.

# %%
show_source(peak_signal_to_noise)


def decibels(a, b):
    """Return the peak signal-to-noise ratio of two arrays of floats in [-1, 1]."""
    return peak_signal_to_noise(to_images(a), to_images(b))


bytes_of, other = to_images(x[:20]).astype(float), to_images(x_hat[:20]).astype(float)
assert np.isclose(decibels(x[:20], x_hat[:20]), 10 * np.log10(255**2 / ((bytes_of - other) ** 2).mean()))
print(f"{decibels(x, x_hat):.1f} dB")

# %% [markdown]
# ## The bar to clear
#
# Is that number good? A number alone says nothing. What could one do *without* a network? Cut each picture into blocks
# of 4 x 4 pixels, 48 numbers each, and find the 8 numbers of each block that tell most of it. If code and decoder may
# only be linear, the best answer is known, since 1901: *principal component analysis*, PCA. Write the $k$ directions as
# orthonormal rows of V. A block loses its mean $\mu$, is projected on the directions, and comes back:
#
# $$\hat x = \mu + V^\top V (x - \mu), \quad V V^\top = I, \quad V \text{ the first eigenvectors of } \mathrm{Cov}(x)
#   \qquad \text{(Eq. PCA-1)}$$
#
# Why eigenvectors? $V^\top V$ projects, and what is lost stands at a right angle to what is kept. By Pythagoras their
# squares add up: $E \lVert x - \hat x \rVert^2 = E \lVert x - \mu \rVert^2 - E \lVert V (x - \mu) \rVert^2$. So to lose
# least is to keep most, and the variance along a direction v, $v^\top \mathrm{Cov}(x)\, v$, is largest along the
# eigenvector of the largest eigenvalue; then along the next; and so on. What is lost is the sum of the other
# eigenvalues.
#
# **Write it yourself:** find the directions of these blocks and send the blocks through. (`np.linalg.eigh` returns
# eigenvalues in ascending order, and eigenvectors as columns.)


# %%
def my_pca(blocks, k):
    """Return blocks (n, d) after they went through their k principal components and back."""
    ### BEGIN SOLUTION
    mean = blocks.mean(axis=0)
    centred = blocks - mean
    _, directions = np.linalg.eigh(centred.T @ centred / len(blocks))
    v = directions[:, -k:]
    return centred @ v @ v.T + mean
    ### END SOLUTION


# %%
my_pca = exercises.PCA.check(my_pca)

# %% [markdown]
# The library's, on 400 scenes of the training set, against yours; and what the eight most important directions look
# like as blocks of 4 x 4 pixels:

# %%
show_source(BlockPCA.reconstruct)
training = to_floats(load_scenes("train", 400, size=64).images)


def blocks_of(pictures, factor=4):
    """Return the blocks of pictures as rows, in float64."""
    n, height, width, c = pictures.shape
    cut = pictures.reshape(n, height // factor, factor, width // factor, factor, c).swapaxes(2, 3)
    return cut.reshape(-1, factor * factor * c).astype(np.float64)


pca = fit_block_pca([training[:100], training[100:]], factor=4, numbers=8)
assert np.allclose(blocks_of(pca.reconstruct(training)), my_pca(blocks_of(training), 8), atol=1e-4)
eigenvalues = np.linalg.eigvalsh(np.cov(blocks_of(training).T, bias=True))
lost = ((training - pca.reconstruct(training)) ** 2).mean()
assert np.isclose(lost, np.sort(eigenvalues)[:-8].sum() / 48, rtol=1e-4), "what is lost: the eigenvalues left out"
names = [f"number {k}" for k in range(1, 9)]
plot.image_grid(pca.components.reshape(8, 4, 4, 3) * 2, columns=8, scale=16, labels=names)

# %% [markdown]
# How bright, which colour, then edges: nobody told it, these are the ways in which blocks differ most. Now the
# comparison, with as many numbers, on the same new pictures, for each style of drawing:

# %%
by_pca = np.clip(pca.reconstruct(x), -1, 1)
style = scenes.attributes(np.arange(150))[:, list(scenes.attribute_words).index("style")]
for i, word in enumerate(scenes.attribute_words["style"]):
    of_network, of_pca = decibels(x[style == i], x_hat[style == i]), decibels(x[style == i], by_pca[style == i])
    print(f"{word:<20} network {of_network:.1f} dB, PCA {of_pca:.1f} dB")
    assert of_network > of_pca + 0.5
plot.image_rows({"scenes": x[:8], "network": x_hat[:8], "PCA": by_pca[:8]}, scale=2)

# %% [markdown]
# So the network is worth its cost: it looks beyond a block, and it knows what scenes look like. Whoever shows an
# autoencoder should show PCA beside it. (You will soon see networks that do not clear the bar.)
#
# How many numbers of a block does PCA need for how many decibels, on average over all scenes? **Explore:** the
# eigenvalues say what each further number is worth. Write a function that returns the smallest k for which PCA reaches
# so many decibels. Colours go from -1 to 1, so the largest difference is 2 and the largest square is 4, in the place of
# $255^2$. The eigenvalues come in any order, as many as a block has numbers, and k may be 0 or all of them.


# %%
def my_numbers(eigenvalues, decibels):
    """Return how many numbers of a block PCA must keep to reach these decibels."""
    ### BEGIN SOLUTION
    values = np.sort(eigenvalues)[::-1]
    for k in range(len(values) + 1):
        if values[k:].sum() / len(values) <= 4 / 10 ** (decibels / 10):
            return k
    ### END SOLUTION


# %%
my_numbers = exercises.NUMBERS.check(my_numbers)
wanted = [15, 20, 25, 30, 35]
enough = [my_numbers(eigenvalues, level) for level in wanted]
pictures, labels = [x[1]], ["48 numbers"]
for level, k in zip(wanted, enough, strict=True):
    fitted = fit_block_pca([training], 4, k)
    assert decibels(training, np.clip(fitted.reconstruct(training), -1, 1)) > level - 0.2
    pictures.append(fitted.reconstruct(x[1:2])[0])
    labels.append(f"{k}: {level} dB")
plot.image_grid(np.stack(pictures), columns=6, labels=labels)

# %% [markdown]
# ## Noise in the middle
#
# The network of the library has the residual blocks of notebook 08, without a time. The encoder halves the picture
# twice, the decoder doubles it twice. But the encoder does not say a latent number itself. For each it says a *bell*, a
# normal distribution, by its mean m and its log variance $\ell$. The decoder gets a number drawn from that bell.
#
# Why? Without noise the encoder could hide a cat's whiskers in the seventh decimal of a latent. No diffusion model
# would ever draw that decimal right. If noise is added, only what is louder than the noise arrives, and neighbouring
# latents must mean nearly the same picture.
#
# But how does a gradient go back through a random draw? It does not. Draw the random number *outside*,
# $\epsilon \sim \mathcal{N}(0, 1)$, and make the sample a plain function of it, as in notebook 01:
#
# $$z = m + \sigma\, \epsilon, \quad \sigma = e^{\ell / 2} \qquad \text{(Eq. VAE-1)}$$
#
# This is the *reparameterisation*. Why the log of the variance? It may be any number, and the variance is still
# positive.
#
# **Derive it yourself:** the sample, and its gradients. With $\epsilon$ given, how does z change with m, and how with
# $\ell$?


# %%
def my_sample(dz, mean, log_variance, eps):
    """Return z, d_mean and d_log_variance; all arrays have one shape, and dz is the gradient of z."""
    ### BEGIN SOLUTION
    sigma = np.exp(log_variance / 2)
    return mean + sigma * eps, dz, dz * eps * sigma / 2
    ### END SOLUTION


# %%
my_sample = exercises.SAMPLE.check(my_sample)

# %% [markdown]
# $$d_m = d_z, \quad d_\ell = \tfrac12 d_z\, \sigma\, \epsilon, \quad d_\epsilon = d_z\, \sigma
#   \qquad \text{(Eq. VAE-2)}$$
#
# A mistake that is found in public code takes $e^{\ell}$ for $\sigma$. Its gradients fit its forward, so no gradient
# check finds it. What does: the spread of many samples.

# %%
show_source(F.reparameterise, F.reparameterise_backward)
dz, mean, log_variance, eps = rng.standard_normal((4, 3, 5))
sample, cache = F.reparameterise(mean, log_variance, eps)
d_mean, d_log_variance, d_eps = F.reparameterise_backward(dz, cache)
for mine, theirs in zip(my_sample(dz, mean, log_variance, eps), (sample, d_mean, d_log_variance), strict=True):
    assert np.allclose(mine, theirs)
assert np.allclose(d_eps, dz * np.exp(log_variance / 2))
assert np.allclose(d_log_variance, slope(lambda a: (F.reparameterise(mean, a, eps)[0] * dz).sum(), log_variance))
many, _ = F.reparameterise(np.full(10**5, 3.0), np.full(10**5, np.log(4.0)), rng.standard_normal(10**5))
assert abs(many.mean() - 3) < 0.03, "five standard errors"
assert abs(many.std() - 2) < 0.03

# %% [markdown]
# One more line stands between the encoder and $\ell$. Should a network say $\ell = 200$, then $e^{100}$ is no float32,
# and the training is lost. So it is *clamped* between two bounds, here -30 and 20:
#
# $$y = \min(\max(x, a), b) \quad \text{(Eq. CLAMP-1)}, \qquad
#   d_x = d_y\, 1[a \le x \le b] \quad \text{(Eq. CLAMP-2)}$$
#
# Outside, y does not change with x, so no gradient returns. (This is also the danger of a clamp: what once lies outside
# does not learn its way back, at least not from there. So the bounds are far away.)

# %%
show_source(F.clamp, F.clamp_backward)
numbers, dy = np.array([-40.0, -30.0, -3.0, 0.0, 20.0, 25.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
y, cache = F.clamp(numbers, -30.0, 20.0)
print(y, F.clamp_backward(dy, cache)[0])
assert np.array_equal(y, np.minimum(np.maximum(numbers, -30), 20))
assert np.array_equal(F.clamp_backward(dy, cache)[0], [0, 2, 3, 4, 5, 0])
show_source(Autoencoder.encode)

# %% [markdown]
# ## Near the standard bell
#
# If nothing speaks against it, an encoder makes the noise vanish, or the latents so large that the noise is nothing
# beside them. So there is a price for every number: the KL divergence of notebook 04 between its bell and the standard
# one.
#
# **Derive it yourself:** $\mathrm{KL} = E[\log q(z) - \log p(z)]$, where $q = \mathcal{N}(m, e^\ell)$,
# $p = \mathcal{N}(0, 1)$, and z is drawn from q. Put in $z = m + \sigma \epsilon$; which means of $\epsilon$ and
# $\epsilon^2$ do you need? Then take the mean over all n numbers, and find its gradients.


# %%
def my_kl(mean, log_variance):
    """Return the mean KL divergence over all numbers, d_mean and d_log_variance (for d_loss = 1)."""
    ### BEGIN SOLUTION
    variance, n = np.exp(log_variance), mean.size
    loss = 0.5 * (mean**2 + variance - 1 - log_variance).mean()
    return loss, mean / n, (variance - 1) / (2 * n)
    ### END SOLUTION


# %%
my_kl = exercises.KL.check(my_kl)

# %% [markdown]
# Up to a constant that is in both, $\log q(z) = -\ell / 2 - \epsilon^2 / 2$ and
# $\log p(z) = -(m + \sigma \epsilon)^2 / 2$. The mean of $\epsilon$ is 0 and that of $\epsilon^2$ is 1, so the mean of
# $z^2$ is $m^2 + e^\ell$:
#
# $$L = \frac{1}{n} \sum \tfrac12 \left( m^2 + e^\ell - 1 - \ell \right) \qquad \text{(Eq. VAE-3)}$$
#
# $$d_m = \frac{d_L}{n} m, \quad d_\ell = \frac{d_L}{2 n} \left( e^\ell - 1 \right) \qquad \text{(Eq. VAE-4)}$$
#
# The mean is pulled to 0, and the variance to 1.

# %%
show_source(F.kl_to_standard_normal, F.kl_to_standard_normal_backward)
loss, cache = F.kl_to_standard_normal(mean, log_variance)
d_mean, d_log_variance = F.kl_to_standard_normal_backward(1.7, cache)
mine = my_kl(mean, log_variance)
assert np.isclose(mine[0], loss)
assert np.allclose(1.7 * mine[1], d_mean)
assert np.allclose(1.7 * mine[2], d_log_variance)
points = np.linspace(-12, 12, 200001)  # the integral itself, for one bell
bell, standard = np.exp(-((points - 0.7) ** 2) / (2 * 0.36)) / 0.36**0.5, np.exp(-(points**2) / 2)
integral = (bell * np.log(bell / standard)).sum() * (points[1] - points[0]) / (2 * np.pi) ** 0.5
assert np.isclose(F.kl_to_standard_normal(np.array([0.7]), np.log([0.36]))[0], integral, atol=1e-6)

# %% [markdown]
# **A trap in the literature.** How strong is this price? Latent diffusion gives it the weight $10^{-6}$. But there both
# losses are *sums* over a picture, and here both are *means*: over P = 12,288 numbers of the picture and over L = 2,048
# latents. Divide the paper's $\sum_P + w \sum_L$ by P, and you see that the weight here is $w L / P$. And who takes a
# *mean* over pixels but a *sum* over latents, with the same $10^{-6}$, has a weight 12,288 times as strong as in the
# paper:

# %%
P, L = 12_288, 2_048
print(f"the paper's 1e-6, sum and sum   : {1e-6 * L / P:.1e} here")
print(f"mean of pixels, sum of latents  : {1e-6 * L:.1e} here")
print(f"this network was trained with   : {1e-4:.0e}, the paper's {1e-4 * P / L:.0e}")
assert np.isclose((1e-6 * L) / (1e-6 * L / P), P)

# %% [markdown]
# ## What should be alike?
#
# The other loss compares the picture that comes out with the one that went in. In place of the squared error one mostly
# takes the mean of the *distances*, the mean absolute error, or L1:
#
# $$L = \frac{1}{n} \sum_k \lvert a_k - b_k \rvert \quad \text{(Eq. L1-1)}, \qquad
#   d_a = \frac{d_L}{n} \mathrm{sign}(a - b) = -d_b \quad \text{(Eq. L1-2)}$$
#
# **Predict, then run:** the code of a block is compatible with two pictures: in 7 of 10 cases a pixel is black (-1), in
# 3 it is white (1). Which grey does the decoder paint under the squared error, and which under L1?

# %%
cases = np.array([-1.0] * 7 + [1.0] * 3)
greys = np.linspace(-1, 1, 41)
squared = np.array([F.mse(np.full(10, grey), cases)[0] for grey in greys])
distance = np.array([F.mae(np.full(10, grey), cases)[0] for grey in greys])
best = greys[squared.argmin()], greys[distance.argmin()]
assert np.allclose(best, (cases.mean(), np.median(cases))), "the mean, and the median"
plot.curves(greys, {"squared error": squared, "L1": distance}, "grey that is painted", "loss")

# %% [markdown]
# The squared error paints the mean, a grey that is never right: blur. L1 paints the median, which is one of the two. (A
# kink: where both are equal, the slope is taken as 0.)
#
# The eye sees edges first. So a second loss compares not the pixels but their differences $\Delta_h$ and $\Delta_w$ to
# the pixel below and to the right:
#
# $$L = \overline{\lvert \Delta_h (a - b) \rvert} + \overline{\lvert \Delta_w (a - b) \rvert}, \quad
#   (\Delta_h x)_{hw} = x_{h+1,\, w} - x_{hw}, \quad (\Delta_w x)_{hw} = x_{h,\, w+1} - x_{hw}
#   \qquad \text{(Eq. EDGE-1)}$$
#
# $$d_a = \frac{d_L}{n_h} \Delta_h^\top \mathrm{sign}(\Delta_h (a - b)) +
#   \frac{d_L}{n_w} \Delta_w^\top \mathrm{sign}(\Delta_w (a - b)) = -d_b \qquad \text{(Eq. EDGE-2)}$$
#
# $\Delta$ is a matrix, so its gradient is the transposed: each pair of neighbours pulls its lower pixel one way, and
# its upper pixel the other way. Here are the matrices for a column of five pixels and a row of four:

# %%
show_source(F.mae, F.mae_backward, F.edge_loss, F.edge_loss_backward)
a, b = rng.standard_normal((2, 2, 5, 4, 3))
down, right = np.diff(np.eye(5), axis=0), np.diff(np.eye(4), axis=0)  # (4, 5) and (3, 4)
over = np.einsum("ij,njwc->niwc", down, a - b)
beside = np.einsum("ij,nhjc->nhic", right, a - b)
loss, cache = F.edge_loss(a, b)
d_a, d_b = F.edge_loss_backward(1.3, cache)
assert np.isclose(loss, abs(over).mean() + abs(beside).mean())
by_hand = np.einsum("ij,niwc->njwc", down, np.sign(over)) / over.size
by_hand += np.einsum("ij,nhic->nhjc", right, np.sign(beside)) / beside.size
assert np.allclose(d_a, 1.3 * by_hand)
assert np.allclose(d_b, -d_a)
assert np.allclose(d_a, 1.3 * slope(lambda a: F.edge_loss(a, b)[0], a), atol=1e-7)
loss, cache = F.mae(a, b)
d_a, d_b = F.mae_backward(1.3, cache)
assert np.isclose(loss, abs(a - b).mean())
assert np.allclose(d_a, 1.3 * np.sign(a - b) / a.size)
assert np.allclose(d_b, -d_a)
assert not F.mae_backward(1.0, F.mae(a, a)[1])[0].any()
plot.signed_maps({"differences of a column": down, "transposed": down.T}, numbers=True)

# %% [markdown]
# All parts of the training are there. The encoder says bells, a sample is drawn, the decoder paints, and three losses
# are added:
#
# $$L = \overline{\lvert \hat x - x \rvert} + w_e L_\text{edge} + w_k L_\text{KL}, \quad \hat x = D(z)
#   \qquad \text{(Eq. VAE-5)}$$
#
# Mean and log variance have two readers each, the sample and the KL divergence: their gradients add.

# %%
show_source(Autoencoder.backward, Reconstruct.add_gradient, Reconstruct.reconstruction)
data = load_scenes("train", 1200, size=32)
small = AutoencoderConfig(32, channels=8, channel_mult=(1, 2, 2), latent_channels=4)
lesson = Reconstruct(
    LatentAutoencoder(Autoencoder(small)), data, ReconstructConfig(batch=6, micro_batch=4, kl=0.03, edge=0.7)
)
network, total, grads = lesson.model.network, 0.0, Gradients(lesson.model.network.parameters())
expected = Gradients(network.parameters())
for shard, n in ((0, 4), (1, 2)):  # a batch of 6 in two parts
    total += lesson.add_gradient(0, shard, grads)
    pictures = to_floats(data.images[lesson.indices(0)[4 * shard : 4 * shard + n]])
    eps = lesson.noise(0, shard).normal((n, 8, 8, 4), "eps", dtype=np.float32)
    tape = Tape()
    out, mean, log_variance = network.forward(pictures, eps, tape)
    off = out - pictures
    edges = np.diff(off, axis=1), np.diff(off, axis=2)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance)
    total -= n / 6 * (abs(off).mean() + 0.7 * (abs(edges[0]).mean() + abs(edges[1]).mean()) + 0.03 * kl.mean())
    d_out = np.sign(off) / off.size
    for axis, edge in ((1, edges[0]), (2, edges[1])):
        pull = [(0, 0)] * 4
        pull[axis] = (1, 1)
        d_out -= 0.7 * np.diff(np.pad(np.sign(edge) / edge.size, pull), axis=axis)  # the transposed of a difference
    share = np.float32(n / 6)
    parts = d_out * share, 0.03 * share * mean / mean.size, 0.015 * share * (np.exp(log_variance) - 1) / mean.size
    network.backward(*(part.astype(np.float32) for part in parts), tape, expected)
assert abs(total) < 1e-5, "the loss is that of Eq. VAE-5"
assert np.allclose(grads.flat, expected.flat, atol=1e-5 * abs(expected.flat).max())

tiny = Autoencoder(AutoencoderConfig(8, channels=4, channel_mult=(1, 2), latent_channels=3), rng, np.float64)
tiny.theta[...] += 0.1 * rng.standard_normal(tiny.theta.shape)
inputs = rng.standard_normal((2, 8, 8, 3)), rng.standard_normal((2, 4, 4, 3))
weights = [rng.standard_normal(one.shape) for one in tiny.forward(*inputs)]
tape, grads = Tape(), Gradients(tiny.parameters())
tiny.forward(*inputs, tape)
tiny.backward(*weights, tape, grads)
way, before, ends = rng.standard_normal(tiny.theta.shape), tiny.theta.copy(), []
for h in (1e-5, -1e-5):
    tiny.theta[...] = before + h * way
    ends.append(sum((one * w).sum() for one, w in zip(tiny.forward(*inputs), weights, strict=True)))
tiny.theta[...] = before
assert np.isclose((ends[0] - ends[1]) / 2e-5, (grads.flat * way).sum(), rtol=1e-4)

# %% [markdown]
# ## The price of being normal
#
# Now train: four small networks on 1,200 scenes of 32 x 32 pixels, some seconds each, which differ in the weight of the
# KL divergence alone. A block of 4 x 4 pixels becomes four numbers.
#
# **Predict, then run:** with a larger weight, what becomes of the pictures, of the spread of the latents, and of the
# noise $\sigma$? And what do the decoders paint from random latents of $\mathcal{N}(0, 1)$?

# %%
QUICK = {"steps": 300, "batch": 8, "micro_batch": 4, "lr": 5e-3, "warmup": 30, "ema": 0.98, "latent_images": 300}


def trained(**weights):
    """Return a small autoencoder after some seconds of training, with these weights of its losses."""
    model = LatentAutoencoder(Autoencoder(small, np.random.default_rng(0)), threads=1)
    run = Run(Reconstruct(model, data, ReconstructConfig(edge=0.0, **weights, **QUICK)))
    run.run(progress=False)
    return run.trained()


held_out = to_floats(load_scenes("test", 100, size=32).images)
small_pca = fit_block_pca([to_floats(data.images)], 4, 4).reconstruct(held_out)
random = rng.standard_normal((8, 8, 8, 4)).astype(np.float32)
found, models, painted = {}, {}, {"scenes": held_out[:8], "PCA, 4 numbers": small_pca[:8]}
print(f"{'':<16}{'PSNR':>9}{'KL in nats':>12}{'spread':>9}{'sigma':>9}")
for weight in (0.0, 1e-4, 1e-2, 1.0):
    models[weight] = model = trained(kl=weight)
    again = model.decode(model.encode(held_out))
    mean, log_variance = model.network.encode(held_out)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean()
    found[weight] = decibels(held_out, again), float(kl), float(mean.std()), float(np.exp(log_variance / 2).mean())
    painted |= {f"weight {weight:g}": again[:8], f"random, {weight:g}": np.clip(model.network.decode(random), -1, 1)}
    print("weight {:<9g}{:>6.1f} dB{:>12.2f}{:>9.2f}{:>9.2f}".format(weight, *found[weight]))
print(f"{'PCA':<16}{decibels(held_out, small_pca):>6.1f} dB")
plot.image_rows(painted, scale=3)

# %%
psnrs, kls, spreads, sigmas = np.transpose(list(found.values()))
assert psnrs[0] > psnrs[3] + 2
assert kls[0] > kls[2] > kls[3]
assert sigmas[0] < 0.1 < sigmas[2] < sigmas[3]
assert sigmas[3] > 0.8
assert spreads[3] < 0.5
assert psnrs.max() < decibels(held_out, small_pca)

# %% [markdown]
# A weight of 1 obeys best: nearly every bell is $\mathcal{N}(0, 1)$, whatever the picture. So they say nothing about
# it, and the decoder paints a blur. (This is called *posterior collapse*.) A small weight costs hardly anything, and
# sets the size of the noise. And none of the decoders paints a scene from random numbers; we shall see why.
#
# Look at PCA, too. *None of the four clears the bar*: a formula of 1901 is better than each of them. A few seconds of
# training are not enough; the large network had hours. Without the bar, the loss would have fallen nicely, and nobody
# would have noticed.
#
# ## What a latent sees
#
# Back to the large one. Its latents are a small picture of 16 x 16 positions with eight channels. Here they are as grey
# pictures, one for each channel:

# %%
channels = [f"channel {c}" for c in range(8)]
in_grey = {f"scene {i}": z[i].transpose(2, 0, 1) / 2.5 for i in (1, 3)}
plot.image_rows(in_grey, scale=6, column_labels=channels)

# %% [markdown]
# The scenes shine through: the place of a latent is the place of what it tells. **Predict, then run:** take one number,
# in the middle, add 3 to it, and decode. Which pixels change?


# %%
def nudged(channel, by=3.0, at=(8, 8)):
    """Return the picture that is decoded with one latent number changed, and by how much each pixel changes."""
    changed = z[1:2].copy()
    changed[0, *at, channel] += by
    picture = autoencoder.decode(changed)
    return picture[0], picture[0] - x_hat[1]


def where(channel):
    """Show what a channel does at one position."""
    picture, change = nudged(channel)
    return plot.image_grid(np.stack([x_hat[1], picture, change]), columns=3, labels=["before", "after", "the change"])


changes = np.stack([nudged(c)[1] for c in range(8)])
squares = (changes**2).sum(axis=(0, 3))
inside = [squares[34 - r : 34 + r, 34 - r : 34 + r].sum() / squares.sum() for r in (2, 4, 8, 16)]
for r, share in zip((2, 4, 8, 16), inside, strict=True):
    print(f"{share:.1%} of the squared change within {2 * r} x {2 * r} pixels")
assert inside[0] < 0.9 < inside[2]
plot.image_grid(changes[:, 18:50, 18:50], columns=8, scale=4, labels=channels)

# %%
slider(where, range(8), "channel")

# %% [markdown]
# A number is responsible for more than its own 4 x 4 pixels, and that is what PCA of blocks cannot do. But it hardly
# reaches farther than 16 x 16. (A trace of it is everywhere: the group norms average over the whole picture.) What one
# latent knows is a *patch*. That there is a cat, no latent knows.
#
# ## A preview for nothing
#
# If latents are so local, how much of them is simply colour? Shrink pictures to 16 x 16, so that each latent position
# has one mean colour $\bar x$, and look for a linear function of its eight numbers that comes nearest to it: a matrix W
# and a bias b, by least squares.
#
# $$\min_{W, b} \sum \lVert z W + b - \bar x \rVert^2 \qquad \text{(Eq. PREVIEW-1)}$$
#
# **Predict, then run:** those are nine numbers for each of three colours, 27 in all. How much of a picture do they
# show?

# %%
show_source(fit_preview)
preview = fit_preview(autoencoder, [training[:60], training[60:100]])
encoded = autoencoder.encode(training[:100])


def shrunk(pictures):
    """Return each block's mean colour."""
    return blocks_of(pictures).reshape(len(pictures), 16, 16, 16, 3).mean(axis=3)


with_one = np.concatenate([encoded, np.ones_like(encoded[..., :1])], axis=-1).reshape(-1, 9)  # b is the weight of a 1
w_and_b, *_ = np.linalg.lstsq(with_one, shrunk(training[:100]).reshape(-1, 3), rcond=None)
small_pictures = preview.pictures(z)
assert np.allclose(preview.weight, w_and_b[:8], atol=1e-3)
assert np.allclose(preview.bias, w_and_b[8], atol=1e-3)
assert np.allclose(small_pictures, np.clip(z @ w_and_b[:8] + w_and_b[8], -1, 1), atol=0.01)
print(f"{decibels(shrunk(x), small_pictures):.1f} dB on new scenes; weights of channels in red, green and blue:")
print(np.round(preview.weight.T, 2))
assert decibels(shrunk(x), small_pictures) > 22
plot.image_rows({"shrunk": shrunk(x[:8]), "27 numbers": small_pictures[:8]}, scale=4)

# %% [markdown]
# A good thumbnail, without the decoder. Programs that show what Stable Diffusion is drawing while it draws do the same.
#
# ## Between two pictures
#
# Halfway between two pictures lies a double exposure, in pixels. **Predict, then run:** and halfway between their
# latents?

# %%
ways = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None, None]
in_pixels = (1 - ways) * x_hat[3] + ways * x_hat[5]
in_latents = autoencoder.decode((1 - ways) * z[3] + ways * z[5])
assert np.allclose(in_latents[[0, -1]], x_hat[[3, 5]], atol=0.02)
apart = np.sqrt(((in_latents[3] - in_pixels[3]) ** 2).mean() / ((x_hat[3] - x_hat[5]) ** 2).mean())
print(f"halfway, the two differ by {apart:.0%} of what lies between the two scenes")
assert apart < 0.5
plot.image_rows({"pixels": in_pixels, "latents": in_latents}, scale=2)

# %% [markdown]
# A double exposure again, with some edges decided one way or the other. A latent is a patch in other words, not a
# thought. In this the code of a latent diffusion model differs from that of a classic VAE, where one vector stands for
# a whole picture. The meaning of a picture is left to the diffusion model.
#
# ## Why random latents are no picture
#
# Each channel of these latents has mean 0 and standard deviation 1. Then are random numbers with mean 0 and standard
# deviation 1 pictures? And what of the *real* latents of one scene, put in another order?

# %%
noise = rng.standard_normal((5, 16, 16, 8)).astype(np.float32)
order = rng.permutation(256)
mixed = z[:5].reshape(5, 256, 8)[:, order].reshape(5, 16, 16, 8)
neighbours = (z[:, :, 1:] * z[:, :, :-1]).mean(axis=(0, 1, 2))
of_noise = (noise[:, :, 1:] * noise[:, :, :-1]).mean(axis=(0, 1, 2))
print("correlation of neighbours, scenes:", np.round(neighbours, 2))
print("correlation of neighbours, noise: ", np.round(of_noise, 2))
assert neighbours.mean() > 0.4
assert abs(of_noise).max() < 0.2
plot.image_rows(
    {"scenes": x_hat[:5], "another order": autoencoder.decode(mixed), "random": autoencoder.decode(noise)}, scale=2
)

# %% [markdown]
# Each patch is something: a bit of sky, an edge, a spot of green. Together they are nothing. The KL divergence asked
# each number by itself to be near $\mathcal{N}(0, 1)$, and not all 2,048 together; and it asked gently. How neighbours
# belong together, what a cat is, and that snow lies *on* a roof: that is a distribution of latents, and to learn a
# distribution is what a diffusion model is for. So latent diffusion has two parts, trained one after the other: an
# autoencoder, which knows what patches look like, and a diffusion model, which knows scenes.
#
# ## Easy to reconstruct, easy to draw
#
# The diffusion model will draw latents from coarse to fine, since noise drowns what is fine first. So what is coarse in a
# picture should be coarse in its latents. The losses so far do not ask for it: to reconstruct a sky, an encoder may as
# well write it into numbers that change their sign from one position to the next, if its decoder knows. **Predict, then
# run:** average the latents over 2 x 2 positions, and decode the 8 x 8 that are left. What picture of 32 x 32 is that,
# for the large network, and for one that was never asked?


# %%
def halved(x):
    """Return a map with the averages of 2 x 2 positions: (N, H, W, C) becomes (N, H / 2, W / 2, C)."""
    return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean(axis=(2, 4))


not_asked, asked, of_half = models[1e-4], trained(kl=1e-4, equivariance=0.5), halved(held_out)
rows, at_half = {"averages of 2 x 2 pixels": of_half[:8]}, {}
for name, model in (("not asked", not_asked), ("asked", asked)):
    decoded = model.decode(halved(model.encode(held_out)))
    rows[name], at_half[name] = decoded[:8], decibels(of_half, decoded)
    whole = decibels(held_out, model.decode(model.encode(held_out)))
    print(f"{name:<10} whole latents {whole:.1f} dB, averaged latents {at_half[name]:.1f} dB")
assert at_half["asked"] > at_half["not asked"] + 1
plot.image_rows(rows, scale=4)

# %%
of_large = autoencoder.decode(halved(z))
print(f"the large one, averaged latents: {decibels(halved(x), of_large):.1f} dB")
assert decibels(halved(x), of_large) > 20
plot.image_rows({"averages of 2 x 2 pixels": halved(x)[:8], "of averaged latents": of_large[:8]}, scale=2)

# %% [markdown]
# "Asked" means one more loss (after Skorokhodov et al. 2025, who found that diffusion models then learn faster): averaged
# latents should decode to the averaged picture. With P for the average of 2 x 2 and m for the means of the latents,
#
# $$L = \overline{\lvert D(P m) - P x \rvert} \qquad \text{(Eq. VAE-7)}$$
#
# It costs a quarter of a decoding, and its gradient goes back through the decoder and through P: each of four positions
# receives a quarter.

# %%
show_source(Reconstruct.at_half_size)
lesson.model.network.theta[...] = asked.network.theta
network, pictures = lesson.model.network, held_out[:3]
grads, expected, tape = Gradients(network.parameters()), Gradients(network.parameters()), Tape()
mean, _ = network.encode(pictures)
loss, d_mean = lesson.at_half_size(mean, pictures, 0.6, grads)
off = network.decode(halved(mean), tape) - halved(pictures)
d_half = network.decode_backward((0.6 * np.sign(off) / off.size).astype(np.float32), tape, expected)
assert np.isclose(loss, abs(off).mean(), rtol=1e-5)
assert np.allclose(d_mean, d_half.repeat(2, axis=1).repeat(2, axis=2) / 4, atol=1e-8)
assert np.allclose(grads.flat, expected.flat, atol=1e-5 * abs(expected.flat).max())

# %% [markdown]
# ## Where 0.18215 comes from
#
# What comes out of the encoder itself has another size. For each channel, on the training scenes:

# %%
raw, _ = autoencoder.network.encode(training[:100])
print("mean", np.round(raw.mean(axis=(0, 1, 2)), 2))
print("std ", np.round(raw.std(axis=(0, 1, 2)), 2))
print(f"all channels together {raw.std():.2f}, and 1 / {raw.std():.2f} = {1 / raw.std():.3f}")
assert np.allclose((raw - np.array(autoencoder.mean)) / np.array(autoencoder.std), encoded, atol=1e-3)
assert np.allclose(autoencoder.decode(encoded[:4]), np.clip(autoencoder.network.decode(raw[:4]), -1, 1), atol=0.01)
assert abs(encoded.std(axis=(0, 1, 2)) - 1).max() < 0.2

# %% [markdown]
# The latents of Stable Diffusion's autoencoder have a standard deviation of 5.49, over all four channels, and 1 / 5.49
# is 0.18215: each latent is multiplied by that number before it is noised, and divided by it before it is decoded. Why
# not leave them as they are?
#
# A schedule is made for data of variance 1. In $x_t = a\, x_0 + b\, \epsilon$ the signal has the variance $a^2 s^2$,
# where s is the standard deviation of the data. So the signal-to-noise ratio is $s^2 a^2 / b^2$, which is $s^2 = 30$
# times what the schedule says. **Predict, then run:** at which t are signal and noise equal, with s = 5.49, with 1, and
# with 0.18?

# %%
diffusion = GaussianDiffusion(linear_schedule(1000))
t = np.arange(1, 1001)
ratio = diffusion.alpha_bar[t] / (1 - diffusion.alpha_bar[t])
plot.curves(t, {f"s = {s}": s**2 * ratio for s in (5.49, 1.0, 0.18)}, "step t", "signal-to-noise ratio", log="y")

# %%
times = (100, 300, 500, 700)
rows = {"s = 1": [], "s = 5.49": []}
for at in times:
    eps = rng.standard_normal((1, 16, 16, 8)).astype(np.float32)
    a, b = (float(v) for v in (diffusion.alpha_bar[at] ** 0.5, (1 - diffusion.alpha_bar[at]) ** 0.5))
    for name, s in (("s = 1", 1.0), ("s = 5.49", 5.49)):
        noisy = diffusion.q_sample(s * z[1:2], at, eps)
        assert np.allclose(noisy, a * s * z[1:2] + b * eps, atol=1e-4)
        rows[name].append(autoencoder.decode(noisy / (a * s))[0])  # what is seen without a model: the noise left in
equal = {s: int(t[(s**2 * ratio < 1).argmax()]) for s in (5.49, 1.0, 0.18)}
print("signal and noise are equal at t =", equal)
assert equal[5.49] > equal[1.0] > equal[0.18]
plot.image_rows(
    {name: np.stack(row) for name, row in rows.items()}, scale=2, column_labels=[f"t = {one}" for one in times]
)

# %% [markdown]
# With a standard deviation of 5.49 the picture is plain to see in half of all steps, which have little to teach; with a
# small one it is gone after a few. Either way, a network that is trained on all t alike learns the important part from
# few of them.
#
# The number in Stable Diffusion was measured on the first batch of the training, over all channels at once. Is that
# enough? **Find the fault:** this function measures mean and standard deviation of each channel over many batches.
# Where one batch holds nights and another one days, what it returns is too small. (Batches may also differ in size.)
# Mend it, in a few lines.


# %%
def my_scale(batches):
    """Return mean and std of each channel, two arrays (C,); batches is a list of arrays (n, h, w, C)."""
    ### BEGIN SOLUTION
    together = np.concatenate([z.reshape(-1, z.shape[-1]) for z in batches])
    return together.mean(axis=0), together.std(axis=0)
    ### INSTEAD
    mean = np.mean([z.mean(axis=(0, 1, 2)) for z in batches], axis=0)
    std = np.mean([z.std(axis=(0, 1, 2)) for z in batches], axis=0)
    return mean, std
    ### END SOLUTION


# %%
night, day = rng.standard_normal((2, 4, 8, 8, 1)) + np.array([-2, 2])[:, None, None, None, None]
print(f"std should be {np.concatenate([night, day]).std():.2f} and is {my_scale([night, day])[1][0]:.2f}")

# %%
my_scale = exercises.SCALE.check(my_scale)

# %% [markdown]
# The library adds up sums of squares from batch to batch, so that no more than a batch is in memory. Compare what
# single batches of four pictures say:

# %%
show_source(measure_latents)
mean, std = measure_latents(autoencoder, [training[:30], training[30:90], training[90:100]])
expected = my_scale([raw[:30], raw[30:90], raw[90:100]])
assert np.allclose(mean, expected[0], atol=1e-3)
assert np.allclose(std, expected[1], atol=1e-3)
first = [raw[k : k + 4].std() for k in range(0, 100, 4)]
print(f"1 / std, all 100 pictures: {1 / raw.std():.3f}; of batches of 4: {1 / max(first):.3f} to {1 / min(first):.3f}")
assert max(first) / min(first) > 1.1

# %% [markdown]
# ## Latents have no bounds
#
# Pixels lie between -1 and 1, and samplers clip each guess $\hat x_0$ to these bounds, which helps.
# Latents lie where they like:

# %%
outside = (abs(z) > 1).mean()
print(f"{outside:.0%} of the latents are outside [-1, 1]; the largest is {abs(z).max():.1f}")
cut = autoencoder.decode(np.clip(z, -1, 1))
print(f"decoded as they are {decibels(x, x_hat):.1f} dB, clipped to [-1, 1] first {decibels(x, cut):.1f} dB")
assert outside > 0.15
assert decibels(x, cut) < decibels(x, x_hat) - 3
assert abs(autoencoder.decode(3 * z[:8])).max() <= 1, "pictures are clipped, at the very end"
plot.image_rows({"as they are": x_hat[:8], "clipped": cut[:8]}, scale=2)

# %% [markdown]
# So in latent space clipping is *off*, and only the decoded picture is clipped. (It was a bug in public code more than
# once.)
#
# ## Alike to whom?
#
# One last question. Here are four changes of a scene, and the first three have *the same squared error*: blur,
# brightness and noise. Which is the worst?

# %%
original = held_out[:64]
padded = np.pad(original, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
blurred = sum(
    k * m / 16 * padded[:, i : i + 32, j : j + 32] for i, k in enumerate((1, 2, 1)) for j, m in enumerate((1, 2, 1))
).astype(np.float32)
size = np.sqrt(((blurred - original) ** 2).mean(axis=(1, 2, 3), keepdims=True))
sign = np.where(original.mean(axis=(1, 2, 3), keepdims=True) > 0, -1, 1).astype(np.float32)
static = rng.standard_normal(original.shape).astype(np.float32)
static *= size / np.sqrt((static**2).mean(axis=(1, 2, 3), keepdims=True))
changed = {
    "blurred": blurred,
    "brighter or darker": original + sign * size,
    "noisy": original + static,
    "one pixel aside": np.roll(original, 1, axis=2),
}
plot.image_rows({"as it was": original[:8], **{name: one[:8] for name, one in changed.items()}}, scale=3)

# %% [markdown]
# To see what pixels do not say, ask a network that has learned to see. It need not be large: here is a classifier that
# reads attributes of scenes, object, colour, place, weather and so on, trained for a few seconds. One thing is new in
# its loss: in a forest one cannot say how many trees there are, and a scene with one object has no second one. Such a
# question is *not asked*, its label is -1, and the mean is over those rows A of the batch that are asked:
#
# $$L = -\frac{1}{\lvert A \rvert} \sum_{n \in A} \log \mathrm{softmax}(x_n)_{k_n}, \quad A = \{ n : k_n \ge 0 \}
#   \qquad \text{(Eq. MCE-1)}$$
#
# $$d_{x_n} = \frac{d_L}{\lvert A \rvert} \left( \mathrm{softmax}(x_n) - 1_{k_n} \right)
#   \text{ for } n \in A,\ \text{else } 0 \qquad \text{(Eq. MCE-2)}$$

# %%
logits, labels = rng.standard_normal((5, 3)), np.array([2, -1, 0, 1, -1])
loss, cache = F.masked_cross_entropy(logits, labels)
(d_logits,) = F.masked_cross_entropy_backward(1.7, cache)
p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
asked = labels >= 0
assert np.isclose(loss, -np.log(p[asked, labels[asked]]).mean())
assert np.allclose(d_logits[asked], 1.7 * (p[asked] - np.eye(3)[labels[asked]]) / 3)
assert not d_logits[~asked].any()
assert F.masked_cross_entropy(logits, np.full(5, -1))[0] == 0

# %%
few = DrawnScenes("train", 1200, size=32)
answers, words = few.attributes(np.arange(1200)), few.attribute_words
reader = AttributeClassifier(AttributeClassifierConfig(32, channels=(12, 24, 32), features=64, attributes=words))
optimizer, losses = AdamW(reader.theta), []
for k in range(1, 301):
    chosen = rng.integers(1200, size=32)
    tape, grads, d_logits, loss = Tape(), Gradients(reader.parameters()), [], 0.0
    out = reader.split(reader.forward(to_floats(data.images[chosen]), tape))
    for of_attribute, right_words in zip(out.values(), answers[chosen].T, strict=True):
        part, cache = F.masked_cross_entropy(of_attribute, right_words)
        loss, d_logits = loss + float(part), d_logits + list(F.masked_cross_entropy_backward(1.0, cache))
    reader.backward(np.concatenate(d_logits, axis=1), tape, grads)
    optimizer.step(grads.flat, 3e-3 * min(1, k / 30))
    losses.append(loss)
print(f"loss {losses[0]:.1f}, then {np.mean(losses[-20:]):.1f}")
assert np.mean(losses[-20:]) < losses[0] / 2

# %% [markdown]
# Its answers do not matter now, but what it sees on the way: the feature maps of its levels. At each position of a map
# k, bring the features of both pictures to length 1 (Eq. UNIT-1 of notebook 26), so that only *which* features answer
# counts, and compare:
#
# $$L = \frac{1}{K} \sum_{k=1}^{K} \overline{\lVert u_k - v_k \rVert^2}, \quad
#   u_k = a_k / \lVert a_k \rVert, \quad v_k = b_k / \lVert b_k \rVert \qquad \text{(Eq. PERC-1)}$$
#
# It is the *perceptual distance*. With $P_k$ positions in map k, the gradient of $u_k$ is a difference as for any
# squared error, and from there it goes back through the division by the length, which takes away what would only
# lengthen:
#
# $$d_{u_k} = \frac{2 d_L}{K P_k} (u_k - v_k) = -d_{v_k}, \qquad
#   d_{a_k} = \left( d_{u_k} - u_k \langle d_{u_k}, u_k \rangle \right) / \lVert a_k \rVert \qquad \text{(Eq. PERC-2)}$$

# %%
show_source(F.perceptual_distance, F.perceptual_distance_backward)
maps_a = [rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((2, 2, 2, 7))]
maps_b = [rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((2, 2, 2, 7))]
loss, cache = F.perceptual_distance(maps_a, maps_b)
d_maps_a, d_maps_b = F.perceptual_distance_backward(1.7, cache)
by_hand = 0.0
for a, b, d_a, d_b in zip(maps_a, maps_b, d_maps_a, d_maps_b, strict=True):
    length_a, length_b = (np.sqrt((one**2).sum(axis=-1, keepdims=True)) for one in (a, b))
    u, v = a / length_a, b / length_b
    by_hand += ((u - v) ** 2).sum(axis=-1).mean() / 2
    d_u = 2 * 1.7 / (2 * u[..., 0].size) * (u - v)
    assert np.allclose(d_a, (d_u - u * (d_u * u).sum(axis=-1, keepdims=True)) / length_a)
    assert np.allclose(d_b, (-d_u + v * (d_u * v).sum(axis=-1, keepdims=True)) / length_b)
assert np.isclose(loss, by_hand)

# %%
print(f"{'':<20}{'squared error':>15}{'L1':>8}{'edges':>8}{'perceptual':>12}")
table = {}
for name, pictures in changed.items():
    feature, _ = F.perceptual_distance(reader.maps(pictures), reader.maps(original))
    losses_of = F.mse(pictures, original), F.mae(pictures, original), F.edge_loss(pictures, original)
    table[name] = [float(one) for one, _ in losses_of] + [float(feature)]
    print("{:<20}{:>15.4f}{:>8.3f}{:>8.3f}{:>12.3f}".format(name, *table[name]))
blur, bright, noisy, aside = table.values()
assert np.allclose([blur[0], bright[0]], noisy[0], rtol=0.02), "the squared errors are the same"
assert bright[1] > blur[1], "L1 likes brightness least"
assert bright[2] < 1e-3 < blur[2]
assert bright[3] < 0.6 * min(blur[3], noisy[3])
assert aside[0] > 2 * blur[0]
assert aside[3] > max(blur[3], noisy[3])

# %% [markdown]
# For the squared error the first three are the same. L1 takes the change of brightness for the worst, since every pixel
# is off. The edge loss does not see it at all, for no edge has changed. The network minds blur and noise several times
# more than brightness, as we do. But a picture that is moved by one pixel looks the same to us, and to the squared
# error and to the network it is the *worst* of all. No measure is the eye. So a training joins several, and in the end
# one looks. (And the network that is a part of the loss must not judge the result, as in notebook 26.)
#
# ## Summary
#
# 1. An autoencoder packs a picture into latents. To be worth its cost, it must beat PCA of blocks, the best linear
#    code.
# 2. The encoder says bells. A sample is mean plus sigma times a number from outside, so gradients pass; the noise keeps
#    details out of far decimals.
# 3. The KL divergence keeps latents near the standard bell; too strong, and they say nothing. A weight for sums is
#    another number for means.
# 4. A latent sees a patch. How patches belong together the decoder does not know, so random latents are noise: that is
#    left to a diffusion model, which has it easier if averaged latents are those of the averaged picture.
# 5. Schedules expect a standard deviation of 1. Measure it over the training set, for each channel, and never clip
#    latents.
#
# <details><summary>Why not train the autoencoder and the diffusion model together?</summary>
#
# The diffusion loss is smallest if all latents are the same. So the encoder would be rewarded for saying nothing, and
# each of its steps would move the data under the diffusion model's feet. One after the other, the latents stand still,
# and can be computed once and kept.
#
# </details>
#
# <details><summary>Why is the network's noise, sigma, so small in the end?</summary>
#
# Because the KL divergence is cheap: to halve a small sigma costs log 2 = 0.7 nats, times a weight of 0.001, while
# noise costs sharpness. The encoder pays where that is worth the price, as a buyer does; numbers that say little may be
# noisy.
#
# </details>
#
# <details><summary>Does a larger factor save more?</summary>
#
# Yes, and it loses more: at factor 8 a latent position stands for 192 numbers. Then one takes more channels, or accepts
# that small faces become soft. Stable Diffusion has a factor of 8 and 4 channels, 1/48 of the numbers; here it is 4
# and 8, a sixth.
#
# </details>
#
# **Next:** latents that are not numbers but entries of a list: [31 · A codebook](31_a_codebook.ipynb). Or go on to
# diffusion in this space: [32 · Latent diffusion](32_latent_diffusion.ipynb).
