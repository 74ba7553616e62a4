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
# # 21 · Classifier-free guidance
#
# **You will learn** how one network holds a classifier without being one, what the scale does to what is drawn (and
# that it is not what is often said), and the tools round it: intervals, rescaling, thresholds, negative prompts,
# autoguidance.
#
# **Prerequisites:** notebook 20. **Time:** 80 minutes with the exercises.
#
# **Papers:** Ho and Salimans, *Classifier-free diffusion guidance* (2022), Eq. 6 (here CFG-6); Saharia et al., *Imagen*
# (2022), section 2.3 (DYN-1); Lin et al., *Common diffusion noise schedules and sample steps are flawed* (2023), Eq. 16
# (RESCALE-16); Karras et al., *Guiding a diffusion model with a bad version of itself* (2024), Eq. 3 (AUTO-1);
# Kynkäänniemi et al. (2024) for guidance in an interval.

# %%
import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_21 as exercises
from tinydiff.data import load_data
from tinydiff.data.avatars import judge
from tinydiff.data.avatars.judge import words_of
from tinydiff.diffusion import (
    GaussianDiffusion,
    GaussianMixture,
    autoguidance,
    bounded,
    classifier_free_guidance,
    cosine_schedule,
    ddim,
    edm_steps,
    heun,
    last,
    predictor,
)
from tinydiff.diffusion.guidance import rescaled
from tinydiff.evaluate import classifier_scores
from tinydiff.models import Guidance, Request, load
from tinydiff.train import Denoise, DenoiseConfig

rng = np.random.default_rng(0)
diffusion = GaussianDiffusion(cosine_schedule(1000))

# %% [markdown]
# ## One network, two answers
#
# Notebook 20 needed a second network, trained on noise, and a backward through it in every step. Both can be saved. In
# training, *hide the label* of one image in ten: put a label there that means "nothing". These lines are all of it, and
# what they make of 5,000 labels:

# %%
model = tinydiff.load("mnist")
NOTHING = model.null_context()
show_source(Denoise.context)
training = Denoise(model, load_data("mnist-small", "train"), DenoiseConfig(condition_dropout=0.1))
which = np.arange(5000)
seen, real_labels = training.context(which, Noise(0)), load_data("mnist-small", "train").batch(which)[1]
is_hidden = seen == 10
print(f"{is_hidden.mean():.1%} of the labels are hidden")
assert NOTHING == 10
assert 0.085 < is_hidden.mean() < 0.115  # 0.1, with a standard error of 0.004
assert (seen[~is_hidden] == real_labels[~is_hidden]).all()
assert (is_hidden != (training.context(which, Noise(1)) == 10)).any(), "others in the next step"
assert 0.065 < is_hidden[:2500].mean() < 0.135

# %% [markdown]
# So one network learns two things: told a label, the pictures of that label; told nothing, all pictures. Here is what
# it guesses behind a 4 under noise, told each digit in turn, and told nothing:

# %%
predict = predictor(model.network_output, model.diffusion, model.config.kind, clip=False)
images, labels = load_data("mnist-small", "test").batch(np.arange(0, 1000, 5))
four, eps = images[np.flatnonzero(labels == 4)[1]], rng.standard_normal((1, 28, 28, 1)).astype(np.float32)
told, guesses = np.arange(11), {}  # 10 is the label for nothing
for t in (950, 850, 750):
    x_t = diffusion.q_sample(four[None], t, eps)
    guesses[f"t = {t}"], _ = predict(np.repeat(x_t, 11, axis=0), np.full(11, t), told)
plot.image_rows(guesses, column_labels=[*range(10), "nothing"], title="one picture, eleven guesses")

# %% [markdown]
# Under the most noise it sees what it was told; told nothing, it guesses the mean of all digits. The less noise there
# is, the more it trusts the picture. But a 9 that could be a 4 stays a 9 to one who was told so.
#
# ## The classifier inside
#
# By Bayes' rule (notebook 20, read the other way) these two answers make a classifier:
#
# $$\nabla_{x_t} \log p(y \mid x_t) = \nabla_{x_t} \log q(x_t \mid y) - \nabla_{x_t} \log q(x_t) .$$
#
# Told y minus told nothing: where does the label pull?
#
# **Derive it yourself:** this gradient, from two guesses of $x_0$. `given` is the guess with the label and `nothing` the
# one without, both for the same $x_t$ and of one shape, (N, ...); `alpha_bar`, (N,), has a number for each sample. (A
# guess and a noise are tied by $x_t = \sqrt{\bar\alpha_t}\, \hat x_0 + \sqrt{1 - \bar\alpha_t}\, \hat\epsilon$, and
# noise is minus the score times $\sqrt{1 - \bar\alpha_t}$.)


