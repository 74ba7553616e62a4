"""The court judges wrong samplers, each with a planted fault: it says which, and finds no fault with right ones."""

import math

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.diffusion import SAMPLERS
from tinydiff.diffusion.times import step_pairs
from tinydiff.evaluate.court import MISTAKES, NOISY, ODE, court
from tinydiff.evaluate.court.verdict import Verdict

FEW = (20, 40, 80)  # steps: enough for orders up to 3


def chain(step):
    """Return a sampler of a function that takes one step: (predict, diffusion, x, t, s, memory) -> x, x_0_hat."""

    def sampler(predict, diffusion, x_T, steps, context=None, end=0):
        x, memory = x_T, []
        for t, s in step_pairs(diffusion, steps, end):
            x, x_0_hat = step(predict, diffusion, x, t, s, memory)
            yield s, x, x_0_hat

    return sampler


def of_time(diffusion, t):
    a, b = (float(scale) for scale in diffusion.scales(t))
    return a, b, math.log(a / b) if a > 0 and b > 0 else (math.inf if a > 0 else -math.inf)


def euler(predict, diffusion, x, t, s, memory, length=1.0):
    """Take a DDIM step, or a part of it."""
    x_0_hat, eps_hat = predict(x, np.full(len(x), t))
    a_s, b_s, _ = of_time(diffusion, s)
    return x + length * (a_s * x_0_hat + b_s * eps_hat - x), x_0_hat


def adams(predict, diffusion, x, t, s, memory, weights="right", most=3, bend=1.0):
    """Take a step along the last predictions of x_0 in lambda; the first is of order 1."""
    x_0_hat, _ = predict(x, np.full(len(x), t))
    (a_t, b_t, lam), (a_s, b_s, lam_s) = of_time(diffusion, t), of_time(diffusion, s)
    memory.insert(0, (lam, x_0_hat))
    del memory[most:]
    h = lam_s - lam
    if math.isinf(h) or len(memory) == 1:
        return b_s / b_t * x + (a_s - a_t * b_s / b_t) * x_0_hat, x_0_hat
    if weights == "fixed":  # Adams and Bashforth's second weights, in the place of those of these steps
        mixed = 1.5 * memory[0][1] - 0.5 * memory[1][1]
        return b_s / b_t * x + (a_s - a_t * b_s / b_t) * mixed, x_0_hat
    slope = (memory[0][1] - memory[1][1]) / (lam - memory[1][0])
    second = 0.0
    if len(memory) == 3:
        earlier = (memory[1][1] - memory[2][1]) / (memory[1][0] - memory[2][0])
        change = (slope - earlier) / (lam - memory[2][0])
        slope, second = slope + (lam - memory[1][0]) * change, 2 * bend * change
    fall = math.expm1(-h)
    moved = -fall * x_0_hat + (h + fall) * slope + (h**2 / 2 - h - fall) * second
    return b_s / b_t * x + a_s * moved, x_0_hat


def ancestral(size=1.0, drift=1.0):
    """Return DDPM's chain with a wrong size of the noise."""

    def sampler(predict, diffusion, x_T, steps, noise=None, context=None, end=0):
        x = x_T
        for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
            x_0_hat, _ = predict(x, np.full(len(x), t))
            spread = size * diffusion.posterior_variance(t, s) ** 0.5
            z = noise.at(step=k).normal(x.shape, "mine", dtype=x.dtype)
            x = diffusion.posterior_mean(x_0_hat, x, t, s) + spread * z
            yield s, x, x_0_hat

    return sampler


def nothing(predict, diffusion, x_T, steps, end=0):
    return None


def yields_x_alone(predict, diffusion, x_T, steps, end=0):
    yield x_T


def returns_the_end(predict, diffusion, x_T, steps, end=0):
    return x_T * 1.0


def endless(predict, diffusion, x_T, steps, end=0):
    while True:
        yield 0.0, x_T, x_T


def endless_without_a_yield(predict, diffusion, x_T, steps, end=0):
    n = 0
    while True:
        n += 1
    yield 0.0, x_T, x_T


def in_place(predict, diffusion, x_T, steps, end=0):
    for t, s in step_pairs(diffusion, steps, end):
        x_0_hat, eps_hat = predict(x_T, np.full(len(x_T), t))
        a, b, _ = of_time(diffusion, s)
        x_T *= 0
        x_T += a * x_0_hat + b * eps_hat
        yield s, x_T, x_0_hat


