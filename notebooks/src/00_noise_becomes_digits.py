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
# **Prerequisites:** none, and no maths. **Time:** 10 minutes.
#
# **Papers** behind it, for later: Ho, Jain, Abbeel, *Denoising diffusion probabilistic models* (2020); Song, Meng, Ermon,
# *Denoising diffusion implicit models* (2021).
#
# Run the cells from top to bottom. If the first import fails, run `%pip install tinydiff` in a cell of its own.

# %%
from itertools import pairwise

import numpy as np
from IPython.display import Image, display

import tinydiff
from tinydiff import plot
from tinydiff.data import load

# %% [markdown]
# ## A grid of digits nobody wrote
#
# The model that ships with tinydiff has seen 60,000 handwritten digits. Here it draws 40 that are not among them.

# %%
digits = tinydiff.sample("mnist", n=40, seed=0)
plot.image_grid(digits, columns=10)

# %% [markdown]
# Another seed is another start, and gives other digits. The same seed always gives the same ones.

# %%
again = tinydiff.sample("mnist", n=5, seed=0)
assert np.array_equal(again, digits[:5]), "the same seed should give the same pictures"
plot.image_grid(tinydiff.sample("mnist", n=10, seed=1, labels=[7] * 10), columns=10, title="ten sevens")

# %% [markdown]
# ## Watch it happen
#
# A model knows only one trick: it looks at a noisy image and *guesses the clean image* behind it. Left, the image as it is
# being denoised. Right, the guess at that moment. `t` counts down from 1000, pure noise, to 0, a clean image.

# %%
model = tinydiff.load_model("mnist")
chain = [(t, x_t[:20], x_0_hat[:20]) for t, x_t, x_0_hat in model.chain(n=20, seed=0, steps=40)]
gif = plot.chain_gif(chain, "noise_becomes_digits.gif", samples=20)
display(Image(filename=str(gif)))

# %% [markdown]
# Look at the guesses on the right while `t` is large. They are blurry: from pure noise, no one can tell which five will come
# out, so the best guess is something like the average of all fives. As noise goes, the guess commits itself.

# %% [markdown]
# ## Move t
#
# With a live kernel, drag the slider. Without one, the strip below shows the same.

# %%
plot.chain_strip([(t, x[:4], guess[:4]) for t, x, guess in chain], columns=9)

# %%
try:
    from ipywidgets import IntSlider, interact
except ImportError:
    print("ipywidgets is not installed: look at the strip above.")
else:

    def at(step):
        """Show the images and the guesses after so many steps."""
        t, x_t, x_0_hat = chain[step]
        return plot.image_grid(np.concatenate([x_t[:10], x_0_hat[:10]]), columns=10, title=f"t = {t}: image, guess")

    interact(at, step=IntSlider(value=20, min=0, max=len(chain) - 1))

# %% [markdown]
# ## How many steps does it take?
#
# If the model can guess the clean image, why not take the guess at once?
#
# **Predict, then run:** what will a single step give? And five? Say it aloud before you run the cell.

# %%
few = {steps: tinydiff.sample("mnist", n=10, seed=0, steps=steps) for steps in (1, 5, 50)}
for steps, images in few.items():
    display(plot.image_grid(images, columns=10, title=f"{steps} step{'s' if steps > 1 else ''}"))

# %% [markdown]
# One step gives averages. With each further step the model sees a slightly less noisy image and can guess better. The
# difference can be measured: a handwritten digit has ink or no ink, hardly any grey, and an average has much grey.


# %%
def grey(images):
    """Return the share of pixels that are neither clearly ink nor clearly paper."""
    return float((abs(images) < 0.7).mean())


real, _ = load("mnist-small", "test").batch(np.arange(200))
shares = {steps: grey(images) for steps, images in few.items()} | {"real digits": grey(real)}
for name, share in shares.items():
    print(f"{name!s:>12}: {share:.1%} grey pixels")
assert shares[1] > shares[50], "one step should be blurrier than fifty"

# %% [markdown]
# ## Write it yourself: sampling in five lines
#
# A *step* from `t` down to an earlier `s` does this: ask the model for its guess of the clean image and of the noise, then
# mix the two again, with as little noise as belongs to `s`. How much of each belongs to a time is what
# `model.diffusion.alpha_bar` says: the share of clean image is the square root of `alpha_bar[s]`, the share of noise the
# square root of `1 - alpha_bar[s]`.


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
x = np.random.default_rng(0).standard_normal((5, 28, 28, 1)).astype(np.float32)
times = list(range(1000, -1, -25))
for t, s in pairwise(times):
    x = my_step(x, t, s, label=3).astype(np.float32)
assert np.isfinite(x).all(), "x is not finite: are both square roots there?"
assert abs(x).max() <= 1.01, (
    "at s = 0 only the clean guess should be left: is the noise weighted with 1 - alpha_bar[s]?"
)
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
y = np.random.default_rng(0).standard_normal((5, 28, 28, 1)).astype(np.float32)
for t, s in pairwise(times):
    y = lying_step(y, t, s, label=3).astype(np.float32)
assert abs(y - x).mean() > 0.02, "the lie should change the pictures: is `told` handed to the model?"
plot.image_grid(np.concatenate([x, y]), columns=5, title="above: told the truth; below: always told t = 500")

# %% [markdown]
# ## The library's own lines
#
# What you wrote is DDIM. In the library it is one term per line, with a little more: it can also add fresh noise.

# %%
import inspect

from tinydiff.diffusion import ddim

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
# <details><summary>Why are the first guesses all alike?</summary>
#
# Pure noise says nothing about the digit. The best guess, in the sense of least squares, is then the average of all digits
# of that class.
#
# </details>
#
# <details><summary>Would a thousand steps be better than fifty?</summary>
#
# A little, and twenty times slower. Try `tinydiff.sample("mnist", n=10, steps=200)`.
#
# </details>
#
# <details><summary>Does it copy its training images?</summary>
#
# `tinydiff evaluate --out judged` draws samples beside their nearest training images: see for yourself.
#
# </details>
#
# **Next:** how noise is added, one step at a time, and why it is done in just this way (01, to come).
