"""The exercises of notebook 18, on a GAN, a variational autoencoder, a normalising flow and diffusion."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(18)


def _softplus(x):
    return np.logaddexp(0, np.asarray(x, float))


def _sigmoid(x):
    return np.exp(-_softplus(-np.asarray(x, float)))


def _losses(real, fake, of_real=-1, of_fake=1, generator="non-saturating", mean=np.mean, half=1.0):
    discriminator = half * (mean(_softplus(of_real * real)) + mean(_softplus(of_fake * fake)))
    of_generator = {
        "non-saturating": lambda: mean(_softplus(-fake)),
        "saturating": lambda: -mean(_softplus(fake)),
        "other way": lambda: mean(_softplus(fake)),
    }[generator]()
    return discriminator, of_generator


LOSSES = Exercise(
    grade="transcribe",
    reference=lambda real, fake: _losses(real, fake),
    cases=[
        (_RNG.standard_normal(5), 0.5 + _RNG.standard_normal(7)),
        (np.array([[30.0], [-2.0]]), np.array([[-1.0], [40.0], [0.3]])),
        (np.array([900.0, -1.0]), np.array([-900.0, 800.0])),
    ],
    returns=["L_D", "L_G"],
    mistakes={
        "the signs of real and fake are exchanged: D is high for data, so data cost log(1 + exp(-D)).": (
            lambda real, fake: _losses(real, fake, 1, -1)
        ),
        "that punishes D for high logits of data as well: of data it is log(1 + exp(-D)).": (
            lambda real, fake: _losses(real, fake, of_real=1)
        ),
        "the discriminator's fakes have the generator's loss: for D, they cost log(1 + exp(D)).": (
            lambda real, fake: _losses(real, fake, of_fake=-1)
        ),
        "L_G is -E log(1 + exp(D)), the loss that saturates; the one asked for is E log(1 + exp(-D)).": (
            lambda real, fake: _losses(real, fake, generator="saturating")
        ),
        "L_G falls where fakes are told from data: the sign in its exponent is turned.": (
            lambda real, fake: _losses(real, fake, generator="other way")
        ),
        "both are sums; the loss is a mean over the batch.": lambda real, fake: _losses(real, fake, mean=np.sum),
        "L_D has a half that its formula has not (the hinge loss of notebook 32 has one).": (
            lambda real, fake: _losses(real, fake, half=0.5)
        ),
    },
    hints=[
        "log(1 + exp(x)) has a name, softplus. What is it for x = 800? And what does NumPy say?",
        "Three means of softplus: of -D at data, of D at fakes, and for the generator of -D at fakes. "
        "np.logaddexp(0, x) is softplus without an overflow.",
        "`return np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean(), np.logaddexp(0, -fake).mean()`",
    ],
    praise="Two losses, and neither of them says how good the pictures are.",
)


def _pull(fake, first=lambda f: -_sigmoid(f), second=lambda f: -_sigmoid(-f), share=True):
    n = np.size(fake) if share else 1
    return first(fake) / n, second(fake) / n


PULL = Exercise(
    grade="derive",
    reference=lambda fake: _pull(fake),
    cases=[
        (np.array([-3.0, -0.5, 0.4, 2.0]),),
        (_RNG.standard_normal((3, 1)),),
        (np.array([-7.0, 7.0]),),
    ],
    returns=["of the saturating loss", "of the other"],
    mistakes={
        "the two are exchanged: which of them is nearly 0 where a fake is told from data, at D << 0?": (
            lambda fake: _pull(fake)[::-1]
        ),
        "the signs are turned: both losses fall as D rises, so both derivatives are negative.": (
            lambda fake: tuple(-d for d in _pull(fake))
        ),
        "both losses are means, so that each logit has a share 1 / n of the derivative.": (
            lambda fake: _pull(fake, share=False)
        ),
        "the derivative of log(1 + exp(x)) is sigmoid(x); that is sigmoid's own derivative.": lambda fake: _pull(
            fake, *[lambda f: -_sigmoid(f) * _sigmoid(-f)] * 2
        ),
        "only the saturating loss has a minus before the logarithm: look at the inner sign of the other once more.": (
            lambda fake: _pull(fake, second=lambda f: _sigmoid(-f))
        ),
    },
    hints=[
        "What is the derivative of log(1 + exp(x))?",
        "It is sigmoid(x) = 1 / (1 + exp(-x)). The chain rule gives the signs, and the mean gives 1 / n.",
        "`return -sigmoid(fake) / fake.size, -sigmoid(-fake) / fake.size`, with sigmoid(x) = 1 / (1 + np.exp(-x)).",
    ],
    praise="Where the discriminator is sure, at D << 0, the first is nearly 0, and the second has its full size.",
)


def _bound(
    x, x_hat, sigma, mean, log_variance, half=0.5, power=2, log_sigma=1.0, constant=1.0, kl=1.0, less=1.0, own=False
):
    D = x.shape[1]
    reconstruction = half * ((x - x_hat) ** 2).sum(axis=1) / sigma**power
    reconstruction = reconstruction + log_sigma * D * np.log(sigma) + constant * D / 2 * np.log(2 * np.pi)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - less - log_variance).sum(axis=1)
    if own:
        divergence = divergence * D / mean.shape[1]
    return ((reconstruction + kl * divergence) / D).mean()


_POSTERIOR = (_RNG.standard_normal((4, 3)), _RNG.standard_normal((4, 2)), _RNG.standard_normal((4, 2)))
_NARROW = (_RNG.standard_normal((5, 2)), _RNG.standard_normal((5, 4)), _RNG.standard_normal((5, 4)) - 2)

BOUND = Exercise(
    grade="transcribe",
    reference=lambda x, x_hat, sigma, mean, log_variance: _bound(x, x_hat, sigma, mean, log_variance),
    cases=[
        (_RNG.standard_normal((4, 3)), _POSTERIOR[0], 0.5, *_POSTERIOR[1:]),
        (_RNG.standard_normal((5, 2)), _NARROW[0], 1.7, *_NARROW[1:]),
        (_RNG.standard_normal((1, 6)), _RNG.standard_normal((1, 6)), 0.2, np.zeros((1, 3)), np.full((1, 3), 0.4)),
    ],
    returns=["L"],
    mistakes={
        "the square of x - x_hat is divided by sigma, and not by 2 sigma squared.": partial(_bound, power=1),
        "the squared distance lacks its half.": partial(_bound, half=1.0),
        "D log sigma is missing: with it, a large sigma costs, too.": partial(_bound, log_sigma=0.0),
        "the constant D / 2 log 2 pi is missing: without it, this is no density, and bounds nothing.": (
            partial(_bound, constant=0.0)
        ),
        "the divergence is subtracted; to keep z near N(0, I) costs.": partial(_bound, kl=-1.0),
        "the divergence lacks its -1: it would not be 0 at mean 0 and variance 1.": partial(_bound, less=0.0),
        "the divergence is a mean over the latent numbers; it is their sum, over D as all else.": (
            partial(_bound, own=True)
        ),
        "the divergence is missing.": partial(_bound, kl=0.0),
    },
    hints=[
        "Two parts for each picture, both summed over its numbers: -log N(x; x_hat, sigma^2), and the divergence.",
        "-log of the normal density is (x - x_hat)^2 / (2 sigma^2) + log sigma + log(2 pi) / 2 for each number; the "
        "divergence of each latent number is (m^2 + exp(l) - 1 - l) / 2. Add all, divide by D, and take the mean.",
        "With D = x.shape[1]: `a = ((x - x_hat) ** 2).sum(1) / (2 * sigma**2) + D * np.log(sigma) + D / 2 * np.log(2 * "
        "np.pi)`, `k = (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1) / 2`, `return ((a + k) / D).mean()`",
    ],
    praise="With the constants, it is in nats and can be compared with other models' likelihoods.",
)


def _importance(log_weights):
    largest = log_weights.max(axis=0)
    return largest + np.log(np.exp(log_weights - largest).mean(axis=0))


IMPORTANCE = Exercise(
    grade="derive",
    reference=lambda log_weights: _importance(log_weights),
    cases=[
        (_RNG.standard_normal((6, 3)),),
        (_RNG.standard_normal((4, 2)) * 40 - 3000,),
        (np.array([[900.0, -1.0], [905.0, 2.0], [-900.0, 0.5]]),),
    ],
    returns=["bound"],
    mistakes={
        "that is the mean of the logarithms, the bound that is trained; the mean comes first, then the logarithm.": (
            lambda log_weights: log_weights.mean(axis=0)
        ),
        "that is the logarithm of the sum of the weights; it is their mean.": (
            lambda log_weights: _importance(log_weights) + np.log(len(log_weights))
        ),
        "that keeps the largest weight alone: the others count, too.": lambda log_weights: log_weights.max(axis=0),
        "the largest was subtracted, but not added again.": (
            lambda log_weights: _importance(log_weights) - log_weights.max(axis=0)
        ),
        "the mean is over the pictures; it is over the samples of z, the first axis.": (
            lambda log_weights: _importance(log_weights.T)[: log_weights.shape[1]]
        ),
    },
    hints=[
        "exp of -3000 is 0 in a computer, and exp of 900 is infinite. What can be taken out of the mean first?",
        "log mean exp(a) = m + log mean exp(a - m) for any m. Take the largest a of each picture.",
        "`m = log_weights.max(axis=0)`, `return m + np.log(np.exp(log_weights - m).mean(axis=0))`",
    ],
    praise="With one sample it is the bound of training; with many it comes near to log p(x).",
)


def _net(kept, scale=1.0):
    """Return s and t for as many numbers as there are: some smooth function of those that stay."""
    total = kept.sum(axis=1, keepdims=True)
    return scale * np.tanh(0.3 * total + 0.2 * kept[:, :1]), np.sin(total) + 0.1 * kept[:, -1:]


def _two(kept):
    s, t = _net(kept)
    return np.concatenate([s, -0.7 * s], axis=1), np.concatenate([t, t**2 - 1], axis=1)


def _coupling(x, keeps, s_and_t, order=1, sign=1, root=False, other=False, shift_first=False, det="sum"):
    y = np.array(x, float)
    moved = ~keeps
    s, t = s_and_t(x[:, keeps])
    factor = s if root else np.exp(sign * s)
    new = (x[:, moved] + t) * factor if shift_first else x[:, moved] * factor + order * t
    if other:
        y[:, keeps] = 0
    y[:, moved] = new
    log_det = {"sum": s.sum(axis=1), "mean": s.mean(axis=1), "exp": np.exp(s).sum(axis=1), "minus": -s.sum(axis=1)}[det]
    return y, log_det


_FIRST, _LAST = np.array([True, False]), np.array([False, True, False, True])
_COUPLED = [
    (_RNG.standard_normal((5, 2)), _FIRST, _net),
    (_RNG.standard_normal((4, 4)), _LAST, _two),
    (2 * _RNG.standard_normal((3, 3)), np.array([True, False, True]), _net),
]

COUPLING = Exercise(
    grade="transcribe",
    reference=lambda x, keeps, s_and_t: _coupling(x, keeps, s_and_t),
    cases=_COUPLED,
    returns=["y", "log_det"],
    mistakes={
        "the numbers are divided by exp(s), and not multiplied: that is the way back.": partial(_coupling, sign=-1),
        "s itself is the factor; it is exp(s), which is never 0 and can be undone.": partial(_coupling, root=True),
        "t is subtracted; it is added.": partial(_coupling, order=-1),
        "t is added before stretching; it comes after.": partial(_coupling, shift_first=True),
        "log_det is the mean of s; it is the sum: each number is stretched.": partial(_coupling, det="mean"),
        "that is the sum of exp(s): the determinant is the product of the diagonal, and its logarithm the sum of s.": (
            partial(_coupling, det="exp")
        ),
        "log_det has the wrong sign: that is the inverse's.": partial(_coupling, det="minus"),
        "the numbers that stay are lost: y keeps them.": partial(_coupling, other=True),
    },
    hints=[
        "x[:, keeps] are the numbers that stay, x[:, ~keeps] those that move. What does the network see?",
        "Copy x, write x_moved exp(s) + t into the places that move, and sum s over each row.",
        "`s, t = s_and_t(x[:, keeps])`, `y = x.copy()`, `y[:, ~keeps] = x[:, ~keeps] * np.exp(s) + t`, "
        "`return y, s.sum(axis=1)`",
    ],
    praise="Whatever s_and_t computes, this can be undone.",
)


def _inverse(y, keeps, s_and_t, order="shift first", sign=-1, at="kept"):
    x = np.array(y, float)
    s, t = s_and_t(y[:, keeps] if at == "kept" else np.roll(y, 1, axis=1)[:, keeps])
    factor = np.exp(sign * s)
    moved = y[:, ~keeps]
    x[:, ~keeps] = {
        "shift first": lambda: (moved - t) * factor,
        "stretch first": lambda: moved * factor - t,
        "added": lambda: (moved + t) * factor,
        "forward": lambda: moved * np.exp(s) + t,
    }[order]()
    return x


INVERSE = Exercise(
    grade="derive",
    reference=lambda y, keeps, s_and_t: _inverse(y, keeps, s_and_t),
    cases=_COUPLED,
    returns=["x"],
    mistakes={
        "that stretches first and shifts then; what was done last must be undone first.": (
            partial(_inverse, order="stretch first")
        ),
        "t is added once more; it must be taken away.": partial(_inverse, order="added"),
        "that is the forward: it must be undone.": partial(_inverse, order="forward"),
        "it multiplies by exp(s) again; the way back divides.": partial(_inverse, sign=1),
        "the network is asked about other numbers than those that stayed.": partial(_inverse, at="rolled"),
    },
    hints=[
        "The numbers that stayed are the same in x and in y. So what can you ask the network?",
        "s and t are known. Solve y_moved = x_moved exp(s) + t for x_moved.",
        "`s, t = s_and_t(y[:, keeps])`, `x = y.copy()`, `x[:, ~keeps] = (y[:, ~keeps] - t) * np.exp(-s)`, `return x`",
    ],
    praise="The network itself was never inverted.",
)

BITS = Exercise(
    grade="debug",
    reference=lambda nats, levels: (nats + np.log(levels / 2)) / np.log(2),
    cases=[(0.3, 256), (-1.2, 17), (2.5, 2)],
    returns=["bits"],
    mistakes={
        PLANTED: lambda nats, levels: (nats + np.log(levels)) / np.log(2),
        "a wide cell holds more probability: log(levels / 2) is added to -log p, not subtracted.": (
            lambda nats, levels: (nats - np.log(levels / 2)) / np.log(2)
        ),
        "that is in nats: divide all of it by log 2.": lambda nats, levels: nats + np.log(levels / 2),
        "only the nats are divided by log 2; the logarithm of the cell is in nats, too.": (
            lambda nats, levels: nats / np.log(2) + np.log(levels / 2)
        ),
    },
    hints=[
        "How wide is the cell of one shade, if [-1, 1] is cut into so many?",
        "The probability of a shade is the density times the width of its cell, 2 / levels.",
        "`return (nats + np.log(levels / 2)) / np.log(2)`",
    ],
    praise="A flat density on [-1, 1] then has log2(levels) bits, as it should.",
)
