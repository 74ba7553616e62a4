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
# # 00 · Noise becomes digits
#
# **You will learn** what a diffusion model does, by watching one at work: it is given an image of pure noise, and step
# by step it takes noise away until a digit is left.
#
# **Prerequisites:** none, and no maths beyond a square root. **Time:** 30 minutes.
#
# **Papers** behind it, for later: Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020); Song, Meng,
# Ermon, *Denoising diffusion implicit models* (2021).
#
# Run the cells from top to bottom. If the first import fails, start Jupyter from the environment that `make setup`
# makes: `.venv/bin/jupyter lab notebooks`.

# %%
from itertools import pairwise

import numpy as np
from IPython.display import Image, display

import tinydiff
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_00 as exercises
from tinydiff.data import load_data
from tinydiff.diffusion import ddim, last
from tinydiff.models import Request

# %% [markdown]
# ## A grid of digits nobody wrote
#
# The model that ships with tinydiff has seen 60,000 handwritten digits. Here it draws 40 new ones. It is also told
# *which* digit to draw: here 0 to 9, again and again, so each column is one digit.

# %%
model = tinydiff.load("mnist")
chain = list(model.chain(Request(n=40, seed=0), steps=40))
_, digits, _ = chain[-1]
plot.image_grid(digits, columns=10, title="40 samples, none left out")

# %% [markdown]
# Not every one is a good digit: about one in twenty of this small model's is none. Another seed is another start, and
# gives other digits. The same seed always gives the same ones.

# %%
sevens = tinydiff.sample("mnist", n=10, seed=1, labels=7)
plot.image_grid(sevens, columns=10, title="ten sevens")

# %% [markdown]
# Two checks: what does a seed do, and does the model draw what it is asked for? To judge that without another model,
# look which digit a picture resembles most: the one whose average, over real digits, is nearest. (Of real digits too,
# that finds only about four of five.)

# %%
again = tinydiff.sample("mnist", n=5, seed=0, labels=[0, 1, 2, 3, 4], steps=40, sampler="ddim")
other = tinydiff.sample("mnist", n=5, seed=2, steps=40, sampler="ddim")
assert np.array_equal(again, np.clip(digits[:5], -1, 1)), "the same seed should give the same pictures"
assert abs(other - again).mean(axis=(1, 2, 3)).min() > 0.05, "another seed should give other pictures"

train = load_data("mnist-small", "train")
real, labels = train.batch(np.arange(len(train)))
averages = np.stack([real[labels == k].mean(axis=0) for k in range(10)])


def resembles(images):
    """Return for each image the digit whose average is nearest."""
    return ((images[:, None] - averages) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)


right = (resembles(digits) == np.arange(40) % 10).mean()
of_real = (resembles(real[:300]) == labels[:300]).mean()
print(f"{of_real:.0%} of real digits resemble the average of their own kind")
print(f"{right:.0%} of the 40 resemble the digit that was asked for, and of the sevens {resembles(sevens).tolist()}")
assert right > 0.6
assert (resembles(sevens) == 7).sum() >= 5

# %% [markdown]
# ## Watch it happen
#
# A model knows only one trick: it looks at a noisy image and *guesses the clean image* behind it. What is not the clean
# image is noise, so guessing one is guessing the other. Here are eight chains from eight different noises; this time
# the model is not told which digit to draw: `context` is a label for each image, and 10 means "any". Left, the image as
# it is being denoised; in the middle, the guess of the clean image that led there; right, the guess of the noise. `t`
# counts down from 1000, pure noise, to 0, a clean image.

# %%
x_T = np.random.default_rng(4).standard_normal((8, 28, 28, 1)).astype(np.float32)
free, seen, t = [], x_T, 1000
for s, x_s, x_0_hat in ddim(model.predict, model.diffusion, x_T, 40, context=np.full(8, 10)):
    free.append((s, x_s, x_0_hat, model.diffusion.eps_from_x_0(seen, t, x_0_hat)))  # the noise in what the model saw
    seen, t = x_s, s
assert [s for s, _, _, _ in free] == list(range(975, -1, -25))
gif = plot.chain_gif(free, "noise_becomes_digits.gif", scale=3)
display(Image(filename=str(gif)))

# %% [markdown]
# Look at the guesses in the middle while `t` is large. All eight are the same grey blob: from pure noise, no one can
# tell *which* digit will come out, so the best guess is the average of all digits. As noise goes, each guess commits
# itself. The noise on the right hardly changes: this sampler draws no new noise, and only takes away what it was given.

# %%
_, _, first_guess, _ = free[0]
_, _, last_guess, _ = free[-1]
average = real.mean(axis=0)
apart, far = abs(first_guess - average).mean(), abs(last_guess - average).mean()
print(f"difference from the average digit, per pixel: first guess {apart:.3f}, last guess {far:.3f}")
assert apart < far / 3, "the first guess should be the average digit"

