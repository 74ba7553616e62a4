"""Problem set 5, train and sample: an optimizer, weights, a clipped step, a step of training, samplers."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.course.judges import falls_with_order

_RNG = np.random.default_rng(55)


def _lion(theta, g, m, lr, weight_decay, betas=(0.9, 0.99), sign=np.sign, of="both", decay="lr", first=False, grow=1.0):
    m_new = betas[1] * m + (1 - betas[1]) * g
    mixed = {"both": betas[0] * (m_new if first else m) + (1 - betas[0]) * g, "g": g, "m": m_new}[of]
    shrink = weight_decay * theta * (lr if decay == "lr" else 1.0)
    return theta - lr * sign(mixed) - grow * shrink, m_new


def _of_lion(*shape):
    theta, g, m = (_RNG.standard_normal(shape) for _ in range(3))
    g.flat[0] = m.flat[0] = 0.0
    m.flat[1:] *= 0.12  # so that the two parts of the mean are alike, and its sign is not that of one of them
    m.flat[1:4] = -0.1164 * g.flat[1:4]  # and here nearly cancel
    return theta, g, m


LION = Exercise(
    grade="transcribe",
    reference=_lion,
    cases=[(*_of_lion(9), 0.3, 0.2), (*_of_lion(3, 4), 0.07, 0.6), (*_of_lion(2, 7), 0.11, 0.0)],
    returns=["theta", "m"],
    changes=("theta", "m"),
    mistakes={
        "the step has the sign of the gradient alone; it is that of the mean of m and g.": partial(_lion, of="g"),
        "the step has the sign of the new m; its mean forgets faster, with 0.9, and is not kept.": (
            partial(_lion, of="m")
        ),
        "the mean in the step is made with the new m; it takes the old one.": partial(_lion, first=True),
        "the two betas are exchanged: 0.9 in the step, 0.99 in m.": partial(_lion, betas=(0.99, 0.9)),
        "the mean itself is the step; only its sign should be.": partial(_lion, sign=lambda mixed: mixed),
        "a mean of 0 has the sign 0, and is no step.": partial(
            _lion, sign=lambda mixed: np.where(mixed >= 0, 1.0, -1.0)
        ),
        "the decay must be multiplied by the learning rate, too.": partial(_lion, decay="alone"),
        "the weights grow by the decay; they should shrink.": partial(_lion, grow=-1.0),
    },
    hints=[
        "Two means of m and g: one is used in the step and forgotten, the other is the new m.",
        "First c with 0.9 and 0.1; then theta, with the sign of c; then m with 0.99 and 0.01, from the old m.",
        "`theta - lr * (np.sign(0.9 * m + 0.1 * g) + weight_decay * theta), 0.99 * m + 0.01 * g`.",
    ],
    praise="Every weight moves by the same amount: one vector of memory less than Adam.",
)


def _weights(alpha_bar, of_x_0=lambda a: (1 - a) / a, of_v=lambda a: 1 / a):
    return of_x_0(alpha_bar), of_v(alpha_bar)


WEIGHTS = Exercise(
    grade="derive",
    reference=_weights,
    cases=[(0.3,), (0.85,), (np.array([0.6, 0.97, 0.08]),)],
    returns=["of_x_0", "of_v"],
    mistakes={
        "these are factors of errors; the losses are their squares.": (
            lambda alpha_bar: (((1 - alpha_bar) / alpha_bar) ** 0.5, 1 / alpha_bar**0.5)
        ),
        "the weight of x_0 is upside down: where there is little noise, x_0 is nearly known.": (
            partial(_weights, of_x_0=lambda a: a / (1 - a))
        ),
        "the two errors of v add up, they do not cancel: too much eps_hat means too little x_0_hat.": (
            partial(_weights, of_v=lambda a: (a**0.5 - (1 - a) / a**0.5) ** 2)
        ),
        "in v, the error of x_0_hat is missing: it is made of the same eps_hat.": partial(_weights, of_v=lambda a: a),
        "the errors of eps_hat and x_0_hat are not independent, so add them first, and square then.": (
            partial(_weights, of_v=lambda a: a + (1 - a) ** 2 / a)
        ),
        "in x_0_hat, the division by the root of alpha_bar is missing.": partial(_weights, of_x_0=lambda a: 1 - a),
    },
    hints=[
        "Let e be the error of eps_hat. Which errors have the x_0_hat and the v_hat that are computed from it?",
        "x_0_hat = (x_t - b eps_hat) / a is off by -b e / a; v_hat = a eps_hat - b x_0_hat by a e + b^2 e / a. "
        "Use a^2 + b^2 = 1, and square.",
        "`(1 - alpha_bar) / alpha_bar` and `1 / alpha_bar`.",
    ],
    praise="One network, three losses: they differ in which times they care for.",
)


def _clipped(x_t, eps_hat, a_t, b_t, a_s, b_s, again=True, clip=True, both=False):
    x_0_hat = (x_t - b_t * eps_hat) / a_t
    x_0_hat = np.clip(x_0_hat, -1, 1) if clip else x_0_hat
    if again:
        eps_hat = (x_t - a_t * x_0_hat) / b_t
    if both:
        eps_hat = np.clip(eps_hat, -1, 1)
    return a_s * x_0_hat + b_s * eps_hat


def _of_clipped(*shape):
    return 1.3 * _RNG.standard_normal(shape), 0.8 * _RNG.standard_normal(shape)


CLIPPED = Exercise(
    grade="debug",
    reference=_clipped,
    cases=[
        (*_of_clipped(4, 5), 0.6, 0.8, 0.8, 0.6),
        (*_of_clipped(2, 3, 2), 0.28, 0.96, 0.96, 0.28),
        (*_of_clipped(7), 0.96, 0.28, 1.0, 0.0),
    ],
    returns=["x_s"],
    mistakes={
        "the noise is still that of the x_0_hat before it was clipped; then the two do not make up x_t.": (
            partial(_clipped, again=False)
        ),
        "without the clipping the two fit, but x_0_hat leaves the range of images, which it should not.": (
            partial(_clipped, clip=False)
        ),
        "eps_hat should not be clipped: noise has no bounds.": partial(_clipped, both=True),
        "only eps_hat is clipped; x_0_hat is what should be in [-1, 1].": (
            lambda x_t, eps_hat, a_t, b_t, a_s, b_s: _clipped(
                x_t, np.clip(eps_hat, -1, 1), a_t, b_t, a_s, b_s, clip=False
            )
        ),
    },
    hints=[
        "x_t should be a_t x_0_hat + b_t eps_hat. Is it, after the clipping?",
        "Solve x_t = a_t x_0_hat + b_t eps for eps, with the clipped x_0_hat, and use this eps in the last line.",
        "`a_s * x_0_hat + b_s * (x_t - a_t * x_0_hat) / b_t`.",
    ],
    praise="What is taken from the image goes to the noise, and x_t is made of both, as before.",
)


def _features(x_t, t):
    return np.stack([*x_t.T, np.cos(t / 60), np.sin(t / 150), np.ones(len(t))], axis=1)


def _forward(theta, x_t, t):
    """Stand in for a network: tanh of a product with the weights, which are one long vector."""
    features = _features(x_t, t)
    eps_hat = np.tanh(features @ theta.reshape(features.shape[1], -1))
    return eps_hat, (features, eps_hat)


def _backward(theta, d_eps_hat, cache):
    """Return the gradient of theta."""
    features, eps_hat = cache
    return (features.T @ (d_eps_hat * (1 - eps_hat**2))).ravel()


def _scaled_forward(theta, x_t, t):
    """Stand in for a network whose gradients are long."""
    eps_hat, cache = _forward(theta, x_t, t)
    return 4 * eps_hat, cache


def _scaled_backward(theta, d_eps_hat, cache):
    """Return the gradient of theta."""
    return _backward(theta, 4 * d_eps_hat, cache)


def _train_step(
    theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr,
    roots=True, late=0, of="mean", factor=2.0, clip="length", correct=True, decay=0.1, average="new", after=False,
    toward=0.98,
):  # fmt: skip
    level = alpha_bar[t - late][:, None]
    x_t = level**0.5 * x_0 + (1 - level) ** 0.5 * eps if roots else level * x_0 + (1 - level) * eps
    eps_hat, cache = forward(theta, x_t, t)
    error = eps_hat - eps
    count = {"mean": error.size, "sum": 1, "images": len(error)}[of]
    loss = np.sum(error**2) / count
    g = backward(theta, factor * error / count, cache)
    length = np.sqrt(np.sum(g**2))
    if clip == "entries":
        g = np.clip(g, -1, 1)
    else:
        g = g * {"length": min(1.0, 1 / length), "always": 1 / length, "no": 1.0}[clip]
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    m_hat, v_hat = (m / (1 - 0.9**k), v / (1 - 0.99**k)) if correct else (m, v)
    new = theta - lr * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * theta)
    ema = toward * ema + (1 - toward) * {"new": new, "old": theta}[average]
    if after:
        loss = np.sum((forward(new, x_t, t)[0] - eps) ** 2) / count
    return loss, new, m, v, ema


def _steps_of_training(forward, backward, n, width, first_k, lr, count):
    """Return the arguments of some steps, one after the other: each begins where the one before ended."""
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-3, 0.05, 60))])
    theta = 0.5 * _RNG.standard_normal((width + 3) * width)
    m = np.zeros_like(theta) if first_k == 1 else 0.1 * _RNG.standard_normal(theta.shape)
    v = np.zeros_like(theta) if first_k == 1 else _RNG.uniform(0.01, 0.1, theta.shape)
    ema, cases = theta + 0.3 * _RNG.standard_normal(theta.shape), []
    for k in range(first_k, first_k + count):
        batch = _RNG.standard_normal((n, width)), _RNG.integers(1, 61, n), _RNG.standard_normal((n, width))
        cases.append((theta, m, v, ema, k, *batch, alpha_bar, forward, backward, lr))
        _, theta, m, v, ema = _train_step(*cases[-1])
    return cases


TRAIN_STEP = Exercise(
    grade="derive",
    reference=_train_step,
    cases=[
        *_steps_of_training(_scaled_forward, _scaled_backward, 7, 2, 1, 0.2, 3),
        *_steps_of_training(_forward, _backward, 5, 3, 40, 0.05, 2),
    ],
    returns=["loss", "theta", "m", "v", "ema"],
    changes=("theta", "m", "v", "ema"),
    mistakes={
        "x_t is made without roots: alpha_bar and 1 - alpha_bar are variances.": partial(_train_step, roots=False),
        "alpha_bar is read one step too early: alpha_bar[0] is that of clean data, at t = 0.": (
            partial(_train_step, late=1)
        ),
        "the loss is a sum; it should be the mean over all numbers, and its gradient with it.": (
            partial(_train_step, of="sum")
        ),
        "the loss is a mean over the images alone, and a sum over their numbers; take the mean of all numbers.": (
            partial(_train_step, of="images")
        ),
        "the gradient of a square has a 2.": partial(_train_step, factor=1.0),
        "the gradient is that of minus the loss: then each step makes it larger.": partial(_train_step, factor=-2.0),
        "the gradient is not clipped to the length 1.": partial(_train_step, clip="no"),
        "each entry of the gradient is clipped alone; shorten all of it, so that its direction stays.": (
            partial(_train_step, clip="entries")
        ),
        "a short gradient is stretched to the length 1; it should stay as it is.": partial(_train_step, clip="always"),
        "m and v start at 0: divide by 1 - 0.9 ** k and by 1 - 0.99 ** k before they are used.": (
            partial(_train_step, correct=False)
        ),
        "the weights do not decay: 0.1 * theta belongs into the bracket of AdamW.": partial(_train_step, decay=0.0),
        "the average takes the weights from before the step; it should take the new ones.": (
            partial(_train_step, average="old")
        ),
        "the shares of the average are swapped: 0.98 of the old average stays.": partial(_train_step, toward=0.02),
        "the loss is that after the step; return the one whose gradient was taken.": partial(_train_step, after=True),
    },
    hints=[
        "Six things in this order: x_t, the loss, the gradient, clipping, AdamW, the average. Notebook 09 has each.",
        "`alpha_bar[t][:, None]` has one number for each row. The loss is a mean over all numbers, so what goes into "
        "backward is 2 (eps_hat - eps) / size. The average takes the new theta.",
        "`g = backward(theta, 2 * (eps_hat - eps) / eps.size, cache)`, `g = g * min(1, 1 / np.linalg.norm(g))`, then "
        "AdamW's step of notebook 09, with weight_decay 0.1.",
    ],
    praise="That is all that a training run does, thousands of times.",
)


def _order(sampler, exact, counts, error=lambda gap: np.max(np.abs(gap)), base=np.log, ends=False, sign=-1.0):
    errors = np.array([error(sampler(int(n)) - exact) for n in counts])
    x, y = base(np.asarray(counts, dtype=float)), base(errors)
    if ends:
        return float(sign * (y[-1] - y[0]) / (x[-1] - x[0]))
    return float(sign * np.sum((x - x.mean()) * y) / np.sum((x - x.mean()) ** 2))


_EXACT = np.array([0.3, -1.2, 0.7])


def _of_order_1(n):
    """Stand in for a sampler: its error falls nearly like 1 / n."""
    return _EXACT + np.array([0.5 / n, -4 / n**2, 0.3 / n])


def _of_order_2(n):
    """Stand in for a sampler: its error falls nearly like 1 / n^2, and wiggles."""
    return _EXACT + np.array([-2.0, 0.6 * n**0.5, 0.9]) / n**2 * (1 + 0.3 * np.sin(n))


def _of_none(n):
    """Stand in for a sampler with a wrong formula: its error hardly falls."""
    return _EXACT + np.array([0.03, -0.1 - 1 / n, 0.02])


ORDER = Exercise(
    grade="explore",
    reference=_order,
    cases=[
        (_of_order_1, _EXACT, [5, 10, 20, 40]),
        (_of_order_2, _EXACT, [4, 7, 15, 33, 60]),
        (_of_none, _EXACT, [8, 16, 64]),
    ],
    returns=["order"],
    mistakes={
        "that is the slope, which is negative where errors fall; the order is its negative.": partial(_order, sign=1.0),
        "that uses the first and the last number of steps alone; fit a line to all of them.": partial(
            _order, ends=True
        ),
        "an order is a slope of logarithms: of both the errors and the numbers of steps.": (
            partial(_order, base=lambda a: a)
        ),
        "the error should be the largest; yours is a mean, in which signs cancel.": (
            partial(_order, error=lambda gap: abs(np.mean(gap)))
        ),
        "the error should be the largest; yours is the mean of the sizes.": (
            partial(_order, error=lambda gap: np.mean(np.abs(gap)))
        ),
        "the error should be the largest size; yours is the mean of the squares, which falls twice as fast.": (
            partial(_order, error=lambda gap: np.mean(gap**2))
        ),
    },
    hints=[
        "If the error is c n^(-p), what is its logarithm?",
        "log error = log c - p log n: a line with the slope -p. `np.polyfit(x, y, 1)` fits one; its slope comes first.",
        "`-np.polyfit(np.log(counts), np.log(errors), 1)[0]`, with errors the largest of abs(sampler(n) - exact).",
    ],
    praise="A straight line on two logarithmic axes: the steeper, the more a step more is worth.",
)


def _a(t):
    """Return the scale of the signal at t."""
    return np.cos(np.pi * t / 2)


def _b(t):
    """Return the scale of the noise at t."""
    return np.sin(np.pi * t / 2)


def _predict(x, t):
    """Return the exact x_0_hat and eps_hat, for data near -1 (30 %) and near 1 (70 %)."""
    a, b = _a(t), _b(t)
    spread = 0.1 * a**2 + b**2
    odds = 0.7 / 0.3 * np.exp(2 * a * x / spread)
    share = odds / (1 + odds)
    eps_hat = b * ((1 - share) * (x + a) + share * (x - a)) / spread
    return (x - b * eps_hat) / a, eps_hat


def _sampler(predict, a, b, x, times, second="mean", at="predicted", time="s", scaled=True, last=False):
    for t, s in pairwise(times):
        _, eps_hat = predict(x, t)
        length = b(s) / a(s) - b(t) / a(t)
        guess = a(s) * (x / a(t) + length * eps_hat)
        _, eps_s = predict(guess if at == "predicted" else x, s if time == "s" else t)
        eps = {"mean": (eps_hat + eps_s) / 2, "second": eps_s, "sum": eps_hat + eps_s}[second]
        x = a(s) * (x / a(t) + length * eps) if scaled else x + length * eps
    return predict(x, times[-1])[0] if last else x


def _exact_end(x, first, last, steps=400):
    """Follow d(x / a) / d(b / a) = eps_hat by the method of Runge and Kutta, of order 4, in steps that grow with t."""
    times = np.linspace(first, last, steps + 1)
    z, sigma = x / _a(first), _b(times) / _a(times)

    def slope(z, sigma):
        t = np.arctan(sigma) * 2 / np.pi
        return _predict(_a(t) * z, t)[1]

    for now, after in pairwise(sigma):
        h = after - now
        k_1 = slope(z, now)
        k_2 = slope(z + h / 2 * k_1, now + h / 2)
        k_3 = slope(z + h / 2 * k_2, now + h / 2)
        k_4 = slope(z + h * k_3, after)
        z = z + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    return _a(last) * z


_START, _COUNTS = np.array([[-1.3, 0.4], [0.1, 1.1], [-0.6, -0.2]]), [20, 40, 80, 160]
_FIRST, _LAST = 0.9, 0.15

_JUDGE = falls_with_order(_COUNTS, [_exact_end(_START, _FIRST, _LAST)] * len(_COUNTS), order=2)

SAMPLER = Exercise(
    grade="derive",
    reference=_sampler,
    cases=[(_predict, _a, _b, _START, np.linspace(_FIRST, _LAST, n + 1)) for n in _COUNTS],
    returns=["x"],
    judge=_JUDGE,
    mistakes={
        "the second slope stands alone; take the mean of both.": partial(_sampler, second="second"),
        "the two slopes are added; take their mean.": partial(_sampler, second="sum"),
        "the second slope is taken at the old x: let x go to s first, and ask there.": partial(_sampler, at="old"),
        "the second slope is taken at the time t; x is at s by then.": partial(_sampler, time="t"),
        "eps_hat is the slope of x / a, not of x: divide by a(t) before the step, and multiply by a(s) after it.": (
            partial(_sampler, scaled=False)
        ),
        "that ends with x_0_hat; return x at the last of the times, where there is still some noise.": (
            partial(_sampler, last=True)
        ),
    },
    hints=[
        "A DDIM step is Euler's method: it takes the slope at t for all of a step. What is nearer to the mean slope?",
        "Heun: take a DDIM step to s, ask for eps_hat there, and step from t again with the mean of both eps_hat. "
        "Or the midpoint: take half of the step, and use the eps_hat of the middle for all of it.",
        "With z = x / a and sigma = b / a, `z_s = z + (sigma_s - sigma_t) * (eps_hat_t + eps_hat_s) / 2`, eps_hat_s "
        "predicted at a_s * (z + (sigma_s - sigma_t) * eps_hat_t); and x_s = a_s z_s.",
    ],
    praise="With twice as many steps the error is a quarter.",
)
