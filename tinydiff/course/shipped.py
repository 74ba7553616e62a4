"""Results that ship with the course: what would take longer to measure than a notebook should."""

import json
from pathlib import Path
from typing import Any

from tinydiff.base import DataError, InputError, checked, shown

RESULTS = Path(__file__).parent / "results"


@checked()
def shipped_results(name: str) -> Any:
    """Return what a benchmark has measured, by the name of its file, such as ``"families"``.

    Raises
    ------
    InputError
        If there are no results of this name.
    DataError
        If the file cannot be read.
    """
    known = sorted(path.stem for path in RESULTS.glob("*.json"))
    if name not in known:
        raise InputError(f"name is {shown(name)}, but one of {', '.join(known) or 'none'} was expected.")
    path = RESULTS / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}). Install tinydiff again.") from error
