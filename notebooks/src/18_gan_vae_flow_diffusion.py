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
# # 18 · GAN, VAE, flow, diffusion
#
# **You will learn** four ways to draw what looks like data: a game, a bound, a change of variables, and noise undone. What each
# of them minimises, by hand; which of them knows how likely a picture is; and what each costs and leaves out, on the same data,
# and with more than one seed.
#
# **Prerequisites:** notebooks 04 (the bound), 05 (gradients by hand) and 09 (training). **Time:** 40 minutes to read and run;
# 90 minutes with the seven exercises.
#
# **Papers:** Goodfellow et al., *Generative adversarial nets* (2014), Eq. 1 and section 3 (here GAN-D, GAN-G); Mescheder et al.,
# *Which training methods for GANs do actually converge?* (2018), Eq. 9 (GAN-R1); Kingma and Welling, *Auto-encoding variational
# Bayes* (2014), Eq. 7 and 10 (VAE-8); Burda et al., *Importance weighted autoencoders* (2016), Eq. 8 (VAE-9); Dinh et al.,
# *Density estimation using Real NVP* (2017), Eq. 2 to 6 (NVP-1 to NVP-5); Theis et al., *A note on the evaluation of generative
# models* (2016) (DEQ-3, DEQ-2).

# %%
import numpy as np

from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_18 as exercises
from tinydiff.course.shipped import shipped_results
from tinydiff.data import load_data, load_points, point_shape, to_floats
from tinydiff.diffusion import density_of
from tinydiff.models import DiffusionModel, ModelConfig, Request, draw_at_once
from tinydiff.networks import (
    MLP,
    VAE,
    Generator,
    GeneratorConfig,
    MLPConfig,
    RealNVP,
    RealNVPConfig,
    VAEConfig,
    VectorDiscriminator,
    VectorDiscriminatorConfig,
)
from tinydiff.nn import Gradients, Tape
from tinydiff.train import (
    Adversarial,
    AdversarialConfig,
    Denoise,
    DenoiseConfig,
    FlowLikelihood,
    FlowLikelihoodConfig,
    Run,
    Variational,
    VariationalConfig,
    bits_per_number,
    dequantise,
    importance_bound,
)

rng = np.random.default_rng(0)
ring = load_points("mixture")
held_out = load_points("mixture", 2000, split="test")
centres = 0.8 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def whole_batch(objective):
    """Return the points that an objective sees in its first step, and the source of its random numbers."""
    x, _ = objective.data.batch(objective.indices(0))
    return x.astype(np.float64), objective.noise(0)


def in_float64(network):
    """Return a network in float64, whose weights are none of them 0."""
    network = network.bind(network.theta.astype(np.float64))
    network.theta[:] += 0.1 * np.random.default_rng(1).standard_normal(network.theta.shape)
    return network


# %% [markdown]
# The data are 20,000 points around eight centres on a ring, each a normal heap of width 0.06. Their density is known, so each
# claim below can be checked. A point is a picture of one pixel with two channels: all that is written here works for pictures,
# too, and in the end we draw digits.

# %%
plot.point_clouds({"data": ring.points[:2000], "unseen": held_out.points}, 1.2)

# %% [markdown]
# ## A game: the GAN
#
# A **generator** G makes points of random numbers z. A **discriminator** D sees a point and says a logit: high for data, low for
# what G has made. It is a classifier of two classes, and learns by cross-entropy:
#
# $$L_D = \mathbb{E}_x \log\left(1 + e^{-D(x)}\right) + \mathbb{E}_z \log\left(1 + e^{D(G(z))}\right) \qquad \text{(Eq. GAN-D)}$$
#
# G wants to be taken for data, so it might maximise the second part: minimise $-\mathbb{E}_z \log(1 + e^{D(G(z))})$. But
# Goodfellow advises another loss:
#
# $$L_G = \mathbb{E}_z \log\left(1 + e^{-D(G(z))}\right) \qquad \text{(Eq. GAN-G)}$$
#
# **Write it yourself:** both losses. The logits may be as large as 900.


# %%
def my_losses(real, fake):
    """Return (L_D, L_G) of logits of data and of fakes, arrays of any shape."""
    ### BEGIN SOLUTION
    discriminator = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
    return discriminator, np.logaddexp(0, -fake).mean()
    ### END SOLUTION


# %%
my_losses = exercises.LOSSES.check(my_losses)

# %% [markdown]
# Both have the same two players and the same optimum. So why another loss? **Derive it yourself:** what is the derivative of
# each of the two in the logits of the fakes? First of the saturating one, $-\frac1n \sum \log(1 + e^{D})$, then of GAN-G.


# %%
def my_pull(fake):
    """Return the derivatives of both losses in the logits of the fakes: of the saturating one, and of GAN-G."""

    ### BEGIN SOLUTION
    def sigmoid(x):
        return np.exp(-np.logaddexp(0, -x))

    return -sigmoid(fake) / fake.size, -sigmoid(-fake) / fake.size
    ### END SOLUTION


