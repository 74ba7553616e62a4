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
# # 13 · SDE, ODE and the continuity equation
#
# **You will learn** what becomes of the thousand steps when there are infinitely many, why noise can be walked back with
# noise or without, and how a flow carries a density along.
#
# **Prerequisites:** notebooks 02, 10 and 11. **Time:** 75 minutes with the exercises.
#
# **Papers:** Song et al., *Score-based generative modeling through stochastic differential equations* (2021); Song, Meng,
# Ermon, *Denoising diffusion implicit models* (2021), Eq. 14; Karras et al., *Elucidating the design space of
# diffusion-based generative models* (2022), Eq. 5 and Algorithm 1; Lu et al., *DPM-Solver++* (2022), Algorithm 2.

# %%
import numpy as np

from tinydiff import plot
from tinydiff.base import Noise
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_13 as exercises
from tinydiff.data import point_shape, points
from tinydiff.diffusion import (
    Gaussian,
    GaussianDiffusion,
    GaussianMixture,
    GaussianPath,
    ddim,
    ddpm,
    density_of,
    dpmpp_2m,
    edm_steps,
    heun,
    last,
    sub_vp_sde_schedule,
    vp_sde_schedule,
)
from tinydiff.diffusion.paths import variance_exploding

rng = np.random.default_rng(0)

# %% [markdown]
# ## Infinitely many steps
#
# Let time $\tau$ run from 0 to 1, in N steps, and let step k have the variance $\beta(\tau) / N$:
#
# $$x_{\tau + 1/N} = \sqrt{1 - \beta(\tau) / N}\; x_\tau + \sqrt{\beta(\tau) / N}\; z .$$
#
# For large N the root is $1 - \beta / (2 N)$, and with $\mathrm{d}\tau = 1 / N$ the step is, written as a *stochastic differential
# equation* (SDE),
#
# $$\mathrm{d}x = -\tfrac12 \beta(\tau)\, x\, \mathrm{d}\tau + \sqrt{\beta(\tau)}\; \mathrm{d}w .$$
#
# $\mathrm{d}w$ is noise of variance $\mathrm{d}\tau$. The signal shrinks by $\mathrm{d}a = -\frac12 \beta a\, \mathrm{d}\tau$. The variance
# of the noise shrinks by twice that rate, and grows: $\mathrm{d}(b^2) = (\beta - \beta b^2)\, \mathrm{d}\tau$. So $1 - b^2$ follows the
# equation of $a^2$, with the same start: $a^2 + b^2 = 1$ at all times.
#
# **Derive it yourself:** $\beta$ grows evenly, $\beta(\tau) = \beta_\text{min} + \tau (\beta_\text{max} - \beta_\text{min})$. What is
# $\bar\alpha = a^2$?


# %%
def my_alpha_bar(tau, beta_min, beta_max):
    """Return alpha_bar at the time tau."""
    ### BEGIN SOLUTION
    return np.exp(-tau * beta_min - 0.5 * tau**2 * (beta_max - beta_min))
    ### END SOLUTION


# %%
my_alpha_bar = exercises.ALPHA_BAR.check(my_alpha_bar)

# %% [markdown]
# $$\bar\alpha(\tau) = \exp\left(-\tau \beta_\text{min} - \tfrac12 \tau^2 (\beta_\text{max} - \beta_\text{min})\right)
#   \qquad \text{(Eq. VPSDE-1)}$$
#
# Two relatives. The *sub-VP* process has the same signal and less noise, $b = 1 - a^2$ in place of $\sqrt{1 - a^2}$
# (Eq. SUBVP-1); the *variance-exploding* one lets the signal be, $x = x_0 + \sigma \epsilon$ (Eq. VE-1). What matters for a
# denoiser is the ratio of a and b alone; so each is DDPM's in other units.

# %%
for beta_min, beta_max in ((0.1, 20.0), (0.5, 9.0)):
    tau = np.arange(501) / 500
    alpha_bar = my_alpha_bar(tau, beta_min, beta_max)
    assert np.allclose(vp_sde_schedule(500, beta_min, beta_max), alpha_bar, rtol=1e-12)
    a = alpha_bar**0.5
    assert np.allclose(sub_vp_sde_schedule(500, beta_min, beta_max), a**2 / (a**2 + (1 - a**2) ** 2), rtol=1e-9)
