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
# # 23 · Cross-attention
#
# **You will learn** how words reach pixels: each pixel asks, words answer, and what a picture has to complain about goes
# back to the words, down to the weights of the text encoder. You will train a small network that paints what it is told,
# and see where it looks for each word.
#
# **Prerequisites:** notebooks 07 (attention), 08 (the UNet), 09 (training) and 22 (the text encoder). **Time:** 70 minutes with the exercises.
#
# **Papers:** Rombach et al., *High-resolution image synthesis with latent diffusion models* (2022), section 3.3 (here
# XATT-1; XATT-2 is its gradient); Vaswani et al., *Attention is all you need* (2017), Eq. 1; Tang et al., *What the
# DAAM* (2022), for maps of what words a picture looks at.

# %%
import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.base import Condition
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_23 as exercises
from tinydiff.gradcheck import check_module
from tinydiff.models import DiffusionModel, ModelConfig, Request, load, word_maps
from tinydiff.networks import TextConfig, TextToImage, UNetConfig
from tinydiff.nn import Attention, Gradients, SpatialTransformer, Tape
from tinydiff.text import Tokenizer
from tinydiff.train import AdamW, ema_decay, update_ema
from tinydiff.workers import one_blas_thread

rng = np.random.default_rng(0)

# %% [markdown]
# ## Two squares
#
# A picture shows two squares, and its caption names them, in either order:

# %%
COLOURS = {"red": (0.9, -0.8, -0.8), "green": (-0.8, 0.6, -0.8), "blue": (-0.8, -0.6, 0.9), "yellow": (0.9, 0.8, -0.8)}
NEVER = [("red", "green"), ("blue", "yellow")]  # (left, right) that the network will not see in training
SEEN = [(a, b) for a in COLOURS for b in COLOURS if (a, b) not in NEVER]


def paint(left, right, rng):
    """Return a picture of 8 x 8 pixels; how high the squares stand is chance."""
    picture = np.full((8, 8, 3), 0.6, np.float32)
    for colour, x in ((left, 0), (right, 5)):
        y = rng.integers(1, 5)
        picture[y : y + 3, x : x + 3] = COLOURS[colour]
    return picture


def caption(left, right, rng):
    """Return a text that names both squares."""
    return f"{left} left, {right} right" if rng.integers(2) else f"{right} right, {left} left"


pairs = [SEEN[i] for i in rng.integers(len(SEEN), size=1000)]
pictures = np.stack([paint(*pair, rng) for pair in pairs])
captions = [caption(*pair, rng) for pair in pairs]
plot.image_grid(pictures[:6], columns=6, scale=16, labels=captions[:6])

# %% [markdown]
# How should the network be told? Notebook 08 added one vector for the class to the time, and every pixel got the same.
# But here each pixel needs something else: one on the left needs the colour that belongs to "left", wherever in the text
# that stands. A picture of a hundred things cannot be squeezed into one vector. So let every pixel look for what it needs.
#
# ## Pixels ask, words answer
#
# In the attention of notebook 07, query, key and value were made from the same x. Now the queries come from the *pixels*
# x, one in each row, and keys and values from the *context* c, the vectors that the text encoder made of the words:
#
# $$q = x W_q, \quad k = c\, W_k, \quad v = c\, W_v, \qquad P = \mathrm{softmax}\left(\frac{q k^\top}{\sqrt d}\right), \quad
#   y = P v \qquad \text{(Eq. XATT-1)}$$
#
# P has a row for each pixel and a column for each word; in each row the weights sum to 1. So each pixel gets a mean of
# what the words say, and chooses by its query which of them count.
#
# Here d is the number of channels of a query. The formula stands for one picture and one text; a batch of N pictures has
# N texts, each picture its own. And scores may be large: 800 is too much for `np.exp`, so take away the largest first.
#
# **Write it yourself:** x is (N, pixels, C) and the context (N, words, D); w_q is (C, d), w_k (D, d) and w_v (D, F).
# (`k.swapaxes(-1, -2)` transposes each of N matrices.)


# %%
def my_cross_attention(x, context, w_q, w_k, w_v):
    """Return y (N, pixels, F) and the weights P (N, pixels, words)."""
    ### BEGIN SOLUTION
    q, k, v = x @ w_q, context @ w_k, context @ w_v
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights
    ### END SOLUTION


