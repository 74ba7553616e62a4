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
# # Problem set 7 · Words and pictures
#
# **You will practise** what carries words to pixels: attention and its gradient, maps of words, and guidance. And you will
# learn to draw one picture from several texts, and to measure what a word is worth.
#
# **Prerequisites:** notebooks 22, 23 and 24. **Time:** 110 minutes.
#
# `tinydiff check ps7` in a terminal checks all your answers. If you are stuck, `problems.MASKED.hint()` says where to look;
# `hint(2)` and `hint(3)` say more. The problems are in the order of their difficulty.

# %%
from itertools import pairwise

import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import Condition, Noise
from tinydiff.course.problem_sets import ps7 as problems
from tinydiff.diffusion import predictor, spaced_steps
from tinydiff.nn import Tape

rng = np.random.default_rng(0)
model = tinydiff.load("avatars")

# %% [markdown]
# ## Problem 1 · Behind the end (transcribe)
#
# A row of tokens has a fixed length, and most texts are shorter: what stands behind a text's end means nothing. tinydiff's
# network looks at these tokens all the same. Other networks hide them. Text n has `lengths[n]` tokens that count, which
# stand first. Every pixel gives the hidden ones a weight of exactly 0, and the others share the whole, in the proportions
# that their scores have among themselves:
#
# $$P_{pw} = \frac{e^{s_{pw}}}{\sum_{j < \text{length}} e^{s_{pj}}} \quad \text{for } w < \text{length}, \qquad
#   s = \frac{q k^\top}{\sqrt d}, \quad y = P v,$$
#
# where d is the width of a query, and words are counted from 0. Scores may be large (notebook 23). No length is 0.


# %%
def my_masked_attention(q, k, v, lengths):
    """Return y (N, pixels, F) and the weights (N, pixels, words).

    q is (N, pixels, d), k (N, words, d), v (N, words, F) and lengths (N,), whole numbers.
    """
    ### BEGIN SOLUTION
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    seen = np.arange(k.shape[1]) < lengths[:, None, None]
    scores = np.where(seen, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights
    ### END SOLUTION


# %%
my_masked_attention = problems.MASKED.check(my_masked_attention)

# %% [markdown]
# What it is good for: whatever stands behind the end, the answer is the same. Two texts of 3 words, in rows of 5, with
# different rubbish behind them:

# %%
q, k, v = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 5, 2))
k_other, v_other = k.copy(), v.copy()
k_other[:, 3:], v_other[:, 3:] = 10, -10
y, _ = my_masked_attention(q, k, v, np.array([3, 3]))
y_other, _ = my_masked_attention(q, k_other, v_other, np.array([3, 3]))
print("largest difference:", abs(y - y_other).max())

# %% [markdown]
# ## Problem 2 · The map that belongs to no word (debug)
#
# A layer's attention weights are (heads, pixels, tokens); the pixels of a picture lie row by row. The row of tokens begins
# with a start; then come the words, and word i has `pieces[i]` tokens; the end, and what is behind it, may follow. A word's
# map is, for each pixel, the *sum* of what its tokens get, in the mean over the heads.
#
# This function draws such maps, but its captions lie. Below, "red" seems to be looked at by pixels of no place in
# particular, and "hair" from where the hair is. Mend one line.


# %%
def my_word_maps(weights, pieces, height, width):
    """Return the maps of all words, (words, height, width)."""
    mean = weights.mean(axis=0)
    maps = []
    ### BEGIN SOLUTION
    first = 1
    ### INSTEAD
    first = 0
    ### END SOLUTION
    for count in pieces:
        of_word = mean[:, first : first + count].sum(axis=1)
        maps.append(of_word.reshape(height, width))
        first += count
    return np.stack(maps)


# %%
def weights_of(prompt, t=600):
    """Return x_t, and the weights of one layer that looks from 8 x 8 pixels at a prompt's tokens."""
    tape, x_t = Tape(), Noise(3).normal((1, 16, 16, 3), "x_T")
    model.network.forward(x_t, np.array([float(t)]), model.tokens([prompt]), tape)
    fine = [e.cache.weights for e in tape.entries if e.owner.path.endswith("cross_attention")]
    return x_t[0], [w for w in fine if w.shape[2] == 64][-1][0]


words = ["red", "hair", ",", "green", "shirt"]
x_t, weights = weights_of("red hair, green shirt")
pieces = [len(model.tokenizer.encode(word)) for word in words]
plot.attention_maps({"t = 600": (x_t, my_word_maps(weights, pieces, 8, 8))}, words)

# %%
my_word_maps = problems.WORD_MAPS.check(my_word_maps)
plot.attention_maps({"t = 600": (x_t, my_word_maps(weights, pieces, 8, 8))}, words)