T = 1000
diffusion = GaussianDiffusion(vp_sde_schedule(T))
sub_vp, ve = GaussianPath(sub_vp_sde_schedule(T), "sub-vp"), GaussianPath(diffusion.alpha_bar, "ve")
for t in (100, 400, 900):
    a = my_alpha_bar(t / T, 0.1, 20.0) ** 0.5
    assert np.allclose(sub_vp.scales(t), (a, 1 - a**2))
    assert np.allclose(ve.scales(t), (1, (1 - a**2) ** 0.5 / a))
    assert np.isclose(variance_exploding(a**2, 1 - a**2), 1 / a), "by 1 / a it is larger than DDPM's x"

few = 20  # steps of the chain: with few the limit is not reached, with many it is
for few in (20, 1000):
    chain = np.prod([1 - (0.1 + k / few * 19.9) / few for k in range(few)])
    print(f"{few} steps leave alpha_bar {chain:.2e} at tau = 1, infinitely many {my_alpha_bar(1.0, 0.1, 20.0):.2e}")

# %% [markdown]
# Time is real now, but the library keeps a table. Between two steps it lets the log-SNR run straight
# (Eq. LSNR-1), since the log-SNR is what a denoiser sees:

# %%
log_snr = np.log(diffusion.alpha_bar[[300, 301]] / (1 - diffusion.alpha_bar[[300, 301]]))
for w in (0.25, 0.7):
    between = 1 / (1 + np.exp(-((1 - w) * log_snr[0] + w * log_snr[1])))
    assert np.isclose(diffusion.alpha_bar_at(300 + w), between, rtol=1e-12)

# %% [markdown]
# ## A density that flows
#
# Points move with a velocity $v(x, \tau)$. What becomes of their density q? Nothing is made and nothing is lost: in a small
# box the density grows by what flows in less what flows out,
#
# $$\frac{\partial q}{\partial \tau} = -\nabla \cdot (q\, v) ,$$
#
# the *continuity equation*. Noise also fits into it. It smears q: $\partial q / \partial \tau = \frac{\beta}{2} \nabla^2 q$ (in notebook
# 11, $\beta / 2$ was called $\delta$). All of the SDE is then
#
# $$\frac{\partial q}{\partial \tau} = -\nabla \cdot \left(-\tfrac12 \beta x\, q\right) + \tfrac12 \beta\, \nabla \cdot \nabla q .$$
#
# **Derive it yourself:** which velocity, without any noise, changes q in the same way?


# %%
def my_velocity(x, score, beta):
    """Return the velocity at x, where score is the slope of log q."""
    ### BEGIN SOLUTION
    return -0.5 * beta * (x + score)
    ### END SOLUTION


# %%
my_velocity = exercises.VELOCITY.check(my_velocity)

# %% [markdown]
# Since $\nabla q = q\, \nabla \log q$, the smearing is $-\nabla \cdot (q \cdot (-\frac{\beta}{2} \nabla \log q))$, a flow down the slope. So
#
# $$v = -\tfrac12 \beta \left(x + \nabla \log q\right) ,$$
#
# the velocity of the *probability-flow ODE*. Check it on two moons: divide the continuity equation by q,
# $\partial \log q / \partial \tau = -\nabla \cdot v - v \cdot \nabla \log q$, and take all slopes by differences.

# %%
moons = density_of(point_shape("two-moons"), diffusion)


def beta_at(tau):
    """Return the rate of the noise."""
    return 0.1 + tau * 19.9


def velocity_of(density, x, tau):
    """Return the velocity of points (N, 2) at the time tau."""
    score = density.score(x.reshape(len(x), *density.shape), T * tau).reshape(x.shape)
    return my_velocity(x, score, beta_at(tau))


def log_q(density, x, tau):
    """Return log q of points (N, 2) at the time tau."""
    return density.log_density(x.reshape(len(x), *density.shape), T * tau)


x, h, step = rng.uniform(-1.5, 1.5, (200, 2)), 1e-4, 1 / T
for tau in (0.1, 0.3, 0.6):
    of_time = (log_q(moons, x, tau + step) - log_q(moons, x, tau - step)) / (2 * step)
    ahead = [velocity_of(moons, x + h * e, tau) - velocity_of(moons, x - h * e, tau) for e in np.eye(2)]
    divergence = sum(d[:, i] for i, d in enumerate(ahead)) / (2 * h)
    score = moons.score(x.reshape(-1, 1, 1, 2), T * tau).reshape(x.shape)
    of_flow = -divergence - (velocity_of(moons, x, tau) * score).sum(axis=1)
    print(f"tau = {tau}: largest difference {abs(of_time - of_flow).max():.4f} of {abs(of_time).max():.2f}")
    assert abs(of_time - of_flow).max() < 0.01 * abs(of_time).max(), "q should flow with this velocity"

