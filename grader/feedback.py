"""The page that a student gets back: one file that needs no network, no script and no server."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, Template
from markupsafe import Markup
from nbformat.v4.rwbase import rejoin_lines
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from course.learn.manifest import Lesson, lessons
from grader.dissect import visible_source
from grader.outcome import CheckOutcome, Outcome
from grader.render import render_code, render_output, render_text
from grader.results import Status, points

TEMPLATE = Path(__file__).with_name("feedback.html.j2")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # no page may contain these

OWN_WORDS = "an answer in words"  # stands in the place of an exercise
NO_MARK = "This notebook could not be graded, and has no mark yet."

STATUS = {
    Status.OK: "The notebook was graded as it was handed in.",
    Status.REPAIRED: "Something in the file was put right first, and all of it was graded.",
    Status.TIMEOUT: "Something took too long and was stopped. What does not need it counts.",
    Status.CRASHED: "Something broke while the notebook ran. What does not need it counts.",
    Status.TAMPERED: "Something in it had been changed that nobody changes by accident.",
    Status.TAMPERED: "Something is not as it was handed out, and a teacher should look at it.",
    Status.UNREADABLE: NO_MARK,
    Status.NOT_SUBMITTED: "No notebook was handed in, and there is no mark yet.",
}


@dataclass(frozen=True)
class HandMark:
    """What a teacher says of one answer or check.

    Attributes:
        id: the cell's id with nbgrader.
        points: what the teacher gave; None if that is still to come, or, for a check, if what it
            gave holds.
        possible: the points that it can give.
        comment: the teacher's words.
    """

    id: str
    points: float | None
    possible: float
    comment: str = ""


@dataclass
class Row:
    """One check or question, as the page tells of it.

    Attributes:
        name: the id of its cell.
        exercise: what it belongs to.
        points: the points it gave; None if they are still to come.
        possible: the points it could have given.
        verdict: what came of it, in words.
        check: what came of the check; None for a question.
        comment: the teacher's words.
        anchor: the name of its place on the page.
        in_notebook: whether that place is in the notebook.
    """

    name: str
    exercise: str
    points: float | None
    possible: float
    verdict: str
    check: CheckOutcome | None = None
    comment: str = ""
    anchor: str = ""
    in_notebook: bool = False

    @property
    def title(self) -> str:
        """What to call it."""
        return f"{'Check' if self.check else 'Question'} {self.name}"

    @property
    def score(self) -> str:
        """The points given, and those possible."""
        if self.points is None:
            return f"up to {points(self.possible)}"
        return f"{points(self.points)} of {points(self.possible)}"

    @property
    def message(self) -> str:
        """Why it failed."""
        return self.check.message.strip() if self.check else ""

    @property
    def summary(self) -> str:
        """The line of the message that says most: an error's is the last."""
        lines = self.message.splitlines()
        return lines[-1 if lines[0].startswith("line ") else 0]

    @property
    def kind(self) -> str:
        """What its colour says: passed, failed or hand."""
        return self.verdict if self.verdict in ("passed", "failed") else "hand"


@dataclass
class Cell:
    """One cell of the notebook, as the page shows it.

    Attributes:
        source: its text or code.
        is_code: whether it is code.
        outputs: what it gave.
        row: the check or question in it.
    """

    source: Markup
    is_code: bool
    outputs: list[Markup]
    row: Row | None = None


def write_feedback(path: Path, outcome: Outcome, marks: Mapping[str, HandMark]) -> None:
    """Write the page for one student's lesson.

    Args:
        path: where to; folders are made.
        outcome: what came of the submission.
        marks: by the ids of their cells, all questions that are graded by hand, and the checks
            that a teacher has something to say about.
    """
    page = make_page(outcome, marks)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # nbgrader makes its pages read-only
    path.write_text(page, encoding="utf-8", errors="replace")


def make_page(outcome: Outcome, marks: Mapping[str, HandMark]) -> str:
    """The page itself; see `write_feedback`."""
    lesson = lessons().get(outcome.lesson)
    rows = _rows(outcome, marks, lesson)
    notebook = nbformat.from_dict(outcome.notebook or {"cells": [], "metadata": {}})
    checks = [row for row in rows.values() if row.check]
    given = [row for row in rows.values() if row.points is not None]
    waiting = [row.possible for row in rows.values() if row.points is None]
    page = _template().render(
        title=f"{lesson.number} {lesson.title}" if lesson else outcome.lesson,
        student=outcome.student,
        score=points(sum(row.points or 0 for row in given)),
        possible=points(sum(row.possible for row in given)),
        waiting=points(sum(waiting)) if waiting else "",
        passed=sum(row.verdict == "passed" for row in checks),
        checks=len(checks),
        status=outcome.status,
        status_words=STATUS.get(outcome.status, "") if outcome.notebook else NO_MARK,
        findings=outcome.findings,
        not_run=_not_run(notebook),
        cells=_cells(notebook, rows),  # before the rows: they learn whether their cells are there
        rows=[*rows.values()],
    )
    return CONTROL.sub("", page)


def _rows(outcome: Outcome, marks: Mapping[str, HandMark], lesson: Lesson | None) -> dict[str, Row]:
    """A row for each check, and for each question that is graded by hand, by id."""
    titles: dict[str, str] = {}
    for part in lesson.parts if lesson else ():
        if not part.given:
            titles.setdefault(part.exercise, f"{len(titles) + 1}: {part.title}")
    rows = {}
    for check in outcome.checks:
        mark = marks.get(check.id)
        by_hand = mark is not None and mark.points is not None
        rows[check.id] = Row(
            check.id,
            "; ".join(titles.get(name, name) for name in check.exercises),
            mark.points if mark and by_hand else check.points,
            check.possible,
            _verdict(check) + (", points given by hand" if by_hand else ""),
            check,
            mark.comment if mark else "",
        )
    for mark in marks.values():
        waits = mark.points is None
        verdict = "waits to be graded by hand" if waits else "graded by hand"
        row = Row(mark.id, OWN_WORDS, mark.points, mark.possible, verdict)
        row.comment = mark.comment
        rows.setdefault(mark.id, row)
    for number, row in enumerate(rows.values(), 1):
        row.anchor = f"result-{number}"
    return rows


def _verdict(check: CheckOutcome) -> str:
    if check.message or check.failed_at is not None:
        return "failed"
    return "passed" if check.points >= check.possible else "passed in part"


def _not_run(notebook: Any) -> bool:
    """Whether grading left out cells."""
    return bool(notebook.metadata.get("course", {}).get("grading", {}).get("not_run"))


def _cells(notebook: Any, rows: dict[str, Row]) -> list[Cell]:
    """The cells that have something to show."""
    cells = []
    for cell in rejoin_lines(notebook).cells:
        nbgrader = cell.metadata.get("nbgrader", {})
        row = rows.get(str(nbgrader.get("grade_id"))) if nbgrader.get("grade") else None
        if row and row.in_notebook:  # a copy
            row = None
        outputs = cell.get("outputs", [])
        if row:
            row.in_notebook = True
            if row.message:  # the page says it in a place of its own
                outputs = [output for output in outputs if output.output_type != "error"]
        if cell.source.strip() or outputs or row:
            cells.append(
                Cell(_source(cell), cell.cell_type == "code", [*map(render_output, outputs)], row)
            )
    return cells


def _source(cell: Any) -> Markup:
    if cell.cell_type == "markdown":
        return render_text(cell)
    return render_code(visible_source(cell.source).rstrip())


@functools.cache
def _template() -> Template:
    """The template; it escapes all that is not marked as HTML."""
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals["colours"] = Markup(colours)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
