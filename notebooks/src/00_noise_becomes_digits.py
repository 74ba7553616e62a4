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
# **Prerequisites:** none, and no maths beyond a square root. **Time:** 10 minutes.
#
# **Papers** behind it, for later: Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020); Song, Meng, Ermon,
# *Denoising diffusion implicit models* (2021).
#
# Run the cells from top to bottom. If the first import fails, start Jupyter from the environment that `make setup` makes:
# `.venv/bin/jupyter lab notebooks`.

# %%
from itertools import pairwise

import numpy as np
from IPython.display import Image, display

import tinydiff
from tinydiff import plot
from tinydiff.data import load
from tinydiff.diffusion import ddim

# %% [markdown]
# ## A grid of digits nobody wrote
#
# The model that ships with tinydiff has seen 60,000 handwritten digits. Here it draws 40 new ones. It is also told *which*
# digit to draw: here 0 to 9, again and again, so each column is one digit.

# %%
model = tinydiff.load_model("mnist")
chain = list(model.chain(n=40, seed=0, steps=40))
_, digits, _ = chain[-1]
plot.image_grid(digits, columns=10, title="40 samples, none left out")

# %% [markdown]
# Not every one is a good digit: about one in twenty of this small model's is none. Another seed is another start, and gives
# other digits. The same seed always gives the same ones.

# %%
again = tinydiff.sample("mnist", n=5, seed=0, steps=40)
assert np.array_equal(again, np.clip(digits[:5], -1, 1)), "the same seed should give the same pictures"
plot.image_grid(tinydiff.sample("mnist", n=10, seed=1, labels=7), columns=10, title="ten sevens")

# %% [markdown]
# ## Watch it happen
#
# A model knows only one trick: it looks at a noisy image and *guesses the clean image* behind it. Left, the image as it is
# being denoised. Right, the guess that led there. `t` counts down from 1000, pure noise, to 0, a clean image.

# %%
gif = plot.chain_gif(chain, "noise_becomes_digits.gif", samples=20)
display(Image(filename=str(gif)))

# %% [markdown]
# Look at the guesses on the right while `t` is large. They are blurry: from pure noise, no one can tell *which* five will
# come out, so the best guess is something like the average of all fives. As noise goes, the guess commits itself.

# %% [markdown]
# ## Move t
#
# Four of the digits from left to right as `t` falls, and below them the guesses. With a live kernel, the slider of the
# cell after them shows every moment.

# %%
display(plot.chain_strip(chain, samples=4, columns=9, title="the image"))
display(plot.chain_strip(chain, samples=4, columns=9, estimate=True, title="the guess"))

# %%
try:
    from ipywidgets import IntSlider, interact
except ImportError:
    print("ipywidgets is not installed: look at the strips above.")
else:

    def at(step):
        """Show the images and the guesses after so many steps."""
        t, x_t, x_0_hat = chain[step]
        title = f"t = {t}. Above: the image; below: the guess"
        return plot.image_grid(np.concatenate([x_t[:10], x_0_hat[:10]]), columns=10, title=title)

    interact(at, step=IntSlider(value=20, min=0, max=len(chain) - 1))

# %% [markdown]
# ## How many steps does it take?
#
# If the model can guess the clean image, why not take the guess at once?
#
# **Predict, then run:** what will a single step give for ten fives? And five steps? Say it aloud before you run the cell.

# %%
fives = {}
for name, steps in (("1 step", 1), ("5 steps", 5), ("50 steps", 50)):
    fives[name] = tinydiff.sample("mnist", n=10, seed=0, labels=5, steps=steps)
    display(plot.image_grid(fives[name], columns=10, title=name))

# %% [markdown]
# One step gives ten times nearly the same blurry five: the average. With each further step the model sees a slightly less
# noisy image and can guess better, and each image commits itself to a five of its own. The difference can be measured: how
# far are two fives apart?


# %%
def variety(images):
    """Return the mean distance between two of the images, in the sense of Pythagoras over all pixels."""
    rows = images.reshape(len(images), -1)
    distances = [np.linalg.norm(rows[i] - rows[j]) for i in range(len(rows)) for j in range(i)]
    return float(np.mean(distances))


test = load("mnist-small", "test")
real, _ = test.batch(np.flatnonzero(test.labels == 5)[:10])
varieties = {name: variety(images) for name, images in (fives | {"real fives": real}).items()}
for name, value in varieties.items():
    print(f"{name:>10}: {value:5.1f}")