# %% [markdown]
# ## Two ways back
#
# A flow can be walked back: turn time round. With noise it is less obvious: noise cannot be taken out by subtracting
# noise. But add and subtract: for any amount of noise the *flow* of q is the same, if the score makes up for it. Walking
# back with noise $\sqrt{\beta}\; \mathrm{d}w$, which smears, the drift must gather as much again: one half of $\beta \nabla \log q$ to
# follow the flow, the other half against the new noise. That is the *reverse SDE*,
#
# $$\mathrm{d}x = \left(-\tfrac12 \beta x - \beta\, \nabla \log q\right) \mathrm{d}\tau + \sqrt{\beta}\; \mathrm{d}\bar w \qquad
#   (\text{time runs back: } \mathrm{d}\tau < 0) .$$
#
# **Write it yourself:** a step back by h.


# %%
def my_reverse_step(x, score, beta, h, z):
    """Return x at the time tau - h, from x at tau; score and beta are those at tau, z is standard normal noise."""
    ### BEGIN SOLUTION
    return x + h * (0.5 * beta * x + beta * score) + (beta * h) ** 0.5 * z
    ### END SOLUTION


# %%
my_reverse_step = exercises.REVERSE.check(my_reverse_step)

# %% [markdown]
# **Predict, then run:** from the same noise, back with noise and without, in 400 steps. What differs in the paths, and
# what in the ends?

# %%
n, h = 500, 1 / 400
start = rng.standard_normal((n, 2))
ways = {"reverse SDE": [start], "probability-flow ODE": [start]}
for tau in np.linspace(1, h, 400):
    x = ways["reverse SDE"][-1]
    score = moons.score(x.reshape(-1, 1, 1, 2), T * tau).reshape(x.shape)
    ways["reverse SDE"].append(my_reverse_step(x, score, beta_at(tau), h, rng.standard_normal(x.shape)))
    x = ways["probability-flow ODE"][-1]
    ways["probability-flow ODE"].append(x - h * velocity_of(moons, x, tau))
data = points("two-moons", 4000, seed=1)
for name, way in ways.items():
    end = way[-1]
    print(f"{name:<22} mean {end.mean(axis=0).round(2)}, spread {end.std(axis=0).round(2)}")
    assert abs(end.mean(axis=0) - data.mean(axis=0)).max() < 0.15  # standard error 0.03
    assert abs(end.std(axis=0) - data.std(axis=0)).max() < 0.1  # standard error 0.02
plot.plane_paths({name: np.stack(way)[:, :5] for name, way in ways.items()}, 2.6, data)

# %% [markdown]
# How many steps does each way need? Both start at the same noise. Without noise, 50 steps draw the moons. With noise they
# are still blurred then: the last step adds noise of deviation $\sqrt{\beta h}$, which is 0.1 for 50 steps and 0.03 for 200,
# and the moons are 0.05 wide. Look at what is between the moons.


# %%
def ends_after(steps):
    """Return the ends of both ways back from the same noise, in so many steps."""
    noise, length = np.random.default_rng(1), 1 / steps
    with_noise = without = start
    for tau in np.linspace(1, length, steps):
        score = moons.score(with_noise.reshape(-1, 1, 1, 2), T * tau).reshape(start.shape)
        z = noise.standard_normal(start.shape)
        with_noise = my_reverse_step(with_noise, score, beta_at(tau), length, z)
        without = without - length * velocity_of(moons, without, tau)
    clouds = {f"SDE, {steps} steps": with_noise, f"ODE, {steps} steps": without, "data": data[: len(start)]}
    return plot.point_clouds(clouds, 1.7)


slider(ends_after, (5, 10, 20, 50, 100, 200), "steps", start=2)

# %% [markdown]
# A step of DDPM is a step of the reverse SDE, but for terms of higher order in its length h (of the noise, those of
# order $h^{3/2}$): as steps get shorter, the difference falls faster than they do.

