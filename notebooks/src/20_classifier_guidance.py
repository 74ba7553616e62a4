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
# # 20 · Classifier guidance
#
# **You will learn** how a network that was told nothing draws what you ask for, because another one, which can only
# recognise, pulls it along its gradient; why that other one must know noise; and what a strong pull costs.
#
# **Prerequisites:** notebooks 02 (scores), 05 (gradients by hand) and 10 (samplers). **Time:** 75 minutes with the exercises.
#
# **Papers:** Dhariwal and Nichol, *Diffusion models beat GANs on image synthesis* (2021), Eq. 14 and Algorithm 2 (here
# CG-14); the idea is older: Sohl-Dickstein et al. (2015), section 2.5, and Song et al., *Score-based generative
# modeling through stochastic differential equations* (2021), section 5.

# %%
from itertools import pairwise

import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_20 as exercises
from tinydiff.data import load_data
from tinydiff.diffusion import (
    GaussianDiffusion,
    GaussianMixture,
    classifier_guidance,
    cosine_schedule,
    ddim,
    ddpm,
    dpmpp_2m,
    edm_steps,
    heun,
    last,
    log_snr_steps,
    predictor,
)
from tinydiff.evaluate import classifier_scores
from tinydiff.models import Request, class_gradient, load
from tinydiff.nn import Gradients, Tape

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## Two experts
#
# One network has learned to draw digits, but nobody tells it which. (The model that ships knows labels; told "no
# class", it does without.) Another one has learned to say which digit a picture shows, and cannot draw at all:

# %%
model = tinydiff.load("mnist")
NO_CLASS = np.full(10, 10)
anything = last(model.chain(Request(n=10, seed=1, labels=NO_CLASS), steps=20))
clean_judge = load("mnist-classifier-28")
calls = clean_judge.forward(anything).argmax(axis=1)
plot.image_grid(
    anything, columns=10, labels=[f"a {digit}" for digit in calls], title="drawn by one, named by the other"
)

# %% [markdown]
# Can the second make the first draw a 3? It can judge what comes out, and throw away nine pictures of ten. But it can
# do better: it is a network, so it can say *in which direction* a picture becomes more of a 3.
#
# ## Bayes' rule, as arrows
#
# Write y for what is wanted. Bayes' rule, in logarithms, for a noisy picture:
#
# $$\log q(x_t \mid y) = \log q(x_t) + \log p(y \mid x_t) - \log p(y) .$$
#
# Take the gradient in $x_t$. The last term does not depend on $x_t$ and falls away, and with it the one number in
# Bayes' rule that is hard to know:
#
# $$\nabla_{x_t} \log q(x_t \mid y) = \nabla_{x_t} \log q(x_t) + \nabla_{x_t} \log p(y \mid x_t) .$$
#
# On the left stands the score of the pictures that we want. On the right stand the score of all pictures, which the
# first network knows, and the gradient of the second. Multiply the second by a *scale* s: with s = 1 it is Bayes' rule,
# with s = 0 nobody pulls, and nothing keeps us from taking s = 5.
#
# A sampler asks for noise and for a guess, not for scores. In notebook 02, noise was minus the score times
# $\sqrt{1 - \bar\alpha_t}$ (SCORE-1).
#
# **Derive it yourself:** the guided noise, and the guess of $x_0$ that belongs to it (the two are tied by DDPM-4,
# $x_t = \sqrt{\bar\alpha_t}\, \hat x_0 + \sqrt{1 - \bar\alpha_t}\, \hat\epsilon$). `x_t`, `eps_hat` and `gradient` (of
# $\log p(y \mid x_t)$) have one shape, (N, ...); `alpha_bar` has the shape (N,), a number for each sample, since each may
# be at another t. (Stuck? `exercises.GUIDED.hint()` says where to look; `hint(2)` and `hint(3)` say more.)


# %%
def my_guided(x_t, eps_hat, gradient, alpha_bar, scale):
    """Return the guided x_0_hat and eps_hat, both of the shape of x_t, (N, ...)."""
    ### BEGIN SOLUTION
    a = alpha_bar.reshape(-1, *[1] * (x_t.ndim - 1))
    b = (1 - a) ** 0.5
    eps = eps_hat - scale * b * gradient
    return (x_t - b * eps) / a**0.5, eps
    ### END SOLUTION