# %%
my_pull = exercises.PULL.check(my_pull)
logits = np.linspace(-8, 8, 81)
saturating, other = (-len(logits) * d for d in my_pull(logits))
plot.curves(logits, {"saturating": saturating, "GAN-G": other}, "logit of a fake", "how strongly it is pulled up")

# %% [markdown]
# At the beginning, fakes look like nothing, and D tells them from data at once: their logits lie at the far left. There the
# saturating loss is flat, and G learns nothing. GAN-G pulls most just there. Its price: where D is right, it no longer says by
# how much two distributions differ. It is a rule that works, not a distance.
#
# The library's objective, against the formulas in NumPy. It has two *phases*: in each step first D learns, then G. G learns
# through D, by D's gradient in its input, while D stands still.

# %%
show_source(Adversarial.add_gradient)

# %%
small = AdversarialConfig(batch=32, steps=1)
generator = in_float64(Generator(GeneratorConfig(1, 2, 2, (8,)), np.random.default_rng(3)))
judge = in_float64(VectorDiscriminator(VectorDiscriminatorConfig(1, 2, (8,)), np.random.default_rng(4)))
game = Adversarial(generator, ring, small, judge)
x, noise = whole_batch(game)
of_judge, of_generator = Gradients(judge.parameters()), Gradients(generator.parameters())
z_of_judge = noise.normal((32, 2), "z of the discriminator's", dtype=np.float64)
z = noise.normal((32, 2), "z", dtype=np.float64)
L_D, _ = my_losses(judge.forward(x), judge.forward(generator.forward(z_of_judge)))
_, L_G = my_losses(judge.forward(x), judge.forward(generator.forward(z)))
assert np.isclose(game.add_gradient_of_discriminator(0, 0, of_judge), L_D)
assert np.isclose(game.add_gradient(0, 0, of_generator), L_G)


def slope(network, loss, h=1e-6):
    """Return a direction in the weights of a network, and by how much a loss rises along it."""
    v, ends = np.random.default_rng(5).standard_normal(network.theta.shape), []
    for sign in (1, -1):
        network.theta[:] += sign * h * v
        ends.append(loss())
        network.theta[:] -= sign * h * v
    return v, (ends[0] - ends[1]) / (2 * h)


v, rise = slope(judge, lambda: my_losses(judge.forward(x), judge.forward(generator.forward(z_of_judge)))[0])
assert np.isclose(of_judge.flat @ v, rise, rtol=1e-5), "the discriminator's gradient should be that of its loss"
v, rise = slope(generator, lambda: my_losses(judge.forward(x), judge.forward(generator.forward(z)))[1])
assert np.isclose(of_generator.flat @ v, rise, rtol=1e-5), "the generator's gradient should be that of its loss"

# %% [markdown]
# One more part, which is off at first. Where G has found the data, D should say the same everywhere. A D that is steep there
# pushes G away again. So punish its slope at data:
#
# $$R_1 = \frac{\gamma}{2}\, \mathbb{E}_x \lVert \nabla_x D(x) \rVert^2 \qquad \text{(Eq. GAN-R1)}$$
#
# Its gradient in the weights is the derivative of a derivative. By hand, the library takes a difference of two gradients: let u
# be the direction of the slope at x, then $\nabla_\theta \frac12 \lVert \nabla_x D \rVert^2 = \lVert \nabla_x D \rVert\,
# \frac{\mathrm{d}}{\mathrm{d} \varepsilon} \nabla_\theta D(x + \varepsilon u)$. Check it: the slope of D by differences in the
# plane, and the gradient of all by differences in the weights.

# %%
points = x[:8]


def penalty(gamma=3.0, h=1e-5):
    """Return R1 at eight points, with the slope of D by central differences."""
    steps = h * np.eye(2).reshape(2, 1, 1, 1, 2)
    slopes = [(judge.forward(points + e) - judge.forward(points - e)) / (2 * h) for e in steps]
    return gamma / 2 * (np.concatenate(slopes, axis=1) ** 2).sum(axis=1).mean()


of_penalty = Gradients(judge.parameters())
assert np.isclose(game.add_slope_penalty(points, 3.0, of_penalty), penalty(), rtol=1e-5)
v, rise = slope(judge, penalty, 1e-4)
assert np.isclose(of_penalty.flat @ v, rise, rtol=1e-2), "the penalty's gradient should be that of R1"

# %% [markdown]
# Now train, and look at what G makes on the way.

# %%
STEPS = 500
usual = {"steps": STEPS, "batch": 128, "warmup": 50, "ema": 0.98, "log_every": 20}


def trained(objective, on_step=None):
    """Train, and return the result with its log."""
    log = []
    run = Run(objective, threads=1, processes=False, hooks=[log.append])
    run.run(progress=False, on_step=on_step)
    return run.trained(), log


generator = Generator(GeneratorConfig(1, 2, 2, (64, 64)), np.random.default_rng(0))
judge = VectorDiscriminator(VectorDiscriminatorConfig(1, 2, (64, 64)), np.random.default_rng(1))
z, snapshots = rng.standard_normal((1000, 2)).astype(np.float32), {}


def look(run):
    """Keep what the generator makes, now and then."""
    if run.step in (25, 100, 200, 350, STEPS):
        snapshots[f"step {run.step}"] = generator.draw(z).reshape(-1, 2)