# %%
two = GaussianMixture(diffusion, [0.3, 0.7], np.array([[-1.0], [1.0]]), [0.02, 0.02])
x_t, t = rng.standard_normal((50, 1)), 500
gaps = []
for length in (40, 20, 10):
    s = t - length
    beta_of_step = -np.log(diffusion.alpha_bar[t] / diffusion.alpha_bar[s])  # the integral of beta over the step
    z = Noise(0).at(step=0).normal(x_t.shape, "sampler", dtype=x_t.dtype)
    mine = my_reverse_step(x_t, two.score(x_t, t), beta_of_step, 1.0, z)
    _, by_ddpm, _ = next(ddpm(two.predict, diffusion, x_t, [t], noise=Noise(0), end=s))
    gaps.append(abs(mine - by_ddpm).max())
print("largest differences:", np.round(gaps, 5))
assert gaps[1] < gaps[0] / 2
assert gaps[2] < gaps[1] / 2, "half of the step should leave less than half of the difference"

# %% [markdown]
# ## The flow in one line
#
# Two changes of names make the ODE simple. With $y = x / a$ the drift drops out: $\mathrm{d}a = -\frac12 \beta a\, \mathrm{d}\tau$, so
#
# $$\mathrm{d}y = \frac{\mathrm{d}x}{a} - \frac{x\, \mathrm{d}a}{a^2} = \frac{-\frac12 \beta (x + \nabla \log q) + \frac12 \beta x}{a}\, \mathrm{d}\tau
#   = -\frac{\beta\, \nabla \log q}{2 a}\, \mathrm{d}\tau = \frac{\beta\, \hat\epsilon}{2 a b}\, \mathrm{d}\tau .$$
#
# And with $\sigma = b / a$: $\sigma^2 = 1 / a^2 - 1$, so $2 \sigma\, \mathrm{d}\sigma = -2\, \mathrm{d}a / a^3 = \beta / a^2\, \mathrm{d}\tau$, and
# $\mathrm{d}\sigma = \beta / (2 a b)\, \mathrm{d}\tau$. The two right sides are the same but for $\hat\epsilon$:
#
# $$\mathrm{d} \left(\frac{x}{a}\right) = \hat\epsilon\; \mathrm{d}\sigma \qquad \text{(Eq. DDIM-14)}$$
#
# DDIM's step with $\eta = 0$ is $x_s / a_s = \hat x_0 + \sigma_s \hat\epsilon = x_t / a_t + (\sigma_s - \sigma_t)\, \hat\epsilon$: a
# straight step along the slope at its start, Euler's method. *That is why DDIM has the right marginals only in the limit of
# small steps.* Given $x_0$ the noise $\epsilon$ is constant, and a straight line is exact; but the mean $\hat\epsilon$ of all
# noises that fit changes on the way, and the line is a tangent of a curve.
#
# A better step looks at the slope where it leads, and goes by the mean of both (Heun's method; with $y = x / a$):
#
# $$y_s = y_t + (\sigma_s - \sigma_t)\, \tfrac12 \left(\hat\epsilon(y_t) + \hat\epsilon(y_s^\text{Euler})\right) \qquad \text{(Eq. EDM-ALG1)}$$


# %%
def my_heun(eps_of, y, sigmas):
    """Return y at the last of the falling sigmas; eps_of(y, sigma) is the noise. A step to sigma = 0 is Euler's."""
    ### BEGIN SOLUTION
    for k in range(len(sigmas) - 1):
        t, s = sigmas[k], sigmas[k + 1]
        slope = eps_of(y, t)
        if s > 0:
            slope = (slope + eps_of(y + (s - t) * slope, s)) / 2
        y = y + (s - t) * slope
    return y
    ### END SOLUTION


# %%
my_heun = exercises.HEUN.check(my_heun)
show_source(heun)


# %%
def exact_eps(y, sigma):
    """Return the exact noise in numbers near -1 and 1: each component guesses, weighted by how well it explains y."""
    spread = 0.02 + sigma**2
    weights = [share * np.exp(-((y - mean) ** 2) / (2 * spread)) for share, mean in ((0.3, -1.0), (0.7, 1.0))]
    return sigma / spread * (weights[0] * (y + 1) + weights[1] * (y - 1)) / sum(weights)


def level(t):
    """Return (a, sigma) at t."""
    alpha_bar = diffusion.alpha_bar[t]
    return alpha_bar**0.5, ((1 - alpha_bar) / alpha_bar) ** 0.5


times = [800, 500, 250, 90]
for end in (0, 30):
    (a_0, _), (a_1, _) = level(times[0]), level(end)
    mine = a_1 * my_heun(exact_eps, x_t / a_0, [level(t)[1] for t in (*times, end)])
    assert np.allclose(last(heun(two.predict, diffusion, x_t, times, end=end)), mine, atol=1e-9)
