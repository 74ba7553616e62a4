"""The documents point to what exists: files, headings, tests, equations."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import tinydiff
from tinydiff.apps.cli.main import parse
from tinydiff.base import Noise
from tinydiff.data import load_data
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.functional import mse, mse_backward
from tinydiff.networks import UNet, UNetConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW
from tools import reading_path
from tools.check_equations import ID

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("tinydiff/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`((?:\w[\w-]*/)+(?:[\w-]+\.\w+)?)`")
DOTTED = re.compile(r"\b(tinydiff(?:\.[A-Za-z_]\w*)+)")
OLD_NAME = re.compile(r"^\|[^|]*\|", re.MULTILINE)  # the first column of the changelog's tables


def headings(path):
    """Return the anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_named_tests_exist(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor and there.suffix == ".md":
            assert anchor in headings(there), f"{page.name} links to {target}#{anchor}, but there is no such heading"
    for file, test in TEST.findall(text):
        assert (ROOT / file).exists(), f"{page.name} names {file}"
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page.name} names {test}"


def exists(dotted):
    """Whether a dotted name is a module of tinydiff, or something in one."""
    parts = dotted.split(".")
    for i in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:i]))
        except ModuleNotFoundError:
            continue
        for name in parts[i:]:
            thing = getattr(thing, name, None)
        return thing is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_and_names_exist(page):
    text = page.read_text(encoding="utf-8")
    if page.name == "CHANGELOG.md":
        text = OLD_NAME.sub("", text)
    for name in FILE.findall(FENCED.sub("", text)):
        found = any((folder / name).exists() for folder in (ROOT, ROOT / "tinydiff"))
        assert found or "NN" in name, f"{page.name} names {name}, which does not exist"
    for name in DOTTED.findall(text):
        assert exists(name), f"{page.name} names {name}, which does not exist"


def rooms_of_the_house(text):
    """Return room -> the files and folders that the list in docs/design.md names."""
    (listed,) = re.findall(r"^```\ntinydiff/\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rooms = {}
    for line in listed.splitlines():
        indent, names = len(line) - len(line.lstrip()), re.findall(r"\w+(?:\.py|/)(?=\s|$|:)", line)
        if indent == 2:
            room, *names = names
            rooms[room.removesuffix("/")] = set()
        rooms[next(reversed(rooms))] |= {name.removesuffix("/") for name in names}
    return rooms


def test_the_house_in_the_design_is_the_one_that_stands():
    rooms = rooms_of_the_house((ROOT / "docs" / "design.md").read_text(encoding="utf-8"))
    source = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    (order,) = (node.value for node in source.body if getattr(getattr(node, "targets", [None])[0], "id", "") == "ROOMS")
    assert list(rooms) == [node.value for node in ast.walk(order) if isinstance(node, ast.Constant)]
    for room, names in rooms.items():
        folder = ROOT / "tinydiff" / room
        there = {path.name for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        assert names == there - {"__init__.py"}, room


def test_the_reading_path_names_what_is_there():
    assert reading_path.main(["--check"]) == 0


READING = """# Ways

## One

Altogether 1 lines.

1. [nn/tape.py: Tape.push](../tinydiff/nn/tape.py#L1-L2), 2 lines: what is kept.
2. [text/__init__.py](../tinydiff/text/__init__.py), N lines: a room.
"""


def test_wrong_numbers_of_the_reading_path_are_seen(monkeypatch, tmp_path, capsys):
    page = tmp_path / "reading.md"
    monkeypatch.setattr(reading_path, "PAGE", page)
    page.write_text(READING, encoding="utf-8")
    assert reading_path.main(["--check"]) == 1
    assert reading_path.main([]) == 0
    assert reading_path.main(["--check"]) == 0
    push, room = reading_path.steps(page.read_text(encoding="utf-8"))
    lines = (ROOT / "tinydiff" / "nn" / "tape.py").read_text(encoding="utf-8").splitlines()
    assert lines[push.first - 1].strip().startswith("def push(")
    assert f"Altogether {push.lines + room.lines} lines" in page.read_text(encoding="utf-8")
    page.write_text(READING.replace("Tape.push", "Tape.forget"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"names Tape\.forget in tinydiff/nn/tape\.py, which has no forget"):
        reading_path.main(["--check"])
    page.write_text(READING.replace("tape.py", "ribbon.py"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"ribbon\.py, which does not exist"):
        reading_path.main(["--check"])
    assert "but the files say" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["article", "faq", "glossary"])
def test_equations_stand_in_the_index(name):
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    named = set(re.findall(rf"Eq\. ({ID})", text))
    if name == "glossary":
        named = {i for part in re.findall(r"\(([A-Z0-9 ,-]+)\) \|", text) for i in part.split(", ")}
    assert len(named) > 5
    index = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    assert named <= set(re.findall(rf"^\| ({ID}) \|", index, re.MULTILINE))


def snippets(page, **fewer):
    """Return a page's blocks of Python, with smaller numbers where a test need not take long."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name, value in fewer.items():
        found = [re.sub(rf"\b{name}=\d+", f"{name}={value}", snippet) for snippet in found]
    return found


def test_the_snippets_of_the_readme_run(capsys):
    one_line, step_by_step, pair, train_step, check = snippets("README.md", n=2, steps=2)
    unet = UNet(UNetConfig(channels=8, channel_mult=(1, 2), blocks_per_level=1, num_classes=10))
    rng = np.random.default_rng(0)
    names = {
        "data": load_data("mnist-small", "train"),
        "diffusion": GaussianDiffusion(cosine_schedule(1000)),
        "unet": unet,
        "optimizer": AdamW(unet.theta),
        "noise": Noise(0),
        "indices": np.arange(2),
        **{"Tape": Tape, "Gradients": Gradients, "mse": mse, "mse_backward": mse_backward},
        **{"x": rng.normal(size=(5, 3)), "w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)},
    }

    exec(one_line, names)
    assert names["digits"].shape == names["sevens"].shape == (2, 28, 28, 1)

    exec(step_by_step, names)
    assert names["x_t"].shape == (2, 16, 16, 3)
    assert capsys.readouterr().out.splitlines()[-1].startswith("t =   0.0: the picture has contrast ")

    before = unet.theta.copy()
    exec(train_step, names)
    assert 0.5 < float(names["loss"]) < 2
    assert not np.array_equal(unet.theta, before)

    exec(pair, names)
    names |= {"my_linear": names["linear"], "my_linear_backward": names["linear_backward"]}
    right = unet.forward(names["x_t"], names["t"], names["labels"])
    exec(check, names)
    assert "right" in capsys.readouterr().out
    np.testing.assert_allclose(unet.forward(names["x_t"], names["t"], names["labels"]), right, atol=1e-6)


def test_the_commands_of_the_readme_fit_the_command_line():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^tinydiff (.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert len(commands) > 8
    for command in commands:
        parse(shlex.split(command))  # it exits where an option does not exist


def test_the_snippet_of_the_design_runs():
    (snippet,) = snippets("docs/design.md", n=1, steps=2)
    names = {"tinydiff": tinydiff}
    exec(snippet, names)
    assert names["x_t"].shape == (1, 16, 16, 3)


def test_every_question_has_a_notebook_and_a_test():
    _, *answers = re.split(r"^## ", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for answer in answers:
        assert "](../notebooks/" in answer, answer.splitlines()[0]
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", answer), answer.splitlines()[0]
