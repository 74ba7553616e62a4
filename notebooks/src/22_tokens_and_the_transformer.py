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
# # 22 · Tokens and the Transformer
#
# **You will learn** how a text becomes numbers, how a network reads them, and what it must have to know that red hair
# and a green shirt are not green hair and a red shirt. At the end you train a reader, with a backward through all of
# it.
#
# **Prerequisites:** notebooks 05 (the tape, cross entropy), 07 (layer norm, attention) and 09 (AdamW). **Time:** 90
# minutes with the exercises.
#
# **Papers:** Sennrich, Haddow, Birch, *Neural machine translation of rare words with subword units* (2016), Algorithm 1
# (here BPE-1), on bytes as in Radford et al., GPT-2 (2019); Vaswani et al., *Attention is all you need* (2017); Xiong
# et al., *On layer normalization in the Transformer architecture* (2020); Shazeer, *GLU variants improve Transformer*
# (2020), Eq. 6 (GEGLU-1; GEGLU-2 is its gradient).

# %%
import math
import warnings
from collections import Counter
from itertools import pairwise

import numpy as np

import tinydiff
from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_22 as exercises
from tinydiff.data.avatars import compose, describe, render
from tinydiff.data.avatars.compose import has_word
from tinydiff.gradcheck import check_module, gradcheck
from tinydiff.networks import TextConfig, TextEncoder
from tinydiff.nn import GEGLU, Gradients, LayerNorm, Linear, Module, Sequential, Tape, TransformerBlock
from tinydiff.text import Tokenizer
from tinydiff.text.tokenizer import letters, merge, split_words
from tinydiff.train import AdamW
from tinydiff.workers import one_blas_thread

rng = np.random.default_rng(0)

# %% [markdown]
# ## The same words, two pictures
#
# Here are two portraits of the data set `avatars`, with their captions.

# %%
portraits = compose(2, split="swapped", first=12)
one, other = (caption.text for caption in describe(portraits, split="swapped", first=12))
plot.image_grid(render(portraits), columns=2, scale=12, labels=[one, other])

# %% [markdown]
# Both captions hold the same words! A model that draws from text must read more than which words are there. How can a
# network, which knows numbers alone, read at all?

# %%
print(sorted(split_words(one)))
assert sorted(split_words(one)) == sorted(split_words(other))
assert one != other

# %% [markdown]
# ## Text is bytes
#
# A computer keeps text as bytes, numbers from 0 to 255. So there is a simple answer: give the network the bytes. Nothing
# that can be typed is unknown to it. But a caption is a long row of them, and in attention everyone asks everyone: twice
# the row is four times the work. The other extreme is one number for each word. Then rows are short, but a word that was
# not in the training texts has no number.
#
# *Byte-pair encoding* stands between. Begin with the bytes; then give numbers of their own to pieces that occur often.
#
# ## Which pieces deserve a name?
#
# Cut the texts into words, and each word w, which occurs $n_w$ times, into its bytes. If two neighbours (a, b) become
# one piece, every place where they stand together saves one number. So join the pair that stands together most often:
#
# $$(a, b)^\ast = \arg\max_{(a, b)} \sum_w n_w \left| \{ i : w_i = a,\ w_{i+1} = b \} \right|
#   \qquad \text{(Eq. BPE-1)}$$
#
# Do it in all words, and begin again: the next pair may hold the new piece. Each such *merge* adds one *token* to the
# vocabulary. (Of pairs that are equally frequent, take the first in order, as Python sorts pairs: a tokenizer must not
# depend on chance. And in a, a, a the pair (a, a) stands at two places, as the formula counts, although one merge cannot
# take both.)
#
# **Write it yourself:** `words` is a list of (symbols, n), each the pieces of a word, a list of texts or of numbers, and
# how often it occurs. `Counter` and `pairwise` are at hand.


# %%
def my_best_pair(words):
    """Return the pair (a, b) that is joined next."""
    ### BEGIN SOLUTION
    pairs = Counter()
    for symbols, n in words:
        for pair in pairwise(symbols):
            pairs[pair] += n
    return min(pairs, key=lambda pair: (-pairs[pair], pair))
    ### END SOLUTION


# %%
my_best_pair = exercises.BEST_PAIR.check(my_best_pair)