# %%
my_cross_attention = exercises.CROSS.check(my_cross_attention)

# %% [markdown]
# It can paint already, if we choose the numbers by hand. Let each word's vector hold where its square belongs, -1 for
# left and 1 for right, and its colour: that is what a text encoder should find out. Let each pixel hold its column, from
# -1 to 1. Query and key take the place, the value takes the colour:

# %%
words = np.array([[[-1, *COLOURS["red"]], [1, *COLOURS["blue"]]]])  # one text of two words
columns = np.linspace(-1, 1, 8)
pixels = np.zeros((1, 64, 4))
pixels[..., 0] = np.tile(columns, 8)
take_place, take_colour = np.diag([1.0, 0, 0, 0]), np.diag([0.0, 1, 1, 1])


def painted_by_hand(sharpness):
    """Draw what the pixels get, and where they look."""
    y, weights = my_cross_attention(pixels, words, sharpness * take_place, take_place, take_colour)
    maps = weights[0].T.reshape(2, 8, 8)
    return plot.attention_maps(
        {f"queries times {sharpness}": (y[0, :, 1:].reshape(8, 8, 3), maps)}, ["red left", "blue right"]
    )


y, weights = my_cross_attention(pixels, words, 30 * take_place, take_place, take_colour)
assert np.allclose(weights.sum(axis=-1), 1)
assert np.allclose(y[pixels[..., 0] < -0.5, 1:], COLOURS["red"], atol=0.01)
assert np.allclose(y[pixels[..., 0] > 0.5, 1:], COLOURS["blue"], atol=0.01)
slider(painted_by_hand, (0, 1, 2, 5, 10, 30), "sharpness", start=4)

# %% [markdown]
# (Blue lies where a pixel looks at the word.) With 0, every pixel takes the mean of both colours. The larger the queries,
# the more each pixel listens to one word alone. In a network all this is learned.
#
# The library's layer has several heads, which ask different things, and mixes them by a last projection. Each head is the
# function above, on its own part of the channels:

# %%
show_source(Attention.forward)
layer = Attention(6, 2, rng, context_channels=5, dtype=np.float64)
layer.pack()
layer.theta[...] += 0.3 * rng.standard_normal(layer.theta.shape)  # a bias of zeros would hide mistakes
x, context, tape = rng.standard_normal((3, 7, 6)), rng.standard_normal((3, 4, 5)), Tape()
y = layer.forward(x, context, tape)
w_q, w_k, w_v = layer.query.weight.value, layer.key_value.weight.value[:, :6], layer.key_value.weight.value[:, 6:]
halves = [my_cross_attention(x, context, w_q[:, h], w_k[:, h], w_v[:, h]) for h in (slice(0, 3), slice(3, 6))]
mixed = np.concatenate([of_head for of_head, _ in halves], axis=-1)
assert np.allclose(mixed @ layer.proj.weight.value + layer.proj.bias.value, y)
assert np.allclose(tape["Attention"].weights, np.stack([weights for _, weights in halves], axis=1))

# %% [markdown]
# ## What comes back to the words
#
# The pixels complain: the loss has a gradient $d_y$ in what they got. Which part of it reaches the words? Through the
# weighted mean $y = Pv$ and the softmax you know the way back from notebook 07 (Eq. ATT-2). But then mind who has *read*
# the context, and how often, and that all pictures of a batch share the matrices.
#
# **Derive it yourself:** one head, for a batch as above. You are given what the forward had computed: q, v and the weights
# P. Return the gradients of the context, $W_k$ and $W_v$.


# %%
def my_context_backward(dy, q, v, weights, context, w_k, w_v):
    """Return d_context (N, words, D), dw_k (D, d) and dw_v (D, F); dy is (N, pixels, F), q (N, pixels, d)."""
    ### BEGIN SOLUTION
    d_weights = dy @ v.swapaxes(-1, -2)
    d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True))
    dk = d_scores.swapaxes(-1, -2) @ q / q.shape[-1] ** 0.5
    dv = weights.swapaxes(-1, -2) @ dy
    d_context = dk @ w_k.T + dv @ w_v.T
    return d_context, (context.swapaxes(-1, -2) @ dk).sum(axis=0), (context.swapaxes(-1, -2) @ dv).sum(axis=0)
    ### END SOLUTION