# %%
def my_pull(given, nothing, alpha_bar):
    """Return the gradient of log p(y | x_t) in x_t, shape (N, ...), that two guesses of x_0 imply."""
    ### BEGIN SOLUTION
    a = alpha_bar.reshape(-1, *[1] * (given.ndim - 1))
    return a**0.5 / (1 - a) * (given - nothing)
    ### END SOLUTION


# %%
my_pull = exercises.PULL.check(my_pull)
line = GaussianMixture(diffusion, [0.5, 0.5], np.array([[-1.0], [1.0]]), [0.5, 0.5])  # two bells, at -1 and at 1
x, t = np.linspace(-3, 3, 7)[:, None], np.full(7, 400)
pull = my_pull(line.components[1].predict(x, t)[0], line.predict(x, t)[0], diffusion.alpha_bar[t])
a, variance = diffusion.alpha_bar[400] ** 0.5, 0.5 * diffusion.alpha_bar[400] + 1 - diffusion.alpha_bar[400]
by_hand = 2 * a / variance / (1 + np.exp(2 * a * x / variance))  # p(right | x) is the sigmoid of 2 a x / variance
assert np.allclose(pull, by_hand)

# %% [markdown]
# Put that in the place of the classifier's gradient in CG-14. With noise for scores, the factors
# $\sqrt{1 - \bar\alpha_t}$ cancel:
#
# $$\tilde\epsilon = \hat\epsilon(x_t) + s \left(\hat\epsilon(x_t, y) - \hat\epsilon(x_t)\right)
#   \qquad \text{(Eq. CFG-6)}$$
#
# Start from nothing, go to what was asked for (s = 1), and on in the same direction (s > 1). The same holds for
# $\hat x_0$, which is a line in $\hat\epsilon$.
#
# **Mind the letter.** The paper writes $(1 + w)\, \hat\epsilon(x_t, y) - w\, \hat\epsilon(x_t)$: its w counts from the
# label, so s = 1 + w. Imagen, and most programs, call s itself "w" or "guidance scale". Here it is s.
#
# Nothing says that one must guide all the way. Kynkäänniemi and others do it only at times in an *interval*, low < t <=
# high: the lower end does not belong to it, the upper one does. At all other times s = 1, the network told the label.
#
# **Write it yourself:** all of it. `predict(x_t, t, labels)` is the network: it returns `(x_0_hat, eps_hat)` for a batch,
# where `x_t` is (N, ...), `t` and `labels` are (N,). `nothing` is the one label that means nothing. Each sample has a time
# of its own.


# %%
def my_guided(predict, x_t, t, labels, nothing, scale, low, high):
    """Return the guided (x_0_hat, eps_hat), each of the shape of x_t."""
    ### BEGIN SOLUTION
    given = predict(x_t, t, labels)
    untold = predict(x_t, t, np.full(len(x_t), nothing))
    s = np.where((low < t) & (t <= high), scale, 1.0).reshape(-1, *[1] * (x_t.ndim - 1))
    return tuple(n + s * (g - n) for g, n in zip(given, untold, strict=True))
    ### END SOLUTION


# %%
my_guided = exercises.GUIDED.check(my_guided)
show_source(classifier_free_guidance)

# %% [markdown]
# The library asks for both predictions in one call, with each picture twice. Yours and its, at five times, the ends of
# the interval among them. The stand-in for a network is a formula that tells each label and each time from the others:


# %%
def stand_in(x_t, t, labels):
    """Return a guess and a noise that depend on the picture, the time and the label."""
    of_label, of_time = np.sin(labels)[:, None, None], (t / 1000)[:, None, None]
    return np.tanh(x_t) * of_label + of_time, x_t * of_time - of_label


