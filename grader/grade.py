"""Grading a batch of submissions; what is wrong with one stops no other.

Workers turn submissions into outcomes, in any order. Here, one after another, outcomes are put into
the gradebook, kept, and made into feedback. A submission whose outcome is there already is not run
again: so an interrupted run goes on where it was, and a second one looks only at what has changed.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from grader.database import shown_url
from grader.errors import GraderError
from grader.feedback import write_feedback
from grader.gradebook import Course, logged
from grader.outcome import Outcome, outcome_file
from grader.pack import Pack, load_pack
from grader.paths import ROOT, shown
from grader.preflight import MAX_BYTES
from grader.results import Result, Status, write_csv
from grader.spread import default_workers, spread_cluster, spread_local
from grader.submissions import Submission, opened
from grader.worker import How, Job, digest_of

Watch = Callable[[str, int, int], None]


@dataclass
class Graded:
    """A batch, graded.

    Attributes:
        results: by student and lesson, with a row for each lesson that a student did not hand in.
        notes: files that were left out, and why.
        unchanged: how many were not run again, as nothing has changed.
    """

    results: list[Result]
    notes: list[str] = field(default_factory=list)
    unchanged: int = 0


def grade(
    path: Path,
    root: Path = ROOT,
    data: Path | None = None,
    *,
    how: How | None = None,
    workers: int | None = None,
    cluster: str = "",
    db: str = "",
    csv: Path | None = None,
    feedback: bool = True,
    again: bool = False,
    verbose: bool = False,
    watch: Watch = lambda *_: None,
) -> Graded:
    """Grade the submissions in a folder or a zip file.

    Args:
        path: where they are; nothing there is changed.
        root: the repository.
        data: where gradebook, copies and feedback go; <root>/grader by default.
        how: how submissions are run.
        workers: how many run at a time on this machine; as many as it has cores by default.
        cluster: the address of a Dask scheduler, to run them there.
        db: the gradebook's URL; a SQLite file in data by default.
        csv: where the marks go; results.csv in data by default.
        feedback: make a page for each student.
        again: run also what has not changed.
        verbose: let nbgrader say what it does.
        watch: called with what is being done, how many submissions are done, and how many there are.

    Raises:
        GraderError: if there is nothing to grade, no lesson is built, or submissions cannot be run.
    """
    how = how or How()
    data = data or root / "grader"
    _refuse_own_folders(path, data)
    csv = csv or data / "results.csv"
    _refuse_unwritable(csv)
    releases = read_releases(root)
    with opened(path, releases) as batch, logged(verbose), Course(root, data, db) as course:
        lessons = sorted({submission.file.lesson for submission in batch.submissions} - {""})
        packs = {lesson: load_pack(lesson, root, root / "grader", watch) for lesson in lessons}
        for lesson in lessons:
            course.publish(lesson)
        run = _Run(course, data, packs, how, feedback, again)
        total = len(batch.submissions)
        waiting = [each for each in batch.submissions if not run.take_unchanged(each)]
        unchanged = total - len(waiting)
        loads = [lambda each=each: load(each) for each in waiting]
        submissions = {(each.student_id, each.file.lesson): each for each in waiting}
        watch("running submissions", unchanged, total)
        if cluster:
            outcomes = spread_cluster(loads, packs, how, cluster)
        else:
            outcomes = spread_local(loads, packs, how, min(workers or default_workers(), total))
        with contextlib.closing(outcomes):
            for job, outcome in outcomes:
                submission = submissions[job.student, job.lesson]
                run.take(submission, outcome)
                watch(f"{submission.student}, {job.lesson}", len(run.results), total)
    results = run.results
    results += _not_submitted(results, set(lessons))
    order = list(releases)
    results.sort(key=lambda r: (r.student, order.index(r.lesson) if r.lesson else -1))
    write_csv(results, csv)
    return Graded(results, batch.notes, unchanged)


def load(submission: Submission) -> Job:
    """Read a submission's file."""
    with submission.file.path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    return Job(
        submission.student_id,
        submission.file.lesson,
        content,
        submission.file.problem,
        tuple(submission.findings),
    )


class _Run:
    """Puts outcomes where they belong, one after another."""

    def __init__(
        self,
        course: Course,
        data: Path,
        packs: dict[str, Pack],
        how: How,
        feedback: bool,
        again: bool,
    ) -> None:
        self.course = course
        self.data = data
        self.packs = packs
        self.how = how
        self.feedback = feedback
        self.again = again
        self.results: list[Result] = []
        # The outcomes that are kept were entered into one gradebook: is it this one?
        book = data / "outcomes" / "gradebook.txt"
        self.same_book = book.exists() and book.read_text() == shown_url(course.url)
        book.parent.mkdir(exist_ok=True)
        book.write_text(shown_url(course.url))

    def take_unchanged(self, submission: Submission) -> bool:
        """Use the outcome that is there, if nothing that it depends on has changed."""
        student, lesson = submission.student_id, submission.file.lesson
        if not lesson:
            self.take(submission, Outcome(student, lesson, Status.UNREADABLE, _why(submission)))
            return True
        if self.again:
            return False
        try:
            text = outcome_file(self.data, student, lesson).read_text(encoding="utf-8")
            outcome = Outcome.from_json(text)
        except (OSError, ValueError):  # none yet, or one that broke off
            return False
        if outcome.digest != digest_of(load(submission), self.packs[lesson], self.how):
            return False
        entered = self.same_book and self.course.known(student, lesson)
        self.take(submission, outcome, enter=not entered)
        return True

    def take(self, submission: Submission, outcome: Outcome, enter: bool = True) -> None:
        """Put an outcome into the gradebook, keep it, and make feedback of it."""
        student, lesson = submission.student_id, submission.file.lesson
        before = bool(lesson) and self.course.known(student, lesson)
        result = Result(submission.student, lesson, outcome.status, list(outcome.findings))
        result.seconds, result.again = outcome.seconds, before and enter
        if enter:
            self.course.enter(outcome, submission.student)
        if outcome.notebook is not None:
            result.score, result.possible, result.pending = self.course.marks(student, lesson)
        elif before:
            result.findings.append("the gradebook keeps the marks of an earlier file")
        self.results.append(result)
        if not lesson:
            return
        if self.feedback:
            page = self.course.file("feedback", student, lesson, ".html")
            try:
                write_feedback(page, outcome, self.course.hand_marks(student, lesson))
            except Exception as error:  # a page is no reason to stop marking the others
                result.findings.append(f"no feedback: {type(error).__name__}: {error}")
        # Last, as its being there means that all the rest is done.
        file = outcome_file(self.data, student, lesson)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(outcome.to_json(), encoding="utf-8")
        part.replace(file)


def _why(submission: Submission) -> list[str]:
    return [*submission.findings, submission.file.problem]


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