# %%
my_context_backward = exercises.CONTEXT.check(my_context_backward)

# %% [markdown]
# The context was read *twice*, by the keys and by the values, each time through a linear layer. And gradients add:
#
# $$d_c = d_k W_k^\top + d_v W_v^\top, \qquad d_{W_k} = c^\top d_k, \quad d_{W_v} = c^\top d_v
#   \qquad \text{(Eq. XATT-2)}$$
#
# In words: a word hears from every pixel that looked at it. Through the value: say something else! Through the key: be
# found by others! With two heads, their parts add as well:

# %%
show_source(Attention.backward)
grads, d_y = Gradients(layer.parameters()), rng.standard_normal(y.shape)
d_x, d_context = layer.backward(d_y, tape, grads)
d_mixed, of_heads = d_y @ layer.proj.weight.value.T, []  # through the last projection
for h, (_, weights) in zip((slice(0, 3), slice(3, 6)), halves, strict=True):
    q, v = x @ w_q[:, h], context @ w_v[:, h]
    of_heads.append(my_context_backward(d_mixed[..., h], q, v, weights, context, w_k[:, h], w_v[:, h]))
assert np.allclose(d_context, of_heads[0][0] + of_heads[1][0])
assert np.allclose(grads["key_value.weight"], np.concatenate([of[i] for i in (1, 2) for of in of_heads], axis=1))


def difference(function, array, direction, h=1e-5):
    """Return how much the function changes if the array is moved this way: a plain central difference."""
    before, ends = array.copy(), []
    for step in (h, -h):
        array[...] = before + step * direction
        ends.append(function())
    array[...] = before
    return (ends[0] - ends[1]) / (2 * h)


for array, gradient in ((x, d_x), (context, d_context), (layer.theta, grads.flat)):
    way = rng.standard_normal(array.shape)
    assert np.isclose((gradient * way).sum(), difference(lambda: (layer.forward(x, context) * d_y).sum(), array, way))
report = check_module(layer, [x, context], Tape, Gradients)
assert report.ok
report

# %% [markdown]
# ## Stable Diffusion's block
#
# Now put it where the pixels are. A UNet's features have rows and columns; written one pixel after the other they are
# tokens, and the block of notebook 22 fits, with one more step:
#
# 1. pixels look at each other (self-attention): what is where?
# 2. pixels look at the words (cross-attention): what should be here?
# 3. each pixel thinks on its own (GEGLU).
#
# Each step adds to the stream, its norm inside the branch. Before the block stand a group norm and a projection, after it
# another projection, and the whole is added to the features: one more stream. This last projection starts at 0, so that
# a new block changes nothing.

# %%
show_source(SpatialTransformer.forward, SpatialTransformer.backward)
block = SpatialTransformer(8, heads=2, context_channels=6, rng=rng, dtype=np.float64)
block.pack()
image, context = rng.standard_normal((2, 3, 4, 8)), rng.standard_normal((2, 5, 6))
assert np.array_equal(block.forward(image, context), image)
block.theta[...] += 0.2 * rng.standard_normal(block.theta.shape)  # a layer of zeros would hide mistakes

# %% [markdown]
# The three steps in NumPy, with norms and GEGLU as in notebooks 07 and 22:


# %%
def normed(x, axes, norm):
    """Return x with mean 0 and variance 1 over these axes, scaled and shifted."""
    x = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
    return x.reshape(*x.shape[:2], -1) * norm.gamma.value + norm.beta.value