def one_step_less(predict, diffusion, x_T, steps, end=0):
    yield from SAMPLERS["ddim"](predict, diffusion, x_T, list(steps)[:-1], end=list(steps)[-1])


def backwards(predict, diffusion, x, t, s, memory):
    x_0_hat, eps_hat = predict(x, np.full(len(x), t))
    a, b, _ = of_time(diffusion, s)
    return a * x_0_hat - b * eps_hat, x_0_hat


def divides_by_nothing(predict, diffusion, x, t, s, memory):
    x, x_0_hat = euler(predict, diffusion, x, t, s, memory)
    return x * (s - s) / (s - s), x_0_hat


def raising(predict, diffusion, x_T, steps, end=0):
    yield 0.0, x_T, x_T[:, 7]


def shrinking(predict, diffusion, x_T, steps, end=0):
    yield end, x_T[:1], x_T[:1]


def no_last_step(predict, diffusion, x, t, s, memory):
    """Divide by b_s, which is 0 at the end."""
    (a_t, b_t, _), (a_s, b_s, _) = of_time(diffusion, t), of_time(diffusion, s)
    x_0_hat, _ = predict(x, np.full(len(x), t))
    with np.errstate(all="ignore"):
        return (x / b_t + (np.float64(a_s) / b_s - a_t / b_t) * x_0_hat) * b_s, x_0_hat


def drift_of_the_sde(predict, diffusion, x, t, s, memory):
    """Follow the drift of the reverse SDE, twice the ODE's, and forget its noise."""
    return euler(predict, diffusion, x, t, s, memory, length=2.0)