# %% [markdown]
# ## Move t
#
# Four of the digits from left to right as `t` falls, and below them the guesses. With a live kernel, the slider of the
# cell after them shows every moment.

# %%
display(plot.chain_strip(chain, samples=4, columns=9, title="the image"))
display(plot.chain_strip(chain, samples=4, columns=9, estimate=True, title="the guess"))


# %%
def at(step):
    """Show the images and the guesses after so many steps."""
    t, x_t, x_0_hat = chain[step]
    title = f"t = {t}. Above: the image; below: the guess"
    return plot.image_grid(np.concatenate([x_t[:10], x_0_hat[:10]]), columns=10, title=title)


slider(at, range(len(chain)), "steps")

# %% [markdown]
# ## How many steps does it take?
#
# If the model can guess the clean image, why not take the guess at once?
#
# **Predict, then run:** what will a single step give for ten fives? And five steps? Say it aloud before you run the
# cell.

# %%
fives = {}
for name, steps in (("1 step", 1), ("5 steps", 5), ("50 steps", 50)):
    fives[name] = tinydiff.sample("mnist", n=10, seed=0, labels=5, steps=steps)
    display(plot.image_grid(fives[name], columns=10, title=name))

# %% [markdown]
# One step gives ten times nearly the same blurry five: the average. With each further step the model sees a slightly
# less noisy image and can guess better, and each image commits itself to a five of its own.
#
# **Explore:** measure it. How far are two fives apart? Write a function that gives the mean distance of two different
# images, over all pairs of them. The distance of two images is Pythagoras's, over all pixels: the root of the sum of
# the squared differences. `images` has the shape (N, height, width, channels). (If you are stuck,
# `exercises.VARIETY.hint()` says where to look; `hint(2)` and `hint(3)` say more.)


# %%
def variety(images):
    """Return the mean distance of two of the images, one number."""
    ### BEGIN SOLUTION
    rows = images.reshape(len(images), -1)
    distances = [((rows[i] - rows[j]) ** 2).sum() ** 0.5 for i in range(len(rows)) for j in range(i)]
    return np.mean(distances)
    ### END SOLUTION


# %%
variety = exercises.VARIETY.check(variety)
real_fives = real[labels == 5][:10]
varieties = {name: variety(images) for name, images in (fives | {"real fives": real_fives}).items()}
for name, value in varieties.items():
    print(f"{name:>10}: {value:5.1f}")
assert varieties["1 step"] < varieties["50 steps"] / 2, "one step should give ten fives that are nearly the same"

# %% [markdown]
# ## Sampling in five lines
#
# A *step* from `t` down to an earlier `s` does this: ask the model for its guess of the clean image and of the noise,
# then mix the two again, with as little noise as belongs to `s`. How much of each belongs to a time is what
# `model.diffusion.alpha_bar` says: the weight of the clean image is the square root of `alpha_bar[s]`, the weight of
# the noise the square root of `1 - alpha_bar[s]`.
#
# **Write it yourself:** the mix. `alpha_bar_s` is one number, the guesses are images.


# %%
def my_mix(x_0_hat, eps_hat, alpha_bar_s):
    """Return x at the earlier time s."""
    ### BEGIN SOLUTION
    return alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * eps_hat
    ### END SOLUTION


# %%
my_mix = exercises.MIX.check(my_mix)

# %% [markdown]
# With it, sampling is a loop. Forty steps from noise to threes, and beside them two nines:


# %%
asked = np.array([3, 3, 3, 3, 3, 9, 9])


def guess(x, t, labels=asked):
    """Return the model's guesses of the clean image and of the noise in x."""
    x = np.asarray(x, np.float32)  # what the model computes with
    return model.predict(x, np.full(len(x), t), labels)


noise = np.random.default_rng(3).standard_normal((7, 28, 28, 1)).astype(np.float32)
alpha_bar = model.diffusion.alpha_bar.tolist()
times = list(range(1000, -1, -25))
x = noise
for t, s in pairwise(times):
    x_0_hat, eps_hat = guess(x, t)
    x = my_mix(x_0_hat, eps_hat, alpha_bar[s])
plot.image_grid(x, columns=7, title="my own threes, and two nines")

# %% [markdown]
# The library's sampler, from the same noise, draws the same digits. What you wrote is its line that begins with `x_t =
# alpha_bar`; the others check the input, and can add fresh noise.

# %%
library = list(ddim(model.predict, model.diffusion, noise, times[:-1], context=asked))
_, _, library_guess = library[-1]
assert np.allclose(x, last(library), atol=1e-3), "the loop should give what the library's sampler gives"
assert np.allclose(x_0_hat, library_guess, atol=1e-3)
uneven = [(1000, 400), (400, 150), (150, 0)]  # unequal steps, and fewer
y = noise
for t, s in uneven:
    y = my_mix(*guess(y, t), alpha_bar[s])