# %% [markdown]
# Now merge, with the words of 2,000 captions. The last letter of a word is another token than the same letter inside:
# the library writes it with the mark `</w>`, so that "hair" in "hair" and in "hairy" can be told apart, and so that
# spaces come back at the end.

# %%
captions = [caption.text for caption in describe(compose(2000))]
counts = Counter(word for caption in captions for word in split_words(caption))
symbols, learned = {word: letters(word) for word in counts}, []
for step in range(1, 12):
    pair = my_best_pair([(symbols[word], n) for word, n in counts.items()])
    symbols = {word: merge(parts, pair) for word, parts in symbols.items()}
    learned.append(pair)
    print(f"merge {step:2}: {' + '.join(pair):<13}  now hair is {' '.join(symbols['hair'])}")

# %% [markdown]
# Merge by merge, "hair" becomes a single token. The library does the same, until all words of the captions are single
# tokens:

# %%
show_source(Tokenizer.train)
tokenizer = Tokenizer.train(captions, merges=200)
assert tokenizer.merges[:11] == tuple(learned)
assert "hair</w>" in tokenizer.tokens
few = Tokenizer.train(["bbbx", "bbbx", "ay", "ay", "ay", "cdz", "cdz", "CDZ"], merges=2)
assert few.merges == (("b", "b"), ("a", "y</w>")), "places that overlap count; of equals, the first in order"
assert Tokenizer.train(["ab ab", "cd"], merges=9).merges == (("a", "b</w>"), ("c", "d</w>")), "then all words are whole"
print(f"{len(tokenizer)} tokens: 256 bytes, again 256 at the end of a word, {len(tokenizer.merges)} merges, start, end")


def pieces(text, merges=None):
    """Return the tokens of a text as texts, with a space at the end of a word, for pictures."""
    known = Tokenizer(tokenizer.merges[:merges])
    return [known.tokens[i].replace("</w>", " ") for i in known.encode(text)]


stages = (0, 5, 11, 20, 40, 80, len(tokenizer.merges))
plot.token_rows({f"{k} merges": pieces("long red hair, round glasses", k) for k in stages})

# %%
slider(lambda k: plot.token_rows({f"{k} merges": pieces(one, k)}), range(0, len(tokenizer.merges) + 1, 8), "merges")

# %% [markdown]
# The first merges help most, since the most frequent pairs come first:

# %%
ks = np.arange(0, len(tokenizer.merges) + 1, 4)
tokens_each = np.array([np.mean([len(pieces(caption, k)) for caption in captions[:200]]) for k in ks])
words_each = np.mean([len(list(split_words(caption))) for caption in captions[:200]])
assert (np.diff(tokens_each) <= 0).all()
assert np.isclose(tokens_each[-1], words_each, rtol=0.01)
plot.curves(
    ks, {"tokens": tokens_each, "words": np.full(len(ks), words_each)}, "merges", "number in a caption, on average"
)

# %% [markdown]
# ## No word is unknown
#
# To encode a new text, the merges are replayed in their order: of all neighbours whose pair is known, join those whose
# merge was learned *first*; then look again, until no pair is known. So a text is cut as the training would have cut it.
#
# **Find the fault:** this function encodes a word. It takes the word's bytes, and the pairs that were merged, in the order
# in which they were learned; merge number r (from 0 on) makes the token 256 + r. It always comes to an end, and its tokens
# do spell the word. But it cuts some words into more pieces than they need. Mend one line.


# %%
def my_encode(symbols, merges):
    """Return the tokens of a word as a list of numbers; symbols is a list of bytes, merges a list of pairs."""
    rank, symbols = {pair: r for r, pair in enumerate(merges)}, list(symbols)
    while known := [i for i in range(len(symbols) - 1) if (symbols[i], symbols[i + 1]) in rank]:
        ### BEGIN SOLUTION
        i = min(known, key=lambda i: rank[symbols[i], symbols[i + 1]])
        ### INSTEAD
        i = known[0]
        ### END SOLUTION
        symbols[i : i + 2] = [256 + rank[symbols[i], symbols[i + 1]]]
    return symbols


