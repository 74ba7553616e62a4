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


def test_full_notebook_keeps_the_solution_and_works():
    full = source_of(cells_of(notebooks.notebook_text(SAMPLE))[1])
    namespace = {}
    exec(full, namespace)
    assert namespace["double"](2) == 4


def test_student_notebook_has_a_stub_in_place_of_the_solution():
    cells = cells_of(notebooks.notebook_text(SAMPLE, student=True))
    student = source_of(cells[1])
    assert "SOLUTION" not in student
    assert "x + x" not in student
    assert '"""Return 2 x."""' in student
    namespace = {}
    exec(student, namespace)
    with pytest.raises(NotImplementedError, match="Your code here"):
        namespace["double"](2)
    full = cells_of(notebooks.notebook_text(SAMPLE))
    assert [c["id"] for c in cells] == [c["id"] for c in full]
    assert [source_of(c) for c in cells[2:]] == [source_of(c) for c in full[2:]]


@pytest.mark.parametrize(
    "code",
    [
        "### BEGIN SOLUTION\nx = 1",
        "x = 1\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
    ],
)
def test_a_lost_marker_is_an_error(code):
    with pytest.raises(notebooks.NotebookError, match="SOLUTION"):
        notebooks.cut_solutions(code)


def test_code_with_its_solution_has_no_markers_and_nothing_for_students():
    code = "a = 1\n### BEGIN SOLUTION\nb = 2\n### INSTEAD\nb = 3\n\nc = 3\n### END SOLUTION\nd = 4"
    assert notebooks.with_solution(code) == "a = 1\nb = 2\nd = 4"
    assert notebooks.with_solution("a = 1  # INSTEAD of 2") == "a = 1  # INSTEAD of 2"
    with pytest.raises(notebooks.NotebookError, match="SOLUTION"):
        notebooks.with_solution("### BEGIN SOLUTION\nb = 2")


def test_command_writes_checks_and_cuts(tmp_path, monkeypatch, capsys):
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

    assert notebooks.main(["--student", str(tmp_path / "students")]) == 0
    assert "x + x" not in (tmp_path / "students" / "00_sample.ipynb").read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.glob("*.tmp")) == []
    with pytest.raises(SystemExit):
        notebooks.main(["--student", str(tmp_path)])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_opens_with_a_title_cell_and_points_on(path):
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)
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


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
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
