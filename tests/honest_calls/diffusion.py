"""Good calls of `tinydiff.diffusion`: schedules, the process, samplers, guidance, editing, exact densities."""

import functools

import numpy as np

from tinydiff import diffusion as D
from tinydiff.base import Noise
from tinydiff.diffusion import editing as E
from tinydiff.diffusion import guidance as G

PROCESS = D.GaussianDiffusion(D.cosine_schedule(20))
rng = np.random.default_rng(0)
X, EPS, T = rng.normal(size=(2, 4, 4, 1)).astype("f4"), rng.normal(size=(2, 4, 4, 1)).astype("f4"), np.array([3, 7])
PIXELS = (np.rint((np.clip(X, -1, 1) + 1) * 25.5) / 25.5 - 1).astype("f4")
MASK, LABELS, FLAT = np.ones((2, 4, 4, 1), "f4"), np.array([1, 0]), rng.normal(size=(2, 2)).astype("f4")
GAMMA = np.array([-1.0, 0.5], "f4")
GAUSSIAN = D.Gaussian(PROCESS, np.zeros(2), 1.0)
MIXTURE = D.GaussianMixture(PROCESS, np.ones(2), np.eye(2), [1.0, 1.0])
FINITE = D.FiniteData(PROCESS, np.eye(2))


@functools.wraps(D.density_of)
def scored(**arguments):
    return D.density_of(**arguments).score(np.ones((2, 2), np.float32), 3)


STEPS = [20, 10, 5]


def predict(x_t, t, context=None):
    return 0.5 * x_t, x_t


def network(x_t, t, context=None):
    return 0.5 * x_t


def gradient(x_t, t, context=None):
    return x_t


def applied(guidance):
    """Return a function that makes a guided prediction of its arguments, and asks it once."""
    return lambda **arguments: guidance(**arguments)(X, T.astype(float), LABELS)


def chain(sampler, **own):
    arguments = {"predict": predict, "diffusion": PROCESS, "x_T": X, "steps": STEPS, "context": LABELS, "end": 0}
    return lambda: (sampler, arguments | own)


