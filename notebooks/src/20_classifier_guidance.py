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
# **Prerequisites:** notebooks 02 (scores), 05 (gradients by hand) and 10 (samplers). **Time:** 25 minutes.
#
# **Papers:** Dhariwal and Nichol, *Diffusion models beat GANs on image synthesis* (2021), Eq. 14 and Algorithm 2 (here
# CG-14); the idea is older: Sohl-Dickstein et al. (2015), section 2.5, and Song et al., *Score-based generative
# modeling through stochastic differential equations* (2021), section 5.

# %%
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
)
from tinydiff.evaluate import classifier_scores
from tinydiff.functional import softmax
from tinydiff.models import Request, class_gradient, load
from tinydiff.nn import Tape

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
# first network knows, and the gradient of the second. In notebook 02, noise was minus the score times
# $\sqrt{1 - \bar\alpha_t}$ (SCORE-1). So the noise to be taken out is
#
# $$\tilde\epsilon = \hat\epsilon(x_t) - s\, \sqrt{1 - \bar\alpha_t}\; \nabla_{x_t} \log p(y \mid x_t)
#   \qquad \text{(Eq. CG-14)}$$
#
# with the *scale* s = 1. With s = 0 nobody pulls. And nothing keeps us from taking s = 5.
#
# **Write it yourself:**


# %%
def my_guided_noise(eps_hat, gradient, alpha_bar, scale):
    """Return the noise to be taken out."""
    ### BEGIN SOLUTION
    return eps_hat - scale * (1 - alpha_bar) ** 0.5 * gradient
    ### END SOLUTION


# %%
my_guided_noise = exercises.GUIDED.check(my_guided_noise)
show_source(classifier_guidance)
x_t, t = rng.standard_normal((5, 2)), np.array([10, 200, 500, 800, 950])
eps_hat, slope = rng.standard_normal((2, 5, 2))
guided = classifier_guidance(lambda x_t, t, y: (None, eps_hat), diffusion, lambda x_t, t, y: slope, scale=3.0)
assert np.allclose(guided(x_t, t)[1], my_guided_noise(eps_hat, slope, diffusion.alpha_bar[t][:, None], 3.0))

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

# %%
show_source(GaussianMixture.class_gradient)
corners = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
three = GaussianMixture(diffusion, [0.5, 0.3, 0.2], corners, [0.15, 0.15, 0.15])
TOP = 2
top = three.components[TOP]
side, t = np.linspace(-2.5, 2.5, 65), 250
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
wanted = np.full(len(grid), TOP)
pull = three.class_gradient(grid, t, wanted)
assert np.allclose(three.score(grid, t) + pull, top.score(grid, t))
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
# Point for point the same: with a perfect classifier and s = 1, to guide *is* to draw from $q(x_0 \mid y)$, whatever
# the sampler.
#
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
# together. The class is at (0, 1), but with s = 10 hardly a point is left there. So a large s draws the *clearest*
# cases, and not the usual ones. (Of what exactly, notebook 21 asks.)

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
# and does not pull.
#
# ## The gradient of a log-probability
#
# The classifier gives logits $z$, one for each digit, and $\log p(y) = z_y - \log \sum_k e^{z_k}$. Its derivative is
# the first thing that the backward needs:
#
# $$\frac{\partial \log p(y)}{\partial z_k} = [k = y] - p(k) .$$
#
# In notebook 05's loss it had the other sign and a mean over the batch. Here each picture has a log-probability of its
# own, and it should rise.
#
# **Write it yourself:** logits have the shape (pictures, classes); `labels` has a class for each picture.


# %%
def my_logit_gradient(logits, labels):
    """Return the gradient of each picture's log-probability of its label in the logits."""
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
x_t, t = diffusion.q_sample(images[:6], 300, eps[:6]).astype(np.float64), np.full(6, 300)
tape = Tape()
logits = exact.forward(x_t, t, tape)
gradient = exact.backward(my_logit_gradient(logits, labels[:6]), tape)
assert np.allclose(gradient, class_gradient(exact)(x_t, t, labels[:6]))


def log_probability(x_t):
    """Return the log-probability of each picture's label."""
    return np.log(softmax(exact.forward(x_t, t))[0][np.arange(6), labels[:6]])


direction, h = rng.standard_normal(x_t.shape), 1e-5
measured = (log_probability(x_t + h * direction) - log_probability(x_t - h * direction)) / (2 * h)
assert np.allclose((gradient * direction).sum(axis=(1, 2, 3)), measured, rtol=1e-4)

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

# %%
slider(lambda scale: plot.image_grid(draw(scale), columns=10, labels=range(10)), (0, 0.5, 1, 2, 3, 5, 8), "s", start=4)

# %% [markdown]
# In numbers. The clean judge never met the classifier, so it cannot be fooled together with it. *Variety* is how much
# the judge's features (its last hidden layer) vary among the ten pictures of a digit, in shares of the same for real
# digits.


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
assert obeyed[0] < 0.35, "by chance 1 in 10"
assert obeyed.max() > 0.85
assert varied[-1] < varied[2]
plot.curves(scales, {"as asked for": obeyed, "variety, in shares of real digits'": varied}, "scale s", "share")

# %% [markdown]
# A network that was told nothing draws what it is asked for. (The same network, told the label, gets 97 %; see its
# card. And at s = 0 a column holds any digit, hence the large variety.) At s = 1 some columns do not obey yet: this
# classifier is no perfect one, and neither is the score. A larger s makes up for it, and takes variety away.
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
# 5. With a perfect classifier s = 1 is exact; a larger s draws clearer cases and fewer kinds of them.
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
