"""The recipe "Add a notebook", followed with a short one on two smooth ramps."""

import json

import pytest
from recipe import Recipe

NOTEBOOK = '''
# %% [markdown]
# # <NN> · Two smooth ramps
#
# **You will learn** how a corner is made smooth. **Prerequisites:** notebook 05. **Time:** 5 minutes.

# %%
import numpy as np

from tinydiff import functional as F
from tinydiff import plot
from tinydiff.course import show_source, slider
from tinydiff.course.exercises import notebook_<NN> as exercises

# %% [markdown]
# **Write it yourself:** the logarithm of $1 + e^x$, and its slope.


# %%
def my_ramp(x):
    """Return log(1 + exp(x))."""
    ### BEGIN SOLUTION
    return np.log1p(np.exp(x))
    ### END SOLUTION


# %%
my_ramp = exercises.RAMP.check(my_ramp)


# %%
def my_slope(x):
    """Return the slope of the ramp."""
    ### BEGIN SOLUTION
    return 1 / (1 + np.exp(-x))
    ### END SOLUTION


# %%
my_slope = exercises.SLOPE.check(my_slope)

# %% [markdown]
# **Predict, then run:** is this ramp above the one that the library's networks use, or below?

# %%
x = np.linspace(-4.0, 4.0, 81)
silu, _ = F.silu(x)
assert (my_ramp(x) > silu).all()
show_source(F.silu)
slider(lambda k: plot.curves(x, {"ramp": my_ramp(k * x) / k, "SiLU": silu}, "x", "y"), [1, 2, 4], "sharpness")

# %% [markdown]
# ## Summary
#
# 1. A corner has no slope.
# 2. A smooth ramp has one everywhere.
# 3. Its slope is the sigmoid.
# 4. SiLU lies below it.
# 5. The sharper it is, the nearer it comes to the corner.
#
# <details><summary>Why smooth?</summary>For the gradient.</details>
# <details><summary>What is its slope at 0?</summary>One half.</details>
# <details><summary>What is it far to the right?</summary>As good as x.</details>
#
# **Next:** back to notebook 05.
'''
EXERCISES = '''
"""Exercises of notebook <NN>: a smooth ramp, and its slope."""

import numpy as np

from tinydiff.course.exercise import Exercise

_CASES = [(np.array([-2.0, 0.0, 1.5]),), (np.array([[0.3, -0.7]]),), (np.array([4.0]),)]
_HINTS = ["Look at the corner.", "Take the logarithm.", "`np.log1p` helps."]

RAMP = Exercise(
    grade="transcribe",
    reference=lambda x: np.log1p(np.exp(x)),
    cases=_CASES,
    returns=["y"],
    mistakes={
        "the 1 is missing: without it the logarithm gives x back.": lambda x: 1.0 * x,
        "the logarithm is missing.": lambda x: 1 + np.exp(x),
        "the sign of x is turned round.": lambda x: np.log1p(np.exp(-x)),
    },
    hints=_HINTS,
    praise="It is smooth everywhere.",
)

SLOPE = Exercise(
    grade="derive",
    reference=lambda x: 1 / (1 + np.exp(-x)),
    cases=_CASES,
    returns=["slope"],
    mistakes={
        "this is the slope of the corner, not of the ramp.": lambda x: (x > 0) * 1.0,
        "the sign of x is turned round.": lambda x: 1 / (1 + np.exp(x)),
        "this is the ramp itself.": lambda x: np.log1p(np.exp(x)),
    },
    hints=_HINTS,
    praise="The slope is a sigmoid.",
)
'''
ANSWERS = '''
"""Answers to the exercises of notebook <NN>."""

import numpy as np

from tinydiff import functional as F

LIBRARY = {"RAMP": "the library has no such function.", "SLOPE": "the library has no such function."}
RIGHT = {"RAMP": {"plainly": lambda x: np.log(1 + np.exp(x))}}
WRONG = {"SLOPE": {"the slope of SiLU": lambda x: F.silu_backward(np.ones_like(x), F.silu(x)[1])[0]}}
'''
# What the library's function might do wrong, line by line.
FAULTS = {
    "the tanh is of x itself": ("xp.tanh(0.5 * x)", "xp.tanh(x)"),
    "the tanh is of twice x": ("xp.tanh(0.5 * x)", "xp.tanh(2 * x)"),
    "the tanh has the other sign": ("xp.tanh(0.5 * x)", "xp.tanh(-0.5 * x)"),
    "the tanh is a sine": ("xp.tanh(0.5 * x)", "xp.sin(0.5 * x)"),
    "the tanh is a root": ("xp.tanh(0.5 * x)", "abs(x) ** 0.5"),
    "x is added and not multiplied": ("y = x * sigmoid", "y = x + sigmoid"),
    "x is squared": ("y = x * sigmoid", "y = x**2 * sigmoid"),
    "the sigmoid alone is given": ("y = x * sigmoid", "y = sigmoid"),
}
FAULT = '[[fault]]\nwhat = "{}"\nfile = "functional/activation.py"\nold = "{}"\nnew = "{}"\n'
ROW = "| [<NN>](notebooks/<NN>_<topic>.ipynb) | two smooth ramps | why smooth? |\n"


@pytest.mark.slow
def test_a_notebook(tmp_path):
    pytest.importorskip("nbclient")
    recipe = Recipe(tmp_path, "Add a notebook", NN="95", topic="two_smooth_ramps")
    recipe.write("notebooks/src/<NN>_<topic>.py", NOTEBOOK)
    recipe.write("tinydiff/course/exercises/notebook_<NN>.py", EXERCISES)
    recipe.write("tests/answers/notebook_<NN>.py", ANSWERS)
    recipe.write("tools/faults/<NN>.toml", "\n".join(FAULT.format(what, *lines) for what, lines in FAULTS.items()))
    recipe.python(str(recipe.project / "tools" / "notebooks.py"))
    recipe.change("README.md", "| [40](", f"{ROW}| [40](")
    tests = ("tests/test_notebooks.py", "tests/course/test_exercises.py")
    recipe.tests(*tests, "-k", "<NN> or in_step")
    recipe.tests(*tests, "-m", "slow", "-k", "<NN>")  # a notebook whose exercises nobody has done runs to its end
    made = recipe.project / "notebooks" / recipe.filled("<NN>_<topic>.ipynb")
    cells = json.loads(made.read_text(encoding="utf-8"))["cells"]
    text = "".join("".join(cell["source"]) for cell in cells)
    assert "Your code here" in text
    assert "log1p" not in text
    recipe.check()