METHODS = {  # of the forward process
    "alpha_bar_at": {"t": T},
    "time_at": {"half_log_snr": 0.5},
    "scales": {"t": T},
    "scale_at": {"t": T},
    "noise_variance": {"t": T},
    "reverse_beta": {"t": T, "s": T - 1},
    "flow_from": {"x_0": X, "eps": EPS, "t": T},
    "x_0_from_flow": {"x_t": X, "t": T, "flow": EPS},
    "eps_from_flow": {"x_t": X, "t": T, "flow": EPS},
    "q_sample": {"x_0": X, "t": T, "eps": EPS},
    "q_step": {"x_s": X, "t": 7, "eps": EPS, "s": 3},
    "snr": {"t": T},
    "beta": {"t": T, "s": T - 1},
    "posterior_variance": {"t": 7.0, "s": 3.0},
    "posterior_mean": {"x_0": X, "x_t": EPS, "t": T, "s": T - 1},
    "posterior_mean_from_eps": {"x_t": X, "t": T, "eps": EPS, "s": T - 1},
    "x_0_from_eps": {"x_t": X, "t": T, "eps": EPS},
    "eps_from_x_0": {"x_t": X, "t": 7, "x_0": EPS},
    "v_from": {"x_0": X, "eps": EPS, "t": 7.5},
    "x_0_from_v": {"x_t": X, "t": T, "v": EPS},
    "eps_from_v": {"x_t": X, "t": T, "v": EPS},
    "score_from_eps": {"eps": EPS, "t": T},
    "eps_from_score": {"score": EPS, "t": T},
}
CALLS = {f"GaussianDiffusion.{name}": lambda name=name: (getattr(PROCESS, name), METHODS[name]) for name in METHODS}
STRAIGHT = D.GaussianPath(D.straight_schedule(20))
CALLS |= {f"GaussianPath.{name}": lambda name=name: (getattr(STRAIGHT, name), METHODS[name]) for name in METHODS}
CALLS |= {
    "GaussianDiffusion": lambda: (D.GaussianDiffusion, {"alpha_bar": D.linear_schedule(5)}),
    "linear_schedule": lambda: (D.linear_schedule, {"T": 9, "beta_1": 1e-3, "beta_T": 0.5, "rescaled": False}),
    "scaled_linear_schedule": lambda: (
        D.scaled_linear_schedule,
        {"T": 9, "beta_1": 1e-3, "beta_T": 0.5, "rescaled": False},
    ),
    "sigmoid_beta_schedule": lambda: (
        D.sigmoid_beta_schedule,
        {"T": 9, "beta_1": 1e-3, "beta_T": 0.5, "width": 6.0},
    ),
    "sigmoid_schedule": lambda: (
        D.sigmoid_schedule,
        {"T": 9, "start": -3.0, "end": 3.0, "tau": 1.0, "max_beta": 0.5},
    ),
    "laplace_schedule": lambda: (D.laplace_schedule, {"T": 9, "mu": 0.0, "b": 0.5}),
    "karras_schedule": lambda: (D.karras_schedule, {"T": 9, "sigma_min": 0.01, "sigma_max": 50.0, "rho": 7.0}),
    "exponential_schedule": lambda: (D.exponential_schedule, {"T": 9, "sigma_min": 0.01, "sigma_max": 50.0}),
    "vp_sde_schedule": lambda: (D.vp_sde_schedule, {"T": 9, "beta_min": 0.1, "beta_max": 20.0}),
    "sub_vp_sde_schedule": lambda: (D.sub_vp_sde_schedule, {"T": 9, "beta_min": 0.1, "beta_max": 20.0}),
    "straight_schedule": lambda: (D.straight_schedule, {"T": 9}),
    "schedule": lambda: (D.schedule, {"f": D.linear_schedule}),
    "shifted": lambda: (D.shifted, {"alpha_bar": D.linear_schedule(5), "factor": 2.0}),
    "zero_terminal_snr": lambda: (D.zero_terminal_snr, {"alpha_bar": D.linear_schedule(5)}),
    "GaussianPath": lambda: (D.GaussianPath, {"alpha_bar": D.linear_schedule(5), "path": "straight"}),
    "cosine_schedule": lambda: (D.cosine_schedule, {"T": 9, "s": 0.25, "max_beta": 0.5}),
    "spaced_steps": lambda: (D.spaced_steps, {"T": 20, "N": 4, "spacing": "leading", "offset": 1}),
    "equal_steps": lambda: (D.equal_steps, {"diffusion": PROCESS, "N": 4}),
    "log_snr_steps": lambda: (D.log_snr_steps, {"diffusion": PROCESS, "N": 4, "start": 19.0, "end": 1.0}),
    "edm_steps": lambda: (D.edm_steps, {"diffusion": PROCESS, "N": 4, "sigma_max": 80.0, "rho": 7.0}),
    "eps_weight": lambda: (D.eps_weight, {"diffusion": PROCESS, "t": T}),
    "loss_weight": lambda: (
        D.loss_weight,
        {"weighting": "min-snr", "kind": "v", "diffusion": PROCESS, "t": T, "gamma": 4.0},
    ),
    "log_variance_range": lambda: (D.log_variance_range, {"diffusion": PROCESS, "t": T, "s": T - 1}),
    "learned_log_variance": lambda: (
        D.learned_log_variance,
        {"diffusion": PROCESS, "share": X, "t": T, "s": T - 1},
    ),
    "best_variance": lambda: (D.best_variance, {"diffusion": PROCESS, "squared_error": 0.5, "t": 7.0, "s": 3.0}),
    "variance_loss": lambda: (
        D.variance_loss,
        {"diffusion": PROCESS, "x_0": X, "x_0_hat": EPS, "t": T, "share": 0.5 * X},
    ),
    "noised": lambda: (D.noised, {"x_0": X, "gamma": GAMMA, "eps": EPS}),
    "continuous_term": lambda: (D.continuous_term, {"eps": EPS, "eps_hat": X, "slope": GAMMA + 3}),
    "slope_gradient": lambda: (D.slope_gradient, {"term": GAMMA + 2, "slope": GAMMA + 3, "curvature": GAMMA}),
    "in_gamma": lambda: (
        lambda **arguments: D.in_gamma(**arguments)(X, GAMMA),
        {"predict": predict, "diffusion": PROCESS},
    ),
    "normal_kl": lambda: (D.normal_kl, {"mean_1": X, "variance_1": 1.0, "mean_2": EPS, "variance_2": 2.0}),
    "prior_term": lambda: (D.prior_term, {"diffusion": PROCESS, "x_0": X}),
    "step_term": lambda: (D.step_term, {"predict": predict, "diffusion": PROCESS, "x_0": X, "t": 7, "eps": EPS}),
    "simple_loss": lambda: (D.simple_loss, {"network": network, "diffusion": PROCESS, "x_0": X, "t": T, "eps": EPS}),
    "predictor": lambda: (
        lambda **arguments: D.predictor(**arguments)(X, T),
        {"network": network, "diffusion": PROCESS, "kind": "v", "clip": True, "learned_variance": False},
    ),
    "adaptive": chain(D.adaptive, rtol=0.05, atol=0.01, most=100),
    "annealed_langevin": chain(D.annealed_langevin, step_size=0.1, repeats=2, noise=Noise(0)),
    "ddim": chain(D.ddim, eta=0.5, noise=Noise(0)),
    "ddpm": chain(D.ddpm, variance="beta", noise=Noise(0)),
    "deis": chain(D.deis, order=2),
    "dpm_2": chain(D.dpm_2, eta=0.5, noise=Noise(0)),
    "dpm_solver": chain(D.dpm_solver, order=2),
    "dpmpp_2m": chain(D.dpmpp_2m),
    "dpmpp_2m_sde": chain(D.dpmpp_2m_sde, eta=1.0, noise=Noise(0)),
    "dpmpp_3m": chain(D.dpmpp_3m),
    "dpmpp_3m_as_published": chain(D.dpmpp_3m_as_published),
    "dpmpp_3m_sde": chain(D.dpmpp_3m_sde, eta=1.0, noise=Noise(0)),
    "dpmpp_sde": chain(D.dpmpp_sde, eta=1.0, noise=Noise(0)),
    "dpmpp_singlestep": chain(D.dpmpp_singlestep, order=2),
    "edm": chain(D.edm, churn=10.0, s_min=0.05, s_max=50.0, s_noise=1.0, noise=Noise(0)),
    "er_sde": chain(D.er_sde, order=2, noise=Noise(0)),
    "shortcut": chain(D.shortcut),
    "bend": lambda: (D.bend, {"predict": predict, "diffusion": STRAIGHT, "x_T": X, "steps": STEPS, "context": LABELS}),
    "guess_between": lambda: (
        D.guess_between,
        {"diffusion": PROCESS, "x_t": X, "t": T, "x_s": EPS, "s": T - 1},
    ),
    "straight_step": lambda: (D.straight_step, {"diffusion": PROCESS, "x_0": X, "eps": EPS, "s": T}),
    "euler": chain(D.euler),
    "euler_ancestral": chain(D.euler_ancestral, eta=0.5, noise=Noise(0)),
    "heun": chain(D.heun),
    "lms": chain(D.lms, order=2),
    "plms": chain(D.plms, begin="heun"),
    "predictor_corrector": chain(D.predictor_corrector, snr=0.1, corrections=1, noise=Noise(0)),
    "restart": chain(D.restart, low=0.6, high=2.0, repeats=1, inner=2, noise=Noise(0)),
    "sa_solver": chain(D.sa_solver, tau=1.0, predictor=2, corrector=3, noise=Noise(0)),
    "unipc": chain(D.unipc, order=2),
    "Sampler.calls": lambda: (D.SAMPLERS["ddim"].calls, {"diffusion": PROCESS, "steps": 4}),
    "Sampler.plan": lambda: (D.SAMPLERS["heun"].plan, {"diffusion": PROCESS, "steps": 4, "options": {"rho": 5.0}}),
    "Sampler": chain(D.SAMPLERS["ddpm"], noise=Noise(0), steps=4),
    "last": lambda: (D.last, {"chain": D.heun(predict, PROCESS, X, STEPS)}),
    "autoguidance": lambda: (
        applied(D.autoguidance),
        {"predict": predict, "weak_predict": network_pair, "scale": 2.0, "interval": (1.0, 10.0)},
    ),
    "bounded": lambda: (
        applied(D.bounded),
        {"predict": predict, "diffusion": PROCESS, "how": "dynamic", "percentile": 0.5},
    ),
    "classifier_free_guidance": lambda: (
        applied(D.classifier_free_guidance),
        {
            "predict": predict,
            "diffusion": PROCESS,
            "null_context": LABELS,
            "scale": 2.0,
            "interval": (1.0, 10.0),
            "rescale": 0.5,
        },
    ),
    "classifier_guidance": lambda: (
        applied(D.classifier_guidance),
        {
            "predict": predict,
            "diffusion": PROCESS,
            "log_probability_gradient": gradient,
            "scale": 2.0,
            "interval": (1.0, 10.0),
        },
    ),
    "check_interval": lambda: (G.check_interval, {"interval": (1.0, 10.0)}),
    "rescaled": lambda: (G.rescaled, {"guided": X, "given": EPS, "share": 0.5}),
    "check_mask": lambda: (E.check_mask, {"mask": MASK, "shape": X.shape}),
    "ddim_inversion": lambda: (
        E.ddim_inversion,
        {"predict": predict, "diffusion": PROCESS, "x_0": X, "steps": STEPS, "context": LABELS},
    ),
    "erased": lambda: (E.erased, {"x_0": X, "mask": MASK}),
    "keep_known": lambda: (
        applied(E.keep_known),
        {"predict": predict, "diffusion": PROCESS, "known": X, "mask": MASK},
    ),
    "repaint": lambda: (
        E.repaint,
        {
            "predict": predict,
            "diffusion": PROCESS,
            "x_T": X,
            "steps": STEPS,
            "known": EPS,
            "mask": MASK,
            "resample": 2,
            "noise": Noise(0),
        },
    ),
    "slerp": lambda: (E.slerp, {"a": X, "b": EPS, "share": 0.5}),
    "times_below": lambda: (E.times_below, {"diffusion": PROCESS, "times": STEPS, "strength": 0.5}),
    "Gaussian": lambda: (D.Gaussian, {"diffusion": PROCESS, "mean": np.zeros(2), "covariance": np.eye(2)}),
    "GaussianMixture": lambda: (
        D.GaussianMixture,
        {"diffusion": PROCESS, "weights": np.ones(2), "means": np.eye(2), "covariances": [1.0, 1.0]},
    ),
    "BlurredPoints": lambda: (
        D.BlurredPoints,
        {"diffusion": PROCESS, "points": np.eye(2), "width": 0.1, "weights": np.ones(2)},
    ),
    "Boxes": lambda: (
        D.Boxes,
        {"diffusion": PROCESS, "low": np.eye(2), "high": np.eye(2) + 1, "weights": np.ones(2)},
    ),
    "density_of": lambda: (scored, {"shape": {"points": np.eye(2), "width": 0.1}, "diffusion": PROCESS}),
    "FiniteData": lambda: (D.FiniteData, {"diffusion": PROCESS, "points": np.eye(2), "weights": np.ones(2)}),
    "bits_per_dimension": lambda: (D.bits_per_dimension, {"nats": np.ones(2), "size": 4}),
    "level_cost": lambda: (D.level_cost, {"x_0": PIXELS, "mean": X, "sigma": 0.1, "levels": 52}),
    "likelihood_bound": lambda: (
        D.likelihood_bound,
        {
            "predict": predict,
            "diffusion": PROCESS,
            "x_0": PIXELS,
            "noise": Noise(0),
            "strata": 2,
            "levels": 52,
            "variance": "beta",
        },
    ),
    "importance_weighted_bound": lambda: (
        D.importance_weighted_bound,
        {
            "predict": predict,
            "diffusion": PROCESS,
            "x_0": PIXELS,
            "noise": Noise(0),
            "chains": 2,
            "levels": 52,
            "variance": "beta",
        },
    ),
    "flow_log_density": lambda: (
        D.flow_log_density,
        {
            "velocity": lambda x, t, z: (0.5 * x, 0.5 * z),
            "diffusion": PROCESS,
            "x_t": X,
            "t": 1.5,
            "probes": np.stack([np.sign(EPS)]),
            "steps": 2,
            "log_prior": lambda x_T: x_T.reshape(len(x_T), -1).sum(axis=1),
        },
    ),
    "random_signs": lambda: (
        D.random_signs,
        {"noise": Noise(0), "shape": (2, 3), "probes": 2, "dtype": np.float64},
    ),
    "exact_velocity": lambda: (D.exact_velocity, {"density": MIXTURE}),
    "dequantised": lambda: (D.dequantised, {"x_0": X, "noise": Noise(0), "levels": 16}),
    "Gaussian.flow": lambda: (GAUSSIAN.flow, {"x_t": FLAT, "t": 7.0, "s": 3.0}),
    "Density.predict": lambda: (GAUSSIAN.predict, {"x_t": FLAT, "t": T}),
    "Density.predict_backward": lambda: (MIXTURE.predict_backward, {"x_t": FLAT, "t": T, "d_x_0_hat": FLAT}),
    "Density.score": lambda: (FINITE.score, {"x_t": FLAT, "t": T}),
    "Density.log_density": lambda: (MIXTURE.log_density, {"x_t": FLAT, "t": T}),
    "GaussianMixture.log_class_probability": lambda: (
        MIXTURE.log_class_probability,
        {"x_t": FLAT, "t": T, "classes": LABELS},
    ),
    "GaussianMixture.class_gradient": lambda: (MIXTURE.class_gradient, {"x_t": FLAT, "t": T, "classes": LABELS}),
}
# `posterior` and its backward are what a density states, called by its other methods; `sampler` is a decorator.
DENSITIES = ("BlurredPoints", "Boxes", "Gaussian", "GaussianMixture", "FiniteData")
WITHOUT = {f"{density}.{name}" for density in DENSITIES for name in ("posterior", "posterior_backward")} | {"sampler"}
RECORDS = {"Bound", "Target"}


def network_pair(x_t, t, context=None):
    return 0.25 * x_t, x_t