# %% [markdown]
# ## Problem 3 · How sharply should one look? (derive)
#
# In notebook 23 a *sharpness* made pixels listen to one word or to the mean of all, and we chose it. It can be learned.
# Let `scores` be given, and let
#
# $$z = e^{\tau}\, \text{scores}, \qquad P = \mathrm{softmax}(z) \text{ over the words}, \qquad y = P v .$$
#
# The number $\tau$ is the same for all pictures, pixels and words. A loss has the gradient `dy` in y. Derive its gradient in
# $\tau$, and return it together with y. (Sizes are moderate here; still, write the softmax so that it cannot overflow.)


# %%
def my_sharpness(dy, scores, v, tau):
    """Return y (N, pixels, F) and d_tau, a number; scores are (N, pixels, words), v is (N, words, F)."""
    ### BEGIN SOLUTION
    z = np.exp(tau) * scores
    weights = np.exp(z - z.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    d_weights = dy @ v.swapaxes(-1, -2)
    d_z = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True))
    return weights @ v, (d_z * z).sum()
    ### END SOLUTION


# %%
my_sharpness = problems.SHARPNESS.check(my_sharpness)

# %% [markdown]
# Let it be learned. Eight pixels, left to right, two words with the colours red and blue, scores that point softly to the
# left and to the right; and wanted are two clean halves. Gradient descent on $\tau$ alone:

# %%
scores = np.stack([np.linspace(1, -1, 8), np.linspace(-1, 1, 8)], axis=-1)[None]
colours = np.array([[[0.9, -0.8, -0.8], [-0.8, -0.6, 0.9]]])
wanted = np.repeat(colours, 4, axis=1)
tau, steps, losses, sharpness = -1.0, 60, [], []
for _ in range(steps):
    y, _ = my_sharpness(0 * wanted, scores, colours, tau)
    y, d_tau = my_sharpness(2 * (y - wanted) / y.size, scores, colours, tau)
    losses.append(((y - wanted) ** 2).mean())
    sharpness.append(np.exp(tau))
    tau -= 2.0 * d_tau
plot.curves(np.arange(steps), {"loss": np.array(losses), "sharpness / 10": np.array(sharpness) / 10}, "step", "")

# %% [markdown]
# ## Problem 4 · One picture, several texts (transcribe: a whole thing)
#
# Guidance (Eq. CFG-6) pulls a picture from the guess without words towards the guess with them. Nothing says that all
# pixels must be pulled by the same text. Let there be K texts, each with a mask $m_k$, 1 where it may pull, 0 where not, and
# between at a soft edge. At every step
#
# $$\hat x_0 = \mathrm{clip}\Big(\hat x_0(\varnothing) + s \sum_{k=1}^{K} m_k \odot \big(\hat x_0(c_k) - \hat x_0(\varnothing)\big),\ -1,\ 1\Big) .$$
#
# The network always sees the whole $x_t$, so that the parts fit; only its answers are masked. Where no mask is, the picture
# is drawn without words. The rest of the step is that of notebook 24: find the noise that belongs to the clipped guess, and
# step down with DDIM, $\eta = 0$.
#
# Write the whole chain. `guess(x, t, context)` returns $\hat x_0$; `alpha_bar` is a list with an entry for each t;
# `texts` and `masks` are lists of K each; a mask broadcasts to x; `times` fall.


# %%
def my_regions(guess, alpha_bar, x_T, texts, masks, nothing, scale, times):
    """Return the picture at the last of the times."""
    ### BEGIN SOLUTION
    x = x_T
    for t, s in pairwise(times):
        free = guess(x, t, nothing)
        pull = sum(mask * (guess(x, t, text) - free) for text, mask in zip(texts, masks, strict=True))
        x_0 = np.clip(free + scale * pull, -1, 1)
        eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps
    return x
    ### END SOLUTION


# %%
my_regions = problems.REGIONS.check(my_regions)

# %% [markdown]
# A portrait whose upper half is asked for a blue cap, and whose lower half for a yellow shirt; and one that is asked for
# red hair on the left and blue hair on the right, a thing that no caption ever said:

# %%
predict = predictor(model.network_output, model.diffusion, model.config.kind, clip=False)
alpha_bar, times = model.diffusion.alpha_bar.tolist(), [*spaced_steps(1000, 20), 0]


def guess(x, t, context):
    """Return what the network guesses behind x; one row of words serves all pictures."""
    rows = Condition(*(None if part is None else part.repeat(len(x), axis=0) for part in context))
    return predict(x.astype(np.float32), np.full(len(x), t), rows)[0]


def read(prompt):
    """Return the vectors of a prompt."""
    return model.read(model.tokens([prompt]))