gan, log = trained(Adversarial(generator, ring, AdversarialConfig(**usual, lr=1e-3), judge), look)
plot.point_clouds(snapshots, 1.4)

# %%
steps = np.array([record["step"] for record in log])
curves = {
    "L_D": [record["discriminator_loss"] for record in log],
    "L_G": [record["loss"] for record in log],
    "told apart": [record["told_apart"] for record in log],
}
assert all(np.isfinite(values).all() for values in curves.values())
assert 0.4 < curves["told apart"][-1] <= 1
plot.curves(steps, {name: np.array(values) for name, values in curves.items()}, "step", "loss, or share")

# %% [markdown]
# The losses say little. If D could only guess, $L_D$ would be $2 \log 2 = 1.39$ and the share that it tells apart one half,
# however good or bad the points are: a D that has learned nothing guesses, too. Points wander: there is no quantity that both
# lower, and nothing holds G where it is.
#
# ## A bound: the VAE
#
# The autoencoder of notebook 30 had a divergence with a small weight, to keep its latents in bounds. Taken seriously, it is a
# model of the data: draw $z \sim \mathcal{N}(0, I)$, then $x \sim \mathcal{N}(\hat x(z), \sigma^2)$. What is $p(x)$? An integral
# over all z, which nobody can take. But for any distribution $q(z \mid x)$, by Jensen as in notebook 04,
#
# $$-\log p(x) \le \mathbb{E}_q \left[ -\log p(x \mid z) \right] + \mathrm{KL}\left( q(z \mid x) \,\Vert\, \mathcal{N}(0, I) \right),$$
#
# and both parts are formulas, if an encoder says mean m and log variance $\ell$ of each latent number. For D numbers and
# L latents, in nats for each number of x:
#
# $$L = \frac{1}{D}\, \mathbb{E} \left[ \frac{\lVert x - \hat x \rVert^2}{2 \sigma^2} + D \log \sigma + \frac{D}{2} \log 2 \pi
#   + \sum_{j=1}^{L} \tfrac12 \left( m_j^2 + e^{\ell_j} - 1 - \ell_j \right) \right] \qquad \text{(Eq. VAE-8)}$$
#
# $\sigma$ is one number for all, and is learned. **Write it yourself:**


# %%
def my_bound(x, x_hat, sigma, mean, log_variance):
    """Return L, the mean over rows: x and x_hat are (N, D), mean and log_variance (N, L), sigma a number."""
    ### BEGIN SOLUTION
    D = x.shape[1]
    reconstruction = ((x - x_hat) ** 2).sum(axis=1) / (2 * sigma**2) + D * np.log(sigma) + D / 2 * np.log(2 * np.pi)
    divergence = (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1) / 2
    return ((reconstruction + divergence) / D).mean()
    ### END SOLUTION


# %%
my_bound = exercises.BOUND.check(my_bound)
network = in_float64(VAE(VAEConfig(1, 2, 3, (8,)), np.random.default_rng(6)))
objective = Variational(network, ring, VariationalConfig(batch=32, steps=1))
x, noise = whole_batch(objective)
eps = noise.normal((32, 3), "eps", dtype=np.float64)


def loss_by_hand():
    """Return the bound of the batch in NumPy, from what the network says."""
    x_hat, mean, log_variance = network.forward(x, eps)
    return my_bound(x.reshape(32, 2), x_hat.reshape(32, 2), np.exp(network.log_sigma.value[0]), mean, log_variance)


grads = Gradients(network.parameters())
assert np.isclose(objective.add_gradient(0, 0, grads), loss_by_hand())
v, rise = slope(network, loss_by_hand)
assert np.isclose(grads.flat @ v, rise, rtol=1e-5), "encoder, decoder and sigma should all have the bound's gradient"

# %% [markdown]
# A bound, but how far from the truth? The bound is the mean of a logarithm; with several z for each x, the logarithm of a mean is
# nearer:
#
# $$\log p(x) \ge \mathbb{E} \log \frac1K \sum_{k=1}^{K} w_k, \qquad w_k = \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)}, \quad
#   z_k \sim q(z \mid x) \qquad \text{(Eq. VAE-9)}$$
#
# since the mean of the $w_k$ is $p(x)$. The weights come as logarithms, far below -1000 for a picture. **Derive it yourself:** how can
# the right side be computed?


# %%
def my_importance(log_weights):
    """Return the bound of each picture, shape (N,), from the logarithms of its weights, shape (K, N)."""
    ### BEGIN SOLUTION
    largest = log_weights.max(axis=0)
    return largest + np.log(np.exp(log_weights - largest).mean(axis=0))
    ### END SOLUTION


# %%
my_importance = exercises.IMPORTANCE.check(my_importance)

# %% [markdown]
# To see that it reaches the truth, take a decoder whose likelihood is known. If $\hat x = z W + b$ is linear, x is normal,
# with the covariance $W^\top W + \sigma^2 I$. As encoder take a lazy one, which always says the prior, $m = 0$, $\ell = 0$: then
# $w_k = p(x \mid z_k)$.

