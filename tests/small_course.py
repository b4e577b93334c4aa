"""A course of two tiny lessons in a temporary folder, for tests of grading: not a test itself."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.build import release
from grader.paths import ROOT

SMALL, OTHER = "1_unit/1_small", "1_unit/2_other"

SETUP = "from course.learn import assert_close"

DOUBLE = """\
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""

CHECK_DOUBLE = """\
assert_close(double(2.0), 4.0, hint="twice two")
### BEGIN HIDDEN TESTS
assert_close(double(-31.5), -63.0, hint="less than nothing can be doubled")
secret_sum = double(17.25) + double(4)
assert_close(secret_sum, 42.5)
### END HIDDEN TESTS"""

HALF = """\
def half(x):
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION"""

CHECK_HALF = 'assert_close(half(3.0), 1.5, hint="not rounded")'
CHECK_BOTH = 'assert_close(half(double(7.0)), 7.0, hint="there and back")'
WHY = "Why?\n\n### BEGIN SOLUTION\nBecause.\n### END SOLUTION"


def _cell(identity: str, source: str, points: int = 0, text: bool = False) -> Any:
    solution, grade = "BEGIN SOLUTION" in source, points > 0
    metadata: dict[str, Any] = {"grade": grade, "solution": solution, "locked": not solution}
    metadata |= {"grade_id": identity, "schema_version": 3, "task": False}
    metadata |= {"points": points} if grade else {}
    make = new_markdown_cell if text else new_code_cell
    return make(source, id=identity, metadata={"nbgrader": metadata})


def solved(lesson: str = SMALL) -> Any:
    """A lesson's notebook with solutions and hidden tests: 4 points for checks, 2 by hand."""
    cells = [
        new_markdown_cell("# Numbers", id="title"),
        _cell("setup", SETUP),
        _cell("double", DOUBLE),
        _cell("double-check", CHECK_DOUBLE, points=2),
        new_code_cell("double(21)", id="try-it"),
    ]
    if lesson == SMALL:
        cells += [
            _cell("half", HALF),
            _cell("half-check", CHECK_HALF, points=1),
            _cell("both-check", CHECK_BOTH, points=1),
            _cell("why", WHY, points=2, text=True),
        ]
    else:
        for cell in cells[2:4]:
            cell.id = cell.metadata["nbgrader"]["grade_id"] = f"other-{cell.id}"
    metadata = {
        "course": {"lesson": lesson},
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    }
    return new_notebook(cells=cells, metadata=metadata)


def make_course(root: Path, *lessons: str) -> Path:
    """Write the lessons' notebooks, and what nbgrader needs, into a folder."""
    for lesson in lessons or (SMALL, OTHER):
        for folder, notebook in (
            ("solutions", solved(lesson)),
            ("notebooks", release(solved(lesson))),
        ):
            path = root / folder / f"{lesson}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, path)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "grader").mkdir(exist_ok=True)
    return root


ANSWERS = {
    "double": "def double(x):\n    return 2 * x",
    "half": "def half(x):\n    return x / 2",
    "why": "Because I say so.",
}


def handed_in(
    lesson: str = SMALL, change: Callable[[Any], None] | None = None, **cells: str
) -> Any:
    """What a student hands in: everything right, but for the given cells."""
    notebook = copy.deepcopy(release(solved(lesson)))
    answers = {f"other-{name}" if lesson == OTHER else name: x for name, x in ANSWERS.items()}
    for cell in notebook.cells:
        cell.source = (answers | cells).get(cell.id, cell.source)
    if change:
        change(notebook)
    return notebook


def cell_of(notebook: Any, identity: str) -> Any:
    """The first cell with this id."""
    return next(cell for cell in notebook.cells if cell.id == identity)
