r"""Check the index of equations: docs/equations.md, the code, the tests and the notebooks tell one story.

    python tools/check_equations.py            says what is wrong, and which notebook sections are planned

docs/equations.md owns the IDs, in rows of tables with these columns:

    | ID | source and number | LaTeX | plain sentence | code | notebook |

`code` is ``module:function`` or ``module:Class.method``, several separated by commas; a bar in LaTeX is written
``\vert``. For every ID,

- the docstring of each function says ``Eq. ID``,
- a test marked ``@pytest.mark.equation("ID")`` calls each, itself or through a name that its file defines,
- `notebook` is a number: in notebooks/src/NN_*.py a section says ``Eq. ID``, calls one of the functions and asserts;
  or it is ``planned: NN``.

And no ID is used, in a docstring, a test or a notebook, that the index does not own.
"""

import ast
import functools
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ID = r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+"
COLUMNS = ("ID", "source and number", "LaTeX", "plain sentence", "code", "notebook")


@dataclass(frozen=True)
class Equation:
    """One row of the index; `code` holds (module, function) pairs, `notebook` is "NN" or "planned: NN"."""

    id: str
    code: tuple[tuple[str, str], ...]
    notebook: str

    @property
    def is_planned(self) -> bool:
        """Whether no notebook derives it yet."""
        return self.notebook.startswith("planned")


class Check:
    """What the index of the project at `root` says, and what is wrong with it."""

    def __init__(self, root: Path = ROOT):
        self.root = root
        self.problems: list[str] = []
        self.equations = self._read_index()
        if not self.equations:
            return
        for equation in self.equations.values():
            self._check_docstrings(equation)
        self._check_tests()
        self._check_notebooks()
        self._check_that_used_ids_exist()

    def planned(self) -> dict[str, list[str]]:
        """Return notebook number -> IDs whose section is yet to be written."""
        planned = defaultdict(list)
        for equation in self.equations.values():
            if equation.is_planned:
                planned[equation.notebook.partition(":")[2].strip()].append(equation.id)
        return dict(sorted(planned.items()))

    def _read_index(self) -> dict[str, Equation]:
        index = self.root / "docs" / "equations.md"
        if not index.is_file():
            self.problems.append("docs/equations.md is missing")
            return {}
        equations: dict[str, Equation] = {}
        for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith("|"):
                continue
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if cells[0] == "ID" or not cells[0].strip("-: "):
                continue
            equation = self._read_row(f"docs/equations.md:{number}", cells)
            if equation and equation.id in equations:
                self.problems.append(f"docs/equations.md:{number}: {equation.id} stands there twice")
            elif equation:
                equations[equation.id] = equation
        if not equations:
            self.problems.append("docs/equations.md has no equations")
        return equations

    def _read_row(self, where: str, cells: list[str]) -> Equation | None:
        if len(cells) != len(COLUMNS):
            hint = r" (in LaTeX, write a bar as \vert)" if len(cells) > len(COLUMNS) else ""
            self.problems.append(f"{where}: {len(cells)} columns, but {len(COLUMNS)} were expected{hint}")
            return None
        name, code, notebook = cells[0].strip("`*"), cells[4].replace("`", ""), cells[5].strip("`")
        pairs = tuple(tuple(part.strip().split(":")) for part in code.split(","))
        for column, value in zip(COLUMNS, cells, strict=True):
            if not value:
                self.problems.append(f"{where}: the column '{column}' of {name} is empty")
        if not re.fullmatch(ID, name):
            self.problems.append(f"{where}: {name!r} is no ID such as DDPM-4")
        elif any(len(pair) != 2 for pair in pairs):
            self.problems.append(f"{where}: the code of {name} is {code!r}, but module:function was expected")
        elif not re.fullmatch(r"(planned: )?\d\d", notebook):
            self.problems.append(
                f"{where}: the notebook of {name} is {notebook!r}, but NN or 'planned: NN' was expected"
            )
        else:
            return Equation(name, pairs, notebook)  # type: ignore[arg-type]
        return None

    def _check_docstrings(self, equation: Equation) -> None:
        for module, function in equation.code:
            node = self._definition(module, function)
            if node is None:
                self.problems.append(f"{equation.id}: there is no {module}:{function}")
            elif equation.id not in ids_in(ast.get_docstring(node) or ""):  # type: ignore[arg-type]
                self.problems.append(
                    f"{equation.id}: the docstring of {module}:{function} does not say Eq. {equation.id}"
                )

    def _definition(self, module: str, function: str) -> ast.AST | None:
        parts = module.removeprefix("tinydiff.").split(".")
        path = self.root.joinpath("tinydiff", *parts)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        node: ast.AST | None = parsed(path.read_text(encoding="utf-8")) if path.is_file() else None
        for name in function.split("."):
            node = next((n for n in getattr(node, "body", []) if getattr(n, "name", None) == name), None)
        return node

    def _check_tests(self) -> None:
        uses: dict[str, set[str]] = {}
        shared = {path.stem: definitions(path.read_text("utf-8")) for path in (self.root / "tests").glob("*.py")}
        for path in sorted((self.root / "tests").rglob("test_*.py")):
            for marked, names in marked_tests(path.read_text(encoding="utf-8"), shared):
                if marked not in self.equations:
                    self.problems.append(f"{path.relative_to(self.root)}: a test is marked {marked}, which is no ID")
                uses.setdefault(marked, set()).update(names)
        for equation in self.equations.values():
            if equation.id not in uses:
                self.problems.append(f'{equation.id}: no test is marked @pytest.mark.equation("{equation.id}")')
                continue
            for module, function in equation.code:
                if function.rpartition(".")[2] not in uses[equation.id]:
                    self.problems.append(f"{equation.id}: no test that is marked so calls {module}:{function}")

    def _check_notebooks(self) -> None:
        for equation in self.equations.values():
            if equation.is_planned:
                continue
            found = sorted((self.root / "notebooks" / "src").glob(f"{equation.notebook}_*.py"))
            sections = [section for path in found for section in sections_of(path.read_text(encoding="utf-8"))]
            functions = {function.rpartition(".")[2] for _, function in equation.code}
            derived = [(calls & functions, asserts) for ids, calls, asserts in sections if equation.id in ids]
            where = f"notebook {equation.notebook}"
            if not derived:
                self.problems.append(f"{equation.id}: no section of {where} says Eq. {equation.id}")
            elif not any(called and asserts for called, asserts in derived):
                wanted = " or ".join(sorted(functions))
                self.problems.append(f"{equation.id}: its section of {where} does not call {wanted} and assert")

    def _check_that_used_ids_exist(self) -> None:
        for folder in ("tinydiff", "tests", "notebooks/src"):
            for path in sorted((self.root / folder).rglob("*.py")):
                if path.name == "test_equations.py":  # it speaks of equations that do not exist
                    continue
                for unknown in sorted(ids_in(path.read_text(encoding="utf-8")) - set(self.equations)):
                    self.problems.append(f"{path.relative_to(self.root)}: docs/equations.md has no {unknown}")


