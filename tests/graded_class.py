"""A class on the small course, graded once for all tests that look at it: not a test itself."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from small_course import cell_of, handed_in, make_course

from grader.grade import grade
from grader.results import Result
from grader.sandbox.layers import Limits
from grader.worker import How

CELL_SECONDS = 3
HOW = How(Limits(CELL_SECONDS, 5 * CELL_SECONDS), unsafe=True)

# Student code that prints and raises the tests that run it, wherever it finds them: plain, quoted,
# coloured, as HTML.
SPY = """
import inspect, linecache, traceback

seen = []

def double(x):
    frame = inspect.currentframe().f_back
    seen.append(x)
    print(In[-1], [In[-1]], linecache.getlines(frame.f_code.co_filename))
    if x == 4:
        raise ValueError(In[-1])
    return 2 * x
"""

SPY_LATER = """
import json
from IPython.display import HTML, Code, display

display(HTML("<pre>" + __import__("html").escape("\\n".join(In)) + "</pre>"), Code("\\n".join(In)))
print(json.dumps(In))
get_ipython().showtraceback()
raise RuntimeError(In)
"""

STUBBORN = """
import time

while True:
    try:
        time.sleep(0.1)
    except BaseException:
        pass
"""


def _copy_check(notebook: Any) -> None:
    twin = nbformat.from_dict(dict(cell_of(notebook, "double-check")))
    twin.id = "twin"
    notebook.cells.append(twin)


def _drop_check(notebook: Any) -> None:
    notebook.cells.remove(cell_of(notebook, "double-check"))


def _edit_check(notebook: Any) -> None:
    cell_of(notebook, "double-check").source = "assert True"


def _skip_checks(notebook: Any) -> None:
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution"]


def _raise_points(notebook: Any) -> None:
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"].update(points=1000, grade=True, solution=True)


CHAINED = """
def double(x):
    try:
        return {2.0: 4.0, 7.0: 14.0}[x]
    except KeyError as error:
        raise ValueError(f"cannot double {x}") from error
"""

NOTHING = {name: "pass" for name in ("double", "half")}

# Who hands in what: the cells that are not right, and what was done to the notebook.
PUPILS: dict[str, tuple[dict[str, str], Callable[[Any], None] | None]] = {
    "right": ({}, None),
    "nothing": (NOTHING, None),
    "half wrong": ({"half": "def half(x): return x // 2"}, None),
    "hidden wrong": ({"double": "def double(x): return abs(2 * x)"}, None),
    "plainly wrong": ({"double": "def double(x): return x + 1"}, None),
    "borrows": ({"half": "from course.learn import borrow\nhalf = borrow('course.start.lerp')"}, None),
    "shadows": ({"double": "def double(x): return x + 1\ndef assert_close(*a, **k): pass"}, None),
    "chained": ({"double": CHAINED}, None),
    "syntax": ({"half": "def half(x) return x / 2"}, None),
    "warns": ({"half": "def half(x):\n    __import__('sys').stderr.write('hm')\n    return x / 2"}, None),
    "exits": ({"half": "import sys\nsys.exit(0)"}, None),
    "dies": ({"half": "import os\nos._exit(0)"}, None),
    "loops": ({"half": "def half(x):\n    while True: pass"}, None),
    "stubborn": ({"half": STUBBORN}, None),
    "spy": ({"double": SPY, "half": SPY_LATER}, None),
    "orphan": ({"half": "import subprocess\nsubprocess.Popen(['sleep', '4321'], start_new_session=True)"}, None),
    "copied": ({}, _copy_check),
    "dropped": ({}, _drop_check),
    "edited": (NOTHING, _edit_check),
    "skips": (NOTHING, _skip_checks),
    "points": (NOTHING, _raise_points),
}  # fmt: skip

FILES = {"empty": "", "broken": nbformat.writes(handed_in())[:700]}


@dataclass
class Class:
    """The graded class.

    Attributes:
        root: the course's folder.
        before: what was in each submitted file.
        results: by student.
        watched: what was said about progress.
    """

    root: Path
    before: dict[Path, bytes]
    results: dict[str, Result]
    watched: list[tuple[str, int, int]]

    def page(self, student: str) -> str:
        """The feedback that a student gets."""
        (path,) = self.root.glob(
            f"grader/feedback/{student.replace(' ', '_')}*/1_unit/1_small.html"
        )
        return path.read_text(encoding="utf-8")


@functools.cache
def graded_class() -> Class:
    """Grade the class; only the first call takes time."""
    root = make_course(Path(tempfile.mkdtemp(prefix="graded-class-")))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    folder = root / "handed_in"
    folder.mkdir()
    for name, (cells, change) in PUPILS.items():
        nbformat.write(handed_in(change=change, **cells), folder / f"{name}.ipynb")
    for name, text in FILES.items():
        (folder / f"{name}.ipynb").write_text(text)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    watched: list[tuple[str, int, int]] = []
    graded = grade(folder, root, how=HOW, watch=lambda *what: watched.append(what))
    return Class(root, before, {result.student: result for result in graded.results}, watched)
