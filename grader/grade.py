"""Grading a batch of submissions, one after another; what is wrong with one stops no other."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.converters.base import NbGraderException

from grader.errors import GraderError
from grader.feedback import write_notice
from grader.gradebook import Course, logged
from grader.paths import ROOT, shown
from grader.preflight import Unreadable, check, read_notebook
from grader.results import Result, Status, write_csv
from grader.submissions import Submission, opened

UNSANDBOXED = (
    "Note: submissions run with your rights, without a sandbox. Grade only what you would run."
)


@dataclass
class Graded:
    """A batch, graded.

    Attributes:
        results: by student and lesson, with a row for each lesson that a student did not hand in.
        notes: files that were left out, and why.
    """

    results: list[Result]
    notes: list[str]


def grade(
    path: Path,
    root: Path = ROOT,
    data: Path | None = None,
    *,
    csv: Path | None = None,
    cell_seconds: int | None = None,
    feedback: bool = True,
    verbose: bool = False,
    watch: Callable[[str, int, int], None] = lambda *_: None,
) -> Graded:
    """Grade the submissions in a folder or a zip file.

    Args:
        path: where they are; nothing there is changed.
        root: the repository.
        data: where gradebook, copies and feedback go; <root>/grader by default.
        csv: where the marks go; results.csv in data by default.
        cell_seconds: how long a cell may take; a notebook may take five times as long.
        feedback: make a page for each student.
        verbose: let nbgrader say what it does.
        watch: called before each submission, with its name, its number from 0, and how many
            there are.

    Raises:
        GraderError: if there is nothing to grade, or no lesson is built.
    """
    data = data or root / "grader"
    _refuse_own_folders(path, data)
    csv = csv or data / "results.csv"
    _refuse_unwritable(csv)
    releases = read_releases(root)
    with opened(path, releases) as batch, logged(verbose):
        course = Course(root, data, cell_seconds)
        lessons = {submission.file.lesson for submission in batch.submissions} - {""}
        for lesson in sorted(lessons):
            course.publish(lesson)
        results = []
        for number, submission in enumerate(batch.submissions):
            watch(f"{submission.student}, {submission.file.lesson}", number, len(batch.submissions))
            results.append(_grade_one(course, submission, releases, feedback))
    results += _not_submitted(results, lessons)
    order = list(releases)
    results.sort(key=lambda r: (r.student, order.index(r.lesson) if r.lesson else -1))
    write_csv(results, csv)
    return Graded(results, batch.notes)


def read_releases(root: Path) -> dict[str, Any]:
    """The notebooks that students get, by lesson, in the order of the course.

    Raises:
        GraderError: if there are none.
    """
    found = {}
    for path in sorted((root / "notebooks").glob("*/*.ipynb")):
        lesson = path.relative_to(root / "notebooks").with_suffix("").as_posix()
        if (root / "solutions" / f"{lesson}.ipynb").exists():
            found[lesson] = nbformat.read(path, 4)
    if not found:
        raise GraderError("no lesson is built: run `grader build`")
    return found


def _refuse_unwritable(csv: Path) -> None:
    """Find out before the work, and not after it, that the marks cannot be written."""
    try:
        csv.parent.mkdir(parents=True, exist_ok=True)
        csv.open("a").close()
    except OSError as error:
        raise GraderError(
            f"the marks cannot be written to {csv} ({error.strerror}): give a file with --csv, and "
            "close it where it is open"
        ) from None


def _refuse_own_folders(path: Path, data: Path) -> None:
    """The copies that are graded go into these folders: they cannot be what is copied."""
    for step in ("submitted", "autograded", "release", "feedback"):
        if path.resolve().is_relative_to((data / step).resolve()):
            raise GraderError(
                f"{shown(data / step)} is where grading keeps its own copies: move the "
                "submissions to a folder elsewhere, and give that"
            )


def _grade_one(
    course: Course, submission: Submission, releases: dict[str, Any], feedback: bool
) -> Result:
    """Grade one submission, whatever is in it."""
    start = time.monotonic()
    student, lesson = submission.student_id, submission.file.lesson
    result = Result(submission.student, lesson, Status.OK, list(submission.findings))
    result.again = bool(lesson) and course.file("autograded", student, lesson).exists()
    try:
        course.introduce(student, submission.student)
        _run(course, submission, releases, result)
    except Unreadable as error:
        result.status = Status.UNREADABLE
        result.findings.append(str(error))
        if result.again:
            result.findings.append("the gradebook keeps the marks of an earlier file")
    except NbGraderException:
        result.status = Status.CRASHED
        result.findings.append("nbgrader stumbled over it; `--verbose` shows where")
    except Exception as error:  # whatever it is, it is not the other students' fault
        result.status = Status.CRASHED
        result.findings.append(f"grading failed: {type(error).__name__}: {error}")
    try:
        if feedback and lesson:
            _give_feedback(course, student, result)
    except Exception as error:
        result.findings.append(f"no feedback: {type(error).__name__}: {error}")
    result.seconds = time.monotonic() - start
    return result


def _run(course: Course, submission: Submission, releases: dict[str, Any], result: Result) -> None:
    if submission.file.problem:
        raise Unreadable(submission.file.problem)
    student, lesson = submission.student_id, submission.file.lesson
    checked = check(read_notebook(submission.file.path), releases[lesson])
    checked.notebook.metadata["course"]["grading"] = {
        "status": checked.status.value,
        "findings": [*submission.findings, *checked.findings],
    }
    target = course.file("submitted", student, lesson)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(checked.notebook, target)
    notebook = course.autograde(student, lesson)
    grading = notebook.metadata["course"]["grading"]
    result.status, result.findings = Status(grading["status"]), list(grading["findings"])
    result.score, result.possible, result.pending = course.marks(student, lesson)


def _give_feedback(course: Course, student: str, result: Result) -> None:
    if result.score is None:
        page = course.file("feedback", student, result.lesson, ".html")
        write_notice(page, result.lesson, result.findings)
    else:
        course.write_feedback(student, result.lesson)


def _not_submitted(results: list[Result], lessons: set[str]) -> list[Result]:
    """A row for each lesson that others handed in and a student did not: that is no zero."""
    there = {(result.student, result.lesson) for result in results}
    students = sorted({student for student, _ in there})
    return [
        Result(student, lesson, Status.NOT_SUBMITTED)
        for student in students
        for lesson in sorted(lessons)
        if (student, lesson) not in there
    ]
