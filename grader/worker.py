"""Grading one submission: bytes in, an outcome out. No folder, no gradebook, no other submission.

So it can run anywhere: in a thread of the grader, or on another machine.
"""

import functools
import hashlib
import platform
import re
import socket
import symtable
import threading
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

import nbformat
from nbformat.v4 import new_output

from grader.answer_key import is_check, take_apart
from grader.dissect import Dissected, visible_source
from grader.doctor import require_walls
from grader.errors import GraderError
from grader.fork_server import Lost
from grader.outcome import CheckOutcome, Outcome
from grader.pack import Misconception, Pack, essence
from grader.play import Cell, Checked, Played, error_output, play
from grader.preflight import Unreadable, check, parse_notebook
from grader.results import Status
from grader.sandbox.layers import Limits

REPORTED = ("scalars-to-gpt", "numpy", "numba", "nbgrader", "ipython")
IDENTIFIER = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Job:
    """One student's notebook of one lesson.

    Attributes:
        student: the student's id.
        lesson: "<unit>/<lesson>".
        content: of the file.
        problem: why it cannot be graded, if that is known already.
        findings: what is known about how it was chosen.
    """

    student: str
    lesson: str
    content: bytes
    problem: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class How:
    """How submissions are run.

    Attributes:
        limits: how much each may use.
        executor: "sandbox", or "jupyter" for a Jupyter kernel and no sandbox.
        unsafe: run it also where nothing keeps it in.
        all_cells: run also what came with the notebook and cannot change a mark.
    """

    limits: Limits = field(default_factory=Limits)
    executor: str = "sandbox"
    unsafe: bool = False
    all_cells: bool = False


def digest_of(job: Job, pack: Pack, how: How) -> str:
    """Of all that an outcome depends on: if it is the same, grading again gives the same."""
    said = repr((job.student, job.lesson, job.problem, job.findings, pack.digest, asdict(how)))
    return hashlib.sha256(hashlib.sha256(job.content).digest() + said.encode()).hexdigest()


def grade_submission(job: Job, pack: Pack, how: How) -> Outcome:
    """Grade one submission, whatever is in it.

    Args:
        job: what was handed in.
        pack: the lesson.
        how: how to run it.

    Returns:
        What came of it. Its status says if something was wrong; nothing is raised for that.

    Raises:
        GraderError: if this machine cannot run submissions at all.
    """
    start = time.perf_counter()
    if not how.unsafe:
        require_walls()
    outcome = Outcome(job.student, job.lesson, Status.OK, list(job.findings))
    outcome.executor = how.executor
    outcome.host, outcome.versions = socket.gethostname(), versions()
    outcome.digest = digest_of(job, pack, how)
    try:
        if job.problem:
            raise Unreadable(job.problem)
        _grade(job, pack, how, outcome)
    except Unreadable as error:
        outcome.status = Status.UNREADABLE
        outcome.findings.append(str(error))
    except (GraderError, Lost):
        raise  # the grader's own trouble, not the submission's
    except Exception as error:  # whatever it is, it is not the other students' fault
        outcome.status, outcome.checks, outcome.notebook = Status.CRASHED, [], None
        outcome.findings.append(f"grading failed: {type(error).__name__}: {error}")
    outcome.seconds = round(time.perf_counter() - start, 3)
    return outcome


