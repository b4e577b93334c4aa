"""nbgrader's side of grading: its gradebook, and the folders that its pages look into.

Marks are written with nbgrader's own tables, by one writer, in one session. nbgrader's Autograde would
send hundreds of statements for each submission, and give zeros in the unit's other lessons.
"""

import contextlib
import functools
import hashlib
import logging
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import (
    Assignment,
    Comment,
    Grade,
    Gradebook,
    GradeCell,
    Notebook,
    SolutionCell,
    SourceCell,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import compute_checksum, is_locked, is_solution, parse_utc
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from course.learn.lab import environment
from grader.database import database_trouble, shown_url, tune
from grader.errors import GraderError
from grader.feedback import HandMark
from grader.nbgrader_settings import COURSE, course_settings
from grader.outcome import Outcome

NAME_LENGTH = 128  # nbgrader's tables have room for so much; PostgreSQL takes no more
NO_RESPONSE = "No response."  # nbgrader's words for an answer that is as it was handed out


@dataclass(frozen=True)
class _Cell:
    """A cell of a lesson, as nbgrader knows it.

    Attributes:
        source: its text, solved; hidden tests and all.
        locked: whether it is not the student's.
        checksum: nbgrader's, of the cell as it is handed out, but with hidden tests.
        graded: its row's id if points are given in it: it is a check or a question.
        possible: the points.
        written: its row's id if the student writes it: it can have a comment.
    """

    source: str
    locked: bool
    checksum: str
    graded: str | None
    possible: float
    written: str | None


@dataclass(frozen=True)
class _Lesson:
    """A lesson, as nbgrader knows it: ids of rows, and the cells by name, in order."""

    id: str
    unit_id: str
    cells: dict[str, _Cell]


class Course:
    """The course as nbgrader keeps it, to be used in a `with`.

    nbgrader calls a unit an assignment, and a lesson a notebook of it.

    Args:
        root: the repository.
        data: where submissions, marks and feedback are; see `course_settings`.
        db: the gradebook's URL; see `gradebook_url`.

    Raises:
        GraderError: if there is no such database, or it cannot be used.
    """

    def __init__(self, root: Path, data: Path, db: str = "") -> None:
        self.data = data
        self.settings = course_settings(root, data, db)
        self.url = str(self.settings.CourseDirectory.db_url)
        self.source = root / "solutions"
        self._lessons: dict[str, _Lesson] = {}
        data.mkdir(parents=True, exist_ok=True)
        if shutil.which("alembic") is None:  # which a new gradebook runs, by name
            os.environ["PATH"] = environment(root)["PATH"]

    def __enter__(self) -> "Course":
        _ = self.book
        return self

    def __exit__(self, *_: object) -> None:
        self.book.close()
        del self.book

    @functools.cached_property
    def book(self) -> Any:
        """nbgrader's `Gradebook`: one engine and one session for the whole run."""
        with database_trouble(self.url):
            book = Gradebook(self.url, COURSE)
            tune(book.engine)
        return book

    def file(self, step: str, student: str, lesson: str, suffix: str = ".ipynb") -> Path:
        """A student's file in one of nbgrader's folders, such as "submitted"."""
        return self.data / step / student / f"{lesson}{suffix}"

    def publish(self, lesson: str) -> None:
        """Put a lesson's checks into the gradebook, unless they are there already.

        Raises:
            GraderError: if cells came or went since marks were given.
        """
        source = (self.source / f"{lesson}.ipynb").read_bytes()
        # With the gradebook's name, as one folder may serve several gradebooks.
        digest = hashlib.sha256(source + shown_url(self.url).encode()).hexdigest()
        remembered = self.data / "release" / f"{lesson}.sha256"
        if self._find(lesson) and remembered.exists() and remembered.read_text() == digest:
            return
        unit, name = lesson.split("/")
        folders = CourseDirectory(config=self.settings)
        folders.assignment_id, folders.notebook_id = unit, name
        conversion = GenerateAssignment(coursedir=folders, config=self.settings)
        conversion.force = True
        try:
            conversion.start()
        except NbGraderException:
            file = self.url.removeprefix("sqlite:///")
            anew = f"move {file} away" if file != self.url else "name an empty database with --db"
            raise GraderError(
                f"nbgrader cannot take in lesson {lesson}. If its exercises or checks came or went "
                f"since marks were given, the marks do not fit any more: {anew}, and grade again. "
                "`--verbose` shows what nbgrader says"
            ) from None
        self._lessons.pop(lesson, None)
        remembered.write_text(digest)

    def enter(self, outcome: Outcome, name: str) -> None:
        """Put down what came of a submission: its marks, and its notebooks for nbgrader's pages.

        They replace what there was of this lesson; other lessons are not touched. What a teacher
        gave by hand stays, but waits to be looked at if it is for another answer or for a check.

        Args:
            outcome: one without a notebook changes no mark.
            name: the student's name, for a student whom the gradebook does not know yet.

        Raises:
            GraderError: if the outcome is of other checks, or the database fails.
        """
        if outcome.notebook is None:
            self._write(lambda session: _introduce(session, outcome.student, name))
            return
        lesson = self._lesson(outcome.lesson)
        notebook = nbformat.v4.to_notebook(outcome.notebook)
        answers = {name: cell for name, cell in _named(notebook) if is_solution(cell)}
        marks = _automatic_marks(lesson, outcome, answers)
        submitted = self.file("submitted", outcome.student, outcome.lesson)
        autograded = self.file("autograded", outcome.student, outcome.lesson)
        parts = [_write_part(submitted, _as_handed_in(notebook))]
        parts.append(_write_part(autograded, _as_graded(notebook, lesson, outcome)))
        same = _same_answers(answers, autograded)
        stamp = submitted.with_name("timestamp.txt")
        handed_in = parse_utc(stamp.read_text().strip()) if stamp.exists() else None

        def put(session: Any) -> None:
            _introduce(session, outcome.student, name)
            unit = {"assignment_id": lesson.unit_id, "student_id": outcome.student}
            submission = _row(session, SubmittedAssignment, **unit)
            submission.timestamp = handed_in or submission.timestamp
            place = {"notebook_id": lesson.id, "assignment_id": submission.id}
            submitted_id = _row(session, SubmittedNotebook, **place).id
            _put_marks(session, submitted_id, lesson, marks, same)
            _put_comments(session, submitted_id, lesson, answers)

        self._write(put)
        # Last: with the files but without the marks, another answer would pass for the marked one.
        for part, path in zip(parts, (submitted, autograded)):
            part.replace(path)

    def known(self, student: str, lesson: str) -> bool:
        """Whether the gradebook has marks of a file of this lesson."""
        there = self.file("autograded", student, lesson).exists()
        known = self._find(lesson) if there else None
        if known is None:
            return False
        with database_trouble(self.url), self._session() as session:
            return session.scalar(_about(select(SubmittedNotebook.id), known, student)) is not None

    def marks(self, student: str, lesson: str) -> tuple[float, float, float]:
        """A student's points so far, the points possible so far, and those that wait for a hand."""
        scores, possible, pending = [], [], []
        for name, grade in self._grades(student, lesson).items():
            cell = self._lesson(lesson).cells[name]
            if _waits(cell, grade):
                pending.append(cell.possible)
            else:
                scores.append(grade.score)
                possible.append(cell.possible)
        return math.fsum(scores), math.fsum(possible), math.fsum(pending)

    def hand_marks(self, student: str, lesson: str) -> dict[str, HandMark]:
        """What a teacher said of a student's answers and checks, by the names of their cells.

        All questions are among them, also those that wait for a teacher.
        """
        known = self._lesson(lesson)
        with database_trouble(self.url), self._session() as session:
            wanted = select(Comment.cell_id, Comment.comment).join(SubmittedNotebook)
            rows = session.execute(_about(wanted, known, student))
            comments = {row.cell_id: row.comment for row in rows}
        marks = {}
        for name, grade in self._grades(student, lesson).items():
            cell = known.cells[name]
            overruled = grade.manual_score is not None or grade.extra_credit is not None
            if cell.written or overruled:
                score = None if _waits(cell, grade) else grade.score
                comment = comments.get(cell.written) or ""
                marks[name] = HandMark(name, score, cell.possible, comment)
        return marks

    def _grades(self, student: str, lesson: str) -> dict[str, Any]:
        """A student's rows of a lesson, by the names of the cells."""
        known = self._lesson(lesson)
        names = {cell.graded: name for name, cell in known.cells.items() if cell.graded}
        columns = (
            *(Grade.cell_id, Grade.auto_score, Grade.manual_score, Grade.extra_credit),
            *(Grade.score, Grade.needs_manual_grade),
        )
        with database_trouble(self.url), self._session() as session:
            wanted = _about(select(*columns).join(SubmittedNotebook), known, student)
            rows = {names[row.cell_id]: row for row in session.execute(wanted)}
        return {name: rows[name] for name in known.cells if name in rows}

    def _lesson(self, lesson: str) -> _Lesson:
        """What the gradebook knows of a published lesson."""
        known = self._find(lesson)
        if known is None:
            raise GraderError(f"lesson {lesson} is not in the gradebook {shown_url(self.url)} yet")
        return known

    def _find(self, lesson: str) -> _Lesson | None:
        """The same, or None; asked once, as only `publish` changes it."""
        if lesson not in self._lessons:
            with database_trouble(self.url), self._session() as session:
                found = _read_lesson(session, lesson, self.source / f"{lesson}.ipynb")
            if found is None:
                return None
            self._lessons[lesson] = found
        return self._lessons[lesson]

    def _write(self, change: Callable[[Any], None]) -> None:
        """Change the gradebook, wholly or not at all."""
        with database_trouble(self.url):
            try:
                with self._session() as session:
                    change(session)
            except IntegrityError:  # somebody else made the same rows just now: they are there now
                with self._session() as session:
                    change(session)

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        """The session; what was done in it is committed in the end, or nothing of it."""
        session = self.book.db
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


def _read_lesson(session: Any, lesson: str, solved: Path) -> _Lesson | None:
    unit, name = lesson.split("/")
    wanted = select(Notebook.id, Notebook.assignment_id).join(Assignment)
    row = session.execute(wanted.where(Assignment.name == unit, Notebook.name == name)).first()
    if row is None:
        return None

    def by_name(table: Any, *columns: Any) -> dict[str, Any]:
        wanted = select(table.name, *columns).where(table.notebook_id == row.id)
        return {found.name: found for found in session.execute(wanted)}

    checksums = by_name(SourceCell, SourceCell.checksum)
    graded = by_name(GradeCell, GradeCell.id, GradeCell.max_score)
    written = by_name(SolutionCell, SolutionCell.id)
    cells = {}
    for name, cell in _named(_read(solved)):
        cells[name] = _Cell(
            cell.source,
            is_locked(cell),
            checksums[name].checksum if name in checksums else "",
            graded[name].id if name in graded else None,
            graded[name].max_score if name in graded else 0.0,
            written[name].id if name in written else None,
        )
    return _Lesson(row.id, row.assignment_id, cells)


def _about(wanted: Any, lesson: _Lesson, student: str) -> Any:
    """The query, for one student's notebook of a lesson."""
    return wanted.join(SubmittedAssignment).where(
        SubmittedNotebook.notebook_id == lesson.id, SubmittedAssignment.student_id == student
    )


def _automatic_marks(
    lesson: _Lesson, outcome: Outcome, answers: dict[str, Any]
) -> dict[str, float | None]:
    """The points of each check and question, by name; None for what a teacher has to look at."""
    points = {check.id: float(check.points) for check in outcome.checks}
    marks: dict[str, float | None] = {}
    for name, cell in lesson.cells.items():
        if cell.graded and cell.written:
            marks[name] = 0.0 if _is_untouched(answers.get(name), cell) else None
        elif cell.graded:
            marks[name] = points.pop(name, None)
    if points:
        raise GraderError(
            f"{min(points)!r} is no check of lesson {outcome.lesson} in the gradebook: run "
            "`grader build`, and grade again"
        )
    return marks


def _is_untouched(answer: Any, cell: _Cell) -> bool:
    """Whether a student's cell is as it was handed out."""
    return answer is not None and compute_checksum(answer) == cell.checksum


def _same_answers(answers: dict[str, Any], earlier: Path) -> set[str]:
    """The names of the student's cells that are as they were in an earlier file."""
    try:
        before = {name: cell.source for name, cell in _named(_read(earlier))}
    except (OSError, ValueError, AttributeError):  # there is none, or it broke off
        return set()
    return {name for name, cell in answers.items() if before.get(name) == cell.source}


def _waits(cell: _Cell, grade: Any) -> bool:
    """Whether the points in a row are still to be given, or to be looked at again."""
    if grade.auto_score is None and grade.manual_score is None:
        return True
    # A check that a teacher overruled is marked, too, but there is no answer to be read.
    return bool(cell.written and grade.needs_manual_grade)


def _introduce(session: Any, student: str, name: str) -> None:
    """Let the gradebook know a student."""
    if session.scalar(select(Student.id).where(Student.id == student)) is None:
        # A name comes from a file's name, which need not be Unicode.
        name = name.encode("utf-8", "replace").decode().replace("\0", "")[:NAME_LENGTH]
        session.add(Student(id=student, last_name=name if name != student else None))
        session.flush()


def _row(session: Any, table: Any, **values: str) -> Any:
    """The row with these values; it is made if it is not there yet."""
    row = session.scalar(select(table).filter_by(**values))
    if row is None:
        row = table(**values)
        session.add(row)
        session.flush()
    return row


def _put_marks(
    session: Any, place: str, lesson: _Lesson, marks: dict[str, float | None], same: set[str]
) -> None:
    """Put down the automatic marks, and which of them a teacher has to look at."""
    wanted = select(Grade.id, Grade.cell_id, Grade.manual_score, Grade.needs_manual_grade)
    found = session.execute(wanted.where(Grade.notebook_id == place))
    old = {row.cell_id: row for row in found}
    rows = []
    for name, mark in marks.items():
        cell = lesson.cells[name].graded
        row = old.get(cell)
        if row is None or row.manual_score is None:
            look = mark is None
        else:  # nbgrader doubts them all; one that was doubted before still is
            look = row.needs_manual_grade or name not in same
        rows.append({"cell_id": cell, "auto_score": mark, "needs_manual_grade": look})
    _save(session, Grade, place, rows, old)


def _put_comments(session: Any, place: str, lesson: _Lesson, answers: dict[str, Any]) -> None:
    """Put down nbgrader's own comments."""
    wanted = select(Comment.id, Comment.cell_id).where(Comment.notebook_id == place)
    old = {row.cell_id: row for row in session.execute(wanted)}
    rows = []
    for name, cell in lesson.cells.items():
        if cell.written:
            words = NO_RESPONSE if _is_untouched(answers.get(name), cell) else None
            rows.append({"cell_id": cell.written, "auto_comment": words})
    _save(session, Comment, place, rows, old)


def _save(
    session: Any, table: Any, place: str, rows: list[dict[str, Any]], old: dict[str, Any]
) -> None:
    """Change the rows of a notebook's cells that are there, and make the others."""
    new = [{"notebook_id": place, **row} for row in rows if row["cell_id"] not in old]
    if new:
        session.execute(insert(table), new)
    changed = [{"id": old[row["cell_id"]].id, **row} for row in rows if row["cell_id"] in old]
    if changed:
        session.execute(update(table), changed)


def _named(notebook: Any) -> Iterator[tuple[str, Any]]:
    """The cells that nbgrader knows, with their names."""
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name:
            yield name, cell


def _read(path: Path) -> Any:
    """A notebook that we wrote: checking it against nbformat's schema would take long."""
    return nbformat.v4.reads(path.read_text(encoding="utf-8"))


def _write_part(path: Path, notebook: Any) -> Path:
    """Write a notebook beside the file that it is to replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    # Half characters, which students can print, have no place in a file.
    part.write_bytes(nbformat.v4.writes(notebook).encode("utf-8", "replace"))
    return part


def _as_handed_in(notebook: Any) -> Any:
    """The notebook before it ran."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell = {**cell, "outputs": [], "execution_count": None}
        cells.append(cell)
    return nbformat.from_dict({**notebook, "cells": cells})


def _as_graded(notebook: Any, lesson: _Lesson, outcome: Outcome) -> Any:
    """The notebook as it ran, with hidden tests and checksums, as nbgrader has it."""
    notebook = nbformat.from_dict(notebook)
    for name, cell in _named(notebook):
        known = lesson.cells.get(name)
        if known is not None:
            cell.metadata["nbgrader"]["checksum"] = known.checksum
            cell.source = known.source if known.locked else cell.source
    grading = notebook.metadata.setdefault("course", {}).setdefault("grading", {})
    grading |= {"status": outcome.status.value, "findings": list(outcome.findings)}
    return notebook


@contextlib.contextmanager
def logged(verbose: bool) -> Iterator[None]:
    """Show nbgrader's log, or nothing of it: it warns of much that is as it should be."""
    logger = logging.getLogger("traitlets")
    level, handler = logger.level, logging.StreamHandler()
    with warnings.catch_warnings():
        if verbose:
            logger.addHandler(handler)
        else:
            logger.setLevel(logging.CRITICAL + 1)
            warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