# %%
a, h, i, r = b"ahir"
some = [(a, i), (h, a), (256, r), (h, 258)]  # ai, ha, air, hair
print("hair is cut into", my_encode(b"hair", some), "and the merges know 259, all of it")

# %%
my_encode = exercises.ENCODE.check(my_encode)

# %% [markdown]
# The library's encoder, against yours with the library's merges, on words of the captions and on others. (There the
# bytes, marked and not, take 512 numbers.) What was never seen stays in small pieces, at worst in bytes, so
# there is nothing that cannot be written down:

# %%
number = {token: i - 512 for i, token in enumerate(tokenizer.tokens[:512])}  # letters below 0: merges count from 256
pairs = []
for r, (left, right) in enumerate(tokenizer.merges):
    pairs.append((number[left], number[right]))
    number[left + right] = 256 + r
for word in [*counts, "hairy", "mohawk", "shaved", "xylophone"]:
    mine = my_encode([number[letter] for letter in letters(word)], pairs)
    assert tokenizer.encode(word) == [n + 512 if n < 0 else n + 256 for n in mine]
assert merge(["a", "a", "a", "b", "a", "a"], ("a", "a")) == ["aa", "a", "b", "aa"]

# %%
for text in ("a hairy mohawk", "Ω 🙂"):
    ids = tokenizer.encode(text)
    print(f"{text!r}: {len(ids)} tokens, {ids}")
    assert tokenizer.decode(ids) == text.lower()
plot.token_rows({"known": pieces("a curly beard"), "unknown": pieces("a hairy mohawk")})

# %% [markdown]
# A network takes rectangular arrays. So every row begins with the *start* token, and is filled up with the *end* token;
# a text that is too long is cut, and a warning says what was lost:

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    rows = tokenizer.rows(["red hair", "", "short red hair, round glasses and a green hat"], length=8)
print(rows)
print(caught[0].message)
assert rows.shape == (3, 8)
assert tokenizer.decode(rows[0]) == "red hair", "start and end are no text"
assert rows[0].tolist() == [tokenizer.start, *tokenizer.encode("red hair"), *[tokenizer.end] * 5]
assert rows[2].tolist() == [tokenizer.start, *tokenizer.encode("short red hair, round glasses")][:7] + [tokenizer.end]
assert (rows[:, 0] == tokenizer.start).all()
assert (rows[1, 1:] == tokenizer.end).all(), "the empty text asks for nothing"
assert "green hat" in str(caught[0].message)

# %% [markdown]
# ## A vector for each token, and one for each place
#
# Token 600 is not twice token 300: numbers of tokens are names. So each token has a row of its own in a table, a vector
# of C numbers that is learned (Eq. EMB-1 of notebook 08). And each *place* in the row has one, too, which is added. Below
# is the first caption, a token in each line, with 16 numbers each.

# %%
LENGTH = 28  # tokens in a row


def encoder(seed=0, channels=32, dtype=np.float64, **options):
    """Return a text encoder with random weights."""
    config = TextConfig(len(tokenizer), LENGTH, channels, **({"layers": 1} | options))
    return TextEncoder(config, np.random.default_rng(seed), dtype)


both = tokenizer.rows([one, other], LENGTH)
small = encoder(channels=16, layers=0)
n = len(pieces(one)) + 2  # with start and end
of_tokens = small.token.forward(both[0, :n])
of_places = small.place.forward(np.arange(n))
maps = {"tokens": of_tokens, "places": of_places, "what is read": of_tokens + of_places}
plot.signed_maps(maps, ["+", "="])

# %% [markdown]
# **Derive it yourself:** the backward. The first vectors are $h_{n,i} = E[\mathrm{tokens}_{n,i}] + P[i]$, for text n of the
# batch and place i, where E is the table of the tokens and P that of the places. Given `dy`, the gradient of h, what are
# those of E and of P? A row that nobody read has the gradient 0. (Mind that `d[tokens] += dy`, where a token comes twice,
# adds once only: NumPy reads the old values first. Look up `np.add.at`.)


# %%
def my_tables(dy, tokens, vocabulary):
    """Return d_token, (vocabulary, C), and d_place, (L, C); dy is (N, L, C), tokens (N, L)."""
    ### BEGIN SOLUTION
    d_token = np.zeros((vocabulary, dy.shape[-1]))
    np.add.at(d_token, tokens, dy)
    return d_token, dy.sum(axis=0)
    ### END SOLUTION


