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
# # Problem set 2 · Posterior and bound
#
# **You will learn** to use what notebooks 03 and 04 taught: to hear several witnesses, to go back a step, and to say
# what a chain costs, in bits.
#
# **Prerequisites:** notebooks 03 and 04. **Time:** 100 minutes.
#
# Each problem has a cell to fill in, and below it a cell that checks. In a terminal, `tinydiff check ps2` checks all of
# them. If you are stuck, `problems.WITNESSES.hint()` says where to look; `hint(2)` and `hint(3)` say more (and so for
# every other problem, by its name). Answers use NumPy only, and change none of their arguments. The notebook goes on after
# a wrong answer, with the course's own in its place.
#
# Throughout, `alpha_bar` has T + 1 entries, from `alpha_bar[0] = 1` on falling; a step goes from t back to $s = t - 1$,
# with $\alpha_t = \bar\alpha_t / \bar\alpha_s$ and $\beta_t = 1 - \alpha_t$. Two formulas are needed again and again, the
# posterior of a step if the image is known (notebook 03),
#
# $$\tilde\mu = \frac{\sqrt{\bar\alpha_s}\, \beta_t}{1 - \bar\alpha_t}\, x_0
#   + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t, \qquad
#   \tilde\beta_t = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\, \beta_t ,$$
#
# and the divergence of two bell curves (notebook 04),
#
# $$\mathrm{KL}\left(\mathcal{N}(\mu_1, v_1) \,\Vert\, \mathcal{N}(\mu_2, v_2)\right)
#   = \tfrac12 \left(\log \frac{v_2}{v_1} + \frac{v_1}{v_2} - 1 + \frac{(\mu_1 - \mu_2)^2}{v_2}\right) .$$

# %%
import numpy as np

from tinydiff import plot
from tinydiff.course.problem_sets import ps2 as problems

rng = np.random.default_rng(0)

# %% [markdown]
# ## Problem 1 · Many witnesses (transcribe)
#
# In notebook 03 two witnesses told us where $x_s$ was. Now there are K of them, and each speaks of a whole image: witness
# k says "it is near $m_k$, with the variance $v_k$ in every pixel", independently of the others. Their densities are
# multiplied, and the exponent is $-\tfrac12$ times $\sum_k (x - m_k)^2 / v_k = A x^2 - 2 B x + \text{constant}$, with
#
# $$A = \sum_k \frac{1}{v_k}, \qquad B = \sum_k \frac{m_k}{v_k} .$$
#
# Complete the square as there, and return the mean, an image, and the variance, one number.


# %%
def my_witnesses(means, variances):
    """Return (mean, variance); means has the shape (K, ...), an image for each witness, and variances (K,)."""
    ### BEGIN SOLUTION
    A = (1 / variances).sum()
    B = np.tensordot(1 / variances, means, axes=1)
    return B / A, 1 / A
    ### END SOLUTION


# %%
my_witnesses = problems.WITNESSES.check(my_witnesses)
x = np.linspace(-4, 4, 801)
said, how_surely = np.array([-1.0, 0.5, 1.5]), np.array([1.0, 0.5, 0.3])
mean, variance = my_witnesses(said[:, None], how_surely)
curves = {f"witness {k + 1}": np.exp(-((x - said[k]) ** 2) / 2 / how_surely[k]) for k in range(3)}
curves["all of them"] = np.exp(-((x - mean[0]) ** 2) / 2 / variance)
densities = {name: bell / bell.sum() / (x[1] - x[0]) for name, bell in curves.items()}
plot.curves(x, densities, "x", "density", title="Three witnesses")

# %% [markdown]
# ## Problem 2 · The chain that ran to the middle (debug)
#
# The data are a few points, all as frequent, so the best guess of $x_0$ is known exactly (notebook 02): an average of the
# points, weighted by how probable each is given $x_t$. The function below goes back from $x_T$ with it, step by step. Each
# step has the mean $\tilde\mu$ at that guess, and the variance $\tilde\beta_t$; `noises[t - 1]` is the standard normal
# noise of the step from t.
#
# It runs, and it ends on the points. But for the points -1.5, 0 and 1.5, a third of the data each, 77 % of what it makes
# is the 0 in the middle. Mend one line.


# %%
def chain(x_T, alpha_bar, noises, points):
    """Return x_0, shape (N,), from x_T, shape (N,); noises has the shape (T, N), points (K,)."""
    x = x_T
    for t in range(len(alpha_bar) - 1, 0, -1):
        alpha_bar_s, alpha_bar_t = alpha_bar[t - 1], alpha_bar[t]
        alpha = alpha_bar_t / alpha_bar_s
        beta = 1 - alpha
        logs = -((x[:, None] - alpha_bar_t**0.5 * points) ** 2) / (2 * (1 - alpha_bar_t))
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        x_0_hat = (p / p.sum(axis=1, keepdims=True)) @ points
        mean = (alpha_bar_s**0.5 * beta * x_0_hat + alpha**0.5 * (1 - alpha_bar_s) * x) / (1 - alpha_bar_t)
        variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta
        ### BEGIN SOLUTION
        x = mean + variance**0.5 * noises[t - 1]
        ### INSTEAD
        x = mean + variance * noises[t - 1]
        ### END SOLUTION
    return x


