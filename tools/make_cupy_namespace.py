"""Write tests/fixtures/cupy_namespace.json: the names and signatures that CuPy has.

The strict stand-in for CuPy (tests/strict_cupy) refuses everything that is not in this file. Run it where CuPy is
installed; neither a GPU nor a driver is needed:

    python -m venv /tmp/cupy && /tmp/cupy/bin/pip install "cupy-cuda13x==14.2.*" scipy
    /tmp/cupy/bin/python tools/make_cupy_namespace.py

A function is stored as its parameters, ``"a, axis=, out=, *, dtype="``: an equals sign says that a default exists,
and all after a lone star are by keyword only. Other names are stored as what they are: ``"<ufunc>"``, ``"<type>"``,
``"<module>"``, ``"<property>"``, ``"<constant>"``, or ``"<numpy>"`` where CuPy hands on NumPy's own object.
"""

import inspect
import json
import re
from pathlib import Path
from types import ModuleType

import cupy
import cupy.fft
import cupy.linalg
import cupy.random
import cupyx
import cupyx.scipy.special
import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "cupy_namespace.json"

SPACES = {
    "cupy": cupy,
    "cupy.ndarray": cupy.ndarray,
    "cupy.ufunc": cupy.ufunc,
    "cupy.linalg": cupy.linalg,
    "cupy.fft": cupy.fft,
    "cupy.random": cupy.random,
    "cupy.lib.stride_tricks": cupy.lib.stride_tricks,
    "cupyx": cupyx,
    "cupyx.scipy.special": cupyx.scipy.special,
}


def main():
    namespace = {"version": cupy.__version__}
    for name, space in SPACES.items():
        public = [attribute for attribute in dir(space) if not attribute.startswith("_")]
        namespace[name] = {attribute: describe(space, attribute) for attribute in public}
    TARGET.write_text(json.dumps(namespace, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    print(f"Wrote {TARGET}: {sum(len(v) for v in namespace.values() if isinstance(v, dict))} names.")


def describe(space, name):
    """Return what the file says of one name."""
    value = getattr(space, name)
    if isinstance(value, ModuleType):
        return "<module>"
    if vars(np).get(name) is value:
        return "<numpy>"
    if isinstance(value, cupy.ufunc):
        return "<ufunc>"
    if isinstance(value, type):
        return "<type>"
    if inspect.isgetsetdescriptor(value) or inspect.ismemberdescriptor(value):
        return "<property>"
    return parameters(value, name) if callable(value) else "<constant>"


def parameters(function, name):
    """Return the parameters of a function, from its signature or, where Cython keeps none, from its docstring."""
    try:
        listed = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return parameters_from_text(inspect.getdoc(function) or "", name)
    parts, keyword_only = [], False
    for i, p in enumerate(listed):
        if p.name == "self":
            continue
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            if not any(q.kind is q.VAR_POSITIONAL for q in listed):
                parts.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        parts.append(stars + p.name + ("" if p.default is p.empty else "="))
        if p.kind is p.POSITIONAL_ONLY and (i + 1 == len(listed) or listed[i + 1].kind is not p.POSITIONAL_ONLY):
            parts.append("/")
    return ", ".join(parts)


def parameters_from_text(doc, name):
    """Read ``name(type a, b=None, ...) -> type`` as Cython writes it into the first line of a docstring."""
    found = re.match(rf"(?:\w+\.)?{name}\((.*)\)(?: -> .*)?$", doc.split("\n", 1)[0])
    if not found:
        return "*args, **kwargs"
    parts = []
    for part in found.group(1).split(", "):
        declared, equals, _ = part.partition("=")
        bare = declared.split()[-1] if declared.split() else ""
        if bare not in ("self", ""):
            parts.append(bare + equals)
    return ", ".join(parts)


if __name__ == "__main__":
    main()