def attended(layer, x, context):
    """Return what an attention layer of two heads gives."""
    weights, c, both = layer.key_value.weight.value, x.shape[-1], []
    for h in (slice(0, c // 2), slice(c // 2, c)):
        w_k, w_v = weights[:, :c][:, h], weights[:, c:][:, h]
        both.append(my_cross_attention(x, context, layer.query.weight.value[:, h], w_k, w_v)[0])
    return np.concatenate(both, axis=-1) @ layer.proj.weight.value + layer.proj.bias.value


def projected(layer, x):
    return x @ layer.weight.value + layer.bias.value


def block_by_hand(layer, image, context, groups):
    """Return what a SpatialTransformer gives for an image (N, H, W, C)."""
    n, height, width, c = image.shape
    inner, pixels = layer.block, image.reshape(n, height * width, c)
    in_groups = pixels.reshape(n, height * width, groups, c // groups)
    x = projected(layer.proj_in, normed(in_groups, (1, 3), layer.norm))
    h = normed(x, -1, inner.norm_1)
    x = x + attended(inner.self_attention, h, h)
    x = x + attended(inner.cross_attention, normed(x, -1, inner.norm_2), context)
    first, last = inner.feed_forward.layers[0], inner.feed_forward.layers[2]
    a, gate = np.split(projected(first, normed(x, -1, inner.norm_3)), 2, axis=-1)
    x = x + projected(last, a * F.gelu(gate)[0])
    return image + projected(layer.proj_out, x).reshape(image.shape)


assert np.allclose(block.forward(image, context), block_by_hand(block, image, context, block.norm.groups))

# %% [markdown]
# On the way back, count the readers. Every stream has two, itself and a branch: two gradients add at each of the three
# steps and once more round the whole. The context has two in each block. Three inputs, three gradients:

# %%
report = check_module(block, [image, context], Tape, Gradients)
assert report.ok
report

# %% [markdown]
# None of these steps knows where a pixel lies (notebook 22). Turn the picture upside down, and the output is turned, no
# more. It is the convolutions around the block that see an edge of the image, and tell the features where they are.

# %%
assert np.allclose(block.forward(image[:, ::-1], context)[:, ::-1], block.forward(image, context))
assert not np.allclose(block.forward(image, context[::-1]), block.forward(image, context)), "the words do matter"

# %% [markdown]
# ## Words and pixels, one network
#
# `TextToImage` is a text encoder and a UNet. The encoder reads once; in the UNet, every block with attention looks at the
# same vectors. What does that mean for the way back? Take a toy: K blocks, each of which adds to a stream h of pixels
# what it makes of the stream and of one word c, $h \leftarrow h + \tanh(h A_k + c B_k)$.
#
# **Find the fault:** this backward is right for one block, and a network trained with it even learns. But with two blocks
# it is wrong. Mend one line. (h is (N, pixels, C), the context (N, 1, D), and `blocks` a list of pairs of matrices.)


# %%
def through_blocks(h, context, blocks, d_out):
    """Return d_h and d_context of the blocks, where d_out is the gradient of what the last block returns."""
    inside = []
    for a, b in blocks:
        z = np.tanh(h @ a + context @ b)
        inside.append(z)
        h = h + z
    d_h, d_context = d_out, np.zeros_like(context)
    for (a, b), z in zip(reversed(blocks), reversed(inside), strict=True):
        d_z = d_h * (1 - z**2)
        ### BEGIN SOLUTION
        d_context = d_context + d_z.sum(axis=1, keepdims=True) @ b.T
        ### INSTEAD
        d_context = d_z.sum(axis=1, keepdims=True) @ b.T
        ### END SOLUTION
        d_h = d_h + d_z @ a.T
    return d_h, d_context


# %%
def through(h, context, blocks):
    """Return what the blocks make of the stream."""
    for a, b in blocks:
        h = h + np.tanh(h @ a + context @ b)
    return h


h, word, d_out = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 1, 4)), rng.standard_normal((2, 5, 3))
blocks = [(0.6 * rng.standard_normal((3, 3)), 0.6 * rng.standard_normal((4, 3))) for _ in range(3)]
way = rng.standard_normal(word.shape)
for count in (1, 2, 3):
    measured = difference(lambda n=count: (through(h, word, blocks[:n]) * d_out).sum(), word, way)
    print(
        f"{count} blocks: {(through_blocks(h, word, blocks[:count], d_out)[1] * way).sum():.4f}, measured {measured:.4f}"
    )

# %%
through_blocks = exercises.BLOCKS.check(through_blocks)
assert np.isclose((through_blocks(h, word, blocks, d_out)[1] * way).sum(), measured)

# %% [markdown]
# The same in the network: the sum of all blocks' $d_c$ is what the encoder's backward begins with.

# %%
show_source(TextToImage.forward, TextToImage.backward)
tokenizer = Tokenizer.train(captions, merges=100)
tokens = tokenizer.rows(captions, length=7)
print(captions[0], "->", tokens[0])


def network(channels, dtype, rng):
    """Return a small network: one level of 8 x 8 pixels, attention in its middle."""
    unet = UNetConfig(
        8, 3, channels=channels, channel_mult=(1,), blocks_per_level=1, heads=2, context_channels=channels
    )
    text = TextConfig(len(tokenizer), length=7, channels=channels, layers=1, heads=2)
    return TextToImage(unet, text, rng, dtype), ModelConfig(unet, kind="x_0", text=text)


config = UNetConfig(
    8, 3, channels=8, channel_mult=(1,), attention_levels=(0,), blocks_per_level=1, heads=2, context_channels=8
)
small = TextToImage(config, TextConfig(len(tokenizer), length=7, channels=8, layers=1, heads=2), rng, np.float64)
small.theta[...] += 0.1 * rng.standard_normal(small.theta.shape)
x_t, t = rng.standard_normal((2, 8, 8, 3)), np.array([200, 900])
read, tape, grads, d_out = (
    small.text.forward(tokens[:2]),
    Tape(),
    Gradients(small.parameters()),
    rng.standard_normal(x_t.shape),
)
assert np.allclose(small.forward(x_t, t, tokens[:2], tape), small.unet.forward(x_t, t, Condition(tokens=read)))
readers = [entry.owner.path for entry in tape.entries if entry.owner.path.endswith("cross_attention")]
d_read = small.backward(d_out, tape, grads).d_context.tokens
print(len(readers), "blocks read the text:", *readers, sep="\n  ")
assert len(readers) > 2
way = rng.standard_normal(read.shape)
measured = difference(lambda: (small.unet.forward(x_t, t, Condition(tokens=read)) * d_out).sum(), read, way)
assert np.isclose((d_read * way).sum(), measured), "the words hear from all blocks"
table = small.text.token.table.value
way = rng.standard_normal(table.shape)
measured = difference(lambda: (small.forward(x_t, t, tokens[:2]) * d_out).sum(), table, way)
assert np.isclose((grads["text.token.table"] * way).sum(), measured), "and so do the rows of the encoder's table"
report = check_module(small, [x_t, t, tokens[:2]], Tape, Gradients)
assert report.ok
report

# %% [markdown]
# The check covers every weight, those of the encoder among them: from the error of a pixel to the vector of a word. In
# numbers, for a batch of one: which rows of the encoder's table have a gradient?

# %%
tape, grads = Tape(), Gradients(small.parameters())
out = small.forward(x_t[:1], t[:1], tokens[:1], tape)
small.backward(rng.standard_normal(out.shape), tape, grads)
heard = np.flatnonzero(abs(grads["text.token.table"]).sum(axis=1))
print("those of", *(repr(tokenizer.tokens[i]) for i in heard))
assert set(heard) == set(tokens[0])

# %% [markdown]
# ## Train it
#
# The step is that of notebook 09, with tokens beside $x_t$ and t. The network predicts $x_0$ here: where noise is strong,
# only the words can tell it the colours, and there an error in $x_0$ counts in full. Fourteen of the sixteen pairs of
# colours are shown; two are kept back.

# %%
net, config = network(32, np.float32, np.random.default_rng(0))
ema = net.theta.copy()
model = DiffusionModel(net.bind(ema), config, tokenizer=tokenizer)


def draw(prompts, seed=1):
    """Return a picture for each prompt, drawn with the average of the weights."""
    *_, (_, x_0, _) = model.chain(Request(n=len(prompts), seed=seed, prompt=prompts), steps=20)
    return x_0


optimizer, log, drawn, steps = AdamW(net.theta), [], [], 800
with one_blas_thread():  # such small matrices are not worth being shared among threads
    for k in range(1, steps + 1):
        batch = rng.integers(len(pictures), size=16)
        x_0, t = pictures[batch], rng.integers(1, 1001, size=16)
        x_t = model.diffusion.q_sample(x_0, t, rng.standard_normal(x_0.shape).astype(np.float32))
        tape, grads = Tape(), Gradients(net.parameters())
        x_0_hat = net.forward(x_t, t, tokens[batch], tape)
        loss, cache = F.mse(x_0_hat, x_0)
        net.backward(F.mse_backward(1.0, cache)[0], tape, grads)
        optimizer.step(grads.flat, 3e-3 * min(1, k / 50, 2 * (1 - k / steps)))
        update_ema(ema, net.theta, ema_decay(k, 0.99))
        log.append({"step": k, "loss": float(loss)})
        if k in (100, 200, 400, steps):
            drawn.append((k, draw(captions[:6])))
plot.loss_curve(log)

# %%
plot.training_progress(drawn, scale=12, column_labels=captions[:6])

# %% [markdown]
# The loss soon looks flat, for where noise is strong nobody can know how high the squares stand (notebook 09). But under
# it the words are learned. Now draw pairs of colours that were never shown together in this order:


# %%
def colours_of(picture):
    """Return the names of the colours on the left and on the right: the nearest to the six darkest pixels' mean."""
    found = []
    for half in (picture[:, :4], picture[:, 4:]):
        colour = half.reshape(-1, 3)[np.argsort(half.min(axis=-1).flatten())[:6]].mean(axis=0)
        found.append(min(COLOURS, key=lambda name: ((colour - COLOURS[name]) ** 2).sum()))
    return tuple(found)


assert [colours_of(picture) for picture in pictures[:100]] == pairs[:100], "the judge should be right about the data"
unseen = [caption(*NEVER[i % 2], rng) for i in range(8)]
plot.image_grid(draw(unseen), columns=4, scale=16, labels=unseen)

# %%
for name, choice in (("shown in training", SEEN), ("never shown", NEVER)):
    wanted = [choice[i % len(choice)] for i in range(84)]
    drawn = draw([caption(*pair, rng) for pair in wanted])
    share = np.mean([colours_of(picture) == pair for picture, pair in zip(drawn, wanted, strict=True)])
    print(f"both colours right, pairs {name}: {share:.0%}")
    assert share > 0.8  # by chance 1 in 16

# %% [markdown]
# It learned words, not pictures: "red", "left" and "green", "right", and how to put them together.
#
# ## Where does each word attend?
#
# The tape holds the weights P of the forward, by the layer's path: for each head, pixel and word. Take a picture that is
# being drawn, average the two heads, and show each word's column as a map.

# %%
LOOKS = "unet.mid_1.attention.block.cross_attention"


def where_words_attend(prompt, moments=(4, 8, 12), seed=3):
    """Draw where a picture looks at each word, at three moments on its way from noise."""
    chain, rows = list(model.chain(Request(n=1, seed=seed, prompt=prompt), steps=20)), {}
    for moment in moments:
        (t, x_t, _), (_, _, x_0_hat) = chain[moment - 1], chain[moment]
        tape = Tape()
        model.network.forward(x_t, np.array([t]), model.tokens([prompt]), tape)
        weights = tape[LOOKS].weights[0].mean(axis=0)  # (pixels, words)
        rows[f"t = {t:.0f}"] = x_0_hat[0], weights.T.reshape(-1, 8, 8)
    return plot.attention_maps(rows, ["start", *prompt.replace(",", " ,").split(), "end"])


where_words_attend("red left, blue right")

# %%
PROMPTS = ("red left, blue right", "blue right, red left", "blue left, red right", "green right, yellow left")
slider(where_words_attend, PROMPTS, "prompt", start=1)

# %% [markdown]
# The pixels of the left square look at the colour that the text gives to the left, those of the right square at the
# other, wherever in the text they stand. The text encoder has told each colour which side it belongs to, just as we did
# by hand. Pixels that need no colour rest on other tokens: weights must sum to 1 somewhere.
#
# **Explore:** put that in numbers. Where is the middle of each word's map? `weights` are those of the tape, (N, heads,
# pixels, words); the pixels lie row by row. Take the mean over the heads, and of each word's map the *centre*: the mean of
# row numbers and of column numbers, counted from 0, each pixel weighted by its share of the whole map.


# %%
def my_centres(weights, height, width):
    """Return the centre (row, column) of each word's map, (N, words, 2)."""
    ### BEGIN SOLUTION
    n, _, _, words = weights.shape
    maps = weights.mean(axis=1).swapaxes(-1, -2).reshape(n, words, height, width)
    total = maps.sum(axis=(2, 3))
    row = (maps.sum(axis=3) * np.arange(height)).sum(axis=2) / total
    column = (maps.sum(axis=2) * np.arange(width)).sum(axis=2) / total
    return np.stack([row, column], axis=-1)
    ### END SOLUTION


# %%
my_centres = exercises.CENTRES.check(my_centres)
found = {"left": [], "right": []}
for left, right in SEEN + NEVER:
    if left == right:
        continue
    for text, places in ((f"{left} left, {right} right", (1, 4)), (f"{right} right, {left} left", (4, 1))):
        (t, x_t, _) = list(model.chain(Request(n=1, prompt=text), steps=20))[8]
        tape = Tape()
        model.network.forward(x_t, np.array([t]), model.tokens([text]), tape)
        centres = my_centres(tape[LOOKS].weights, 8, 8)[0]  # start, colour, side, comma, colour, side, end
        for side, place in zip(found, places, strict=True):
            found[side].append(centres[place, 1])
for side, columns in found.items():
    print(
        f"the colour of the {side} is looked at from column {np.mean(columns):.1f} (of 0 to 7, the mean of {len(columns)})"
    )
assert np.mean(found["left"]) < 3.5 < np.mean(found["right"])

# %% [markdown]
# And the way back? Complain about the left half alone: it should be yellow. Which words hear of it? The text is read
# first, so that the UNet's backward ends with the gradient of what was read, $d_c$, a vector for each word. Here is its
# length:

# %%
prompt = "blue right, red left"
names = ["start", *prompt.replace(",", " ,").split(), "end"]
read = model.network.read(model.tokens([prompt]))
chain, heard = list(model.chain(Request(n=1, seed=3, prompt=prompt), steps=20)), {}
for t, x_t, _ in (chain[3], chain[8], chain[12]):
    tape = Tape()
    d_x_0_hat = model.network.forward(x_t, np.array([t]), read, tape) - np.float32(COLOURS["yellow"])
    d_x_0_hat[:, :, 4:] = 0
    gradients = model.network.backward(d_x_0_hat, tape)
    heard[f"t = {t:.0f}"] = np.linalg.norm(gradients.d_context.tokens[0], axis=-1)
    assert names[heard[f"t = {t:.0f}"].argmax()] == "red"
plot.token_maps({"length of the gradient": np.stack(list(heard.values()))}, list(heard), names, "", "word")

# %% [markdown]
# "Red" hears it, the word that the left half looked at. In training, this is how the encoder learns what to say.
#
# Maps show where a network looks, not what it makes of it. A sharper question is: what happens if a word is exchanged?
# **Predict, then run:** the noise stays the same, and "red" becomes "yellow". Which pixels change? And if "left" and
# "right" are exchanged?

# %%
prompts = ["red left, blue right", "yellow left, blue right", "red right, blue left"]
three = np.concatenate([draw([prompt], seed=3) for prompt in prompts])
change = abs(three - three[0]).mean(axis=-1)
for prompt, moved in zip(prompts[1:], change[1:], strict=True):
    print(f"{prompt:<24} change on the left {moved[:, :4].mean():.3f}, on the right {moved[:, 4:].mean():.3f}")
assert change[1, :, :4].mean() > 3 * change[1, :, 4:].mean()
assert change[2, :, 4:].mean() > 3 * change[1, :, 4:].mean()
plot.image_grid(three, columns=3, scale=16, labels=prompts)

# %% [markdown]
# One word changes its own square; two words that change sides change both. The squares stay where the noise put them.
#
# ## The same with people
#
# The network that ships with tinydiff is built in the same way, only larger: it draws portraits of 16 x 16 pixels
# (notebook 24 trains it). It looks at words on two levels, of 8 x 8 and of 4 x 4 pixels. `word_maps` does what we did
# above: it takes the mean over the heads and layers of the finer level, and adds up the tokens of a word.

# %%
show_source(word_maps)
portraits = load("avatars")
(_, x_t, _), *_ = portraits.chain(Request(n=1, prompt="curly hair, qxz cap"), steps=3)
tape, text = Tape(), portraits.tokens(["curly hair, qxz cap"])
portraits.network.forward(x_t, np.array([600.0]), text, tape)
layers = [entry.cache.weights for entry in tape.entries if entry.owner.path.endswith("cross_attention")]
fine = np.mean([weights[0].mean(axis=0) for weights in layers if weights.shape[2] == 64], axis=0)  # (pixels, tokens)
pieces = [len(portraits.tokenizer.encode(word)) for word in ("curly", "hair", ",", "qxz", "cap")]
ends = 1 + np.cumsum(pieces)  # after the start
found = dict(word_maps(portraits, "curly hair, qxz cap", x_t, 600.0))
assert len(found) == 4
for k, looked_at in zip((0, 1, 3, 4), found.values(), strict=True):
    assert np.allclose(looked_at, fine[:, ends[k] - pieces[k] : ends[k]].sum(axis=1).reshape(8, 8), atol=1e-6)


def where_a_portrait_attends(prompt, moments=(5, 9, 13), seed=3):
    """Draw where a portrait looks at each word, at three moments on its way from noise."""
    chain, rows = list(portraits.chain(Request(n=1, seed=seed, prompt=prompt, guidance=2.0), steps=20)), {}
    for moment in moments:
        (t, x_t, _), (_, _, x_0_hat) = chain[moment - 1], chain[moment]
        names, maps = zip(*word_maps(portraits, prompt, x_t, t), strict=True)
        rows[f"t = {t:.0f}"] = x_0_hat[0], np.stack(maps)
    return plot.attention_maps(rows, names)


PROMPTS = ("curly blond hair, blue cap, pink turtleneck", "purple beanie, sunglasses, yellow shirt")
PROMPTS = ("red hair, green shirt", "green hair, red shirt", *PROMPTS)
slider(where_a_portrait_attends, PROMPTS, "prompt", start=2)

# %% [markdown]
# Nobody told it where hair and shirts are; it learned that from pictures and their captions alone. "Hair" itself is hardly
# looked at: what a pixel needs to know is the colour, and the text encoder has told the word "blond" what it is the colour
# of. In numbers: is the colour of the shirt looked at from the two lowest rows of the 8 x 8, where shirts are? (Long hair
# hangs down to them, too.)

# %%
ratios = {"hair": [], "shirt": []}
for hair, shirt in (("red", "green"), ("green", "red"), ("blue", "yellow"), ("blond", "blue"), ("black", "pink")):
    prompt = f"{hair} hair, {shirt} shirt"
    t, x_t, _ = list(portraits.chain(Request(n=1, seed=3, prompt=prompt), steps=20))[8]
    (_, of_hair), _, (_, of_shirt), _ = word_maps(portraits, prompt, x_t, t)
    for name, looked_at in (("hair", of_hair), ("shirt", of_shirt)):
        ratios[name].append(looked_at[-2:].mean() / looked_at[:-2].mean())
for name, values in ratios.items():
    print(f"the colour of the {name}: {np.median(values):.2f} times as much from the shirt's rows as from above")
assert max(ratios["hair"]) < 2 < min(ratios["shirt"])

# %% [markdown]
# ## Summary
#
# 1. In cross-attention the queries come from the pixels, keys and values from the words.
# 2. Each pixel gets a mean of what the words say, weighted by how well their keys fit its query.
# 3. A context is read twice in each block, as keys and as values, and by every block: all these gradients add.
# 4. Their sum goes on into the text encoder, which so learns to say what the pixels need.
# 5. The weights are a map of where each word is looked at; exchanging a word shows what it does.
#
# <details><summary>Why not give every pixel the mean of all words?</summary>
#
# Then all pixels get the same, and which colour belongs where is lost, or must be squeezed into one vector. Sharpness 0
# above is that case.
#
# </details>
#
# <details><summary>Do pixels also change the words?</summary>
#
# Not in this block: the words' vectors are the same in every block and at every t, so a text is read once for a whole
# chain. There are newer networks in which both sides look at each other.
#
# </details>
#
# <details><summary>What would a bag of words draw?</summary>
#
# For "red left, blue right" and "blue left, red right" it gives the pixels the same set of vectors, so the pictures of
# both texts have the same distribution: at best, one of the two ways to place the colours, by chance.
#
# </details>
#
# **Next:** real words, real portraits: text to picture, trained and sampled, in [notebook 24](24_text_to_picture.ipynb).
