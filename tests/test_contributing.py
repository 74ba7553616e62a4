"""The recipes of CONTRIBUTING.md are short, name what exists, and each is followed by a test in tests/contributing/."""

import re
from pathlib import Path

import pytest
from recipe import MOST_STEPS, ROOT, paths_in, steps_of, titles

FOLLOWED = "\n".join(path.read_text(encoding="utf-8") for path in (Path(__file__).parent / "contributing").glob("*.py"))


@pytest.mark.parametrize("title", titles())
def test_a_recipe_is_short_and_names_what_exists(title):
    steps = steps_of(title)
    assert 3 <= len(steps) <= MOST_STEPS
    paths = paths_in(steps)
    assert any("<" in path for path in paths), "it says which file to write"
    assert [path for path in sorted(paths) if "<" not in path and not (ROOT / path).exists()] == []


def test_every_recipe_is_followed():
    assert len(titles()) >= 7
    assert sorted(re.findall(r'Recipe\(tmp_path, "(.*?)"', FOLLOWED)) == sorted(titles())


def test_a_path_is_told_from_other_code():
    step = (
        "Write `a/<name>.py`, run `python tools/x.py` in `docs/`, and list it in `README.md`; not `self.pack()`, `x.y`."
    )
    assert paths_in([step]) == {"a/<name>.py", "tools/x.py", "docs/", "README.md"}