PLANTED = {  # what -> (sampler, order that is stated, mistake that is named first)
    "returns None": (nothing, None, "returns_nothing"),
    "yields x alone": (yields_x_alone, None, "no_chain"),
    "returns an array": (returns_the_end, None, "no_chain"),
    "yields for ever": (endless, None, "never_ends"),
    "loops for ever": (endless_without_a_yield, None, "never_ends"),
    "changes x_T": (in_place, None, "changes_input"),
    "takes one step less": (one_step_less, None, "stops_early"),
    "NaN": (chain(divides_by_nothing), None, "not_finite"),
    "raises": (raising, None, "raises"),
    "another shape": (shrinking, None, "wrong_shape"),
    "a sign": (chain(backwards), 1, "not_consistent"),
    "the SDE's drift": (chain(drift_of_the_sde), 1, "not_consistent"),
    "order 1, not 2": (chain(euler), 2, "order"),
    "starts too low": (chain(adams), 3, "start"),
    "starts too low, not stated": (chain(adams), None, "start"),
    "half of the bend": (chain(lambda *given: adams(*given, bend=0.5)), None, "bend"),
    "a third too much bend": (chain(lambda *given: adams(*given, bend=4 / 3)), None, "bend"),
    "fixed weights": (chain(lambda *given: adams(*given, weights="fixed", most=2)), None, "uneven"),
    "NaN at t = 0": (chain(no_last_step), 1, "small_numbers"),
    "noise of half a step": (ancestral(0.5**0.5), None, "half_noise"),
    "half of sigma": (ancestral(0.5), None, "variance_too_small"),
    "sigma doubled": (ancestral(2.0), None, "variance_too_large"),
    "noise that is not used": (ancestral(0.0), None, "no_noise"),
}
SOON = {"small_numbers", "order"}  # whose chains down to t = 0 are of interest


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Try fewer numbers of steps down to t = 0, and no child: what is found here is found without them."""
    from tinydiff.evaluate.court import judge, walk

    monkeypatch.setattr(judge, "MOST_STEPS", 4)
    monkeypatch.setattr(judge, "SOME_NUMBERS", (1, 3))
    monkeypatch.setattr(judge, "NUMBERS_OF_VARIANCE", (20, 40, 80))
    monkeypatch.setattr(walk, "tried", lambda run: "")


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_named(what):
    sampler, stated, mistake = PLANTED[what]
    verdict = court(sampler, stated=stated, numbers=FEW)
    assert not verdict.is_right
    assert verdict.mistakes[0] == mistake, str(verdict)
    assert ": wrong\n" in str(verdict)
    assert verdict.problems[0].sentence in str(verdict)


def test_the_sentences_say_what_to_do():
    assert "factor of 2" in str(court(PLANTED["half of the bend"][0], numbers=FEW))
    assert "50 % of the second derivative of x_0_hat" in str(court("dpmpp_3m_as_published", numbers=FEW))
    assert "is a step's noise that of half a step" in str(court(ancestral(0.5**0.5)))
    assert "standard deviation is doubled" in str(court(ancestral(2.0)))
    assert "x_t = x_t + ..." in str(court(in_place))
    of_drift = court(chain(drift_of_the_sde), stated=1, numbers=FEW)
    assert of_drift.mistakes[1] == "variance_too_small"
    assert "drift of an SDE" in str(of_drift)


def test_every_mistake_has_a_name():
    assert {mistake for _, _, mistake in PLANTED.values()} <= set(MISTAKES)


RIGHT = [entry for entry in ODE if entry.label in ("ddim", "dpmpp_2m", "unipc, order 2", "plms, begin heun")]


@pytest.mark.parametrize("entry", RIGHT, ids=lambda entry: entry.label)
def test_right_samplers_have_the_order_that_they_state(entry):
    verdict = court(entry.name, entry.options, numbers=FEW)
    assert verdict.is_right, str(verdict)
    assert verdict.order() == pytest.approx(entry.order, abs=0.15)
    assert verdict.order("alternating") == pytest.approx(entry.order_on_alternating, abs=0.15)
    assert f"(stated: {entry.order} and {entry.order_on_alternating})" in str(verdict)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [*ODE, *NOISY], ids=lambda entry: entry.label)
def test_all_samplers_of_the_list_are_right_but_one(entry):
    verdict = court(entry.name, entry.options, numbers=(40, 80))
    assert verdict.mistakes == (("bend",) if entry.name == "dpmpp_3m_as_published" else ()), str(verdict)


@pytest.mark.parametrize("entry", [e for e in NOISY if e.label in ("ddpm, variance beta", "dpmpp_2m_sde")])
def test_right_samplers_with_noise_come_to_the_right_variance(entry):
    verdict = court(entry.name, entry.options)
    assert verdict.is_right, str(verdict)
    assert verdict.draws_noise
    assert verdict.order("variance") > entry.order - 0.1
    assert verdict.share_of_noise == pytest.approx(1, abs=0.05)


def test_a_right_sampler_of_somebody_is_right():
    assert court(chain(euler), stated=1, numbers=FEW).is_right
    assert court(chain(lambda *given: adams(*given, most=2)), stated=2, numbers=FEW).is_right
    assert court(ancestral()).is_right


def test_a_loop_in_c_is_stopped_by_a_child(monkeypatch):
    from tinydiff.base import ending
    from tinydiff.evaluate.court import walk

    def sums_for_ever(predict, diffusion, x_T, steps, end=0):
        yield end, x_T, sum(iter(int, 1))

    monkeypatch.setattr(walk, "tried", ending.tried)
    monkeypatch.setattr(ending, "MOST_SECONDS", 1)
    assert court(sums_for_ever).mistakes == ("never_ends",)


@pytest.mark.parametrize(
    ("sampler", "more", "words"),
    [
        ("nobody", {}, "sampler is 'nobody', but one of"),
        (3, {}, "sampler is 3, but"),
        (lambda x: x, {}, "a sampler is called with"),
        (lambda predict, diffusion, x_T, steps: None, {}, "takes no argument end"),
        (nothing, {"options": {"eta": 1.0}}, "takes no argument eta"),
        ("ddim", {"options": {"eta": 3.0}}, "eta is 3"),
        ("ddim", {"options": {"tau": 1.0}}, "tau is 1"),
        ("ddim", {"stated": -1}, "stated is -1"),
        ("ddim", {"stated": (1, 2, 3)}, "stated is"),
        ("ddim", {"numbers": (20,)}, "numbers is"),
        ("ddim", {"numbers": (20, 10)}, "numbers is"),
        ("ddim", {"rounding": -1.0}, "rounding is"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(sampler, more, words):
    with pytest.raises(InputError, match=words):
        court(sampler, **more)


def test_a_verdict_is_a_record_of_plain_numbers():
    import json

    record = json.loads(json.dumps(court("dpmpp_2m", numbers=FEW).record()))
    assert record["sampler"] == "dpmpp_2m"
    assert record["curves"]["equal"]["steps"] == list(FEW)
    assert record["orders"]["equal"] == pytest.approx(2, abs=0.2)
    json.dumps(court(nothing).record(), allow_nan=False)
    assert isinstance(court(nothing), Verdict)
