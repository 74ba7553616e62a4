"""The notebooks are what their sources give, and solutions can be cut out of them."""

import json
import re

import jupytext
import pytest

from tools import notebooks

SOURCES = sorted(notebooks.SOURCES.glob("*.py"))

SAMPLE = '''\
# %% [markdown]
# # A title

# %%
def double(x):
    """Return 2 x."""
    ### BEGIN SOLUTION
    y = x + x
    return y
    ### END SOLUTION


# %%
assert double(2) == 4

# %%
assert double(2) == 4
'''


def cells_of(text):
    return json.loads(text)["cells"]


def source_of(cell):
    return "".join(cell["source"])


def test_notebooks_are_in_step():
    assert notebooks.out_of_step() == [], "run: python tools/notebooks.py"


def test_the_same_source_gives_the_same_bytes():
    assert notebooks.notebook_text(SAMPLE) == notebooks.notebook_text(SAMPLE)


def test_cell_ids_differ_and_survive_an_insertion():
    ids = [cell["id"] for cell in cells_of(notebooks.notebook_text(SAMPLE))]
    assert len(set(ids)) == 4
    more = [cell["id"] for cell in cells_of(notebooks.notebook_text("# %%\nx = 1\n\n" + SAMPLE))]
    assert more[1:] == ids


def test_generated_notebook_has_no_outputs():
    code = [c for c in cells_of(notebooks.notebook_text(SAMPLE)) if c["cell_type"] == "code"]
    assert len(code) == 3
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_solved_notebook_has_the_solution_folded_and_works():
    cell = cells_of(notebooks.notebook_text(SAMPLE, solved=True))[1]
    namespace = {}
    exec(source_of(cell), namespace)
    assert namespace["double"](2) == 4
    assert "###" not in source_of(cell)
    assert cell["metadata"]["jupyter"]["source_hidden"]


def test_notebook_has_a_stub_in_place_of_the_solution():
    cells = cells_of(notebooks.notebook_text(SAMPLE))
    student = source_of(cells[1])
    assert "SOLUTION" not in student
    assert "x + x" not in student
    assert '"""Return 2 x."""' in student
    namespace = {}
    exec(student, namespace)
    with pytest.raises(NotImplementedError, match="Your code here"):
        namespace["double"](2)
    solved = cells_of(notebooks.notebook_text(SAMPLE, solved=True))
    assert [c["id"] for c in cells] == [c["id"] for c in solved]
    assert [source_of(c) for c in cells[2:]] == [source_of(c) for c in solved[2:]]


def test_what_stands_instead_of_a_solution_is_for_students():
    marked = "    ### BEGIN SOLUTION\n    y = 2 * x\n    ### INSTEAD\n    y = 3 * x\n    ### END SOLUTION\n"
    code = f"def f(x):\n{marked}    return y"
    assert notebooks.for_students(code) == "def f(x):\n    y = 3 * x\n    return y"
    assert notebooks.with_solution(code) == "def f(x):\n    y = 2 * x\n    return y"


def test_links_of_a_solved_notebook_lead_to_the_same_places():
    source = "# %% [markdown]\n# [figures](../docs/benchmarks.md), [next](01_a.ipynb)"
    (cell,) = cells_of(notebooks.notebook_text(source, solved=True))
    assert source_of(cell) == "[figures](../../docs/benchmarks.md), [next](01_a.ipynb)"


@pytest.mark.parametrize(
    "code",
    [
        "### BEGIN SOLUTION\nx = 1",
        "x = 1\n### END SOLUTION",
        "### INSTEAD\nx = 1\n### END SOLUTION",
        "### BEGIN SOLUTION\n### INSTEAD\n### INSTEAD\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
    ],
)
def test_a_lost_marker_is_an_error(code):
    with pytest.raises(notebooks.NotebookError, match="SOLUTION"):
        notebooks.for_students(code)


def test_command_writes_and_checks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "SOURCES", tmp_path / "src")
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "00_sample.py").write_text(SAMPLE, encoding="utf-8")
    made = tmp_path / "00_sample.ipynb"

    assert notebooks.main(["--check"]) == 1
    assert "00_sample.ipynb is missing" in capsys.readouterr().err
    assert notebooks.main([]) == 0
    assert notebooks.main(["--check"]) == 0

    made.write_text(made.read_text(encoding="utf-8").replace("A title", "Another"), encoding="utf-8")
    (tmp_path / "99_orphan.ipynb").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert notebooks.main(["--check"]) == 1
    message = capsys.readouterr().err
    assert "00_sample.ipynb differs" in message
    assert "99_orphan.ipynb has no source" in message
    assert "python tools/notebooks.py" in message
    assert notebooks.main([]) == 0

    assert "x + x" not in made.read_text(encoding="utf-8")
    assert "x + x" in (tmp_path / "solutions" / "00_sample.ipynb").read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.glob("*.tmp")) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_opens_with_a_title_cell_and_points_on(path):
    assert re.fullmatch(r"(\d\d|ps[1-8])_[a-z0-9_]+", path.stem)
    cells = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells
    title, last = cells[0], cells[-1]
    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    for word in ("learn", "prerequisites", "minutes"):
        assert word in title.source.lower(), f"the title cell does not say: {word}"
    assert last.cell_type == "markdown"
    assert "next" in last.source.lower()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_formulas_are_whole(path):
    """A formula with a brace or a bracket too few would be shown as raw text."""
    for cell in jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells:
        if cell.cell_type != "markdown":
            continue
        text = re.sub(r"`[^`]*`", "", cell.source)
        assert text.count("$") % 2 == 0, text
        for display, inline in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL):
            formula = display or inline
            assert formula.count("{") == formula.count("}"), formula
            assert len(re.findall(r"\\left\b", formula)) == len(re.findall(r"\\right\b", formula)), formula
            assert "\n\n" not in formula, formula
            assert not re.search(r"\n *([-+*>#]|\d+\.) ", inline), f"this line would begin a list: {inline}"


SETS = [path for path in SOURCES if path.stem.startswith("ps")]


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_problem_set_can_be_checked_and_ends_with_a_picture_to_hand_in(path):
    text = path.read_text(encoding="utf-8")
    cells = jupytext.reads(text, fmt="py:percent").cells
    assert f"`tinydiff check {path.stem.partition('_')[0]}`" in text
    assert len(re.findall(r"^# ## Problem \d", text, re.MULTILINE)) >= 4
    to_hand_in = [cell for cell in cells if "hand-in" in cell.metadata.get("tags", [])]
    assert len(to_hand_in) >= 1
    assert "hand in" in text.lower()


@pytest.mark.parametrize("path", [path for path in SOURCES if path not in SETS], ids=lambda path: path.stem)
def test_notebook_has_all_that_each_has(path):
    text = path.read_text(encoding="utf-8")
    cells = jupytext.reads(text, fmt="py:percent").cells
    last = cells[-1].source
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert "predict, then run" in text.replace("\n# ", " ").lower()
    assert len(re.findall(r"^\d\. ", last, re.MULTILINE)) == 5, "a summary has five lines"
    assert last.count("<details><summary>") == last.count("</details>") == 3, "three questions with folded answers"
    assert "slider(" in code
    assert "show_source(" in code
    assert "assert " in code
