"""nbgrader's side of grading: the gradebook, and the folders that its converters work through."""

import contextlib
import hashlib
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import (
    Comment,
    Grade,
    Gradebook,
    MissingEntry,
    SubmittedNotebook,
)
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import is_grade, is_solution

from course.learn.lab import environment
from grader.errors import GraderError
from grader.nbgrader_settings import COURSE, course_settings


class Course:
    """The course as nbgrader keeps it.

    nbgrader calls a unit an assignment, and a lesson a notebook of it.

    Args:
        root: the repository.
        data: where submissions, marks and feedback are; see `course_settings`.
        cell_seconds: how long a cell of a submission may take.
    """

    def __init__(self, root: Path, data: Path, cell_seconds: int | None = None) -> None:
        self.data = data
        self.settings = course_settings(root, data, cell_seconds=cell_seconds)
        data.mkdir(parents=True, exist_ok=True)
        if shutil.which("alembic") is None:  # which a new gradebook runs, by name
            os.environ["PATH"] = environment(root)["PATH"]
        self.source = root / "solutions"

    def open(self) -> Gradebook:
        """The gradebook, to be used in a `with`."""
        return Gradebook(self.settings.CourseDirectory.db_url, COURSE)

    def file(self, step: str, student: str, lesson: str, suffix: str = ".ipynb") -> Path:
        """A student's file in one of nbgrader's folders, such as "submitted"."""
        return self.data / step / student / f"{lesson}{suffix}"

    def publish(self, lesson: str) -> None:
        """Put a lesson's checks into the gradebook, unless they are there already.

        Raises:
            GraderError: if cells came or went since marks were given.
        """
        source = (self.source / f"{lesson}.ipynb").read_bytes()
        digest = hashlib.sha256(source).hexdigest()
        remembered = self.data / "release" / f"{lesson}.sha256"
        if self._knows(lesson) and remembered.exists() and remembered.read_text() == digest:
            return
        try:
            self._convert(GenerateAssignment, lesson)
        except NbGraderException:
            raise GraderError(
                f"nbgrader cannot take in lesson {lesson}. If its exercises or checks came or went "
                "since marks were given, the marks do not fit any more: move "
                f"{self.settings.CourseDirectory.db_url.removeprefix('sqlite:///')} away, and "
                "grade again. `--verbose` shows what nbgrader says"
            ) from None
        remembered.write_text(digest)

    def autograde(self, student: str, lesson: str) -> Any:
        """Run a submission that lies in the folder "submitted", and put its marks down.

        Returns:
            The notebook as it ran.

        Raises:
            NbGraderException: if nbgrader stumbles over it.
        """
        self._make_room(student, lesson)
        before = self._other_marks(student, lesson)
        answers = self._answers(student, lesson)
        self._put_marks(student, lesson, before)  # a failure below leaves this lesson without marks
        try:
            self._convert(Autograde, lesson, student)
        except BaseException:
            self._put_marks(student, lesson, before)
            raise
        self._put_marks(student, lesson, before, other_lessons_only=True)
        self._keep_hand_marks(student, lesson, answers)
        return nbformat.read(self.file("autograded", student, lesson), 4)

    def write_feedback(self, student: str, lesson: str) -> None:
        """Make the page that a student gets back."""
        self._convert(GenerateFeedback, lesson, student)

    def introduce(self, student: str, name: str) -> None:
        """Let the gradebook know a student, also one without a mark."""
        with self.open() as book:
            try:
                book.find_student(student)
            except MissingEntry:
                book.add_student(student, last_name=name if name != student else None)

    def marks(self, student: str, lesson: str) -> tuple[float, float, float]:
        """A student's points so far, the points possible so far, and those that wait for a hand."""
        unit, name = lesson.split("/")
        score = possible = pending = 0.0
        with self.open() as book:
            for grade in book.find_submission_notebook(name, unit, student).grades:
                by_hand = grade.auto_score is None
                if by_hand and (grade.manual_score is None or grade.needs_manual_grade):
                    pending += grade.max_score
                else:
                    score += grade.score
                    possible += grade.max_score
        return score, possible, pending

    def _knows(self, lesson: str) -> bool:
        unit, name = lesson.split("/")
        with self.open() as book:
            try:
                book.find_notebook(name, unit)
            except MissingEntry:
                return False
        return True

    def _make_room(self, student: str, lesson: str) -> None:
        """Give a student room for the marks of a lesson that is newer than the first submission.

        nbgrader makes room for all lessons that the unit has at a student's first submission.
        """
        unit, name = lesson.split("/")
        with self.open() as book:
            try:
                submission = book.find_submission(unit, student)
            except MissingEntry:
                return
            if any(notebook.name == name for notebook in submission.notebooks):
                return
            notebook = book.find_notebook(name, unit)
            with book.db.no_autoflush:
                place = SubmittedNotebook(notebook=notebook, assignment=submission)
                for cell in notebook.grade_cells:
                    Grade(cell_id=cell.id, notebook=place)
                for cell in notebook.solution_cells:
                    Comment(cell_id=cell.id, notebook=place)
            book.db.add(place)
            book.db.commit()

    def _other_marks(self, student: str, lesson: str) -> dict[tuple[str, str], float | None]:
        """The automatic marks that a student has in the unit's other lessons."""
        unit, name = lesson.split("/")
        with self.open() as book:
            return {
                (notebook.name, grade.name): grade.auto_score
                for notebook in _submitted(book, unit, student)
                if notebook.name != name
                for grade in notebook.grades
            }

    def _put_marks(
        self,
        student: str,
        lesson: str,
        marks: dict[tuple[str, str], float | None],
        *,
        other_lessons_only: bool = False,
    ) -> None:
        """Put automatic marks back, and take back those that are not among them.

        nbgrader looks at all lessons of the unit: it gives zeros for those whose files are not
        there, and keeps the old marks of one where it failed.
        """
        unit, name = lesson.split("/")
        with self.open() as book:
            for notebook in _submitted(book, unit, student):
                if notebook.name == name and other_lessons_only:
                    continue
                for grade in notebook.grades:
                    grade.auto_score = marks.get((notebook.name, grade.name))
            book.db.commit()

    def _answers(self, student: str, lesson: str) -> dict[str, str]:
        """The texts that were there to be graded by hand, by the ids of their cells."""
        path = self.file("autograded", student, lesson)
        if not path.exists():
            return {}
        cells = nbformat.read(path, 4).cells
        return {
            cell.metadata["nbgrader"]["grade_id"]: cell.source
            for cell in cells
            if is_grade(cell) and is_solution(cell)
        }

    def _keep_hand_marks(self, student: str, lesson: str, before: dict[str, str]) -> None:
        """Let marks given by hand hold if the answer is still the same; nbgrader doubts them all."""
        unit, name = lesson.split("/")
        now = self._answers(student, lesson)
        with self.open() as book:
            for grade in book.find_submission_notebook(name, unit, student).grades:
                same = grade.name in now and now[grade.name] == before.get(grade.name)
                if same and grade.manual_score is not None:
                    grade.needs_manual_grade = False
            book.db.commit()

    def _convert(self, converter: type, lesson: str, student: str = "*") -> None:
        unit, name = lesson.split("/")
        folders = CourseDirectory(config=self.settings)
        folders.assignment_id, folders.notebook_id, folders.student_id = unit, name, student
        conversion = converter(coursedir=folders, config=self.settings)
        conversion.force = True
        conversion.start()


def _submitted(book: Gradebook, unit: str, student: str) -> list[Any]:
    """The notebooks of a unit that the gradebook has of a student; none if it knows of nothing."""
    try:
        return list(book.find_submission(unit, student).notebooks)
    except MissingEntry:
        return []


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