# %%
my_tables = exercises.TABLES.check(my_tables)

# %% [markdown]
# An encoder with no layers is these tables and a last norm, so that its gradients can be found one by one: of the token
# "hair" by a small change of its row, up and down, and of all by yours.

# %%
tape, grads = Tape(), Gradients(small.parameters())
y = small.forward(both, tape)
dy = rng.standard_normal(y.shape)
small.backward(dy, tape, grads)
h = small.token.table.value[both] + small.place.table.value  # what the norm reads
centred = h - h.mean(axis=-1, keepdims=True)
root = ((centred**2).mean(axis=-1, keepdims=True) + 1e-5) ** 0.5
unit = centred / root
dh = (dy - dy.mean(axis=-1, keepdims=True) - unit * (dy * unit).mean(axis=-1, keepdims=True)) / root  # notebook 07
d_token, d_place = my_tables(dh, both, len(tokenizer))
assert np.allclose(y, unit)
assert np.allclose(grads["token.table"], d_token)
assert np.allclose(grads["place.table"], d_place)
moved = np.flatnonzero(abs(d_token).sum(axis=1))
print(f"{len(moved)} of {len(tokenizer)} rows have a gradient")
table, (hair,), step = small.token.table.value, tokenizer.encode("hair"), 1e-5
for channel in (0, 5):
    ends = []
    for change in (step, -2 * step, step):
        table[hair, channel] += change
        ends.append((small.forward(both) * dy).sum())
    assert np.isclose(grads["token.table"][hair, channel], (ends[0] - ends[1]) / (2 * step), rtol=1e-4)

# %% [markdown]
# ## Without places, order is lost
#
# Write $\Pi$ for any other order of the rows. What acts on each row by itself, a norm, a linear layer, an activation,
# does not notice: $f(\Pi x) = \Pi f(x)$. Does attention? With queries $\Pi q$, keys $\Pi k$ and values $\Pi v$ the
# scores are $\Pi q\, (\Pi k)^\top = \Pi\, q k^\top\, \Pi^\top$. The softmax in every row moves along, so
#
# $$\left(\Pi P \Pi^\top\right) \left(\Pi v\right) = \Pi P v , \qquad\text{since } \Pi^\top \Pi = I .$$
#
# Turned in, turned out: attention, and with it a whole Transformer, is blind to order.

# %%
block, order = TransformerBlock(32, 4, rng, dtype=np.float64), rng.permutation(9)
x = rng.standard_normal((1, 9, 32))
y, y_turned = block.forward(x), block.forward(x[:, order])
assert np.allclose(y_turned, y[:, order])

# %% [markdown]
# The mean over all tokens, then, is the same for both captions above. The simplest such reader has no layers at all: a
# *bag of words*. **Predict, then run:** four encoders with random weights read both captions. Which of them cannot tell
# one from the other?

# %%
four = {
    "bag of words: no layers, no places": encoder(layers=0, positions=False),
    "attention, no places": encoder(positions=False),
    "attention, places": encoder(),
    "attention that looks back only, no places": encoder(positions=False, causal=True),
}
apart = {}
for name, reader in four.items():
    mean_one, mean_other = reader.forward(both).mean(axis=1)
    apart[name] = abs(mean_one - mean_other).max()
    print(f"{name:<42} the two means differ by up to {apart[name]:.1e}")
assert list(np.array(list(apart.values())) > 1e-6) == [False, False, True, True]

# %% [markdown]
# The first two. The last one knows no places, and can still tell them apart: who looks back only sees more the later it
# stands, and that breaks the symmetry.
#
# ## Who may look at whom?
#
# An encoder may let every token look at all others, or only *back*. The second is called causal: a mask takes the scores
# of all later tokens away before the softmax, that is, their weights become 0. Who continues a text needs it, since later
# words are not there yet; CLIP's text encoder, and so Stable Diffusion's, has it as well. To see it, exchange one token
# of the caption, and look which vectors change:

# %%
names = ["start", *(piece.strip() for piece in pieces(one)), "end"]