x, t, told = rng.standard_normal((5, 3, 2)), np.array([950, 700, 500, 300, 20]), np.array([3, 1, 4, 1, 5])
for interval, (low, high) in ((None, (0, 1000)), ((300, 700), (300, 700))):
    for scale in (0.0, 1.0, 3.0):
        theirs = classifier_free_guidance(stand_in, diffusion, np.array([10]), scale, interval)(x, t, told)
        assert np.allclose(theirs, my_guided(stand_in, x, t, told, 10, scale, low, high))
shunned = np.array([7, 8, 9, 10, 0])  # what to go away from may be another thing for each sample
(given, _), (without, _) = stand_in(x, t, told), stand_in(x, t, shunned)
away = classifier_free_guidance(stand_in, diffusion, shunned, 3.0)(x, t, told)[0]
assert np.allclose(away, without + 3 * (given - without))

# %% [markdown]
# And with the network, for the 4 that could be a 9; here is also the paper's form:

# %%
two, times, t = np.repeat(x_t, 2, axis=0), np.full(2, 750), 750
guided, _ = classifier_free_guidance(predict, diffusion, NOTHING, 3.0)(two, times, np.array([4, 9]))
given, nothing = (guesses["t = 750"][which] for which in ([4, 9], [10, 10]))
w = 2.0
assert np.allclose(guided, (1 + w) * given - w * nothing, atol=1e-4)
plot.image_rows(
    {
        f"told {y}": np.stack([n, g, (g - n) / 2, *(n + scale * (g - n) for scale in (2, 4))])
        for y, n, g in zip((4, 9), nothing, given, strict=True)
    },
    column_labels=["nothing", "told (s = 1)", "difference", "s = 2", "s = 4"],
)

# %% [markdown]
# (In the third column grey is no difference.) The difference shows what makes the label: for the 9 a closed top,
# brighter than nothing's guess. With a large s it is exaggerated.
#
# ## What does it sample?
#
# A large s is often explained so: guidance draws from $q(x_0)\, p(y \mid x_0)^s$, the data *tilted* towards where the
# classifier is sure. For s = 1 that is $q(x_0 \mid y)$ and true. **Predict, then run:** data are two bells, at -1 and
# 1, and y is the one at 1. Where does the tilted density for s = 3 have its peak, and where do samples come out?

# %%
x, z = np.linspace(-3, 6, 901), np.linspace(-4.5, 4.5, 1001)


def answers(x_t, t, told):
    """Return the exact prediction for what each point is told: 1, the right bell, or 0, nothing."""
    right, both = line.components[1].predict(x_t, t), line.predict(x_t, t)
    return tuple(np.where(told[:, None] == 1, a, b) for a, b in zip(right, both, strict=True))


def drawn_density(scale):
    """Return the density of what the ODE draws: between two ends lies what lay between their starts."""
    guided = classifier_free_guidance(answers, diffusion, np.zeros(1, int), scale)
    steps = edm_steps(diffusion, 60)
    ends = last(heun(guided, diffusion, z[:, None], steps, np.ones(len(z), int)))[:, 0]
    start = np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5
    return np.interp(x, ends, start / np.gradient(ends, z), left=0, right=0)


def tilted_density(scale):
    """Return q(x) p(y | x)^s, so scaled that it sums to 1."""
    sure = line.log_class_probability(x[:, None], 0, np.ones(len(x), int))
    density = np.exp(line.log_density(x[:, None], 0) + scale * sure)
    return density / density.sum() / (x[1] - x[0])


def compare(scale):
    """Draw both densities, and that of the class."""
    densities = {"drawn with guidance": drawn_density(scale), "q(x) p(y | x)^s": tilted_density(scale)}
    return plot.bells(x, densities | {"q(x | y)": tilted_density(1)}, title=f"s = {scale:g}")


compare(3)

# %%
slider(compare, (1, 1.5, 2, 3, 5), "s", start=0)

# %% [markdown]
# At s = 1 all three are one curve. At s = 3 the tilted density has hardly moved: it keeps the class and leaves out
# where the two bells overlap. But the samples have gone on, to the far side of their class, and crowd together. In
# numbers:

# %%
dx = x[1] - x[0]
for scale in (1, 2, 3, 5):
    drawn, tilted = drawn_density(scale), tilted_density(scale)
    apart = abs(drawn - tilted).sum() * dx / 2
    means = f"mean drawn {(x * drawn).sum() * dx:.2f}, tilted {(x * tilted).sum() * dx:.2f}"
    print(f"s = {scale}: {means}; share of the samples that should be elsewhere {apart:.0%}")
    assert apart < 0.02 if scale == 1 else apart > 0.2

# %% [markdown]
# Why? At every t, guidance walks by the score of $q(x_t)\, p(y \mid x_t)^s$: *noise first, then tilt*. To draw from the
# tilted density, it would have to be tilted first and then noised, and the two orders do not give the same. Here is the
# best guess of $x_0$ for the tilted data, by a sum over the grid, and the guess that guidance makes:

# %%
t, scale = 600, 3.0
a, b_squared = diffusion.alpha_bar[t] ** 0.5, 1 - diffusion.alpha_bar[t]
x_t = np.linspace(-3, 3, 121)


def tilt_then_noise(scale):
    """Return the mean of x_0 given x_t, for tilted data: each x_0 of the grid weighted by how likely it is."""
    weights = tilted_density(scale) * np.exp(-((x_t[:, None] - a * x) ** 2) / (2 * b_squared))
    return weights @ x / weights.sum(axis=1)


def noise_then_tilt(scale):
    """Return the guess that guidance makes."""
    guided = classifier_free_guidance(answers, diffusion, np.zeros(1, int), scale)
    return guided(x_t[:, None], np.full(len(x_t), t), np.ones(len(x_t), int))[0][:, 0]


assert np.allclose(tilt_then_noise(1.0), noise_then_tilt(1.0), atol=0.01)
guesses = {"noise, then tilt: guidance": noise_then_tilt(scale), "tilt, then noise: the target": tilt_then_noise(scale)}
guided, target = guesses.values()
assert (np.diff(target) > 0).all()
assert (np.diff(guided) < 0).any()
plot.curves(x_t, guesses, "x_t", "guess of x_0", title=f"t = {t}, s = {scale:g}")

# %% [markdown]
# Guidance overshoots, most where $x_t$ lies on the wrong side. And look at the slope: a point further to the right
# never speaks for an $x_0$ further to the left, so the best guess for *any* data can only rise. The blue curve falls.
# It is the denoiser of no data whatever. Guidance is a good *tool*, and no sampler of a density that one could write
# down.
#
# ## How strong?
#
# On digits. Every number is for 60 pictures and by the clean judge of notebook 20; variety is how much its features
# vary within a digit, in shares of the same for real digits.

# %%
clean_judge = load("mnist-classifier-28")


def draw(guidance, n=60):
    """Return digits 0 .. 9, 0 .. 9, ..."""
    return last(
        model.chain(Request(n=n, seed=1, labels=np.arange(n) % 10, guidance=guidance), steps=10, sampler="dpmpp_2m")
    )


def variety(pictures):
    """Return the standard deviation of the judge's features over the pictures of one digit; digits come in turn."""
    return float(clean_judge.features(pictures).reshape(-1, 10, 64).std(axis=0).mean())


def figures(pictures):
    """Return the share that the judge sees as asked for, and the variety."""
    return classifier_scores(clean_judge, pictures, np.arange(len(pictures)) % 10).agreement, variety(pictures) / real


places = np.stack([np.flatnonzero(labels == y)[:6] for y in range(10)], axis=1)
real = variety(images[places.ravel()])
scales = np.array([0, 1, 2, 4, 8])
drawn = [draw(float(scale)) for scale in scales]
plot.image_rows({f"s = {s}": some[:10] for s, some in zip(scales, drawn, strict=True)}, column_labels=range(10))

# %%
obeyed, varied = np.array([figures(pictures) for pictures in drawn]).T
for scale, share, spread in zip(scales, obeyed, varied, strict=True):
    print(f"s = {scale}: as asked for {share:4.0%}, variety {spread:.2f}")
assert obeyed[0] < 0.35, "by chance 1 in 10"
assert min(obeyed[1:]) > 0.85
assert varied[4] < varied[2] < varied[1]
plot.curves(scales, {"as asked for": obeyed, "variety, in shares of real digits'": varied}, "scale s", "share")