# %%
W, b, sigma = np.array([[0.5, -0.2], [0.1, 0.4]]), np.array([0.3, -0.1]), 0.25
lazy = VAE(VAEConfig(1, 2, 2, (4,)), dtype=np.float64)
lazy.log_sigma.value[:] = np.log(sigma)
lazy.decode = lambda z, tape=None: (z @ W + b).reshape(-1, 1, 1, 2)
lazy.encode = lambda x, tape=None: (np.zeros((len(x), 2)), np.zeros((len(x), 2)))
covariance = W.T @ W + sigma**2 * np.eye(2)
x = rng.multivariate_normal(b, covariance, 300)
exact = -0.5 * np.einsum("ni,ij,nj->n", x - b, np.linalg.inv(covariance), x - b) - 0.5 * np.log(
    np.linalg.det(2 * np.pi * covariance)
)
noise, found = Noise(2), {}
for K in (1, 10, 100, 1000):
    found[K] = importance_bound(lazy, x.reshape(-1, 1, 1, 2), noise, K)
    print(f"K = {K:>4}: {found[K].mean():7.3f} nats   (exact: {exact.mean():.3f})")
zs = np.stack([noise.at(step=k).normal((300, 2), "importance eps", dtype=np.float64) for k in range(10)])
log_weights = -0.5 * (((x - zs @ W - b) / sigma) ** 2 + np.log(2 * np.pi * sigma**2)).sum(axis=2)
assert np.allclose(found[10], my_importance(log_weights))
assert found[1].mean() < found[10].mean() < found[100].mean() < exact.mean() + 0.05
assert abs(found[1000].mean() - exact.mean()) < 0.05

# %%
network = VAE(VAEConfig(1, 2, 2, (64, 64)), np.random.default_rng(0))
vae, _ = trained(Variational(network, ring, VariationalConfig(**usual, lr=5e-3)))
noise = Noise(3)
z = noise.normal((2000, 2), "z")
means, samples = vae.draw(z).reshape(-1, 2), vae.draw(z, noise.normal((2000, 1, 1, 2), "x")).reshape(-1, 2)
assert np.isclose((samples - means).std(), np.exp(vae.log_sigma.value[0]), rtol=0.05), "x has the deviation sigma"
print(f"sigma = {np.exp(vae.log_sigma.value[0]):.3f} (the heaps have 0.06)")
plot.point_clouds({"data": ring.points[:2000], "means": means, "samples": samples}, 1.4)

# %% [markdown]
# Most means lie on a circle, and many within it: a smooth decoder cannot jump from heap to heap, so it draws bridges. What
# it cannot fit, it takes for noise: $\sigma$. A picture that is a mean under such noise is a blurred one.
#
# ## A change of variables: the flow
#
# The density would be known exactly if x were a smooth, *invertible* function of z. Let $z = f(x)$. A small volume around x
# becomes $\lvert \det \partial z / \partial x \rvert$ times as large, and holds the same probability:
#
# $$\log p(x) = \log \mathcal{N}(z; 0, I) + \log \left\lvert \det \frac{\partial z}{\partial x} \right\rvert \qquad \text{(Eq. NVP-4)}$$
#
# So we need networks that can be inverted, with a determinant that is cheap. RealNVP's idea: keep half of the numbers, and let
# them say how the others are stretched and shifted:
#
# $$y_\text{kept} = x_\text{kept}, \qquad y_\text{moved} = x_\text{moved} \odot e^{s(x_\text{kept})} + t(x_\text{kept})
#   \qquad \text{(Eq. NVP-1)}$$
#
# s and t are what any network makes of $x_\text{kept}$. The Jacobian is a triangle: $y_\text{kept}$ does not depend on
# $x_\text{moved}$, and $y_\text{moved}$ depends on $x_\text{moved}$ number by number. Its determinant is the product of the diagonal:
#
# $$\log \left\lvert \det \frac{\partial y}{\partial x} \right\rvert = \sum_j s_j(x_\text{kept}) \qquad \text{(Eq. NVP-2)}$$
#
# **Write it yourself:** `keeps` says which columns stay, and `s_and_t` is the network.


# %%
def my_coupling(x, keeps, s_and_t):
    """Return (y, log_det) of rows x (N, D): y has the shape of x, log_det the shape (N,)."""
    ### BEGIN SOLUTION
    s, t = s_and_t(x[:, keeps])
    y = x.copy()
    y[:, ~keeps] = x[:, ~keeps] * np.exp(s) + t
    return y, s.sum(axis=1)
    ### END SOLUTION


# %%
my_coupling = exercises.COUPLING.check(my_coupling)

# %% [markdown]
# **Derive it yourself:** the way back, of rows y.


# %%
def my_inverse(y, keeps, s_and_t):
    """Return x, of which the coupling makes y."""
    ### BEGIN SOLUTION
    s, t = s_and_t(y[:, keeps])
    x = y.copy()
    x[:, ~keeps] = (y[:, ~keeps] - t) * np.exp(-s)
    return x
    ### END SOLUTION


# %%
my_inverse = exercises.INVERSE.check(my_inverse)

