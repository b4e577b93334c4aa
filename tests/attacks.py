"""A lesson with a secret, ways to attack the grading of it, and the walls around it: not a test itself."""

import copy
import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from small_course import _cell

from grader.answer_key import make_key
from grader.build import release
from grader.fork_server import close_all
from grader.outcome import Outcome
from grader.pack import Pack
from grader.paths import ROOT
from grader.sandbox import layers
from grader.sandbox.layers import Limits
from grader.worker import How, Job, grade_submission

LESSON = "9_unit/1_vault"
SCALARS = "1_micrograd/1_scalars"

SETUP = "from course.learn import assert_close, assert_raises, assert_true"

DOUBLE = """\
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""

CHECK_DOUBLE = """\
assert_close(double(2.0), 4.0, hint="twice two")
### BEGIN HIDDEN TESTS
# nobody reads this comment
assert_close(double(-31.4375), -62.875, hint="less than nothing can be doubled")
hidden_name = double(1234.5)
assert_close(hidden_name, 2469.0)
### END HIDDEN TESTS"""

HALF = """\
def half(x):
    ### BEGIN SOLUTION
    if isinstance(x, str):
        raise ValueError(x)
    return x / 2
    ### END SOLUTION"""

CHECK_HALF = """\
def small(x):
    assert_true(x < 100, hint="stay small")
    return x


assert_close(half(small(3.0)), 1.5, hint="not rounded")
assert_raises(ValueError, half, "text", hint="refuse text")
### BEGIN HIDDEN TESTS
assert_raises(ValueError, half, "sesame", hint="refuse all text")
assert_close(half(small(77.25)), 38.625, hint="not rounded either")
### END HIDDEN TESTS"""

ANSWERS = {
    "double": "def double(x):\n    return 2 * x",
    "half": "def half(x):\n    if isinstance(x, str):\n        raise ValueError(x)\n    return x / 2",
}
SECRETS = ("31.4375", "62.875", "1234.5", "hidden_name", "2469", "sesame", "77.25", "38.625")
SECRETS += ("nobody reads",)
SETUP_PLACE, DOUBLE_PLACE, DOUBLE_CHECK, HALF_PLACE, HALF_CHECK = range(5)

# Student code that has found what it shares its process with.
PRELUDE = """
import gc, json, os, socket, sys, time

player = next(o for o in gc.get_objects() if type(o).__name__ == "Player")


def say(**words):
    player.main.say(words)


def hear():
    return player.main.hear()

"""

WALLS = ("bubblewrap", "namespaces", "neither")
QUICK = Limits(cell_seconds=3, notebook_seconds=9)


@functools.cache
def solved() -> Any:
    """The lesson, with solutions and hidden tests."""
    cells = [
        _cell("setup", SETUP),
        _cell("double", DOUBLE),
        _cell("double-check", CHECK_DOUBLE, points=2),
        _cell("half", HALF),
        _cell("half-check", CHECK_HALF, points=1),
    ]
    metadata = {
        "course": {"lesson": LESSON},
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    }
    return new_notebook(cells=cells, metadata=metadata)


@functools.cache
def pack(lesson: str = LESSON) -> Pack:
    """A lesson, packed, without its bank."""
    if lesson == LESSON:
        whole, empty = solved(), release(copy.deepcopy(solved()))
    else:
        whole, empty = (
            nbformat.read(ROOT / folder / f"{lesson}.ipynb", 4)
            for folder in ("solutions", "notebooks")
        )
    return Pack(lesson, nbformat.writes(whole), nbformat.writes(empty), make_key(whole))


def hand_in(lesson: str = LESSON, extra: Sequence[str] = (), **cells: str) -> Any:
    """A submission with these cells, and others at its end; what is not given is right."""
    notebook = nbformat.reads(pack(lesson).release, 4)
    for cell in notebook.cells:
        cell.source = ({**ANSWERS, **cells} if lesson == LESSON else cells).get(
            cell.id, cell.source
        )
    notebook.cells += [new_code_cell(source) for source in extra]
    return notebook


def grade(
    lesson: str = LESSON, limits: Limits = QUICK, extra: Sequence[str] = (), **cells: str
) -> Outcome:
    """Grade a submission with these cells."""
    content = nbformat.writes(hand_in(lesson, extra, **cells)).encode()
    return grade_submission(Job("eve", lesson, content), pack(lesson), How(limits, unsafe=True))


def points(outcome: Outcome) -> float:
    """All the points it gave."""
    return sum(check.points for check in outcome.checks)


def printed(outcome: Outcome, identity: str) -> str:
    """What a cell printed."""
    assert outcome.notebook is not None, outcome.findings
    cell = next(cell for cell in outcome.notebook["cells"] if cell["id"] == identity)
    return "".join(output.get("text", "") for output in cell["outputs"])


def visible_text(outcome: Outcome) -> str:
    """All that anybody may read of an outcome, as one text."""
    words = dataclasses.asdict(dataclasses.replace(outcome, checks=[]))
    words["checks"] = [
        (check.message, check.misconception, check.failed_at) for check in outcome.checks
    ]
    for name in ("seconds", "cpu_seconds", "memory", "digest"):
        del words[name]
    return json.dumps(words, ensure_ascii=False)


def leaked(outcome: Outcome) -> list[str]:
    """The secrets that somebody may read in an outcome."""
    text = visible_text(outcome)
    return [secret for secret in SECRETS if secret in text or secret[::-1] in text]


def put_up(wall: str, patch: pytest.MonkeyPatch) -> None:
    """Let fork servers run behind this wall from now on; skip if the machine lacks it."""
    close_all()
    if wall != "bubblewrap":
        patch.setattr(layers, "_bubblewrap", lambda readable: [])
    if wall == "neither":
        patch.setattr(layers, "_unshare", lambda: [])
    found = layers.wrapper(())[0]
    if wall != "neither" and found != wall:
        pytest.skip(f"NOT TESTED: this machine has no {wall} (it has {found or 'nothing'})")
    if layers.landlock_version() < 6 or not layers.seccomp_works():
        pytest.skip("NOT TESTED: this machine lacks landlock (version 6 or newer) or seccomp")


def attempts(lines: dict[str, str], before: str = "") -> str:
    """Student code that tries each line, and prints what came of it as JSON.

    What a line gives is told in words if it worked; a line that raised has the value None.
    """
    code = [
        "import ctypes, json, os, pathlib, resource, signal, socket, stat, subprocess, sys, time",
        "found = {}",
        "libc = ctypes.CDLL(None, use_errno=True)",
        "def call(number, *arguments):",
        "    result = libc.syscall(number, *arguments)",
        "    if result < 0:",
        "        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))",
        "    return result",
        before,
    ]
    for name, line in lines.items():
        code.append(
            f"try:\n    found[{name!r}] = repr({line})[:2000]\n"
            f"except BaseException as error:\n    found[{name!r}] = None"
        )
    return "\n".join([*code, "print(json.dumps(found))"])


def came_of(outcome: Outcome, identity: str = "half") -> dict[str, str | None]:
    """What student code made by `attempts` has printed."""
    return json.loads(printed(outcome, identity))