def influence(reader):
    """Return how much vector i changes if token j becomes another one."""
    found, before = np.zeros((n, n)), reader.forward(both[:1])[0]
    for j in range(n):
        changed = both[:1].copy()
        changed[0, j] = 7
        found[:, j] = np.linalg.norm(reader.forward(changed)[0] - before, axis=-1)[:n]
    return found


seen = {"looks back only": influence(encoder(causal=True)), "looks at all": influence(encoder())}
assert (np.triu(seen["looks back only"], 1) == 0).all(), "a later token must not reach an earlier vector"
assert (seen["looks at all"] > 0).all()
plot.token_maps(
    {name: np.minimum(found, 2) for name, found in seen.items()}, names, names, "whose vector changes", "token replaced"
)

# %% [markdown]
# (Numbers above 2 are drawn as 2: a token's own vector changes most.) With a causal mask, the last token is the only one
# that has read everything; CLIP takes its vector, at the end token, for the whole text. We let all tokens look at all.
#
# ## The stream
#
# A Transformer is a stack of such blocks, and deep stacks are hard to train if each replaces what came before. So each
# step of a block *adds*: $y = x + f(\mathrm{norm}(x))$. What is added to is called the residual stream. Backwards, x has
# two readers, and gradients add:
#
# $$d_x = d_y + J_\mathrm{norm}^\top J_f^\top\, d_y .$$
#
# One part of the gradient, the first term, passes unchanged through any number of blocks. It matters where the norm stands. The first
# Transformer normalised the stream itself, $y = \mathrm{norm}(x + f(x))$ ("post-norm"): then everything that returns goes
# through every norm. With the norm inside the branch ("pre-norm") the stream stays free. The block's source, with a part
# on a context that waits for the next notebook:

# %%
show_source(TransformerBlock.forward, TransformerBlock.backward)

# %% [markdown]
# The same in NumPy, with the block's own weights: two heads, three texts of five tokens, in a reader that sees all and in one that looks back only.
# (Weights stand behind their inputs, x w + b; keys and values come from one matrix, the keys first.)


# %%
def normal_cdf(x):
    """Return Phi."""
    return 0.5 * (1 + np.vectorize(math.erf)(x / 2**0.5))


def layer_norm(x, gamma, beta):
    """Return each token's channels with mean 0 and variance 1, scaled and shifted."""
    x = x - x.mean(axis=-1, keepdims=True)
    return gamma * x / ((x**2).mean(axis=-1, keepdims=True) + 1e-5) ** 0.5 + beta


def in_numpy(w, x, heads, causal=False):
    """Return what a block with the weights w makes of x."""
    c, size = x.shape[-1], x.shape[-1] // heads
    h, mixed = layer_norm(x, w["norm_1.gamma"], w["norm_1.beta"]), np.zeros_like(x)
    q, kv = h @ w["self_attention.query.weight"], h @ w["self_attention.key_value.weight"]
    for one in range(heads):
        part = slice(one * size, (one + 1) * size)
        scores = q[..., part] @ kv[..., :c][..., part].swapaxes(1, 2) / size**0.5
        scores = np.where(np.tril(np.ones(scores.shape[1:])) > 0, scores, -np.inf) if causal else scores
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed[..., part] = shares / shares.sum(axis=-1, keepdims=True) @ kv[..., c:][..., part]
    x = x + mixed @ w["self_attention.proj.weight"] + w["self_attention.proj.bias"]
    h = layer_norm(x, w["norm_3.gamma"], w["norm_3.beta"])
    value, gate = np.split(h @ w["feed_forward.layers.0.weight"] + w["feed_forward.layers.0.bias"], 2, axis=-1)
    out = value * gate * normal_cdf(gate)
    return x + out @ w["feed_forward.layers.2.weight"] + w["feed_forward.layers.2.bias"]


reader = TextEncoder(TextConfig(11, 5, 8, layers=1, heads=2), rng, np.float64)
masked = TextEncoder(TextConfig(11, 5, 8, layers=1, heads=2, causal=True), rng, np.float64)
tokens = rng.integers(0, 11, (3, 5))
for network in (reader, masked):
    network.theta[:] += 0.2 * rng.standard_normal(len(network.theta))  # also norms and biases are random then
    w = {parameter.name: parameter.value for parameter in network.parameters()}
    of_block = {name.removeprefix("blocks.0."): value for name, value in w.items()}
    x = w["token.table"][tokens] + w["place.table"]
    expected = layer_norm(in_numpy(of_block, x, 2, network is masked), w["norm.gamma"], w["norm.beta"])
    assert np.allclose(network.forward(tokens), expected)

