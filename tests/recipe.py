"""A copy of the project in which a recipe of CONTRIBUTING.md is followed, step by step."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("tinydiff", "tests", "tools", "docs", "notebooks", "pyproject.toml", "README.md", "CONTRIBUTING.md")
# And the weights, which are shared. What Python has compiled is copied: it would be compiled again for every command.
LEFT_OUT = (".*_cache", ".ipynb_checkpoints", "images", "*.pyc.*")  # the last: what is being written now
MOST_STEPS = 10
WRITTEN_ANEW = {"docs/api.md", "docs/reading.md"}  # at the end of every recipe
TINY_UNET = "--unet.image-size 8 --unet.channels 8 --unet.channel-mult 1 --unet.blocks-per-level 1 --unet.heads 2"
TINY_TRAINING = (*TINY_UNET.split(), *["--train.steps", "2", "--train.batch", "4", "--T", "20", "--threads", "1"])


def titles():
    """Return the titles of all recipes."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, recipes = text.partition("\n## Recipes\n")
    return re.findall(r"^### (.*)$", recipes.partition("\n## ")[0], re.MULTILINE)


def steps_of(title):
    """Return the numbered steps of a recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(rf"^### {re.escape(title)}\n\n(.*?)(?=\n#|\Z)", text, re.MULTILINE | re.DOTALL)
    steps = re.split(r"^(\d+)\. ", recipe, flags=re.MULTILINE)
    assert [int(number) for number in steps[1::2]] == list(range(1, len(steps) // 2 + 1)), "steps are counted"
    return steps[2::2]


def paths_in(steps):
    """Return the files and folders that steps name."""
    named = re.findall(r"`(?:python )?([\w./<>]+\.\w+|[\w./<>]+/)`", "\n".join(steps))
    return {path for path in named if "/" in path or path.endswith(".md")}


def files_under(folder):
    """Return the bytes of every file that belongs to the project, by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.startswith(COPIED) and "_cache" not in name and "__pycache__" not in name:
            found[name] = path.read_bytes()
    return found


class Recipe:
    """A recipe that is followed in a copy of the project; placeholders such as ``<name>`` are filled in everywhere.

    Parameters
    ----------
    folder : Path
        An empty one.
    title : str
        Of the recipe, as it stands in CONTRIBUTING.md.
    **names
        What each placeholder stands for.
    """

    def __init__(self, folder: Path, title: str, **names: str):
        self.project, self.elsewhere, self.names = folder / "project", folder / "elsewhere", names
        self.elsewhere.mkdir()
        self.written: list[str] = []
        self.steps = [self.filled(step) for step in steps_of(title)]
        self.paths = paths_in(self.steps)
        for name in COPIED:
            source, target = ROOT / name, self.project / name
            if source.is_dir():
                ignored = shutil.ignore_patterns(*LEFT_OUT, *(["weights"] if name == "tinydiff" else []))
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy(source, target)
        (self.project / "tinydiff" / "weights").symlink_to(ROOT / "tinydiff" / "weights")
        self.before = files_under(self.project)

    def filled(self, text: str) -> str:
        """Return a text with the placeholders filled in."""
        for placeholder, name in self.names.items():
            text = text.replace(f"<{placeholder}>", name)
        return text

    def write(self, path: str, text: str) -> None:
        """Write a new file."""
        self.written.append(self.filled(path))
        path = self.project / self.filled(path)
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.filled(text).lstrip("\n"), encoding="utf-8")

    def change(self, path: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        path, old = self.project / self.filled(path), self.filled(old)
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path.name} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, self.filled(new)), encoding="utf-8")

    def python(self, *arguments: str, status: int = 0) -> str:
        """Run Python with the copy as its library; return what it printed."""
        environment = {**os.environ, "PYTHONPATH": str(self.project), "PYTHONDONTWRITEBYTECODE": "1"}
        folder = self.project if arguments[:2] == ("-m", "pytest") else self.elsewhere
        run = subprocess.run(
            [sys.executable, *map(self.filled, arguments)], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert run.returncode == status, run.stdout + run.stderr
        return run.stdout + run.stderr

    def tinydiff(self, *arguments: str, status: int = 0) -> str:
        """Run the command line."""
        return self.python("-m", "tinydiff", *arguments, status=status)

    def tests(self, *arguments: str) -> str:
        """Run tests of the copy: those that are named, the index of equations, and the rules for the new files."""
        rules = ("architecture.py::test_imports_point_downwards", "limits.py::test_a_file_is_read_in_one_sitting")
        library = [path for path in self.written if path.startswith("tinydiff/")]
        rules = [f"tests/test_{rule}[{path}]" for rule in rules for path in library]
        index = "tests/test_equations.py::test_index_is_in_step"
        return self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", index, *rules, *arguments)

    def check(self) -> None:
        """The recipe names every file that was written or changed, and no file that is not there."""
        for tool in ("public_api.py", "reading_path.py"):  # the last thing, whatever was added
            self.python(str(self.project / "tools" / tool))
        after = files_under(self.project)
        touched = {name for name in after if after[name] != self.before.get(name)}
        assert touched
        named = self.paths | WRITTEN_ANEW
        assert touched <= named, f"the recipe does not name {sorted(touched - named)}"
        missing = [path for path in sorted(self.paths) if not (self.project / path).exists()]
        assert missing == [], "the recipe names what does not exist"
        assert set(self.before) <= set(after)