# %% [markdown]
# The library's coupling is the same, with a perceptron for s and t; s is bounded by a tanh. In the next coupling, the numbers that
# moved stay, and the others move. The numerical Jacobian of one coupling, and then of four, has the determinant that the formula
# says. And the inverse undoes all:

# %%
flow = in_float64(RealNVP(RealNVPConfig(1, 2, 4, (8,)), np.random.default_rng(7)))
coupling, keeps = flow.couplings[0], np.array([True, False])


def s_and_t(kept):
    """Return what the first coupling's network says, in NumPy."""
    first, _, second = coupling.body.layers
    h = kept @ first.weight.value + first.bias.value
    raw = h / (1 + np.exp(-h)) @ second.weight.value + second.bias.value
    return 2 * np.tanh(raw[:, :1] / 2), raw[:, 1:]


x = rng.standard_normal((6, 2))
y, log_det = coupling.forward(x)
assert np.allclose(y, my_coupling(x, keeps, s_and_t)[0])
assert np.allclose(log_det, my_coupling(x, keeps, s_and_t)[1])
assert np.allclose(coupling.inverse(y).y, my_inverse(y, keeps, s_and_t))
assert np.allclose(coupling.inverse(y).y, x)


def jacobian(f, x, h=1e-6):
    """Return the Jacobian of a function of one row, by central differences."""
    return np.stack([(f(x + e) - f(x - e)) / (2 * h) for e in h * np.eye(len(x))], axis=1)


for row in x:
    J = jacobian(lambda row: coupling.forward(row[None]).y[0], row)
    assert np.isclose(J[0, 1], 0), "the kept number should not depend on the moved one"
    assert np.isclose(coupling.forward(row[None]).log_det[0], np.log(abs(np.linalg.det(J))), atol=1e-6)
    J = jacobian(lambda row: flow.forward(row.reshape(1, 1, 1, 2)).y[0], row)
    assert np.isclose(flow.forward(row.reshape(1, 1, 1, 2)).log_det[0], np.log(abs(np.linalg.det(J))), atol=1e-6)
z, log_det = flow.forward(x.reshape(-1, 1, 1, 2))
back, log_det_back = flow.inverse(z)
assert np.allclose(back.reshape(-1, 2), x)
assert np.allclose(log_det_back, -log_det)

# %% [markdown]
# The backward has one sum that is easily forgotten: s is read twice, by y and by the determinant.
#
# $$d_{x,\, \text{moved}} = d_{y,\, \text{moved}} \odot e^s, \qquad d_s = d_{y,\, \text{moved}} \odot x_\text{moved} \odot e^s + d_{\log \det},
#   \qquad d_t = d_{y,\, \text{moved}} \qquad \text{(Eq. NVP-3)}$$

# %%
d_y, d_log_det = rng.standard_normal((6, 2)), rng.standard_normal(6)
tape = Tape()
coupling.forward(x, tape)
d_x = coupling.backward(d_y, d_log_det, tape)
h = 1e-6
for move in h * np.eye(12).reshape(12, 6, 2):
    ends = [coupling.forward(x + sign * move) for sign in (1, -1)]
    rise = ((ends[0].y - ends[1].y) * d_y).sum() + ((ends[0].log_det - ends[1].log_det) * d_log_det).sum()
    assert np.isclose((d_x * move).sum() / h, rise / (2 * h), atol=1e-6)
assert np.allclose(d_x[:, 1], d_y[:, 1] * np.exp(s_and_t(x[:, :1])[0][:, 0]))

# %% [markdown]
# Then the loss is the likelihood itself, in nats for each number:
#
# $$L = -\frac1D\, \mathbb{E}_x \log p(x) \qquad \text{(Eq. NVP-5)}$$

# %%
objective = FlowLikelihood(flow, ring, FlowLikelihoodConfig(batch=32, steps=1))
x, _ = whole_batch(objective)


def loss_of_flow():
    """Return the loss of the batch in NumPy, from what the flow says."""
    z, log_det = flow.forward(x)
    return -(-0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=1) + log_det).mean() / 2


grads = Gradients(flow.parameters())
assert np.isclose(objective.add_gradient(0, 0, grads), loss_of_flow())
assert np.isclose(-flow.log_density(x).mean() / 2, loss_of_flow())
v, rise = slope(flow, loss_of_flow)
assert np.isclose(grads.flat @ v, rise, rtol=1e-5), "the flow's gradient should be that of its likelihood"

flow = RealNVP(RealNVPConfig(1, 2, 8, (32, 32)), np.random.default_rng(0))
flow, _ = trained(FlowLikelihood(flow, ring, FlowLikelihoodConfig(**usual, lr=5e-3)))
side = np.linspace(-1.5, 1.5, 151)
grid = np.stack(np.meshgrid(side, -side), axis=-1).reshape(-1, 1, 1, 2).astype(np.float32)
diffusion = ModelConfig(mlp=MLPConfig()).diffusion()
truth = density_of(point_shape("mixture"), diffusion)
maps = {"data": truth.log_density(grid, 0), "flow": flow.log_density(grid)}
total = np.exp(maps["flow"]).sum() * (side[1] - side[0]) ** 2
print(f"The density of the flow sums to {total:.3f} over the square.")
assert 0.8 < total < 1.02
shades = np.stack([2 * np.exp((log_p - log_p.max()) / 2).reshape(151, 151, 1) - 1 for log_p in maps.values()])
plot.image_grid(shades, 2, labels=list(maps), title="density (the root of it, so that thin bridges are seen)")