# %% [markdown]
# How much of the gradient that starts at the top arrives below? For both kinds, 24 feed-forward branches with random
# weights, and after each the cosine of the angle between the gradient there and the one at the top:


# %%
def likeness(pre_norm, depth=24, c=32):
    """Return the cosine of the gradients below 1 .. depth branches with the gradient at the top."""
    rng, tape = np.random.default_rng(0), Tape()
    norms = [LayerNorm(c, dtype=np.float64) for _ in range(depth)]
    branches = [
        Sequential(Linear(c, 8 * c, rng, dtype=np.float64), GEGLU(), Linear(4 * c, c, rng, dtype=np.float64))
        for _ in range(depth)
    ]
    x = rng.standard_normal((8, c))
    for norm, f in zip(norms, branches, strict=True):
        x = x + f.forward(norm.forward(x, tape), tape) if pre_norm else norm.forward(x + f.forward(x, tape), tape)
    top = d = rng.standard_normal(x.shape)
    found = []
    for norm, f in zip(reversed(norms), reversed(branches), strict=True):
        d = d if pre_norm else norm.backward(d, tape)
        through_branch = f.backward(d, tape)
        d = d + (norm.backward(through_branch, tape) if pre_norm else through_branch)
        found.append((d * top).sum() / np.linalg.norm(d) / np.linalg.norm(top))
    return np.array(found)


lines = {"pre-norm": likeness(True), "post-norm": likeness(False)}
assert lines["pre-norm"][11] > 0.3
assert abs(lines["post-norm"][11]) < 0.2
plot.curves(np.arange(1, 25), lines, "branches below the top", "cosine with the gradient at the top")

# %% [markdown]
# ## One half opens the other: GEGLU
#
# After the tokens have looked at each other, each of them thinks on its own: two linear layers with an activation
# between. The activation of Stable Diffusion's blocks cuts the channels in two halves, a value $x_1$ and a gate $x_2$:
#
# $$y = x_1 \odot \mathrm{gelu}(x_2) \qquad \text{(Eq. GEGLU-1)}$$
#
# GELU is nearly 0 for numbers well below 0. There the gate is closed, and whatever the value says is not heard. A
# product of two things that the network found is more than any sum can say: *this, but only if that*.
#
# **Derive it yourself:** the backward. GELU is $x_2\, \Phi(x_2)$ (GELU-1 of notebook 05), with $\Phi$ the distribution
# function of the normal distribution; the derivative of $\Phi$ is its density $\varphi$. `cdf` is $\Phi$ of the gate, `pdf`
# is $\varphi$ of the gate, and all arguments have one shape.


# %%
def my_geglu_backward(dy, value, gate, cdf, pdf):
    """Return d_value and d_gate, each of the shape of dy."""
    ### BEGIN SOLUTION
    d_value = dy * gate * cdf
    d_gate = dy * value * (cdf + gate * pdf)
    return d_value, d_gate
    ### END SOLUTION


# %%
my_geglu_backward = exercises.GEGLU.check(my_geglu_backward)

# %% [markdown]
# As a formula,
#
# $$d_{x_1} = d_y \odot \mathrm{gelu}(x_2), \qquad
#   d_{x_2} = d_y \odot x_1 \odot \left(\Phi(x_2) + x_2\, \varphi(x_2)\right) \qquad \text{(Eq. GEGLU-2)}$$

# %%
show_source(F.geglu, F.geglu_backward)
x, dy = rng.standard_normal((2, 3, 10)), rng.standard_normal((2, 3, 5))
y, cache = F.geglu(x)
(dx,) = F.geglu_backward(dy, cache)
value, gate = x[..., :5], x[..., 5:]
pdf = np.exp(-(gate**2) / 2) / (2 * np.pi) ** 0.5
mine = my_geglu_backward(dy, value, gate, normal_cdf(gate), pdf)
assert np.allclose(y, value * gate * normal_cdf(gate))
assert np.allclose(np.concatenate(mine, axis=-1), dx)
assert np.allclose(F.geglu(x.astype(np.float32))[0], y, atol=1e-5)
assert gradcheck(F.geglu, F.geglu_backward, [x])