a_0, sigma_0 = level(800)
straight = x_t / a_0 + (level(500)[1] - sigma_0) * exact_eps(x_t / a_0, sigma_0)
_, by_ddim, _ = next(ddim(two.predict, diffusion, x_t, [800], end=500))
assert np.allclose(by_ddim, level(500)[0] * straight), "DDIM should be Euler's step in sigma"

# %% [markdown]
# For a Gaussian the ODE can be solved. With variance c and mean 0, $\hat\epsilon = \sigma y / (c + \sigma^2)$, so
# $\mathrm{d}y / y = \sigma\, \mathrm{d}\sigma / (c + \sigma^2) = \frac12 \mathrm{d} \log(c + \sigma^2)$, and y grows as $\sqrt{c + \sigma^2}$: the number of
# standard deviations from the mean stays. In the units of x, along each principal axis,
#
# $$x_s = a_s m + \sqrt{\frac{a_s^2 c + b_s^2}{a_t^2 c + b_t^2}}\; (x_t - a_t m) \qquad \text{(Eq. GAUSS-2)}$$
#
# That is a path to measure others by. How does the error fall with the number of steps? The times of
# EDM are evenly spaced in $\sigma^{1/\rho}$ with $\rho = 7$ (Eq. EDM-5), from $\sigma_\text{max}$ down; here, to compare
# all samplers on one grid, they are even in $\log \sigma$:

# %%
mean, c = np.array([0.4, -0.3]), np.array([0.5, 0.05])
bell = Gaussian(diffusion, mean, c)
x_t, (t, s) = rng.standard_normal((20, 2)), (900, 100)
(a_t, sigma_t), (a_s, sigma_s) = level(t), level(s)
exact = a_s * mean + (a_s / a_t) * ((c + sigma_s**2) / (c + sigma_t**2)) ** 0.5 * (x_t - a_t * mean)
assert np.allclose(bell.flow(x_t, t, s), exact)

sigma_max = min(80, level(T)[1])  # the library begins there: more noise shows nothing
found = edm_steps(diffusion, 6)
sigmas = np.array([(1 / diffusion.alpha_bar_at(t) - 1) ** 0.5 for t in found])
wanted = (sigma_max ** (1 / 7) + np.arange(6) / 5 * (sigmas[-1] ** (1 / 7) - sigma_max ** (1 / 7))) ** 7
assert np.allclose(sigmas, wanted, rtol=1e-6), "evenly spaced in the seventh root of sigma"