# %%
chain = problems.CHAIN.check(chain)
alpha_bar = np.concatenate([[1.0], np.cumprod(1 - np.linspace(0.001, 0.2, 50))])
points = np.array([-1.5, 0.0, 1.5])
ends = chain(rng.standard_normal(4000), alpha_bar, rng.standard_normal((50, 4000)), points)
print("share that ends near each point:", [round(float((abs(ends - point) < 0.3).mean()), 2) for point in points])

# %% [markdown]
# ## Problem 3 · What a step costs (derive)
#
# In notebook 04 the model's step had the variance $\beta_t$. Let it have the posterior's, $\tilde\beta_t$, and let the
# network predict the image. Then the price of the step from t to s is a weight times $(x_0 - \hat x_0)^2$, and nothing
# else. Find the weight, and simplify it, until you see it as something that *falls* from s to t.


# %%
def my_price(alpha_bar_s, alpha_bar_t):
    """Return what multiplies (x_0 - x_0_hat)^2; for numbers, and for arrays of the two alpha_bar."""
    ### BEGIN SOLUTION
    snr_s = alpha_bar_s / (1 - alpha_bar_s)
    snr_t = alpha_bar_t / (1 - alpha_bar_t)
    return (snr_s - snr_t) / 2
    ### END SOLUTION


# %%
my_price = problems.FALL.check(my_price)

# %% [markdown]
# A surprise follows. If the error were the same at every step, the prices of all steps t > 1 would add up to something
# that depends on the two ends only. Whatever the schedule does between them costs nothing:

# %%
for T in (10, 100, 1000):
    even = np.linspace(0.99, 0.01, T)
    curved = 0.01 + 0.98 * np.cos(np.linspace(0, np.pi / 2, T)) ** 2
    prices = [my_price(table[:-1], table[1:]).sum() for table in (even, curved)]
    print(f"{T:4} steps: {prices[0]:.4f} for an even schedule, {prices[1]:.4f} for a curved one")

# %% [markdown]
# ## Problem 4 · One step back, the image unknown (derive)
#
# Now nobody tells us the image. The data are K numbers, `points`, with the probabilities `weights`. Given $x_t$, what are
# the mean and the variance of $x_s$, under $q(x_s \mid x_t)$? It is the average over all points of $q(x_s \mid x_t,
# x_0)$, each weighted by how probable the point is after $x_t$ was seen: Bayes' rule, with $x_t = \sqrt{\bar\alpha_t}\,
# x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$. For the variance, think of the two parts of the law of total variance
# (notebook 03): the mean of the variances, and the variance of the means.