gates = np.linspace(-4, 3, 141)
plot.curves(
    gates,
    {f"value {v}": F.geglu(np.stack([np.full(141, v), gates], axis=-1))[0][:, 0] for v in (2.0, 1.0, 0.0, -1.0)},
    "gate",
    "y",
)

# %% [markdown]
# All parts are there. One check of the whole encoder, table to last norm, against slopes that are measured; first by hand,
# for the encoders from above and each of their weights in a random direction:

# %%
dy = rng.standard_normal((3, 5, 8))
for network in (reader, masked):
    tape, grads = Tape(), Gradients(network.parameters())
    network.forward(tokens, tape)
    network.backward(dy, tape, grads)
    for parameter in network.parameters():
        direction, ends = rng.standard_normal(parameter.value.shape), []
        for step in (1e-5, -2e-5, 1e-5):
            parameter.value[...] += step * direction
            ends.append((network.forward(tokens) * dy).sum())
        slope = (grads[parameter.name] * direction).sum()
        assert np.isclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-4, atol=1e-6), parameter.name
report = check_module(TextEncoder(TextConfig(11, 5, 8, 2, 2), rng, np.float64), [both[:, :5] % 11], Tape, Gradients)
assert report.ok
report

# %% [markdown]
# ## Learn to read
#
# The task: *which colour has the hair?* There are captions of portraits in pairs as above, so every caption names two
# colours, and its partner names the same two the other way round. The reader is an encoder, the mean over its tokens,
# and a linear layer to three logits; the loss is the cross entropy.


# %%
class Reader(Module):
    """Tells from a caption which colour the hair has."""

    def __init__(self, **options):
        self.encoder = encoder(dtype=np.float32, **options)
        self.head = Linear(32, 3, np.random.default_rng(1))
        self.pack()

    def forward(self, tokens, tape=None):
        h = self.encoder.forward(tokens, tape)
        return self.head.forward(h.mean(axis=1), tape)

    def backward(self, d_logits, tape, grads=None):
        d_mean = self.head.backward(d_logits, tape, grads)
        dh = np.repeat(d_mean[:, None] / LENGTH, LENGTH, axis=1)  # each token had an equal share in the mean
        self.encoder.backward(dh, tape, grads)


COLOURS = ("blue", "green", "red")


def questions(n, seed):
    """Return captions as rows of tokens, and the number of the hair's colour; 2 k and 2 k + 1 are a pair."""
    portraits = compose(n, seed, "swapped")
    texts = [caption.text for caption in describe(portraits, seed, "swapped")]
    answer = np.stack([has_word(portraits, "hair", colour) for colour in COLOURS]).argmax(axis=0)
    return tokenizer.rows(texts, LENGTH), answer


train, test = questions(4000, seed=1), questions(1000, seed=0)

# %% [markdown]
# A reader that is blind to order gives the same probabilities p to both captions of a pair, whose answers are a and b.
# Its mean loss over the pair is $-\tfrac12 (\log p_a + \log p_b)$, and $p_a p_b$ is largest, $\tfrac14$, if each has
# $\tfrac12$. So the loss cannot fall below
#
# $$-\tfrac12 \log \tfrac14 = \log 2 \approx 0.693 ,$$
#
# however long it trains; and of a pair, it answers at most one right. Three of the encoders from above, 400 steps each:


# %%
def learn(reader, lr, steps=400, pairs=32):
    """Train a reader, and return its loss at every step."""
    optimizer, rng, losses = AdamW(reader.theta), np.random.default_rng(2), []
    tokens, answer = train
    for k in range(1, steps + 1):
        firsts = 2 * rng.integers(len(answer) // 2, size=pairs)
        batch = np.concatenate([firsts, firsts + 1])
        tape, grads = Tape(), Gradients(reader.parameters())
        loss, cache = F.cross_entropy(reader.forward(tokens[batch], tape), answer[batch])
        (d_logits,) = F.cross_entropy_backward(1.0, cache)
        reader.backward(d_logits, tape, grads)
        optimizer.step(grads.flat, lr * min(1, k / 50))
        losses.append(float(loss))
    return np.array(losses)


bag, blind, reader = Reader(layers=0, positions=False), Reader(positions=False), Reader()
with one_blas_thread():  # such small matrices are not worth being shared among threads
    losses = {
        "bag of words": learn(bag, 1e-2),
        "attention, no places": learn(blind, 3e-3),
        "attention, places": learn(reader, 3e-3),
    }
plot.curves(np.arange(1, 401), {**losses, "log 2": np.full(400, np.log(2))}, "optimizer step", "loss", log="y")

# %%
tokens, answer = test
right = {
    name: (each.forward(tokens).argmax(axis=1) == answer).mean()
    for name, each in zip(losses, (bag, blind, reader), strict=True)
}
for name, share in right.items():
    print(f"{name:<22} loss {losses[name][-20:].mean():.3f}, right about {share:.1%} of 1,000 new captions")
for name in ("bag of words", "attention, no places"):
    assert losses[name].min() > np.log(2) - 1e-4, "blind to order, so the floor holds in every batch"
    assert right[name] <= 0.51
assert right["attention, places"] > 0.9

# %% [markdown]
# The blind ones end on the floor, and not a step below. With attention and places the order is read. Where does the
# reader look? Here are its four heads for one caption; each row sums to 1 over the whole row of tokens, of which the
# ends that fill it are left out.


# %%
def looks(text):
    """Draw where each token of a text looks, head by head."""
    tape = Tape()
    logits = reader.forward(tokenizer.rows([text], LENGTH), tape)
    weights = tape["encoder.blocks.0.self_attention"].weights[0]  # (heads, queries, keys)
    names = ["start", *(piece.strip() for piece in pieces(text)), "end"]
    n = len(names)
    maps = {f"head {i + 1}": weights[i, :n, :n] for i in range(4)}
    title = f"{text}: the hair is {COLOURS[logits.argmax()]}"
    return plot.token_maps(maps, names, names, "who looks", "at whom", title)


looks("a person with curly green hair and a red shirt")

# %% [markdown]
# And over the 1,000 captions, which words are looked at most? (`plain` keeps the weights, which the library's faster way
# through long arrays throws away.)

# %%
tape = Tape()
with tinydiff.plain():
    reader.forward(tokens, tape)
received = tape["encoder.blocks.0.self_attention"].weights.mean(axis=(1, 2))  # by each token of each caption
by_word = {tokenizer.decode([i]): received[tokens == i].mean() * LENGTH for i in np.unique(tokens)}
most = sorted(by_word, key=by_word.get, reverse=True)[:6]
print("1 is an equal share:", ", ".join(f"{word} {by_word[word]:.1f}" for word in most))
assert len(set(most) & {*COLOURS, "hair"}) >= 3

# %% [markdown]
# It looks at the colours and at "hair", and hardly at the rest: nobody told it which words matter.
#
# ## Summary
#
# 1. Text is bytes; merges of the most frequent pairs make rows short, and no word is ever unknown.
# 2. A token and its place each have a learned vector, and the two are added.
# 3. Without places, attention is blind to order; with a causal mask or with places it is not.
# 4. Each step of a block adds to a stream, its norm inside the branch, so one part of the gradient reaches the bottom
# unchanged.
# 5. GEGLU lets one half of the channels through as far as the other half says.
#
# <details><summary>Why is a space never merged with its neighbours?</summary>
#
# Merges stay within words, or frequent phrases would use up the vocabulary, and "red hair" would have nothing to do with
# "red". The mark at a word's end does the work of the space.
#
# </details>
#
# <details><summary>How can a causal encoder know the order without places?</summary>
#
# The first token can look at itself alone, the second at two, and so on. Turned round, other tokens are seen by others:
# the mask is a part of the layer and does not turn along.
#
# </details>
#
# <details><summary>Does the reader understand English?</summary>
#
# It has learned the four forms in which these captions are written, and no more. Ask it for "long red hair and a green
# shirt", a form that never occurs, and it may well answer green. A text encoder knows the texts it was trained on.
#
# </details>
#
# **Next:** the words are read. How do they reach the pixels? [23 · Cross-attention](23_cross_attention.ipynb)
