"""The recipe "Add an exercise", followed with a short one: a polynomial by Horner's rule, in notebook 40."""

import json

import pytest
from recipe import Recipe

EXERCISE = """

HORNER = Exercise(
    grade="derive",
    reference=lambda a, x: sum(a[k] * x**k for k in range(len(a))),
    cases=[([3.0, 0.5, -2.0], 1.5), ([0.2, 4.0], -0.3), ([1.0, -1.0, 2.0, 0.7], 2.5)],
    returns=["y"],
    mistakes={
        "the coefficients run the other way: the first is the constant one.": (
            lambda a, x: sum(a[-1 - k] * x**k for k in range(len(a)))
        ),
        "the constant coefficient is multiplied by x once: the last step adds and does not multiply.": (
            lambda a, x: x * sum(a[k] * x**k for k in range(len(a)))
        ),
        "all coefficients have the same power of x.": lambda a, x: sum(a) * x,
    },
    hints=["Take x out of all but one.", "Begin with the highest.", "`y = y * x + a[k]`, downwards."],
    praise="One product for each coefficient.",
)
"""
CELLS = '''
# %% [markdown]
# **Derive it yourself:** the value of a polynomial at x, with one product for each coefficient; a[0] is constant.


# %%
def my_value(a, x):
    """Return a[0] + a[1] x + a[2] x^2 + ..."""
    ### BEGIN SOLUTION
    y = 0.0
    for coefficient in reversed(a):
        y = y * x + coefficient
    return y
    ### END SOLUTION


# %%
my_value = exercises.HORNER.check(my_value)
'''
RIGHT = """"HORNER": {
        "NumPy's": lambda a, x: np.polynomial.polynomial.polyval(x, a),
        "powers": lambda a, x: np.array(a) @ x ** np.arange(len(a)),
    },"""
WRONG = """"HORNER": {
        "one power too many": lambda a, x: sum(c * x ** (k + 1) for k, c in enumerate(a)) + a[0] - a[0] * x,
        "the last is left out": lambda a, x: sum(c * x**k for k, c in enumerate(a[:-1])),
        "no signs": lambda a, x: sum(abs(c) * x**k for k, c in enumerate(a)),
    },"""


@pytest.mark.slow
def test_an_exercise(tmp_path):
    pytest.importorskip("nbclient")
    recipe = Recipe(tmp_path, "Add an exercise", NN="40", topic="the_same_convolution_four_times")
    assert len(EXERCISE.strip().splitlines()) <= 20
    exercises = recipe.project / "tinydiff" / "course" / "exercises" / "notebook_40.py"
    exercises.write_text(exercises.read_text(encoding="utf-8") + EXERCISE, encoding="utf-8")
    last = "my_kernel_gradient = exercises.KERNEL.check(my_kernel_gradient)\n"
    recipe.change("notebooks/src/<NN>_<topic>.py", last, last + CELLS)
    answers = "tests/answers/notebook_<NN>.py"
    recipe.change(answers, "LIBRARY = {", 'LIBRARY = {\n    "HORNER": "the library evaluates no polynomials.",')
    recipe.change(answers, "RIGHT = {", f"RIGHT = {{\n    {RIGHT}")
    recipe.change(answers, "WRONG = {", f"WRONG = {{\n    {WRONG}")
    recipe.python(str(recipe.project / "tools" / "notebooks.py"))
    recipe.tests("tests/course/test_exercises.py", "-k", "HORNER or own_answers and 40")
    made = (recipe.project / "notebooks" / "40_the_same_convolution_four_times.ipynb").read_text(encoding="utf-8")
    text = "".join("".join(cell["source"]) for cell in json.loads(made)["cells"])
    assert "my_value" in text
    assert "y * x + coefficient" not in text
    recipe.check()