# %% [markdown]
# (At s = 0 the columns hold any digit, hence the large variety.) At s = 1 the network varies as real digits do and
# obeys nearly always; at s = 2 always, for a third of the variety. Beyond, variety is all that is lost: this network
# has learned its labels well. Where a condition is harder to learn, as a text, s = 1 is not enough, and one pays.
#
# ## When?
#
# Guidance costs variety mostly at high noise, where it decides what kind of picture it will be, before there is
# anything to be clear about. At low noise there is nothing left to decide. So guide in between, in an *interval*:

# %%
when = {"at all t": None, "t > 700": (700, 1000), "300 < t <= 700": (300, 700), "t <= 300": (0, 300)}
drawn = {name: draw(Guidance(6, interval=interval)) for name, interval in when.items()}
found = {name: figures(pictures) for name, pictures in drawn.items()}
for name, (share, spread) in found.items():
    print(f"s = 6, {name:<15} as asked for {share:4.0%}, variety {spread:.2f}")
assert found["at all t"][1] < found["300 < t <= 700"][1]
assert found["300 < t <= 700"][0] > 0.9
plot.image_rows({name: pictures[:10] for name, pictures in drawn.items()}, column_labels=range(10), title="s = 6")

# %% [markdown]
# Guided in the middle alone, half of the lost variety is there again. That it also makes *better* pictures is the paper's
# finding, on photographs; here nearly all digits are right with any of these, so these figures cannot show it.
#
# ## Too much of everything
#
# Going on in the same direction leads out of the range of pictures. Here is how far pixels of the guess reach before
# anything is clipped:


# %%
def reach(scale):
    """Return the times of a chain, and there the largest pixel of the guess, averaged over ten pictures."""
    seen, guided = [], classifier_free_guidance(predict, diffusion, NOTHING, scale)

    def watched(x_t, t, context):
        found = guided(x_t, t, context)
        seen.append((t[0], abs(found[0]).max(axis=(1, 2, 3)).mean()))
        return found

    x_T = np.random.default_rng(1).standard_normal((10, 28, 28, 1)).astype(np.float32)
    last(ddim(bounded(watched, diffusion), diffusion, x_T, 20, context=np.arange(10)))
    return np.array(seen).T


reached = {f"s = {scale}": reach(scale) for scale in (1, 3, 8)}
assert reached["s = 8"][1].max() > 1.5 * reached["s = 1"][1].max()
times = reached["s = 1"][0]
plot.curves(times, {name: values for name, (_, values) in reached.items()}, "step t", "largest pixel of the guess")

# %% [markdown]
# Black is -1 and white is 1, so something must be done in every step. Three ways:
#
# - *Static* threshold: clip to [-1, 1]. Simple, but what was beyond becomes flat black and white.
# - *Dynamic* threshold: let q be the 99.5th percentile of the picture's absolute values, or 1 if that is larger; clip
#   at q, and divide by q, so that the whole picture comes back:
#
# $$\tilde x_0 = \mathrm{clip}(\hat x_0, -q, q) / q, \qquad q = \max(1, \text{percentile of } \lvert \hat x_0 \rvert)
#   \qquad \text{(Eq. DYN-1)}$$
#
# - *Rescaling*: bring the guided guess back to the contrast, the standard deviation, of the one told the label, a share
#   $\phi$ of the way:
#
# $$\tilde x_0 \leftarrow \phi\, \tilde x_0\, \frac{\mathrm{std}(\hat x_0(y))}{\mathrm{std}(\tilde x_0)}
#   + (1 - \phi)\, \tilde x_0 \qquad \text{(Eq. RESCALE-16)}$$
#
# **Write it yourself:** the dynamic threshold, for a batch: each picture has a q of its own. The percentile is a number
# from 0 to 1; where it falls between two values, go that share of the way from one to the other, which is what
# `np.quantile(values, percentile)` does by itself.