@functools.cache
def versions() -> dict[str, str]:
    """What graded it."""
    found = {"python": platform.python_version()}
    for name in REPORTED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Lesson:
    """A pack, unpacked for use: parsed notebooks, and checks taken apart."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.solved = nbformat.reads(pack.solved, 4)
        self.release = nbformat.reads(pack.release, 4)
        self.checks: dict[str, Dissected] = take_apart(self.solved)
        self.sources = {
            cell.metadata["nbgrader"]["grade_id"]: cell.source
            for cell in self.solved.cells
            if is_check(cell)
        }
        self.demos = {
            cell.source
            for cell in self.release.cells
            if cell.cell_type == "code" and "nbgrader" not in cell.metadata
        }


_lessons: dict[str, Lesson] = {}
_unpacking = threading.Lock()


def lesson_of_pack(pack: Pack) -> Lesson:
    """The pack, unpacked; unpacked once in each process, by whichever thread comes first."""
    with _unpacking:
        if pack.digest not in _lessons:
            _lessons[pack.digest] = Lesson(pack)
        return _lessons[pack.digest]


def _grade(job: Job, pack: Pack, how: How, outcome: Outcome) -> None:
    lesson = lesson_of_pack(pack)
    checked = check(parse_notebook(job.content), lesson.release)
    notebook = checked.notebook
    outcome.status = checked.status
    outcome.findings += checked.findings
    if how.executor == "jupyter":
        from grader.execute import run_in_jupyter

        run_in_jupyter(notebook, lesson, how.limits, outcome)
    else:
        not_run = set() if how.all_cells else idle_demos(notebook, lesson.demos)
        places = [
            place
            for place, cell in enumerate(notebook.cells)
            if cell.cell_type == "code" and cell.source.strip() and place not in not_run
        ]
        cells = [_cell(notebook.cells[place], lesson) for place in places]
        with_numba = "numba" in pack.solved
        played = play(cells, pack.lesson, how.limits, with_numba=with_numba)
        _set_outputs(notebook, places, played)
        _judge(outcome, lesson, played)
        kept = {"not_run": [notebook.cells[place].id for place in sorted(not_run)]}
        notebook.metadata.setdefault("course", {})["grading"] = kept
    _name_misconceptions(outcome, pack.misconceptions)
    for cell in notebook.cells:
        name = _grade_id(cell)
        if name in lesson.checks:
            cell.source = visible_source(lesson.sources[name]).rstrip()
            failed = next((x for x in outcome.checks if x.id == name and x.message), None)
            cell.outputs = (
                [nbformat.from_dict(error_output("CheckFailed", failed.message))] if failed else []
            )
    outcome.notebook = notebook


def _grade_id(cell: Any) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _cell(cell: Any, lesson: Lesson) -> Cell:
    name = _grade_id(cell)
    if name in lesson.checks:
        key = lesson.pack.key[name]
        return Cell(name, called(cell), lesson.sources[name], lesson.checks[name], key)
    return Cell(name or f"cell {cell.id}", called(cell), cell.source)


def called(cell: Any) -> str:
    """What to call a cell in words: its id with nbgrader, or how it begins."""
    name = _grade_id(cell)
    if name:
        return f"the cell {name!r}"
    return f"the cell that begins {cell.source.strip().splitlines()[0][:50]!r}"


def idle_demos(notebook: Any, demos: set[str]) -> set[int]:
    """The places of cells that came with the notebook and that no code of the student's needs.

    They cannot change a mark: checks do without demos. What student code may need is told from
    names, rather too much than too little.
    """
    code = {
        place: cell
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    }
    idle = {
        place
        for place, cell in code.items()
        if "nbgrader" not in cell.metadata and cell.source in demos
    }
    needed = {
        name
        for place, cell in code.items()
        if place not in idle and not is_check(cell)
        for name in _names(cell.source, defined=False)
    }
    while True:
        used = {place for place in idle if _names(code[place].source, defined=True) & needed}
        if not used:
            return idle
        idle -= used
        for place in used:
            needed |= _names(code[place].source, defined=False)


@functools.lru_cache(4096)
def _names(source: str, defined: bool) -> frozenset[str]:
    """The global names that a cell defines, or those that it uses."""
    try:
        table = symtable.symtable(source, "<cell>", "exec")
    except (
        SyntaxError,
        ValueError,
        RecursionError,
    ):  # a magic, or a mistake: every word may be a name
        return frozenset(IDENTIFIER.findall(source))
    if defined:
        return frozenset(
            x.get_name() for x in table.get_symbols() if x.is_assigned() or x.is_imported()
        )
    names, tables = set(), [table]
    while tables:
        table = tables.pop()
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global()):
                names.add(symbol.get_name())
        tables += table.get_children()
    return frozenset(names)


def _set_outputs(notebook: Any, places: list[int], played: Played) -> None:
    for number, place in enumerate(places):
        cell = notebook.cells[place]
        cell.outputs = plain_outputs(played.outputs.get(number, []))
        count = played.counts.get(number)
        cell.execution_count = count if count is not None and 0 < count < 10**6 else None


def plain_outputs(outputs: list[Any]) -> list[Any]:
    """Outputs as nbformat wants them, of what came out of the sandbox; what does not fit is left out."""

    def text(value: Any) -> str:  # halves of characters cannot be written to a file
        return str(value).encode("utf-8", "replace").decode()

    kept = []
    for output in outputs:
        try:
            kind = output["output_type"]
            if kind == "stream":
                name = "stderr" if output["name"] == "stderr" else "stdout"
                kept.append(new_output("stream", name=name, text=text(output["text"])))
            elif kind == "error":
                words = {name: text(output[name]) for name in ("ename", "evalue")}
                lines = [text(line) for line in output["traceback"]]
                kept.append(new_output("error", traceback=lines, **words))
            elif kind in ("display_data", "execute_result"):
                data = {text(name): text(value) for name, value in output["data"].items()}
                kept.append(new_output("display_data", data=data))
        except (KeyError, TypeError, AttributeError, ValueError):
            continue
    return kept


def _judge(outcome: Outcome, lesson: Lesson, played: Played) -> None:
    outcome.status = outcome.status.worst(played.status)
    outcome.findings += played.findings
    outcome.layers = played.layers
    outcome.cpu_seconds, outcome.memory = played.cpu_seconds, played.memory
    setup = played.outputs.get(0, [])
    failed = [x for x in setup if isinstance(x, dict) and x.get("output_type") == "error"]
    if failed and not any(checked.finished for checked in played.checks.values()):
        outcome.status = outcome.status.worst(Status.CRASHED)
        outcome.findings.append(
            f"the set-up cell failed ({failed[0].get('ename')}); no check can pass after that. Are "
            "the notebooks, course/learn/lessons.json and the packages of one version?"
        )
    for name, key in lesson.pack.key.items():
        checked = played.checks.get(name)
        if checked is None:
            outcome.checks.append(
                CheckOutcome(name, key.exercises, 0.0, key.points, "It did not run.")
            )
        else:
            outcome.checks.append(_check_outcome(name, checked))


def _check_outcome(name: str, checked: Checked) -> CheckOutcome:
    key = checked.judge.key
    failed_at = checked.judge.failed_at
    if not checked.finished and failed_at is None:
        failed_at = -1
    return CheckOutcome(
        name,
        key.exercises,
        checked.points,
        key.points,
        "" if checked.finished else checked.message or "It did not run to its end.",
        checked.hidden,
        failed_at,
        seconds=round(checked.seconds, 4),
    )


def _name_misconceptions(outcome: Outcome, known: list[Misconception]) -> None:
    """Say what the bank knows about failures: those that look exactly like a wrong answer of it."""
    messages = {checked.id: essence(checked.message) for checked in outcome.checks}
    for checked in outcome.checks:
        if not checked.message:
            continue
        alike = [
            wrong.about
            for wrong in known
            if wrong.exercise in checked.exercises
            and wrong.messages.get(checked.id)
            and all(messages.get(name) == message for name, message in wrong.messages.items())
        ]
        checked.misconception = " Or: ".join(dict.fromkeys(alike[:2]))