parsed = functools.cache(ast.parse)  # many equations are in one file


def ids_in(text: str) -> set[str]:
    """Return the IDs that a text names, as in ``Eq. DDPM-4``."""
    return set(re.findall(rf"\bEq\.\s+(?:#\s+)?({ID})", text))


def marked_tests(source: str, shared: dict[str, dict[str, set[str]]]) -> list[tuple[str, set[str]]]:
    """Return (ID, names used) for every mark of every test.

    Names count that the test uses itself, and those used by what it uses of its own file, or imports from a module that
    tests share: a table of samplers that it is parametrised over, or a function that several tests call.

    Parameters
    ----------
    source : str
        Text of the file of tests.
    shared : dict
        Module of ``tests`` -> the `definitions` of its source.
    """
    if "mark.equation" not in source:
        return []
    tree = parsed(source)
    local: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            theirs = shared.get(node.module or "", {})
            local |= {alias.name: reachable({alias.name}, theirs) for alias in node.names}
    local |= definitions(source)
    marked = []
    for test in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")):
        for mark in test.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.equation"):
                marked.append((ast.literal_eval(mark.args[0]), reachable(names_used(test), local)))
    return marked


def definitions(source: str) -> dict[str, set[str]]:
    """Return name -> the names that its definition reads, for all that a file defines at its top."""
    local: dict[str, set[str]] = {}
    for node in parsed(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            local[node.name] = names_used(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            local |= {t.id: names_used(node) for t in targets if isinstance(t, ast.Name)}
    return local


def names_used(node: ast.AST) -> set[str]:
    """Return the names and attributes that a piece of code reads."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def reachable(names: set[str], local: dict[str, set[str]]) -> set[str]:
    """Return names and all that the definitions behind them use."""
    reached, new = set(), set(names)
    while new:
        reached |= new
        new = set().union(*(local.get(name, set()) for name in new)) - reached
    return reached


@functools.cache
def sections_of(source: str) -> list[tuple[set[str], set[str], bool]]:
    """Return (IDs in the prose, names called, whether it asserts) of every section of a percent notebook.

    A section begins at a markdown cell with a heading.
    """
    sections: list[tuple[set[str], set[str], bool]] = [(set(), set(), False)]
    for header, cell in re.findall(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", source, re.MULTILINE):
        if "[markdown]" in header:
            if re.search(r"^# #+ ", cell, re.MULTILINE):
                sections.append((set(), set(), False))
            sections[-1][0].update(ids_in(cell))
            continue
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "", cell, flags=re.MULTILINE))
        calls = {ast.unparse(n.func).rpartition(".")[2] for n in ast.walk(tree) if isinstance(n, ast.Call)}
        asserts = any(isinstance(n, ast.Assert) for n in ast.walk(tree))
        ids, earlier, asserted = sections[-1]
        sections[-1] = (ids, earlier | calls, asserted or asserts)
    return sections


def main() -> int:
    check = Check()
    for problem in check.problems:
        print(problem, file=sys.stderr)
    planned = check.planned()
    for notebook, ids in planned.items():
        print(f"planned for notebook {notebook}: {', '.join(ids)}")
    n_planned = sum(map(len, planned.values()))
    print(f"{len(check.equations)} equations, {n_planned} of them planned; {len(check.problems)} problems.")
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