# %%
def my_threshold(x_0_hat, percentile):
    """Return the guesses within [-1, 1]; x_0_hat has the shape (N, ...), a picture in each row."""
    ### BEGIN SOLUTION
    sizes = abs(x_0_hat).reshape(len(x_0_hat), -1)
    q = np.maximum(1, np.quantile(sizes, percentile, axis=1)).reshape(-1, *[1] * (x_0_hat.ndim - 1))
    return np.clip(x_0_hat, -q, q) / q
    ### END SOLUTION


# %%
my_threshold = exercises.DYNAMIC.check(my_threshold)
show_source(bounded, rescaled)

# %% [markdown]
# **Find the fault:** guidance with the static threshold, all in one function, from the two noises. What it returns is
# within bounds. But take a pixel where the guess told the label is 1.5 and the one told nothing is 3. With s = 2 the way
# leads from 3 over 1.5 to 0, a middle grey. This function says 1, white, and it says so wherever both guesses are beyond
# 1. Mend one line.


# %%
def my_clipped(x_t, given, nothing, alpha_bar, scale):
    """Return the guided x_0_hat within [-1, 1], and the eps_hat that belongs to it; given and nothing are noises."""
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5

    def guess(eps):
        ### BEGIN SOLUTION
        return (x_t - b * eps) / a
        ### INSTEAD
        return np.clip((x_t - b * eps) / a, -1, 1)
        ### END SOLUTION

    x_0_hat = guess(nothing) + scale * (guess(given) - guess(nothing))
    x_0_hat = np.clip(x_0_hat, -1, 1)
    return x_0_hat, (x_t - a * x_0_hat) / b


# %%
my_clipped = exercises.CLIPPED.check(my_clipped)

# %% [markdown]
# Bounds and contrast of the library, against your functions and the formulas; of the noise, that it belongs to the guess:

# %%
x, t, told = rng.standard_normal((3, 4, 5)), np.array([950, 400, 100]), np.array([2, 5, 8])
nothing, (a, b) = np.full(3, 10), (diffusion.alpha_bar[t] ** 0.5, (1 - diffusion.alpha_bar[t]) ** 0.5)
a, b = a[:, None, None], b[:, None, None]


def of_noise(x_t, t, labels):
    """Return a prediction whose guess and noise belong together, as a network's do."""
    eps = x_t + 0.3 * np.sin(x_t + labels[:, None, None])
    return diffusion.x_0_from_eps(x_t, t, eps), eps


(given, eps), (untold, eps_untold) = of_noise(x, t, told), of_noise(x, t, nothing)
guided = untold + 3 * (given - untold)
harsh = classifier_free_guidance(of_noise, diffusion, nothing, 3.0)
for how, expected in (("static", guided.clip(-1, 1)), ("dynamic", my_threshold(guided, 0.8))):
    x_0_hat, eps_hat = bounded(harsh, diffusion, how, 0.8)(x, t, told)
    assert np.allclose(x_0_hat, expected)
    assert np.allclose(eps_hat, (x - a * expected) / b)
assert np.allclose(bounded(harsh, diffusion, "dynamic")(x, t, told)[0], my_threshold(guided, 0.995))
assert np.allclose(bounded(harsh, diffusion)(x, t, told)[0], guided.clip(-1, 1)), "static unless told otherwise"
for i in range(3):  # picture by picture
    mine = my_clipped(x[i], eps[i], eps_untold[i], diffusion.alpha_bar[t[i]], 3.0)
    theirs = bounded(harsh, diffusion)(x, t, told)
    assert np.allclose((theirs[0][i], theirs[1][i]), mine)

contrast = given.std(axis=(1, 2), keepdims=True) / guided.std(axis=(1, 2), keepdims=True)
assert np.allclose(rescaled(guided, given, 0.7), 0.7 * guided * contrast + 0.3 * guided)
x_0_hat, eps_hat = classifier_free_guidance(of_noise, diffusion, nothing, 3.0, None, 0.7)(x, t, told)
assert np.allclose(x_0_hat, 0.7 * guided * contrast + 0.3 * guided)
assert np.allclose(eps_hat, (x - a * x_0_hat) / b)

# %% [markdown]
# And what they do to the guesses of the network, at t = 900:

# %%
harsh = classifier_free_guidance(predict, diffusion, NOTHING, 8.0)
soft = classifier_free_guidance(predict, diffusion, NOTHING, 8.0, rescale=1.0)
x_t, t, wanted = rng.standard_normal((3, 28, 28, 1)).astype(np.float32), np.full(3, 900), np.array([2, 5, 8])
told_guess, harsh_guess, soft_guess = (p(x_t, t, wanted)[0] for p in (predict, harsh, soft))
for name, guess in (("told, s = 1", told_guess), ("s = 8", harsh_guess), ("s = 8, rescaled", soft_guess)):
    print(f"{name:<16} standard deviation {guess.std():.2f}, largest {abs(guess).max():.2f}")

# %% [markdown]
# All of it is one value of a request, `Guidance`. A step from the middle of such a chain, with your functions:

# %%
asked = Guidance(4, interval=(200, 800), rescale=0.3, threshold="dynamic")
chain = list(model.chain(Request(n=4, seed=1, labels=[2, 5, 8, 3], guidance=asked), steps=10))
for step in (0, 4):  # one that starts at t > 800, and one within the interval
    (t, x_t, _), (_, _, x_0_hat) = chain[step : step + 2]
    told, times = np.array([2, 5, 8, 3]), np.full(4, t)
    mine, _ = my_guided(predict, x_t, times, told, 10, 4.0, 200, 800)
    given, _ = predict(x_t, times, told)
    contrast = given.std(axis=(1, 2, 3), keepdims=True) / mine.std(axis=(1, 2, 3), keepdims=True)
    assert np.allclose(x_0_hat, my_threshold((0.3 * contrast + 0.7) * mine, 0.995), atol=2e-3)

# %% [markdown]
# ## A bad version of itself
#
# Guidance does two things at once: it pulls towards the label, and away from what is unclear. The second can be had
# alone. Take, in the place of "told nothing", a *worse model of the same thing*: smaller, or trained for less time.
# Both are told the same.
#
# $$\tilde x_0 = \hat x_0^{\text{weak}} + s \left(\hat x_0 - \hat x_0^{\text{weak}}\right) \qquad \text{(Eq. AUTO-1)}$$
#
# Where the two agree nothing happens. Where they differ, the weak one is likely to be wrong in the way in which the
# strong one is wrong too, but more so; and the way from weak to strong leads on to what is right. In the laboratory:
# data are three clouds; the strong model believes that they are wider than they are, and the weak one that they are
# wider still. (These widths are made to fit: the strong model's is about as far from the weak one's as from the truth, so
# that s = 2 comes out right. With real models nobody knows the right s.)

# %%
corners = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
truth, strong, weak = (
    GaussianMixture(diffusion, [0.5, 0.3, 0.2], corners, [variance] * 3) for variance in (0.01, 0.03, 0.05)
)
x_T = rng.standard_normal((1000, 2))
x, t = rng.standard_normal((4, 2)), np.array([900, 600, 500, 100])
pairs = list(zip(strong.predict(x, t), weak.predict(x, t), strict=True))
assert np.allclose(autoguidance(strong.predict, weak.predict, 3.0)(x, t), [w + 3 * (s - w) for s, w in pairs])
s = np.array([1, 1, 3, 1])[:, None]  # within an interval, as above
assert np.allclose(
    autoguidance(strong.predict, weak.predict, 3.0, (200, 500))(x, t), [w + s * (g - w) for g, w in pairs]
)
told = np.array([0, 1, 2, 0])  # both are told the same
label_only = autoguidance(lambda x, t, y: (x, 2.0 * x), lambda x, t, y: (x * y[:, None], x), 3.0)(x, t, told)[0]
assert np.allclose(label_only, x * told[:, None] + 3 * (x - x * told[:, None]))

predictions = {
    "the data": truth.predict,
    "the weak model": weak.predict,
    "the strong model": strong.predict,
    "autoguidance, s = 2": autoguidance(strong.predict, weak.predict, 2.0),
}
clouds = {name: last(ddim(p, diffusion, x_T, 100)) for name, p in predictions.items()}
spreads = {}
for name, points in clouds.items():
    nearest = ((points[:, None] - corners) ** 2).sum(axis=-1)
    spreads[name] = (nearest.min(axis=1).mean() / 2) ** 0.5
    share = np.bincount(nearest.argmin(axis=1), minlength=3) / len(points)
    print(f"{name:<20} spread {spreads[name]:.3f}, shares of the clouds {share}")
