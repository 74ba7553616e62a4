"""Which pixels of a picture attend to each word of the prompt while the network draws."""

import math
import warnings
from collections.abc import Iterator

import numpy as np

from tinydiff.base import Array, InputError, checked, plain, to_numpy, xp_of
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.nn import Tape
from tinydiff.text.tokenizer import split_words


@checked()
def word_maps(model: DiffusionModel, prompt: str, x_t: Array, t: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each word of the prompt that the network reads, with its map of attention weights (P of Eq. XATT-1).

    A map holds, for each pixel of the finest level that looks at words, the weight of the word's tokens: the mean over
    all heads and layers of that level. A pixel's weights sum to 1; what the words do not
    get goes to the start, the end and the commas.

    Parameters
    ----------
    model : DiffusionModel
    prompt : str
    x_t : array, shape (1, H, W, C)
    t : float
        1 .. T.
    """
    model.check_draws()
    text, tokenizer = model.config.text, model.tokenizer
    if text is None or tokenizer is None:
        raise InputError("This model does not read text, so there are no words that it could look for.")
    xp, tape = xp_of(x_t), Tape()
    with warnings.catch_warnings(action="ignore"):  # words that do not fit have no map
        tokens = xp.asarray(tokenizer.rows([prompt], text.length))
    with plain():  # no attention in pieces, which would not keep the weights
        model.network.forward(x_t, xp.full(1, t), tokens, tape)
    weights = [e.cache.weights for e in tape.entries if e.owner.path.endswith("cross_attention")]
    finest = max(w.shape[-2] for w in weights)
    rows = math.isqrt(finest * x_t.shape[1] // x_t.shape[2])
    mean = np.mean([to_numpy(w[0].mean(axis=0)) for w in weights if w.shape[-2] == finest], axis=0)  # (pixels, tokens)
    first = 1  # after the start
    for word in split_words(prompt):
        ids = tokenizer.encode(word)
        of_word = mean[:, first : min(first + len(ids), text.length - 1)]
        if any(map(str.isalnum, word)) and of_word.size:
            pieces = "·".join(tokenizer.decode([i]) for i in ids)
            yield word if "\ufffd" in pieces else pieces, of_word.sum(axis=1).reshape(rows, -1)
        first += len(ids)