# %% [markdown]
# After so few steps, the flow has bent its one heap of z into sheets that follow the ring, brighter at the heaps. There are bridges
# here, too: the map is smooth and can be undone, so what was connected stays connected.
#
# Drawing undoes the couplings, the last one first. The slider says how many are undone. Each moves points along one axis only.
# Look at what lies between two heaps at the end, and go back to see where it came from.

# %%
heap = np.random.default_rng(2).standard_normal((2000, 2)).astype(np.float32)


def undone(k):
    """Return the heap of z after the inverses of the last k couplings."""
    points = heap
    for coupling in reversed(flow.couplings[len(flow.couplings) - k :]):
        points = coupling.inverse(points).y
    return plot.point_clouds({"z": heap, f"{k} of {len(flow.couplings)}": points, "data": ring.points[:2000]}, 2.5)


slider(undone, range(9), "couplings", start=4)

# %% [markdown]
# ## Noise undone: diffusion
#
# Diffusion needs no new formula: notebooks 03 and 04 have them all. On the same points, with a network of about as many weights.
#
# **Predict, then run:** each of the four has trained for 500 steps on these points. Which leaves out a heap? Which draws the
# fewest points between the heaps, where there are no data?

# %%
shape = MLPConfig(2, 44, 1)
model = DiffusionModel(MLP(shape, np.random.default_rng(0)), ModelConfig(mlp=shape), threads=1, processes=False)
denoiser, _ = trained(Denoise(model, ring, DenoiseConfig(**usual, lr=5e-3)))

request = Request(n=2000, seed=1)
drawn = {
    "data": held_out.points,
    "GAN": draw_at_once(gan, request).reshape(-1, 2),
    "VAE": samples,
    "flow": draw_at_once(flow, request).reshape(-1, 2),
    "diffusion": denoiser.draw(request, "dpmpp_2m", 20).reshape(-1, 2),
}


def good_and_covered(points):
    """Return the share of points within three widths of a centre, and how many heaps have a fifth of their fair share."""
    distance = np.linalg.norm(points[:, None] - centres, axis=2)
    good = distance.min(axis=1) < 3 * 0.06
    share = np.bincount(distance.argmin(axis=1)[good], minlength=8) / len(points)
    return good.mean(), (share >= 0.2 / 8).sum()


for name, points in drawn.items():
    good, covered = good_and_covered(points)
    print(f"{name:<10} good {good:6.1%}, heaps covered {covered} of 8")
    assert np.isfinite(points).all()
assert good_and_covered(drawn["data"])[0] > 0.97  # of a normal heap, 98.9 % lie within three widths
plot.point_clouds(drawn, 1.4)

# %% [markdown]
# When this was written, none left out a heap, and all drew points between them. The flow drew the fewest: 61 % of its points
# were good, 42 % of the GAN's, 38 % of diffusion's and 28 % of the VAE's.
#
# One run each, of seconds: enough to see what kind of mistake each makes, and not enough to say who is better.
#
# ## More than one seed
#
# Whoever compares trains more than once. `tests/benchmarks/families.py` trains all four on these points, for 1,200 steps of 128
# points each, ten times from other random numbers; networks have 9,000 to 10,000 weights. Its results ship with the course. A heap
# counts as *covered* if it gets a fifth of its fair share or more, and a point as *good* within three widths of a centre. Likelihoods are of 2,000 unseen
# points, in nats for each coordinate: exact for the flow; for the VAE the bound with 100 samples; for diffusion that of the
# probability-flow ODE, which is the density that its deterministic sampler has; a GAN has none.

# %%
results = shipped_results("families")
FAMILIES = ("GAN", "VAE", "flow", "diffusion")


def of(family, data, what):
    """Return a figure of all seeds of a family, in the order of the seeds."""
    return np.array(
        [one.get(what, np.nan) for one in results["trainings"] if (one["family"], one["data"]) == (family, data)]
    )


def spread(values, form=".2f"):
    """Return the median of values, and from where to where they reach, as a text."""
    values = values.astype(float)
    return f"{np.median(values):{form}} ({values.min():{form}} to {values.max():{form}})"


row = "{:<10}{:>7}{:>8}{:>24}{:>16}{:>26}{:>20}".format
print(row("", "seeds", "weights", "good", "all covered", "log p, nats", "seconds of a core"))
for family in FAMILIES:
    good, modes = of(family, "ring", "good"), of(family, "ring", "modes")
    nats = "none" if family == "GAN" else spread(of(family, "ring", "nats"))
    complete = f"{(modes == 8).sum()} of {len(modes)}"
    weights = f"{of(family, 'ring', 'weights')[0]:,}"
    print(row(family, len(good), weights, spread(good), complete, nats, spread(of(family, "ring", "seconds"), ".1f")))