upper, left = np.zeros((1, 16, 16, 1)), np.zeros((1, 16, 16, 1))
upper[:, :9], left[:, :, :8] = 1, 1
x_T = Noise(2).normal((4, 16, 16, 3), "x_T")
drawn = {
    "above: blue cap; below: yellow shirt": my_regions(
        guess, alpha_bar, x_T, [read("a blue cap"), read("a yellow shirt")], [upper, 1 - upper], read(""), 3.0, times
    ),
    "left: long red hair; right: long blue hair": my_regions(
        guess, alpha_bar, x_T, [read("long red hair"), read("long blue hair")], [left, 1 - left], read(""), 3.0, times
    ),
}
plot.image_rows(drawn, scale=8)

# %% [markdown]
# ## Problem 5 · What is a word worth? (explore)
#
# An attention map shows where a word is looked at. How much would the picture *miss* it? Take the vectors of a text, put
# the vector of the empty prompt in the place of token j alone, and see how far the network's guess moves. The worth of
# token j in picture n is the root of the mean squared change, over all pixels and channels of that picture.
#
# `guess(x, t, context)` takes an array of vectors here, (N, words, D), and returns pictures (N, H, W, C). `nothing` are the
# vectors of the empty prompt, of the same shape as `words`. Each token is left out alone: the others stay.


# %%
def my_worth(guess, x, t, words, nothing):
    """Return what each word is worth in each picture, (N, words)."""
    ### BEGIN SOLUTION
    whole, found = guess(x, t, words), []
    for j in range(words.shape[1]):
        other = words.copy()
        other[:, j] = nothing[:, j]
        found.append(np.sqrt(((guess(x, t, other) - whole) ** 2).mean(axis=(1, 2, 3))))
    return np.stack(found, axis=1)
    ### END SOLUTION


# %%
my_worth = problems.WORTH.check(my_worth)

# %%
PROMPT = "a person with long red hair and a green shirt"


def with_vectors(pooled):
    """Return a guess from vectors of tokens."""

    def of_vectors(x, t, vectors):
        rows = None if pooled is None else pooled.repeat(len(x), axis=0)
        return predict(x.astype(np.float32), np.full(len(x), t), Condition(tokens=vectors, pooled=rows))[0]

    return of_vectors


said, unsaid = read(PROMPT), read("")
x_t = Noise(5).normal((4, 16, 16, 3), "x_T")
worth = my_worth(with_vectors(said.pooled), x_t, 900, said.tokens.repeat(4, 0), unsaid.tokens.repeat(4, 0)).mean(axis=0)
names = ["start", *(model.tokenizer.decode([i]).strip() for i in model.tokens([PROMPT])[0][1:])]
for name, value in list(zip(names, worth, strict=True))[: len(PROMPT.split()) + 1]:
    print(f"{name:<8}{value:.4f} {'#' * int(400 * value)}")

# %% [markdown]
# ## Problem 6 · When does a word count? (open)
#
# Words are not equally important at all times. Early in a chain, at large t, is decided what kind of picture it will be;
# later come colours and details. Which words count when? The cell below walks down a chain for one prompt, and measures
# each token's worth at six times.
#
# Make of it an experiment of your own and **hand in one picture** with two or three sentences. You may compare prompts that
# mean the same in other words, or two orders of the same words; words for large things (hair, shirt) and for small ones
# (glasses, earrings); where in the picture a word counts (do not take the mean over the pixels); or pictures of Problem 4
# while their masks act at some times only. It is judged by four things:
#
# 1. a question that the picture answers, written above it;
# 2. more than one start of noise, and how much the answer differs from one to the other;
# 3. axes, units and names that a reader understands without the code;
# 4. an honest last sentence: what does the picture *not* show?

# %% tags=["hand-in"]
prompt, moments = "curly blond hair, glasses, purple shirt", (0, 3, 6, 10, 14, 18)
said = read(prompt)
chain = list(model.chain(tinydiff.Request(n=4, seed=1, prompt=prompt, guidance=2.0), steps=20))
count = 1 + sum(len(model.tokenizer.encode(word)) for word in prompt.replace(",", " ,").split())
names = ["start", *(model.tokenizer.decode([i]).strip() for i in model.tokens([prompt])[0][1:count])]
rows, at = [], []
for moment in moments:
    t, x_t, _ = chain[moment]
    of_words, of_nothing = (c.tokens.repeat(4, axis=0) for c in (said, unsaid))
    rows.append(my_worth(with_vectors(said.pooled), x_t, int(t), of_words, of_nothing)[:, :count].mean(axis=0))
    at.append(f"t = {int(t)}")
plot.token_maps({"what each word is worth (change of pixels)": np.stack(rows)}, at, names, "", "word")

# %% [markdown]
# ## Where you are
#
# You have written what is between a word and a pixel, both ways, and used it for what it was not made for. Hand in the
# picture of Problem 6.
#
# **Next:** [notebook 25](25_editing.ipynb) changes pictures that are there, and
# [problem set 8](ps8_editing_and_clip.ipynb) practises that.