off = {name: abs(spread - spreads["the data"]) for name, spread in spreads.items()}
assert off["autoguidance, s = 2"] < off["the strong model"] / 2
plot.point_clouds(clouds, reach=1.8)

# %% [markdown]
# The guided model is better than both that it is made of, and the shares of the clouds stay.
#
# ## Words
#
# All this holds for any condition. The model `avatars` draws from text, and its "nothing" is the empty prompt. The text
# asks for two things. (How it was trained is told in notebook 24.)

# %%
avatars = tinydiff.load("avatars")


def portraits(prompt, guidance, negative="", n=6, seed=3):
    """Return portraits for a prompt, all from the same noise."""
    return last(avatars.chain(Request(n=n, seed=seed, prompt=prompt, negative=negative, guidance=guidance), steps=20))


PROMPT = "a person with red hair and a green shirt"
rows = {f"s = {scale}": portraits(PROMPT, scale) for scale in (0, 1, 2, 5)}
rows["s = 5, rescaled by 0.7"] = portraits(PROMPT, Guidance(5, rescale=0.7))
rows["s = 5, dynamic threshold"] = portraits(PROMPT, Guidance(5, threshold="dynamic"))
plot.image_rows(rows, scale=5, title=PROMPT)

# %% [markdown]
# Look at what nobody asked for: with a large s glasses go (people without are described without), and skin becomes more
# alike. Guidance narrows *everything*, also what the text leaves open. Rescaling gives some of it back. The dynamic
# threshold was made for photographs. These pictures are mostly white ground, at the very end of the range, and it makes
# all of them duller.
#
# And "nothing" need not be nothing. Put another text there, and the picture is pushed away from it: a *negative
# prompt*.

# %%
PLAIN = "a person"
wanted = {
    "s = 1": (1, ""),
    "s = 3": (3, ""),
    'not "glasses"': (3, "glasses"),
    'not "a hat"': (3, "a hat"),
}
rows = {name: portraits(PLAIN, scale, negative, n=12, seed=5) for name, (scale, negative) in wanted.items()}
for name, pictures in rows.items():
    seen = judge(np.rint((pictures.clip(-1, 1) + 1) * 127.5).astype(np.uint8)).portraits
    shares = {layer: float((words_of(seen, layer)[0] != "").mean()) for layer in ("glasses", "hat")}
    print(f"{name:<14} glasses {shares['glasses']:4.0%}, hats {shares['hat']:4.0%}")
    if name == 'not "glasses"':
        assert shares["glasses"] < 0.2
    if name == 'not "a hat"':
        assert shares["hat"] < 0.2
plot.image_rows(rows, scale=4, title=PLAIN)

# %% [markdown]
# With "a hat" in the place of nothing, every hat is gone. But look at the hair: it has changed, too. Away from a text
# lies not just its opposite, but anything that the text makes unlikely.

# %% [markdown]
# ## Summary
#
# 1. Hide the condition now and then in training: one network gives two answers, and their difference is a pull.
# 2. From nothing to the condition is s = 1; beyond it is exaggeration. The paper's w is s - 1.
# 3. For s > 1 it does not sample $q(x)\, p(y \mid x)^s$: noising and tilting do not commute.
# 4. A larger s obeys better and varies less, also in what nobody asked for; intervals and rescaling limit that.
# 5. What stands for "nothing" is free: another text is a negative prompt, and a worse model is autoguidance.
#
# <details><summary>Why are the labels hidden in one tenth of the training, and not in half?</summary>
#
# The network is to be used mostly with a condition, and learns that from the other nine tenths. "Nothing" is easier: a
# tenth is enough for it.
#
# </details>
#
# <details><summary>What if "nothing" had never been trained?</summary>
#
# Then the prediction for that label is what its random vector happens to give, and guidance pushes away from noise. The
# library refuses to guide models that have no such label.
#
# </details>
#
# <details><summary>Can it be combined with the classifier of notebook 20?</summary>
#
# Yes: each takes a prediction and returns one. Both pulls add, and so do both costs.
#
# </details>
#
# **Next:** what are these texts to a network? [22 · Tokens and the Transformer](22_tokens_and_the_transformer.ipynb).