# %%
my_guided = exercises.GUIDED.check(my_guided)

# %% [markdown]
# So the noise to be taken out is
#
# $$\tilde\epsilon = \hat\epsilon(x_t) - s\, \sqrt{1 - \bar\alpha_t}\; \nabla_{x_t} \log p(y \mid x_t)
#   \qquad \text{(Eq. CG-14)}$$
#
# The library's lines, and the same numbers from them; only the gradient is told what is wanted. (Outside an `interval`,
# which is a matter of notebook 21, the scale is 1.)

# %%
show_source(classifier_guidance)
x_t, eps_hat, slope = rng.standard_normal((3, 5, 2, 3))
t, told = np.array([10, 200, 500, 800, 950]), np.array([3, 1, 4, 1, 5])


def predicted(x_t, t, y):
    """Return what stands for a network's prediction: only the noise is read."""
    assert y is None, "the generator is told nothing"
    return None, eps_hat


def sloped(x_t, t, y):
    """Return what stands for the classifier's gradient, another for each class and time."""
    return slope * (y + t / 100)[:, None, None]


guided = classifier_guidance(predicted, diffusion, sloped, scale=3.0)(x_t, t, told)
assert np.allclose(guided, my_guided(x_t, eps_hat, sloped(x_t, t, told), diffusion.alpha_bar[t], 3.0))
within = classifier_guidance(predicted, diffusion, sloped, 3.0, (200, 800))(x_t, t, told)
s = np.array([1, 1, 3, 3, 1])[:, None, None]  # 200 < t <= 800
assert np.allclose(within, my_guided(x_t, eps_hat, sloped(x_t, t, told), diffusion.alpha_bar[t], s))
default = classifier_guidance(predicted, diffusion, sloped)(x_t, t, told)
assert np.allclose(default, my_guided(x_t, eps_hat, sloped(x_t, t, told), diffusion.alpha_bar[t], 1.0))

# %% [markdown]
# Nothing here asks which sampler is used, or whether it draws fresh noise: the prediction itself is changed, and every
# sampler walks by the prediction. (The paper's Algorithm 1 moves the mean of a random step instead. For small steps
# that is the same, but a sampler without fresh noise would then not be pulled at all.)
#
# ## A laboratory
#
# Is it true? Test it where all is known. Data are three clouds in the plane, one for each class, and the clouds
# overlap. With noise they stay three bell curves, with densities $q_k(x_t)$ and weights $w_k$. So a perfect classifier
# of noisy points is Bayes' rule once more:
#
# $$\log p(k \mid x_t) = \log w_k + \log q_k(x_t) - \log q(x_t), \qquad
#   \nabla \log p(k \mid x_t) = \nabla \log q_k(x_t) - \nabla \log q(x_t) \qquad \text{(Eq. CLASS-1)}$$

# **Write it yourself:** the classifier. The clouds are round: class k has the weight $w_k$, the middle $m_k$ and the
# variance $v_k$ in each of D directions. With noise its middle is $\sqrt{\bar\alpha}\, m_k$, its variance $u_k =
# \bar\alpha\, v_k + 1 - \bar\alpha$, and
#
# $$\log q_k(x) = -\tfrac{D}{2} \log (2 \pi u_k)
#   - \frac{\lvert x - \sqrt{\bar\alpha}\, m_k \rvert^2}{2\, u_k} , \qquad q(x) = \sum_k w_k\, q_k(x) .$$
#
# A point may lie far from all clouds, where each $q_k$ is so small that it is 0 in a computer. The logarithms are not:
# take the largest of them out before the exponential, as in a softmax.


