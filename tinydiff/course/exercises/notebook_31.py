"""Exercises of notebook 31: nearest codes, the gradient past them, averages, perplexity, levels and restarts."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(31)


def _nearest(z, codebook, power=2, pick=np.argmin, axis=2):
    distance = (abs(z[:, None] - codebook) ** power).sum(axis=axis)
    return pick(distance, axis=1)


def _nearest_by_products(z, codebook, squares):
    return (squares * (codebook * codebook).sum(axis=1) - 2 * z @ codebook.T).argmin(axis=1)


NEAREST = Exercise(
    grade="transcribe",
    reference=_nearest,
    cases=[
        (_RNG.standard_normal((30, 4)), _RNG.standard_normal((9, 4))),
        (_RNG.standard_normal((40, 2)) + 1.0, 2 * _RNG.standard_normal((7, 2))),
        (0.2 * _RNG.standard_normal((25, 3)), 3 * _RNG.standard_normal((50, 3))),
    ],
    returns=["indices"],
    mistakes={
        "that is the code that is farthest; the least distance is looked for.": partial(_nearest, pick=np.argmax),
        "the squares are summed over the codes; the distance of a vector from a code is a sum over its C numbers.": (
            partial(_nearest, axis=1)
        ),
        "the differences are summed without their squares: that is a distance, but another one.": (
            partial(_nearest, power=1)
        ),
        "the square of the code's own length is missing: then a long code seems to be near to much.": (
            partial(_nearest_by_products, squares=0.0)
        ),
        "the 2 before the inner product is missing: |z - e|^2 = |z|^2 - 2 <z, e> + |e|^2.": (
            partial(_nearest_by_products, squares=2.0)
        ),
    },
    hints=[
        "How many distances are there in all, and over what is each a sum?",
        "Make an array (N, K, C) of differences by broadcasting, square it, and sum over the last axis.",
        "`((z[:, None] - codebook) ** 2).sum(axis=2).argmin(axis=1)`",
    ],
    praise="Each vector has become one whole number.",
)


def _through(
    d_z_q, z, codebook, indices, beta, through=1.0, commit=1.0, by="numbers", moved=0.0, d_book=0.0, last=False
):
    z_q = codebook[indices]
    n = {"numbers": z.size, "vectors": len(z), "one": 1}[by]
    dz = through * d_z_q + (commit * beta + moved) * 2 * (z - z_q) / n
    d_codebook, d_e = np.zeros(codebook.shape), 2 * (z_q - z) / n + d_book * d_z_q
    if last:
        d_codebook[indices] += d_e
    else:
        np.add.at(d_codebook, indices, d_e)
    return dz, d_codebook


def _indices(n, codes):
    return np.concatenate([_RNG.integers(0, codes - 1, n - 1), [0]])  # the last code is nobody's


THROUGH = Exercise(
    grade="derive",
    reference=_through,
    cases=[
        (*_RNG.standard_normal((2, 7, 3)), _RNG.standard_normal((4, 3)), _indices(7, 4), 0.25),
        (*_RNG.standard_normal((2, 5, 2)), _RNG.standard_normal((3, 2)), _indices(5, 3), 1.6),
        (*_RNG.standard_normal((2, 9, 4)), 2 * _RNG.standard_normal((6, 4)), _indices(9, 6), 0.7),
    ],
    returns=["dz", "d_codebook"],
    mistakes={
        "the decoder's gradient does not reach z: that is the true derivative, and with it the encoder learns nothing "
        "of pictures. Hand it on.": partial(_through, through=0.0),
        "the commitment is missing in dz: nothing keeps z near its code.": partial(_through, commit=0.0),
        "the commitment pushes z away from its code: it should go the other way.": partial(_through, commit=-1.0),
        "the codebook loss has a gradient in z; there z stands still (sg), and only codes move.": (
            partial(_through, moved=1.0)
        ),
        "the 2 of the square is missing in the commitment.": partial(_through, commit=0.5),
        "the squares are summed; both losses are means, so divide by how many numbers z has.": (
            partial(_through, by="one")
        ),
        "it is divided by the number of vectors; both losses are means over all numbers, N times C.": (
            partial(_through, by="vectors")
        ),
        "the decoder's gradient goes to the codes, too; it was handed on to z, and codes have a loss of their own.": (
            partial(_through, d_book=1.0)
        ),
        "a code that several vectors have chosen hears of one of them only: the parts add (`np.add.at`).": (
            partial(_through, last=True)
        ),
    },
    hints=[
        "There are three losses. Which of them move z, and which move the codes?",
        "z hears of the decoder, as if it were z_q, and of the commitment; the codes hear of the codebook loss only. "
        "The derivative of a mean of squares has a 2 and the number of numbers.",
        "`dz = d_z_q + beta * 2 * (z - z_q) / z.size`, and `np.add.at(d_codebook, indices, 2 * (z_q - z) / z.size)`.",
    ],
    praise="The encoder hears of the picture, though nothing of the kind is a derivative.",
)


def _averaged(
    z, indices, sizes, sums, decay, smoothing, swap=False, smooth=True, share=True, now=False, weigh=True, codes=False
):
    k = len(sizes)
    counts, batch_sums = np.bincount(indices, minlength=k), np.zeros(sums.shape)
    np.add.at(batch_sums, indices, z)
    keep = 1 - decay if swap else decay
    if not weigh:  # the mean of each code's vectors in place of their sum
        batch_sums = batch_sums / np.maximum(counts, 1)[:, None]
    new_sizes = keep * sizes + (1 - keep) * counts
    new_sums = keep * sums + (1 - keep) * batch_sums
    divisor = new_sizes
    if smooth:
        divisor = new_sizes + smoothing
    if smooth and share:
        divisor = divisor * new_sizes.sum() / divisor.sum()
    if now:
        divisor = np.maximum(counts, smoothing)
    if codes:
        old, of_batch = sums / sizes[:, None], batch_sums / np.maximum(counts, 1)[:, None]
        return keep * old + (1 - keep) * of_batch, new_sizes, new_sums
    return new_sums / divisor[:, None], new_sizes, new_sums


AVERAGE = Exercise(
    grade="transcribe",
    reference=_averaged,
    cases=[
        (
            _RNG.standard_normal((9, 3)),
            _indices(9, 5),
            _RNG.uniform(0.5, 3, 5),
            _RNG.standard_normal((5, 3)),
            0.9,
            1e-2,
        ),
        (
            _RNG.standard_normal((7, 2)),
            _indices(7, 3),
            _RNG.uniform(0.01, 1, 3),
            _RNG.standard_normal((3, 2)),
            0.6,
            0.1,
        ),
        (
            _RNG.standard_normal((12, 4)),
            _indices(12, 6),
            _RNG.uniform(1, 2, 6),
            _RNG.standard_normal((6, 4)),
            0.8,
            0.05,
        ),
    ],
    returns=["codebook", "sizes", "sums"],
    mistakes={
        "gamma and 1 - gamma are exchanged: most of the average is what was, and a little is new.": (
            partial(_averaged, swap=True)
        ),
        "means of this batch are averaged in place of sums: a code with one vector would count as much as one with "
        "many.": partial(_averaged, weigh=False),
        "the codes themselves are averaged; average counts and sums, and divide in the end.": (
            partial(_averaged, codes=True)
        ),
        "the smoothing is missing: a code that hardly anything is near would be divided by nearly 0.": (
            partial(_averaged, smooth=False)
        ),
        "after epsilon is added, the sizes must be scaled so that their total is what it was.": (
            partial(_averaged, share=False)
        ),
        "the averaged sums are divided by the counts of this batch; divide them by the averaged counts.": (
            partial(_averaged, now=True)
        ),
    },
    hints=[
        "What are the three things of this batch that you need for each code, and which are averages over time?",
        "First the counts and sums of the batch, then both averages, then the smoothed sizes, then one division.",
        "`smoothed = (sizes + smoothing) * sizes.sum() / (sizes.sum() + K * smoothing)`, `sums / smoothed[:, None]`.",
    ],
    praise="It is k-means on a stream, and needs no learning rate.",
)


def _perplexity(indices, codes, log=np.log, power=np.exp, apart=False, kind="entropy"):
    if apart:
        return np.mean([_perplexity(row[None], codes) for row in indices])
    counts = np.bincount(indices.reshape(-1), minlength=codes)
    p = counts / counts.sum()
    if kind == "used":
        return float((counts > 0).sum())
    if kind == "squares":
        return 1 / (p * p).sum()
    if kind == "all":
        return np.exp(-np.log(np.where(p > 0, p, 1)).sum() / (counts > 0).sum())
    p = p[p > 0]
    return power(-(p * log(p)).sum())


PERPLEXITY = Exercise(
    grade="derive",
    reference=_perplexity,
    cases=[
        (_RNG.integers(0, 6, (5, 4)), 8),
        (np.minimum(_RNG.integers(0, 9, (3, 7)), 5), 6),
        (_RNG.integers(0, 3, (4, 10)) * _RNG.integers(0, 3, (4, 10)), 5),
    ],
    returns=["perplexity"],
    mistakes={
        "that is the entropy, in nats; the question is of how many codes used equally it is the entropy.": (
            partial(_perplexity, power=float)
        ),
        "the logarithm has base 2, and the exponential base e: take the same base for both.": (
            partial(_perplexity, log=np.log2)
        ),
        "the logarithm has base e, and the power base 2: take the same base for both.": (
            partial(_perplexity, power=np.exp2)
        ),
        "each batch is looked at alone, and then the mean is taken: a batch of few vectors cannot use many codes. "
        "Count over all of them first.": partial(_perplexity, apart=True),
        "that is how many codes were used at all; one that was used once counts as much as any other.": (
            partial(_perplexity, kind="used")
        ),
        "the surprise of each code counts alike; weigh it with how often the code is used.": (
            partial(_perplexity, kind="all")
        ),
    },
    hints=[
        "If K codes are used equally, each has the share 1 / K. What is the entropy then? Solve it for K.",
        "Count each code over all batches, divide by the total, and leave out those with no use; then the entropy.",
        "`np.exp(-(p * np.log(p)).sum())`",
    ],
    praise="So many codes, used equally, would carry as much.",
)


def _levels(z, levels, offset="even", early=False, whole=False, shift=np.arctanh, sign=1.0):
    levels = np.asarray(levels)
    half = 0.999 * (levels - 1) / 2
    is_shifted = {"even": levels % 2 == 0, "odd": levels % 2 == 1, "none": 0 * levels}[offset]
    o = 0.5 * is_shifted
    bounded = half * np.tanh((np.rint(z) if early else z) + shift(o / half)) - sign * o
    width = levels if whole else levels // 2
    return (bounded if early else np.rint(bounded)) / width


_ON_THE_EDGE = np.array([[-0.3468, 0.2, -0.3468], [1.4, -1.0, 0.4], [0.0, 0.0, 0.0]])  # between tan and its inverse

LEVELS = Exercise(
    grade="debug",
    reference=_levels,
    cases=[
        (2 * _RNG.standard_normal((20, 2)), (4, 5)),
        (_ON_THE_EDGE, (4, 3, 4)),
        (3 * _RNG.standard_normal((3, 6, 4)), (6, 3, 7, 8)),
    ],
    returns=["z_q"],
    mistakes={
        PLANTED: partial(_levels, offset="odd"),
        "no half is taken off, so that an even number of levels has one less: with 4 there are only -1, 0 and 1.": (
            partial(_levels, offset="none")
        ),
        "it is rounded before it is bounded; what comes out are no few levels, evenly spaced.": (
            partial(_levels, early=True)
        ),
        "it is divided by L; divide by L // 2, so that the levels reach from -1 to about 1.": (
            partial(_levels, whole=True)
        ),
        "tan is not the inverse of tanh: with it, what is rounded at z = 0 is only nearly 0, as in the "
        "paper's listing.": partial(_levels, shift=np.tan),
        "nothing is added to z before tanh: then what is rounded at z = 0 is -1/2 where L is even, on an edge.": (
            partial(_levels, shift=np.zeros_like)
        ),
        "the half is added after tanh; it is taken off, so that 4 levels are -2, -1, 0 and 1.": (
            partial(_levels, sign=-1.0)
        ),
    },
    hints=[
        "Put numbers from -9 to 9 through it, and count the levels that come out, for L = 4 and for L = 5.",
        "An odd number of levels has one in the middle, at 0; an even one has none. Which of the two needs the half?",
        "`offset = np.where(levels % 2 == 1, 0.0, 0.5)`",
    ],
    praise="All levels are there, and nobody had to learn them.",
)


def _stream(batches, codebook, below=1.0, to="vectors", sums_too=True):
    k, codebook = len(codebook), codebook.copy()
    sizes, sums = np.zeros(k), np.zeros(codebook.shape)
    for z in batches:
        indices = _nearest(z, codebook)
        used = (sizes > 0) | (np.bincount(indices, minlength=k) > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            averaged, sizes, sums = _averaged(z, indices, sizes, sums, 0.9, 1e-5)
        codebook = np.where(used[:, None], averaged, codebook)
        if below is None:
            continue
        unused = sizes < below
        places = {"vectors": z[:k], "mean": np.tile(z.mean(axis=0), (k, 1)), "zero": 0 * z[:k]}[to]
        codebook[unused] = places[unused]
        if sums_too:
            sums[unused] = below * places[unused]
        sizes[unused] = below
    return codebook


def _clusters(n, batches, size, codes):
    """Return a stream of vectors near n places around the middle, a codebook in the middle, and the places."""
    angles = 2 * np.pi * (np.arange(n) + _RNG.uniform(0, 0.3, n)) / n
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chosen = _RNG.integers(0, n, (batches, size))
    stream = centres[chosen] + 0.04 * _RNG.standard_normal((batches, size, 2))
    return stream, _RNG.uniform(-1, 1, (codes, 2)) / codes, centres


_FEW = 4  # of the 30 clusters: where unused codes begin anew by chance, two clusters may share a code
_STREAMS = [_clusters(*shape) for shape in ((8, 60, 48, 12), (12, 70, 64, 16), (10, 80, 56, 14))]


def _missed(outputs):
    """Return how many clusters have no code near, as a sentence; empty if they are few."""
    missed = [
        int((np.linalg.norm(centres[:, None] - codebook, axis=-1).min(axis=1) > 0.15).sum())
        for (codebook,), (_, _, centres) in zip(outputs, _STREAMS, strict=True)
    ]
    if sum(missed) <= _FEW:
        return ""
    places = ", ".join(f"{m} of {len(centres)}" for m, (_, _, centres) in zip(missed, _STREAMS, strict=True))
    return (
        f"in the three streams, {places} clusters have no code near: where does an unused code begin anew, and with "
        "which size and sum?"
    )


RESTART = Exercise(
    grade="explore",
    reference=_stream,
    cases=[(stream, codebook) for stream, codebook, _ in _STREAMS],
    returns=["codebook"],
    mistakes={
        "no code begins anew: those that nothing is near stay where they are, and clusters share a code.": (
            partial(_stream, below=None)
        ),
        "all unused codes begin in one place, the mean of the batch, where nothing is near; take vectors of it.": (
            partial(_stream, to="mean")
        ),
        "unused codes begin anew at 0, whatever the data are; take vectors of the batch.": partial(_stream, to="zero"),
        "codes have a new place, but their sums are the old ones, so that the next average takes them back.": (
            partial(_stream, sums_too=False)
        ),
    },
    hints=[
        "Which codes are hardly used? And where would each of them be of use, as far as this batch tells?",
        "Where sizes are below 1, put vectors of the batch, which come in random order; give size and sum to match.",
        "`codebook[unused], sizes[unused], sums[unused] = z[:len(codebook)][unused], 1, z[:len(codebook)][unused]`",
    ],
    praise="Codes are where the vectors are.",
    judge=_missed,
)