assert varieties["1 step"] < varieties["50 steps"] / 2, "one step should give ten fives that are nearly the same"

# %% [markdown]
# ## Write it yourself: sampling in five lines
#
# A *step* from `t` down to an earlier `s` does this: ask the model for its guess of the clean image and of the noise, then
# mix the two again, with as little noise as belongs to `s`. How much of each belongs to a time is what
# `model.diffusion.alpha_bar` says: the weight of the clean image is the square root of `alpha_bar[s]`, the weight of the
# noise the square root of `1 - alpha_bar[s]`. (If the lines between BEGIN and END SOLUTION are there, delete them first.)


# %%
def my_step(x_t, t, s, label):
    """Return x at the earlier time s."""
    n = len(x_t)
    x_0_hat, eps_hat = model.predict(x_t, np.full(n, t), np.full(n, label))
    a = model.diffusion.alpha_bar[s]
    ### BEGIN SOLUTION
    return a**0.5 * x_0_hat + (1 - a) ** 0.5 * eps_hat
    ### END SOLUTION


# %%
noise = np.random.default_rng(3).standard_normal((5, 28, 28, 1)).astype(np.float32)
threes = np.full(5, 3)
_, halfway, _ = next(ddim(model.predict, model.diffusion, noise, [1000], context=threes, end=500))
_, expected, _ = next(ddim(model.predict, model.diffusion, halfway, [500], context=threes, end=250))
mine = my_step(halfway, 500, 250, label=3)
assert np.shape(mine) == halfway.shape, f"my_step gave the shape {np.shape(mine)}, not {halfway.shape}: return the mix"
assert np.allclose(mine, expected, atol=1e-4), "not the library's step: two square roots? eps_hat, and not x_t?"

times = list(range(1000, -1, -25))
x = noise
for t, s in pairwise(times):
    x = my_step(x, t, s, label=3).astype(np.float32)
plot.image_grid(x, columns=5, title="my own threes")

# %% [markdown]
# ## Write it yourself: freeze t and watch it break
#
# The model is told how noisy its input is: that is what `t` is for. What if we lie to it, and always say `t = 500`?


# %%
def lying_step(x_t, t, s, label, told=500):
    """Do the same as my_step, but tell the model another time than the true one."""
    n = len(x_t)
    ### BEGIN SOLUTION
    x_0_hat, eps_hat = model.predict(x_t, np.full(n, told), np.full(n, label))
    a = model.diffusion.alpha_bar[s]
    return a**0.5 * x_0_hat + (1 - a) ** 0.5 * eps_hat
    ### END SOLUTION


# %%
honest = lying_step(halfway, 500, 250, label=3, told=500)
assert np.allclose(honest, mine, atol=1e-4), "told the truth, it should do what my_step does"
y = noise
for t, s in pairwise(times):
    y = lying_step(y, t, s, label=3).astype(np.float32)
assert abs(y - x).mean() > 0.02, "the lie should change the pictures: is `told` handed to the model?"
plot.image_grid(np.concatenate([x, y]), columns=5, title="above: told the truth; below: always told t = 500")

# %% [markdown]
# The model is still told that half of what it sees is noise, so it keeps painting over what is finished. Predict, then try
# `told=100` and `told=900`.

# %% [markdown]
# ## The library's own lines
#
# What you wrote is DDIM. Your line is the one that begins with `x_t = alpha_bar`; the others check the input, and can add
# fresh noise.

# %%
import inspect

print(inspect.getsource(ddim).split('"""')[-1])

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
# Pure noise says nothing about how this five will look. The guess that is least wrong on average is then the average of all
# fives.
#
# </details>
#
# <details><summary>Would a thousand steps be better than fifty?</summary>
#
# Hardly, and it takes twenty times as long. Compare `tinydiff.sample("mnist", n=10, labels=5, steps=200)` with the last row.
#
# </details>
#
# <details><summary>Does it copy its training images?</summary>
#
# In a terminal, `tinydiff evaluate --data mnist --n 100 --out judged` draws samples beside the nearest of its 60,000 training
# images (which it fetches if they are not there): see for yourself.
#
# </details>
#
# **Next:** how noise is added, one step at a time, and why it is done in just this way:
# [01 · From an image to noise](01_one_noising_step.ipynb).