# %%
def my_classes(x, weights, means, variances, alpha_bar):
    """Return log p(k | x), shape (N, K); x is (N, D), weights (K,), means (K, D), variances (K,), alpha_bar a number."""
    ### BEGIN SOLUTION
    u = alpha_bar * variances + 1 - alpha_bar
    squares = ((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(axis=-1)
    log_joint = np.log(weights) - x.shape[1] / 2 * np.log(2 * np.pi * u) - squares / (2 * u)
    largest = log_joint.max(axis=1, keepdims=True)
    return log_joint - largest - np.log(np.exp(log_joint - largest).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %%
my_classes = exercises.CLASSES.check(my_classes)
show_source(GaussianMixture.class_gradient)

# %% [markdown]
# The library's classifier, and its gradient against a slope that is measured: a small step in each direction, forth and
# back. (The clouds of this check differ in weight and in width.)

# %%
corners = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
weights, widths = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.05, 0.8])
uneven = GaussianMixture(diffusion, weights, corners, widths)
x, wanted, h = rng.standard_normal((6, 2)), np.array([0, 1, 2, 2, 1, 0]), 1e-5
for t in (100, 600):
    log_p = my_classes(x, weights, corners, widths, diffusion.alpha_bar[t])
    assert np.allclose(uneven.log_class_probability(x, t, wanted), log_p[np.arange(6), wanted])
    measured = np.zeros((6, 2))
    for axis, step in enumerate(h * np.eye(2)):
        up, down = (my_classes(x + s, weights, corners, widths, diffusion.alpha_bar[t]) for s in (step, -step))
        measured[:, axis] = (up - down)[np.arange(6), wanted] / (2 * h)
    assert np.allclose(uneven.class_gradient(x, t, wanted), measured, atol=1e-6)

# %% [markdown]
# Now as arrows, for the class at the top. It is one bell, whose score is minus the distance to its middle over its
# variance, and that is what the sum of the two other fields must be:

# %%
three = GaussianMixture(diffusion, weights, corners, [0.15, 0.15, 0.15])
TOP = 2
top = three.components[TOP]
side, t = np.linspace(-2.5, 2.5, 65), 250
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
wanted = np.full(len(grid), TOP)
pull = three.class_gradient(grid, t, wanted)
alpha_bar = diffusion.alpha_bar[t]
score_at_top = (alpha_bar**0.5 * corners[TOP] - grid) / (0.15 * alpha_bar + 1 - alpha_bar)
assert np.allclose(three.score(grid, t) + pull, score_at_top)
scores = {
    "all three": three.score(grid, t),
    "+ the classifier's pull": pull,
    "= the class at the top": top.score(grid, t),
}
densities = {
    "all three": three.log_density(grid, t),
    "+ the classifier's pull": three.log_class_probability(grid, t, wanted),
    "= the class at the top": top.log_density(grid, t),
}
plot.score_fields(
    side,
    side,
    {name: np.exp(values).reshape(65, 65) for name, values in densities.items()},
    {name: arrows.reshape(65, 65, 2) for name, arrows in scores.items()},
)

# %% [markdown]
# On the left, arrows lead to the three clouds. In the middle, bright is where the classifier is sure of the top class,
# and where it is sure already it does not pull. The sum leads to the top. Each sampler, from the same noise, once with
# the guided prediction and once with the exact one of the class:

# %%
SAMPLERS = {
    "DDPM": lambda predict, x_T, y: ddpm(predict, diffusion, x_T, 100, noise=Noise(1), context=y),
    "DDIM, eta = 0": lambda predict, x_T, y: ddim(predict, diffusion, x_T, 100, context=y),
    "DDIM, eta = 1": lambda predict, x_T, y: ddim(predict, diffusion, x_T, 100, 1.0, Noise(1), y),
    "Heun": lambda predict, x_T, y: heun(predict, diffusion, x_T, edm_steps(diffusion, 30), y),
    "DPM-Solver++(2M)": lambda predict, x_T, y: dpmpp_2m(
        predict, diffusion, x_T, log_snr_steps(diffusion, 30, 1000), y
    ),
}
guided = classifier_guidance(three.predict, diffusion, three.class_gradient)
x_t, t = rng.standard_normal((5, 2)), np.array([10, 200, 500, 800, 950])
assert np.allclose(guided(x_t, t, np.full(5, TOP))[1], top.predict(x_t, t)[1], atol=1e-12)

x_T = rng.standard_normal((1000, 2))
for name, sampler in SAMPLERS.items():
    found, exact = (last(sampler(p, x_T, np.full(1000, TOP))) for p in (guided, top.predict))
    print(f"{name:<17} mean {np.round(found.mean(axis=0), 2)}, from the exact chain {abs(found - exact).max():.0e}")
    assert np.allclose(found, exact, atol=1e-6)

# %% [markdown]
# And these ends are right: for one bell, the path without fresh noise keeps each point's place in it, so many standard
# deviations from the middle. DDIM in 100 steps and the two others in 30 come near to it. Their times are evenly spaced in
# $\sigma^{1/7}$ (EDM) and in the logarithm of the signal-to-noise ratio.

# %%
a_T = diffusion.alpha_bar[1000]
places = (x_T - a_T**0.5 * corners[TOP]) / (0.15 * a_T + 1 - a_T) ** 0.5
for name in ("DDIM, eta = 0", "Heun", "DPM-Solver++(2M)"):
    off = abs(last(SAMPLERS[name](guided, x_T, np.full(1000, TOP))) - (corners[TOP] + 0.15**0.5 * places)).max()
    print(f"{name:<17} off by {off:.3f}")
    assert off < 0.04
for name in ("DDPM", "DDIM, eta = 1"):
    points = last(SAMPLERS[name](guided, x_T, np.full(1000, TOP)))
    assert np.allclose(points.mean(axis=0), corners[TOP], atol=0.04)
    assert np.allclose(points.var(axis=0), 0.15, atol=0.03)
log_snr = np.log(diffusion.snr(np.array(log_snr_steps(diffusion, 30, 1000))))
roots = diffusion.snr(np.array(edm_steps(diffusion, 30))) ** (-1 / 14)  # sigma is one over the root of the ratio
assert np.allclose(np.diff(log_snr), np.diff(log_snr)[0])
assert np.allclose(np.diff(roots), np.diff(roots)[0], rtol=0.01)

# %% [markdown]
# So, point for point the same: with a perfect classifier and s = 1, to guide *is* to draw from $q(x_0 \mid y)$, whatever
# the sampler.
#
# **Find the fault:** one deterministic step of DDIM, from t to an earlier s, with the guidance built in. It runs, and of a
# single step nobody would say that it is odd. But a hundred of them throw the points far out, and to the wrong side, as
# the second cell shows: the exact chain ends at a height of 1. Mend one line.


# %%
def my_step(x_t, eps_hat, gradient, alpha_bar_t, alpha_bar_s, scale):
    """Return x_s of the shape of x_t: the guess, and the same noise put back at the level of s."""
    b = (1 - alpha_bar_t) ** 0.5
    guided = eps_hat - scale * b * gradient
    ### BEGIN SOLUTION
    x_0_hat = (x_t - b * guided) / alpha_bar_t**0.5
    ### INSTEAD
    x_0_hat = (x_t - b * eps_hat) / alpha_bar_t**0.5
    ### END SOLUTION
    return alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * guided


# %%
def walked(step, n=200):
    """Return where n points end after 100 of these steps, each guided to the top."""
    x, times, told = x_T[:n], np.linspace(1000, 0, 101).astype(int), np.full(n, TOP)
    for t, s in pairwise(times):
        _, eps_hat = three.predict(x, t)
        alphas = diffusion.alpha_bar[t], diffusion.alpha_bar[s]
        x = step(x, eps_hat, three.class_gradient(x, t, told), *alphas, 1.0)
    return x


exact = last(ddim(top.predict, diffusion, x_T[:200], 100))
print(f"mean height {walked(my_step)[:, 1].mean():.2f}, from the exact chain {exact[:, 1].mean():.2f}")

# %%
my_step = exercises.STEP.check(my_step)
assert np.allclose(walked(my_step), exact, atol=0.02)

# %% [markdown]
# **Predict, then run:** now s = 3 and s = 10, from the same noise. Where do the points go, and how far apart do they
# stay?

# %%
clouds = {}
for scale in (0, 1, 3, 10):
    stronger = classifier_guidance(three.predict, diffusion, three.class_gradient, scale)
    clouds[f"s = {scale}"] = last(ddim(stronger, diffusion, x_T, 100, context=np.full(1000, TOP)))
for name, points in clouds.items():
    sure = np.exp(three.log_class_probability(points, 0, np.full(1000, TOP))).mean()
    print(f"{name:<7} height {points[:, 1].mean():5.2f}, spread {points.std(axis=0).mean():.2f}, p(top) {sure:.3f}")
heights = [points[:, 1].mean() for points in clouds.values()]
assert (np.diff(heights) > 0).all()
assert clouds["s = 10"].std(axis=0).mean() < 0.9 * clouds["s = 1"].std(axis=0).mean()
plot.point_clouds(clouds, reach=3.5)

# %% [markdown]
# They go on, past the middle of their class, away from the others, to where the classifier is surest; and they crowd
# together. The class is at (0, 1), but with s = 10 hardly a point is left there: they lie further out than nearly any
# point of the data. So a large s draws what is *least like the others*, and not the usual cases. (Of what exactly,
# notebook 21 asks.)

# %% [markdown]
# ## A classifier must know noise
#
# Now digits. Who says $\log p(y \mid x_t)$? The classifier of the evaluation, `mnist-classifier-28`, is right about 99
# of 100 test images. But it has never seen noise. `mnist-noisy-classifier` has: it was trained on $x_t$ at every t, and
# like the UNet it is told the time (it *is* the way down of a small UNet, with a linear layer at its end).

# %%
guide = load("mnist-noisy-classifier")
images, labels = load_data("mnist-small", "test").batch(np.arange(0, 1000, 5))
eps = rng.standard_normal(images.shape).astype(np.float32)
times = np.linspace(1, 1000, 10).round().astype(int)
right = {"trained on clean images": [], "trained on noisy ones, told the time": []}
for t in times:
    x_t = diffusion.q_sample(images, int(t), eps)
    right["trained on clean images"].append((clean_judge.forward(x_t).argmax(axis=1) == labels).mean())
    calls = guide.forward(x_t, int(t)).argmax(axis=1)
    right["trained on noisy ones, told the time"].append((calls == labels).mean())
clean, noisy = (np.array(values) for values in right.values())
assert clean[0] > 0.95
assert noisy[0] > 0.9
assert noisy[6] > clean[6] + 0.2, "where noise is strong, only the one that knows it should still see"
strip = np.stack(
    [diffusion.q_sample(images[i : i + 1], t, eps[i : i + 1])[0] for t in (222, 444, 666) for i in range(4)]
)
plot.image_grid(strip, columns=12, labels=[f"t = {t}" for t in (222, 444, 666) for _ in range(4)])

# %%
plot.curves(times, {name: np.array(values) for name, values in right.items()}, "step t", "share called right")

# %% [markdown]
# The first one is lost long before the digits are: an image with noise is unlike all that it was trained on. Its
# gradient there would be that of nothing. Near t = 1000 nobody can know, and a good classifier says so: it is unsure,
# and pulls little. In a moment you can measure how much.
#
# ## The gradient of a log-probability
#
# The classifier gives logits $z$, one for each digit, and $\log p(y) = z_y - \log \sum_k e^{z_k}$. Its derivative in
# each logit is the first thing that the backward needs. In notebook 05's loss it had the other sign and a mean over the
# batch. Here each picture has a log-probability of its own, and it should rise.
#
# **Derive it yourself:** logits have the shape (N, K), for N pictures and K classes; `labels`, (N,), has a class for each
# picture. Logits may be large: $e^{900}$ is more than a computer can hold, and its share of a sum is not.


# %%
def my_logit_gradient(logits, labels):
    """Return the gradient of each picture's log-probability of its label in its logits, shape (N, K)."""
    ### BEGIN SOLUTION
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = e / e.sum(axis=1, keepdims=True)
    return np.eye(logits.shape[1])[labels] - probabilities
    ### END SOLUTION


# %%
my_logit_gradient = exercises.LOGITS.check(my_logit_gradient)

# %% [markdown]
# From there the backward that training uses goes on, layer by layer, to the very first input, the picture. Nobody wants
# the gradients of the weights now: without `grads` none are kept. (Notebook 05: `backward(d, tape, grads)`.)

# %%
show_source(class_gradient)
exact = type(guide)(guide.config, dtype=np.float64).bind(guide.theta.astype(np.float64))
x_t, t = diffusion.q_sample(images[:6], 300, eps[:6]).astype(np.float64), np.array([300, 300, 500, 100, 700, 300])
asked = np.array([7, 2, 1, 0, 4, 8])  # some of them not what is seen
tape = Tape()
logits = exact.forward(x_t, t, tape)
gradient = exact.backward(my_logit_gradient(logits, asked), tape)
assert np.allclose(gradient, class_gradient(exact, micro_batch=4)(x_t, t, asked))


def log_probability(x_t, t):
    """Return the log-probability of each picture's class."""
    z = exact.forward(x_t, t)
    return z[np.arange(6), asked] - np.log(np.exp(z).sum(axis=1))


direction, h = rng.standard_normal(x_t.shape), 1e-5
measured = (log_probability(x_t + h * direction, t) - log_probability(x_t - h * direction, t)) / (2 * h)
assert np.allclose((gradient * direction).sum(axis=(1, 2, 3)), measured, rtol=1e-4)
assert abs(log_probability(x_t, t) - log_probability(x_t, t[::-1])).max() > 0.1, "it reads the time"
grads = Gradients(exact.parameters())
exact.forward(x_t, t, tape)
exact.backward(my_logit_gradient(logits, asked), tape, grads)
of_time = [p.name for p in exact.parameters() if p.name.endswith("project.weight")]
assert all(abs(grads[name]).max() > 0 for name in of_time), "every block reads it"

# %% [markdown]
# And how hard does it pull, from noise to picture? By b times the gradient, which is what a unit of scale adds to the
# noise (whose own length is $\sqrt{784} = 28$):

# %%
for t in (950, 700, 300):
    x_t, times = diffusion.q_sample(images[:50], t, eps[:50]), np.full(50, t)
    pulled = (1 - diffusion.alpha_bar[t]) ** 0.5 * class_gradient(guide)(x_t, times, (labels[:50] + 1) % 10)
    print(f"t = {t}: towards the digit after its own, {np.sqrt((pulled**2).sum(axis=(1, 2, 3))).mean():.2f}")

# %% [markdown]
# What does it ask for? Take a 4 with some noise, and ask which pixels would make it more of a 4, a 9, a 7 or a 6:
# purple ones should be brighter, orange ones darker.

# %%
four = int(np.flatnonzero(labels == 4)[1])
noisy_four = diffusion.q_sample(images[four : four + 1], 300, eps[four : four + 1])
pulls = {f"more of a {y}": class_gradient(guide)(noisy_four, np.array([300]), np.array([y])) for y in (4, 9, 7, 6)}
sizes = {name: float(np.linalg.norm(pulled)) for name, pulled in pulls.items()}
print({name: round(size, 2) for name, size in sizes.items()})
assert sizes["more of a 4"] < min(sizes["more of a 9"], sizes["more of a 6"]), "it is sure of the 4 already"
largest = max(abs(pulled).max() for pulled in pulls.values())
plot.signed_maps(
    {"x_t, a 4": largest * noisy_four[0, :, :, 0] / 2, **{name: pulled[0, :, :, 0] for name, pulled in pulls.items()}}
)

# %% [markdown]
# Towards the 4 there is little to do: the classifier is sure of it, and then $[k = y] - p(k)$ is nearly 0.
#
# ## Pulled
#
# Both together. All rows start from the same noise. The network is told "no class" in each of them; in the column of
# the 3, the classifier is asked for a 3.
#
# **Predict, then run:** from which s on will the columns obey? What will happen to the handwriting?

# %%
towards = class_gradient(guide)


def draw(scale, n=10, seed=1, sampler="ddim", steps=20):
    """Return digits 0 .. 9, 0 .. 9, ..., drawn by a network that is told nothing and pulled by the classifier."""
    chain = model.chain(
        Request(n=n, seed=seed, labels=np.arange(n) % 10, guidance=scale, classifier=towards),
        steps=steps,
        sampler=sampler,
    )
    return last(chain)


rows = {f"s = {scale}": draw(scale) for scale in (0, 1, 2, 5)}
assert abs(rows["s = 0"] - anything).max() < 0.05, "without a pull it should be the first picture of this notebook"
plot.image_rows(rows, column_labels=range(10))

# %% [markdown]
# Is it what you derived? One step from the middle of such a chain, with your function (a chain also clips its guesses):

# %%
digits = np.arange(10)
chain = list(model.chain(Request(n=10, seed=1, labels=digits, guidance=3.0, classifier=towards), steps=20))
(t, x_t, _), (_, _, x_0_hat) = chain[9:11]
times, unclipped = np.full(10, t), predictor(model.network_output, model.diffusion, model.config.kind, clip=False)
_, eps_hat = unclipped(x_t, times, NO_CLASS)
mine, _ = my_guided(x_t, eps_hat, towards(x_t, times, digits), model.diffusion.alpha_bar[times], 3.0)
assert np.allclose(x_0_hat, mine.clip(-1, 1), atol=1e-3)

# %%
slider(lambda scale: plot.image_grid(draw(scale), columns=10, labels=range(10)), (0, 0.5, 1, 2, 3, 5, 8), "s", start=4)

# %% [markdown]
# In numbers. The clean judge never met the classifier, so it cannot be fooled together with it. *Variety* is how much
# the judge's features (its last hidden layer) vary among the ten pictures of a column, in shares of the same for real
# digits. Mind that a column with wrong digits in it varies more, too.


# %%
def variety(pictures):
    """Return the standard deviation of the judge's features over the pictures of one digit; digits come in turn."""
    return float(clean_judge.features(pictures).reshape(-1, 10, 64).std(axis=0).mean())


def in_turn(images, labels, each):
    """Return so many images of each digit, digits in turn."""
    places = np.stack([np.flatnonzero(labels == y)[:each] for y in range(10)], axis=1)
    return images[places.ravel()]


real = variety(in_turn(images, labels, 10))
scales = np.array([0, 1, 2, 4, 8])
drawn = [draw(float(scale), n=100, seed=2, sampler="dpmpp_2m", steps=10) for scale in scales]
obeyed = np.array([classifier_scores(clean_judge, pictures, np.arange(100) % 10).agreement for pictures in drawn])
varied = np.array([variety(pictures) for pictures in drawn]) / real
for scale, share, spread in zip(scales, obeyed, varied, strict=True):
    print(f"s = {scale:<4g} the judge sees what was asked for: {share:4.0%}; variety {spread:.2f}")
assert np.isclose(obeyed[1], (clean_judge.forward(drawn[1]).argmax(axis=1) == np.arange(100) % 10).mean())
assert obeyed[0] < 0.35, "by chance 1 in 10"
assert obeyed.max() > 0.85
assert varied[-1] < varied[2]
plot.curves(scales, {"as asked for": obeyed, "variety, in shares of real digits'": varied}, "scale s", "share")

# %% [markdown]
# A network that was told nothing draws what it is asked for. (The same network, told the label, gets 97 %; see its
# card.) At s = 1 some columns do not obey yet: this classifier is no perfect one, and neither is the score. A larger s
# makes up for it. Most of the fall of variety is wrong digits that disappear from the columns: at s = 0 a column holds
# any digit, and it comes down to about that of real digits. What a strong pull costs *within* a digit is hidden behind
# that; the three clouds above show it, and problem set 6 measures it.
#
# The pull goes through every sampler:

# %%
rows = {name: draw(4, seed=3, sampler=name, steps=steps) for name, steps in (("ddpm", 50), ("ddim", 20), ("heun", 20))}
rows["dpmpp_2m"] = draw(4, seed=3, sampler="dpmpp_2m", steps=20)
for name, pictures in rows.items():
    share = classifier_scores(clean_judge, pictures, np.arange(10)).agreement
    print(f"{name:<9} {share:.0%} as asked for")
    assert share >= 0.6
plot.image_rows(rows, column_labels=range(10), title="s = 4, four samplers")

# %% [markdown]
# Where no fresh noise is drawn, three samplers find the same digits. DDPM finds others, and needs more steps.

# %% [markdown]
# ## Summary
#
# 1. The score of what is wanted is the score of everything plus the gradient of a classifier: Bayes' rule as a sum.
# 2. Changing the predicted noise serves every sampler, with and without fresh noise.
# 3. The classifier must read $x_t$ and know t; one that saw only clean images is blind where it matters most.
# 4. Its gradient comes from the backward that trained it, down to the picture, with the weights left alone.
# 5. With a perfect classifier s = 1 is exact; a larger s goes past the middle of the class, and crowds there.
#
# <details><summary>Why can the generator and the classifier be trained apart?</summary>
#
# Because Bayes' rule, in scores, is a sum. A classifier of other things, say of the slant of the strokes, could pull
# the same network without any training of it.
#
# </details>
#
# <details><summary>Why not judge samples by the classifier that guided them?</summary>
#
# They were made to please it. The gradient also finds what only looks like a 3 to this classifier; one that never took
# part is the better witness.
#
# </details>
#
# <details><summary>What does it cost?</summary>
#
# A forward and a backward of the classifier at every step, and a second network that must be trained on noise.
#
# </details>
#
# **Next:** no second network at all: [21 · Classifier-free guidance](21_classifier_free_guidance.ipynb).
