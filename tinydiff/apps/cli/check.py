"""The command ``tinydiff check``."""

import re
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

import tinydiff
from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError
from tinydiff.course import check_notebook

HERE = (Path(), Path("notebooks"), Path(tinydiff.__file__).parents[1] / "notebooks")


@dataclass(frozen=True)
class Check:
    """Check the answers in a problem set or in a notebook of the course, and say what is still wrong.

    The exit status is 0 if all are right, and 1 if not.
    """

    what: Positional[str]
    """ps1 to ps8, the number of a notebook such as 05, or the path of a notebook."""

    seconds: int = 600
    """Stop a notebook that runs longer."""

    def run(self) -> None:
        """Run the notebook, and print a line for each exercise."""
        homework = check_notebook(self.path(), self.seconds)
        say(f"{homework.path}:")
        width = max(len(answer.name) for answer in homework.answers)
        for answer in homework.answers:
            say(f"  {answer.name:<{width}}  {answer.wrong or 'Right.'}")
        for trouble in homework.troubles:
            say(f"  {trouble}")
        say(f"{homework.right} of {len(homework.answers)} are right.")
        if homework.right < len(homework.answers):
            raise SystemExit(1)

    def path(self) -> Path:
        """Return the path of the notebook that is asked for."""
        if self.what.endswith(".ipynb"):
            return Path(self.what)
        if not re.fullmatch(r"ps\d|\d\d", self.what):
            raise InputError(
                f"what is {self.what!r}, but ps1 to ps8, the number of a notebook such as 05, or a path "
                "that ends in .ipynb was expected."
            )
        for folder in HERE:
            found = sorted(folder.glob(f"{self.what}_*.ipynb"))
            if found:
                return found[0]
        raise InputError(
            f"There is no notebook {self.what}_*.ipynb here, nor in the folder notebooks; give its path instead."
        )
