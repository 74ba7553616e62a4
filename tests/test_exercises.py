"""The exercises of the notebooks: the right answer passes, and plausible wrong ones are refused with a reason."""

from itertools import pairwise

import jupytext
import numpy as np
import pytest

import tinydiff
from tinydiff import plot
from tinydiff.diffusion import ddim, linear_schedule
from tools import notebooks


def cells_of(number):
    (path,) = notebooks.SOURCES.glob(f"{number}_*.py")
    return [cell.source for cell in jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells]


def check_answer(number, name, answer, **given):
    """Run the check of the exercise that asks for the function `name`, with another answer in its place."""
    cells = cells_of(number)
    (place,) = [i for i, source in enumerate(cells) if source.startswith(f"def {name}(")]
    exec(cells[place + 1], {"np": np, name: answer, **given})


def right_answer(number, name):
    """Return the function as the notebook's solution writes it."""
    (source,) = [source for source in cells_of(number) if source.startswith(f"def {name}(")]
    names = {"np": np}
    exec(source, names)
    return names[name]


STEPS = {
    "no roots": (lambda x, beta, eps: (1 - beta) * x + beta * eps, "the image is multiplied by 0.750, not 0.866"),
    "beta taken for a deviation": (lambda x, beta, eps: (1 - beta) ** 0.5 * x + beta * eps, "the noise .* 0.250"),
    "nothing shrinks": (lambda x, beta, eps: x + beta**0.5 * eps, "the image is multiplied by 1.000"),
    "swapped": (lambda x, beta, eps: beta**0.5 * x + (1 - beta) ** 0.5 * eps, "the image is multiplied by 0.500"),
    "nothing returned": (lambda x, beta, eps: None, r"gave the shape \(\)"),
}
TABLES = {
    "without t = 0": (lambda T, b, c: np.cumprod(1 - np.linspace(b, c, T)), "is t = 0 among them"),
    "product of beta": (lambda T, b, c: np.r_[1, np.cumprod(np.linspace(b, c, T))], r"alpha_bar\[1\] is 0.0001"),
    "no product": (lambda T, b, c: np.r_[1, 1 - np.linspace(b, c, T)], "product of 1 - beta over all steps"),
    "roots": (lambda T, b, c: np.r_[1, np.cumprod((1 - np.linspace(b, c, T)) ** 0.5)], r"alpha_bar\[1\] is"),
    "from 0": (lambda T, b, c: np.r_[0, np.cumprod(1 - np.linspace(b, c, T))], r"alpha_bar\[0\] is 0"),
}


@pytest.mark.parametrize(("answer", "message"), STEPS.values(), ids=STEPS)
def test_01_names_what_is_wrong_with_a_step(answer, message):
    with pytest.raises(AssertionError, match=message):
        check_answer("01", "my_step", answer)


@pytest.mark.parametrize(("answer", "message"), TABLES.values(), ids=TABLES)
def test_01_names_what_is_wrong_with_a_schedule(answer, message):
    with pytest.raises(AssertionError, match=message):
        check_answer("01", "my_alpha_bar", answer, linear_schedule=linear_schedule)


def test_01_takes_the_right_answers():
    check_answer("01", "my_step", right_answer("01", "my_step"))
    check_answer("01", "my_alpha_bar", right_answer("01", "my_alpha_bar"), linear_schedule=linear_schedule)


MIXES = {
    "no roots": lambda a, x_0, eps, x_t: a * x_0 + (1 - a) * eps,
    "one root": lambda a, x_0, eps, x_t: a**0.5 * x_0 + (1 - a) * eps,
    "only the guess": lambda a, x_0, eps, x_t: x_0,
    "x_t for the noise": lambda a, x_0, eps, x_t: a**0.5 * x_0 + (1 - a) ** 0.5 * x_t,
    "swapped": lambda a, x_0, eps, x_t: (1 - a) ** 0.5 * x_0 + a**0.5 * eps,
}


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_00_refuses_a_wrong_step(mix):
    model = tinydiff.load_model("mnist")

    def answer(x_t, t, s, label):
        x_0_hat, eps_hat = model.predict(x_t, np.full(len(x_t), t), np.full(len(x_t), label))
        return mix(model.diffusion.alpha_bar[s], x_0_hat, eps_hat, x_t).astype(np.float32)

    with pytest.raises(AssertionError, match="not the library's step: two square roots"):
        check_answer("00", "my_step", answer, model=model, ddim=ddim, plot=plot, pairwise=pairwise)