counts = np.array([4, 8, 16, 32, 64])
errors = {"DDIM (Euler)": [], "Heun": [], "DPM-Solver++(2M)": []}
lambdas = np.linspace(-np.log(sigma_t), -np.log(sigma_s), 65)
for n in counts:
    times = [diffusion.time_at(float(value)) for value in lambdas[:: 64 // n]]
    times[0], times[-1] = t, s
    for name, sampler in zip(errors, (ddim, heun, dpmpp_2m), strict=True):
        x_s = last(sampler(bell.predict, diffusion, x_t, times[:-1], end=s))
        errors[name].append(abs(x_s - exact).max())
errors = {name: np.array(found) for name, found in errors.items()}
orders = {name: np.log2(found[-2] / found[-1]) for name, found in errors.items()}
print({name: round(float(order), 2) for name, order in orders.items()})
assert abs(orders["DDIM (Euler)"] - 1) < 0.15
assert abs(orders["Heun"] - 2) < 0.2
assert abs(orders["DPM-Solver++(2M)"] - 2) < 0.25
plot.curves(counts, errors, "number of steps", "largest error", log="xy")

# %% [markdown]
# Twice as many steps halve the error of DDIM, and quarter that of Heun, which asks the network twice a step. *DPM-Solver++*
# has order 2 with one prediction: in $\lambda = \log(a / b)$ the ODE is linear but for $\hat x_0$,
# $\mathrm{d}(x / b) = e^{\lambda}\, \hat x_0\, \mathrm{d}\lambda$. If $\hat x_0$ is constant over a step of length h, the integral is
# $(e^{\lambda_s} - e^{\lambda_t})\, \hat x_0$, and $x_s = \frac{b_s}{b_t} x_t - a_s (e^{-h} - 1)\, \hat x_0$. A line through the last two
# predictions, taken at the middle of the step, is $\hat x_0 + \frac{h}{2 h'} (\hat x_0 - \hat x_0')$ (Eq. DPMPP-2M):

# %%
y, previous, before, times = x_t, None, None, [900, 700, 400]
for t, s in ((900, 700), (700, 400), (400, 150)):
    (a_t, sigma_t), (a_s, sigma_s) = level(t), level(s)
    length = np.log(sigma_t / sigma_s)
    x_0_hat = mean + a_t * c / (a_t**2 * c + a_t**2 * sigma_t**2) * (y - a_t * mean)
    line = x_0_hat if previous is None else x_0_hat + length / (2 * before) * (x_0_hat - previous)
    y = a_s * sigma_s / (a_t * sigma_t) * y - a_s * (np.exp(-length) - 1) * line
    previous, before = x_0_hat, length
assert np.allclose(last(dpmpp_2m(bell.predict, diffusion, x_t, times, end=150)), y)

# %% [markdown]
# ## A flow carries the density along
#
# Follow one point. The density where it is changes by $\partial q / \partial \tau$, and because it moves:
#
# $$\frac{\mathrm{d}}{\mathrm{d}\tau} \log q(x(\tau), \tau) = \frac{\partial \log q}{\partial \tau} + v \cdot \nabla \log q = -\nabla \cdot v ,$$
#
# by the continuity equation. So the *divergence* of the velocity, summed along the path, is the whole change of the log
# density, and at the end of the path stands noise, whose density is known. That is how a diffusion model tells the likelihood
# of a picture.
#
# **Explore:** follow points with Euler's steps, and add up the change of log q; the divergence by central differences.


# %%
def follow(velocity, x, taus, h):
    """Return points x (N, D) at the last of the times taus, and by how much log q has changed along their paths, (N,).

    velocity(x, tau) is (N, D); differences are taken h to both sides.
    """
    ### BEGIN SOLUTION
    change = np.zeros(len(x))
    for k in range(len(taus) - 1):
        now, passed = taus[k], taus[k + 1] - taus[k]
        for i in range(x.shape[1]):
            e = h * np.eye(x.shape[1])[i]
            change -= passed * (velocity(x + e, now) - velocity(x - e, now))[:, i] / (2 * h)
        x = x + passed * velocity(x, now)
    return x, change
    ### END SOLUTION


# %%
follow = exercises.CHANGE.check(follow)
x_0 = points("two-moons", 30, seed=5).astype(np.float64)
truth, off = log_q(moons, x_0, 0.02), []
for n in (100, 200, 400):
    end, change = follow(lambda x, tau: velocity_of(moons, x, tau), x_0, np.linspace(0.02, 1, n + 1), 1e-4)
    by_flow = -0.5 * (end**2).sum(axis=1) - np.log(2 * np.pi) - change
    off.append(abs(by_flow - truth).mean())
    print(f"{n} steps: mean error of log q {off[-1]:.3f} nats")
assert off[2] < off[1] < off[0]
assert off[2] < 0.05, "the likelihood along the flow should be that of the density"

# %% [markdown]
# ## Summary
#
# 1. With infinitely many steps the chain is an SDE: a drift that shrinks, and noise.
# 2. The continuity equation says how a velocity moves a density; noise acts as a flow down the slope of log q.
# 3. So the same densities belong to a flow without noise, and to a walk back with it, where the score counts twice.
# 4. In $x / a$ and $\sigma$ the flow is one line; DDIM is Euler's step on it, exact only for small steps.
# 5. Along the flow log q changes by minus the divergence: that is a likelihood.
#
# <details><summary>Are the paths of the ODE those of the SDE without the noise?</summary>
#
# No. Leaving out the noise but keeping all of the score would gather the points too much. Half of the score belongs to
# the noise.
#
# </details>
#
# <details><summary>Why does DDIM work with twenty steps, if it is right only in the limit?</summary>
#
# In sigma the path is nearly straight where there is much noise (the guess hardly changes) and where there is little (it
# is nearly right). Only between does it bend.
#
# </details>
#
# <details><summary>Which is better, with noise or without?</summary>
#
# With an exact score and small steps both are right. With few steps the flow is better, since a smooth path can be
# followed by large steps; a score that is wrong does less harm with noise, which forgets earlier errors.
#
# </details>
#
# **Next:** [14 · Likelihoods in bits](14_likelihoods_in_bits.ipynb) uses the divergence;
# [15 · Samplers and their orders](15_samplers_and_their_orders.ipynb) the one line.
