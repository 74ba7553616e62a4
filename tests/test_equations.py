"""The index of equations, docs/equations.md, agrees with the code, the tests and the notebooks."""

import pytest

from tools.check_equations import Check

HEADER = "| ID | source and number | LaTeX | plain sentence | code | notebook |\n|---|---|---|---|---|---|\n"
ROW = r"| LIN-1 | textbook | $y = x W, \lvert y \rvert$ | A matrix acts. | `functional.linear:linear` | planned: 01 |"
CODE = 'def linear(x):\n    """Return x W (Eq.\n    LIN-1, everywhere)."""\n\n\ndef other():\n    """Do."""\n'
TEST = '@pytest.mark.equation("LIN-1")\ndef test_linear():\n    assert linear(2) == 2\n'
NOTEBOOK = (
    "# %% [markdown]\n# # One\n# See Eq. LIN-1.\n\n# %%\n%matplotlib inline\ny = F.linear(2)\n\n# %%\nassert y == 2\n"
)


def test_index_is_in_step():
    check = Check()
    assert check.problems == []
    print("planned:", check.planned())


@pytest.fixture
def project(tmp_path):
    """Return a function that writes a small project and says what is wrong with it."""

    def write(row=ROW, code=CODE, test=TEST, notebook=""):
        texts = {
            "docs/equations.md": f"# Equations\n\nProse | with a bar.\n\n{HEADER}{row}\n",
            "tinydiff/functional/linear.py": code,
            "tests/functional/test_linear.py": f"import pytest\n\n{test}",
            "tests/shared.py": "def helper():\n    return linear(2)\n",
            "notebooks/src/01_linear.py": notebook,
        }
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return Check(tmp_path)

    return write


def test_good_project_has_no_problem_and_lists_what_is_planned(project):
    check = project()
    assert check.problems == []
    assert check.planned() == {"01": ["LIN-1"]}


def test_notebook_section_that_derives_calls_and_asserts_counts(project):
    check = project(row=ROW.replace("planned: ", ""), notebook=NOTEBOOK)
    assert check.problems == []
    assert check.planned() == {}


@pytest.mark.parametrize(
    "test",
    [
        TEST.replace("linear(2) ==", "F.linear(2) =="),
        TEST.replace("linear(2) == 2", "PAIRS['a'](2)") + "\n\nPAIRS = {'a': linear}\n",
        TEST.replace("linear(2) == 2", "helper()") + "\n\ndef helper():\n    return linear(2)\n",
        TEST.replace("def test", "@pytest.mark.parametrize('f', [linear])\ndef test").replace("linear(2)", "f(2)"),
        "from shared import helper\n\n" + TEST.replace("linear(2) == 2", "helper()"),
        "class TestLinear:\n    " + TEST.replace("\n", "\n    "),
    ],
)
def test_function_may_be_called_through_names_of_the_test_file(project, test):
    assert project(test=test).problems == []


WRONG = {
    "there is no functional.linear:linear": {"code": "def other(): pass"},
    "there is no functional.lines:linear": {"row": ROW.replace("functional.linear:", "functional.lines:")},
    "does not say Eq. LIN-1": {"code": CODE.replace("LIN-1", "LIN-11")},
    "docs/equations.md has no LIN-11": {"code": CODE.replace("Do.", "Do Eq. LIN-11.")},
    "docs/equations.md has no GN-2": {"notebook": "# %% [markdown]\n# Eq. GN-2\n"},
    "no test is marked": {"test": TEST.replace("equation", "slow")},
    "no test that is marked so calls functional.linear:linear": {"test": TEST.replace("linear(2)", "2")},
    "no test that is marked so calls": {"test": TEST.replace("linear(2)", "helper()")},  # of no module that is imported
    "a test is marked LIN-9, which is no ID": {"test": TEST + TEST.replace("LIN-1", "LIN-9")},
    "7 columns, but 6 were expected (in LaTeX": {"row": ROW.replace(r"\lvert", "|")},
    "5 columns, but 6 were expected": {"row": ROW.replace("| A matrix acts. ", "")},
    "the column 'plain sentence' of LIN-1 is empty": {"row": ROW.replace("A matrix acts.", "")},
    "is no ID such as DDPM-4": {"row": ROW.replace("| LIN-1", "| linear one")},
    "module:function was expected": {"row": ROW.replace("linear:linear", "linear.linear")},
    "NN or 'planned: NN' was expected": {"row": ROW.replace("planned: 01", "later")},
    "LIN-1 stands there twice": {"row": f"{ROW}\n{ROW}"},
    "docs/equations.md has no equations": {"row": ""},
    "no section of notebook 01 says Eq. LIN-1": {"row": ROW.replace("planned: ", "")},
}


@pytest.mark.parametrize("problem", WRONG)
def test_what_is_out_of_step_is_named(project, problem):
    problems = project(**WRONG[problem]).problems
    assert any(problem in found for found in problems), problems


@pytest.mark.parametrize(
    "notebook",
    [
        NOTEBOOK.replace("assert y == 2", "print(y)"),
        NOTEBOOK.replace("F.linear(2)", "2  # F.linear(2)"),
        NOTEBOOK.replace("# %%\nassert", "# %% [markdown]\n# ## Next\n\n# %%\nassert"),
    ],
)
def test_notebook_section_must_call_and_assert(project, notebook):
    problems = project(row=ROW.replace("planned: ", ""), notebook=notebook).problems
    assert problems == ["LIN-1: its section of notebook 01 does not call linear and assert"]


def test_missing_index_is_one_problem(tmp_path):
    assert Check(tmp_path).problems == ["docs/equations.md is missing"]