exact = results["reference"]["ring"]
print(row("data", "", "", f"{exact['good']:.2f}", "", f"{exact['nats']:.2f}", ""))

angle = np.arange(8) * np.pi / 4
by_formula = -(np.log(8) + np.log(2 * np.pi * np.e * 0.06**2)) / 2  # heaps that do not overlap, for each coordinate
assert abs(exact["nats"] - by_formula) < 0.03  # of 2,000 points, the mean has a standard error of 0.011
assert len({len(of(family, "ring", "good")) for family in FAMILIES}) == 1, "as many seeds of each"
for family in ("VAE", "flow", "diffusion"):
    assert (of(family, "ring", "nats") < exact["nats"] + 0.03).all(), "nobody is likelier than the truth, but by chance"

# %%
clouds = {
    family: np.array(
        next(one["drawn"] for one in results["trainings"] if (one["family"], one["data"]) == (family, "ring"))
    )
    for family in FAMILIES
}
plot.point_clouds({"data": ring.points[:400]} | clouds, 1.4)

# %% [markdown]
# Read it slowly. In ten of ten seeds every family covered all eight heaps, the GAN, too: none collapsed. All are far from the
# data: 0.35 nats, where the best, the flow, had 0.03, diffusion -0.11 and the VAE's bound -0.26. And no seed of one reaches the
# others': the worst flow had -0.07, the best diffusion -0.08. So the order is no luck, though the distances are small. Some
# seconds of training are a budget at which networks are told apart by how fast they learn, and not by what they could learn in the
# end. Within it the flow, which is trained by the very figure in this table, was ahead, and diffusion was not. (After the 500 steps
# above, the GAN had more good points than diffusion; after 1,200, about as many.) Learning rates were hardly tuned: two or three were
# tried for the GAN (0.001 was the best) and for diffusion (0.005), with one seed, and none for the others.
#
# ## Digits, and bits
#
# Pictures of 8 x 8 pixels have shades of grey: 17 of them here. A density of numbers that only have 17 values can be raised
# without end: put a spike on each value. So fill the gaps between them with uniform noise u. For K shades $k = 0 \ldots K - 1$:
#
# $$y = \frac2K \left( k + u \right) - 1, \qquad u \sim \mathcal{U}(0, 1) \qquad \text{(Eq. DEQ-3)}$$
#
# Then each shade has a cell of its own, and its probability is that of the cell. By Jensen, the mean log density within the cell is
# at most the logarithm of its mean:
#
# $$-\log_2 P(k) \le \mathbb{E}_u \left[ -\log_2 p(y) \right] + \log_2 \frac K2 \qquad \text{(Eq. DEQ-2)}$$
#
# **Find the fault:** this function should tell bits for each pixel, but a density that is flat on [-1, 1], whose shades are all as
# likely, gives 9 bits for bytes, and not 8. `nats` is $-\log p(y)$ for each number, `levels` is K.


# %%
def my_bits(nats, levels):
    """Return bits for each shade, from nats for each number in [-1, 1]."""
    ### BEGIN SOLUTION
    return (nats + np.log(levels / 2)) / np.log(2)
    ### INSTEAD
    return (nats + np.log(levels)) / np.log(2)
    ### END SOLUTION


# %%
my_bits = exercises.BITS.check(my_bits)
digits = to_floats(load_data("digits").images)
u = Noise(0).uniform(digits.shape, "u")
y = dequantise(digits, u, 17)
shade = np.rint((digits + 1) * 8)
assert np.allclose(y, 2 / 17 * (shade + u) - 1, atol=1e-6)
assert (np.floor((y + 1) * 17 / 2) == shade).all(), "each shade can be told again"
assert np.isclose(bits_per_number(0.7, 17), my_bits(0.7, 17))
assert np.isclose(bits_per_number(np.log(2), 256), 8)
shares = np.bincount(shade.astype(int).ravel(), minlength=17) / shade.size
entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
nats = -np.log(shares[shade.astype(int)] * 17 / 2).mean()  # of the density that is flat in each cell
assert np.isclose(my_bits(nats, 17), entropy)
print(
    f"A model that knows how often each shade comes, and nothing else: {entropy:.2f} bits; none at all: {np.log2(17):.2f}"
)

# %% [markdown]
# All four were trained on 8 copies of the 1,497 digits, each with its own u. Networks have 54,000 to 63,000 weights, and are
# perceptrons that know nothing of neighbours. A digit is *good* if a classifier gives one class more than 0.9, and a class is
# covered as the heaps were. The Fréchet distance is in pixels, of 300 digits to the 300 unseen ones; recall is the share of unseen
# digits that lie among the drawn ones (notebook 24). Bits are of unseen digits: exact for the flow's density, bounds for VAE (100
# samples) and diffusion (1,000 steps).