# %%
def my_step_back(x_t, alpha_bar_s, alpha_bar_t, points, weights):
    """Return (mean, variance) of x_s, both (N,), for x_t of shape (N,); points and weights (K,), weights sum to 1."""
    ### BEGIN SOLUTION
    logs = np.log(weights) - (x_t[:, None] - alpha_bar_t**0.5 * points) ** 2 / (2 * (1 - alpha_bar_t))
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    x_0_hat = p @ points
    x_0_variance = p @ points**2 - x_0_hat**2

    alpha = alpha_bar_t / alpha_bar_s
    beta = 1 - alpha
    c = alpha_bar_s**0.5 * beta / (1 - alpha_bar_t)
    mean = c * x_0_hat + alpha**0.5 * (1 - alpha_bar_s) / (1 - alpha_bar_t) * x_t
    return mean, (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta + c**2 * x_0_variance
    ### END SOLUTION


# %%
my_step_back = problems.BACK.check(my_step_back)
x_t = np.linspace(-2, 2, 201)
s, t = 0.6, 0.35
_, variance = my_step_back(x_t, s, t, points, np.array([0.2, 0.2, 0.6]))
beta = 1 - t / s
lines = {"variance of the step back": variance}
lines |= {"beta": np.full(201, beta), "beta-tilde": np.full(201, (1 - s) / (1 - t) * beta)}
plot.curves(x_t, lines, "x_t", "variance", title="Between two points nobody knows where it came from")

# %% [markdown]
# ## Problem 5 · The price of the whole chain, in bits (explore)
#
# Measure what a chain costs, exactly, without a single random number. The data are $x_0 \sim \mathcal{N}(\text{mean},
# \text{variance})$, one number each, and the model uses the best guess $\hat x_0 = \mathbb{E}[x_0 \mid x_t]$. Then two
# averages over the data and the noise are known:
#
# $$\mathbb{E}[x_0^2] = \text{mean}^2 + \text{variance}, \qquad \mathbb{E}[(x_0 - \hat x_0)^2]
#   = \mathrm{Var}[x_0 \mid x_t] = \frac{\text{variance}\, (1 - \bar\alpha_t)}{\bar\alpha_t\, \text{variance} + 1 - \bar\alpha_t} .$$
#
# Add up the three parts of notebook 04's bound, averaged over data and noise:
#
# - the start, $\mathrm{KL}\left(\mathcal{N}(\sqrt{\bar\alpha_T}\, x_0,\, 1 - \bar\alpha_T) \,\Vert\, \mathcal{N}(0, 1)\right)$;
# - for t = 2 ... T the divergence of the posterior, $\mathcal{N}(\tilde\mu, \tilde\beta_t)$, from the model's step, which
#   has the mean $\tilde\mu$ at the guess, and the variance $\beta_t$;
# - for t = 1 the image, $-\log p(x_0 \mid x_1)$, where p is normal with the mean $\hat x_0$ and the variance $\beta_1$.
#
# Return the price in bits: nats divided by $\log 2$.


# %%
def my_bits(alpha_bar, mean, variance):
    """Return the average price of a number in bits; alpha_bar has T + 1 entries."""
    ### BEGIN SOLUTION
    T = len(alpha_bar) - 1
    signal = alpha_bar[T] * (mean**2 + variance)
    nats = (-np.log(1 - alpha_bar[T]) + (1 - alpha_bar[T]) - 1 + signal) / 2
    for t in range(1, T + 1):
        alpha_bar_s, alpha_bar_t = alpha_bar[t - 1], alpha_bar[t]
        beta = 1 - alpha_bar_t / alpha_bar_s
        error = variance * (1 - alpha_bar_t) / (alpha_bar_t * variance + 1 - alpha_bar_t)
        if t > 1:
            c = alpha_bar_s**0.5 * beta / (1 - alpha_bar_t)
            ratio = (1 - alpha_bar_s) / (1 - alpha_bar_t)  # of the two variances
            nats += (-np.log(ratio) + ratio - 1 + c**2 * error / beta) / 2
        else:
            nats += error / (2 * beta) + np.log(2 * np.pi * beta) / 2
    return nats / np.log(2)
    ### END SOLUTION


# %%
my_bits = problems.BOUND.check(my_bits)
least = np.log2(2 * np.pi * np.e * 0.3) / 2  # what no model can go below: the data's own entropy
for T in (2, 5, 20, 100):
    table = np.linspace(1, 0.02, T + 1)
    print(f"{T:3} steps: {my_bits(table, 0.7, 0.3):.3f} bits for a number, {least:.3f} are the least")

# %% [markdown]
# ## Problem 6 · Where should the steps be? (open; hand in)
#
# With few steps a chain wastes bits. How many, depends on *where* the steps are. The cell works as it stands, with two
# schedules: betas that grow evenly, and even steps of the logarithm of the signal-to-noise ratio
# $\bar\alpha / (1 - \bar\alpha)$. Add **at least two more** (a cosine, even steps of $\bar\alpha$, one of your own),
# with the same ends or with others, and look for the one that wastes least with 10 steps. Then change the data's variance, to a
# tenth and to ten times as much: is the best schedule still the best?
#
# Hand in the picture, and under it five to ten sentences. It is judged by these:
#
# 1. The picture shows at least four schedules, from 2 to at least 50 steps, and what is the least possible.
# 2. Your best schedule wastes less with 10 steps than both that were given, and you say by how many bits.
# 3. You explain which part of the price, the start, the steps or the image, each schedule wastes its bits on, with numbers.
# 4. You say what the best schedule has to do with the variance of the data.


# %% tags=["hand-in"]
def even_betas(T):
    """Return alpha_bar of betas that grow evenly, with little of the signal left at the end."""
    return np.concatenate([[1.0], np.cumprod(1 - np.linspace(0.5 / T, min(0.99, 7 / T), T))])


def even_in_log_snr(T):
    """Return alpha_bar with even steps of log(alpha_bar / (1 - alpha_bar)), between 0.999 and 0.01."""
    log_snr = np.linspace(np.log(0.999 / 0.001), np.log(0.01 / 0.99), T)
    return np.concatenate([[1.0], 1 / (1 + np.exp(-log_snr))])


# add yours: a name, and a function of T
schedules = {"betas that grow evenly": even_betas, "even in log-SNR": even_in_log_snr}

variance = 0.3
steps = np.unique(np.geomspace(2, 200, 30).astype(int))
least = np.log2(2 * np.pi * np.e * variance) / 2
waste = {name: np.array([my_bits(f(T), 0.7, variance) - least for T in steps]) for name, f in schedules.items()}
for name in waste:
    print(f"{name}: {my_bits(schedules[name](10), 0.7, variance) - least:.3f} bits too many with 10 steps")
plot.curves(steps, waste, "steps", "bits more than the least", title="What few steps waste", log="xy")

# %% [markdown]
# ## When you are done
#
# You have gone back a step without knowing the image, and measured what a chain costs against what is possible. To make a
# network's guess as good as the exact one, its gradients are needed.
#
# **Next:** [05 · Gradients by hand](05_gradients_by_hand.ipynb), and after 06 the next set,
# [Problem set 3 · Gradients by hand](ps3_gradients_by_hand.ipynb).