assert np.allclose(y, last(ddim(model.predict, model.diffusion, noise, [1000, 400, 150], context=asked)), atol=1e-3)
x_T, _ = model.start(Request(n=2, seed=0))  # the noise that seed 0 stands for
y = x_T
for t, s in pairwise(times):
    y = my_mix(*guess(y, t, np.array([0, 1])), alpha_bar[s])
assert np.allclose(y, digits[:2], atol=1e-3)  # the first two digits of this page
assert abs(x_T.std() - 1) < 0.05
show_source(ddim)

# %% [markdown]
# **Derive it yourself:** this model hands out two guesses. But guessing one *is* guessing the other: what is not the
# clean image is noise. If a model gives the clean image only, which noise must then be in `x_t`? `x_t` is a mix of both
# with the weights of its own time, `alpha_bar_t`.


# %%
def my_noise(x_t, x_0_hat, alpha_bar_t):
    """Return the noise in x_t, of the shape of x_t, if x_0_hat is the clean image behind it."""
    ### BEGIN SOLUTION
    return (x_t - alpha_bar_t**0.5 * x_0_hat) / (1 - alpha_bar_t) ** 0.5
    ### END SOLUTION


# %%
my_noise = exercises.NOISE.check(my_noise)
for t in (900, 500, 100):
    x_0_hat, eps_hat = guess(noise, t)
    assert np.allclose(eps_hat, my_noise(noise, x_0_hat, alpha_bar[t]), atol=1e-3)
    assert abs(x_0_hat).max() <= 1  # the model's guess is clipped to the values that pixels have
    by_library = model.diffusion.eps_from_x_0(noise, t, x_0_hat)  # it made the right third of the film above
    assert np.allclose(by_library, (noise - alpha_bar[t] ** 0.5 * x_0_hat) / (1 - alpha_bar[t]) ** 0.5, atol=1e-4)

# %% [markdown]
# ## Lie about the time
#
# The model is told how noisy its input is: that is what `t` is for. What if we lie, and say the same time at every
# step?
#
# **Explore:** write the loop once more, as a function. `predict(x, time)` gives the two guesses, `mix` is the step
# above, `times` fall from the first to the last, and `told` is the lie. Only the model hears the lie.


# %%
def sample_lying(predict, mix, alpha_bar, x, times, told):
    """Return x at the last of the times, when the model always hears that the time is `told`."""
    ### BEGIN SOLUTION
    for _, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, told)
        x = mix(x_0_hat, eps_hat, alpha_bar[s])
    return x
    ### END SOLUTION


# %%
sample_lying = exercises.LIE.check(sample_lying)

# %% [markdown]
# **Predict, then run:** which lie does more harm, "it is almost clean" or "it is almost noise"?

# %%
lied = {told: sample_lying(guess, my_mix, alpha_bar, noise, times, told) for told in (300, 500, 900)}
for images in lied.values():
    assert np.abs(np.subtract(images, x)).mean() > 0.02, "the lie should change the pictures"
rows = np.concatenate([x, *lied.values()])
plot.image_grid(rows, columns=7, title="rows: told the truth, always 300, always 500, always 900")

# %% [markdown]
# Told that much is noise, the model paints the average three or nine, whatever is there. Told that half is noise, it
# goes on thickening strokes that are finished. Told too little, it meets more noise than it was ever shown at that
# time, and falls apart.

# %% [markdown]
# ## Summary
#
# 1. A diffusion model guesses the clean image behind a noisy one. That is all it can do.
# 2. From pure noise the guess is a blurry average; the less noise is left, the sharper the guess.
# 3. Sampling is many small steps: guess, then mix the guess with a little less noise than before.
# 4. One step is not enough, because the first guess is an average of all that could be.
# 5. The model must be told how noisy its input is.
#
# <details><summary>Why are the first guesses of two fives alike?</summary>
#
# Pure noise says nothing about how this five will look. The guess that is least wrong on average is then the average of
# all fives.
#
# </details>
#
# <details><summary>Would a thousand steps be better than fifty?</summary>
#
# Hardly, and it takes twenty times as long. Compare `tinydiff.sample("mnist", n=10, labels=5, steps=200)` with the last
# row.
#
# </details>
#
# <details><summary>Does it copy its training images?</summary>
#
# In a terminal, `tinydiff evaluate --data mnist --n 100 --out judged` draws samples beside the nearest of its 60,000
# training images (which it fetches if they are not there): see for yourself.
#
# </details>
#
# **Next:** how noise is added, one step at a time, and why it is done in just this way: [01 · From an image to
# noise](01_one_noising_step.ipynb).