# %%
row = "{:<10}{:>22}{:>12}{:>24}{:>24}{:>24}{:>21}".format
print(row("", "good", "all classes", "Fréchet", "recall", "bits, at most", "seconds of a core"))
for family in FAMILIES:
    good, modes = of(family, "digits", "good"), of(family, "digits", "modes")
    bits = "none" if family == "GAN" else spread(of(family, "digits", "bits"))
    complete = f"{(modes == 10).sum()} of {len(modes)}"
    figures = (spread(of(family, "digits", what)) for what in ("frechet", "recall"))
    print(row(family, spread(good), complete, *figures, bits, spread(of(family, "digits", "seconds"), ".1f")))
real = results["reference"]["digits"]
print(row("real", f"{real['good']:.2f}", "", f"{real['frechet']:.2f}", f"{real['recall']:.2f}", "", ""))
for family in ("VAE", "flow", "diffusion"):
    assert (of(family, "digits", "bits") < np.log2(17)).all(), "each should know more than nothing"

# %%
images, _ = load_data("digits", "test").batch(np.arange(10))
rows = {"real, unseen": images}
for family in FAMILIES:
    first = next(one for one in results["trainings"] if (one["family"], one["data"]) == (family, "digits"))
    rows[family] = np.clip(np.array(first["drawn"])[:10].reshape(10, 8, 8, 1), -1, 1)
plot.image_rows(rows, scale=7)

# %% [markdown]
# Which is best? In ten seeds of each, it depended on the question.
#
# - *How likely are unseen digits?* Diffusion's bound was the lowest, 3.06 to 3.10 bits, although it is a bound; the VAE had 3.30 to
#   3.34, the flow 3.25 to 3.76 by its exact density: it is the one whose seeds differ most. But look at the line above the table: a model that knows how often each shade comes, and
#   nothing of digits, has 2.99 on the training digits, for half of the pixels are black, and it puts their mass into one cell with sharp
#   edges. A smooth density must fill that cell and fall off at its edges, and in so few steps none of the three had learned to.
# - *Are they digits, by the judge?* The flow and the GAN had 0.6 of them good, the VAE 0.5, diffusion 0.4 (the judge has seen the
#   training digits, of which it calls 0.93 good). The VAE's are means without the noise of $\sigma$.
# - *Is all there?* The GAN had the lowest recall, 0.17, and the flow the highest, 0.68; diffusion left one or two classes below a fifth
#   of their fair share in every seed, the others none in any.
# - *What does a picture cost?* The GAN, the VAE and the flow draw in one pass, diffusion here in 20.
#
# So likelihood and looks are not the same: the family with the fewest bits had the fewest good digits, and the model with fewer still
# draws grey noise. Nor is this where diffusion ends:
# its perceptron saw 1,200 batches. UNets that know of neighbours, more steps, and a loss that stays regression
# whatever the network is are what the pictures of the other notebooks are made of. Nothing that was measured here speaks of those.
#
# ## Summary
#
# 1. A GAN is a game: two losses, each measured by the other network. It draws in one pass, has no likelihood, and nothing that
#    must fall; what is bad about it is seen in samples and over seeds only.
# 2. A VAE maximises a bound on the likelihood, and importance sampling says how loose it is. Its normal decoder takes for noise
#    what it cannot fit, which is blur.
# 3. A flow knows its likelihood exactly, by the determinant of a map that can be undone. The price is that every layer must be of
#    such a kind; a map that can be undone draws bridges between heaps.
# 4. Diffusion has a bound, an ODE with a likelihood, and a loss that is plain regression; it pays with many calls where the
#    others have one.
# 5. Compare with several seeds, on what each model claims: a share of good samples without a share of covered modes says nothing,
#    and a likelihood is a number of a density, and not of a picture.
#
# <details><summary>Why does a likelihood say so little of bridges that are plain to see?</summary>
#
# The likelihood asks one thing only: how much density there is at the data. A bridge takes probability away from the heaps, say a
# tenth of it: then log p falls by $\log 0.9 = -0.1$ nats for a point, 0.05 for each coordinate. That one sample in ten is plainly wrong costs
# no more. What costs much is data where the model has little density: a heap that is left out, or noise that is wider than the data,
# as the VAE's sigma is.
#
# </details>
#
# <details><summary>Why can the likelihood of a GAN not be computed, if its generator is known?</summary>
#
# A generator from 16 numbers to 64 pixels makes a surface of 16 dimensions in a space of 64. Its density in the 64 is infinite on the
# surface and 0 elsewhere, and unseen digits do not lie on it. With as many z as pixels there is a density, by the change of
# variables; but a network that is not built to be undone has a determinant that is expensive, and its inverse must be searched for.
#
# </details>
#
# <details><summary>Is diffusion not a flow, too?</summary>
#
# Its ODE is one: a smooth map from noise to data that can be undone, with an exact likelihood (the divergence of the velocity,
# added up on the way, is what log det was here). But it is not trained by that likelihood. The network sees one noisy point at a time
# and learns to denoise it; that there is a map, nobody need know while it trains. So its layers may be of any kind, and it may be as
# steep as it must between the heaps, where a RealNVP of eight couplings is not.
#
# </details>
#
# **Next:** all that can go wrong, each as a switch: the bug museum. Or go on to pictures that are drawn on request:
# [20 · Classifier guidance](20_classifier_guidance.ipynb).
