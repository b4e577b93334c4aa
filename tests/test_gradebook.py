"""The gradebook: what is entered is what nbgrader and its pages find, on SQLite and PostgreSQL."""

import functools
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import nbgrader.api
import numpy as np
import pytest
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from postgres import PASSWORD, new_database
from small_course import OTHER, SMALL, cell_of, handed_in, make_course
from sqlalchemy import event

from grader.database import gradebook_url, has_gradebook, shown_url
from grader.errors import GraderError
from grader.gradebook import Course, logged
from grader.outcome import CheckOutcome, Outcome
from grader.preflight import check
from grader.results import Status

pytestmark = pytest.mark.nbgrader

POINTS = {
    SMALL: {"double-check": 2, "half-check": 1, "both-check": 1},
    OTHER: {"other-double-check": 2},
}
STUB = "Why?\n\n*Your answer here.*"


@pytest.fixture(autouse=True)
def _asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new gradebook starts a program to learn the version of its tables: once is enough."""
    monkeypatch.setattr(nbgrader.api, "get_alembic_version", _version)


_version = functools.cache(nbgrader.api.get_alembic_version)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> str:
    """What --db says."""
    return "" if request.param == "sqlite" else new_database()


@pytest.fixture
def course(tmp_path: Path, db: str) -> Iterator[Course]:
    root = make_course(tmp_path)
    with logged(False), Course(root, root / "grader", db) as course:
        course.publish(SMALL)
        course.publish(OTHER)
        yield course


def outcome(
    course: Course,
    student: str = "ada",
    lesson: str = SMALL,
    points: dict[str, Any] | None = None,
    **cells: str,
) -> Outcome:
    """What a worker makes of a submission: all points, but for the given ones."""
    release = nbformat.read(course.source.parent / "notebooks" / f"{lesson}.ipynb", 4)
    raw = json.loads(nbformat.writes(handed_in(lesson, **cells)))
    notebook = check(raw, release).notebook
    cell_of(notebook, "try-it").outputs = [nbformat.v4.new_output("stream", text="42\n")]
    given = POINTS[lesson] | (points or {})
    checks = [CheckOutcome(name, [], given[name], POINTS[lesson][name]) for name in POINTS[lesson]]
    return Outcome(student, lesson, Status.OK, ["a finding"], checks, notebook)


def grades(course: Course, student: str = "ada", lesson: str = SMALL) -> dict[str, Any]:
    """nbgrader's own rows, by cell."""
    unit, name = lesson.split("/")
    with nbgrader.api.Gradebook(course.url) as book:
        rows = book.find_submission_notebook(name, unit, student).grades
        return {
            row.name: (row.auto_score, row.manual_score, row.needs_manual_grade) for row in rows
        }


def mark_by_hand(course: Course, cell: str, points: float, comment: str = "") -> None:
    """What formgrader does."""
    where = ("1_small", "1_unit", "ada")
    with nbgrader.api.Gradebook(course.url) as book:
        row = book.find_grade(cell, *where)
        row.manual_score, row.needs_manual_grade = points, False
        if comment:
            book.find_comment(cell, *where).manual_comment = comment
        book.db.commit()


def autograded(course: Course, student: str = "ada", lesson: str = SMALL) -> Any:
    return nbformat.read(course.file("autograded", student, lesson), 4)


def test_marks(course: Course) -> None:
    course.enter(outcome(course, points={"half-check": 0}), "Ada Lovelace")
    assert course.marks("ada", SMALL) == (3, 4, 2)
    assert grades(course) == {
        "double-check": (2, None, False),
        "half-check": (0, None, False),
        "both-check": (1, None, False),
        "why": (None, None, True),
    }
    with nbgrader.api.Gradebook(course.url) as book:
        assert book.find_student("ada").last_name == "Ada Lovelace"
        assert [x.name for x in book.find_submission("1_unit", "ada").notebooks] == ["1_small"]


@pytest.mark.parametrize("points", [1 / 3, np.float64(0.1), np.float32(0.7), 2**-40, 0])
def test_marks_are_exact(course: Course, points: Any) -> None:
    course.enter(outcome(course, points={"half-check": points}), "ada")
    assert grades(course)["half-check"][0] == float(points)
    assert course.marks("ada", SMALL)[0] == 3 + float(points)


def test_an_answer_that_nobody_wrote_needs_no_teacher(course: Course) -> None:
    course.enter(outcome(course, why=STUB), "ada")
    assert grades(course)["why"] == (0, None, False)
    assert course.marks("ada", SMALL) == (4, 6, 0)
    said = course.hand_marks("ada", SMALL)["why"]
    assert (said.points, said.possible, said.comment) == (0, 2, "No response.")


def test_grading_again_replaces_the_lessons_marks_and_no_others(course: Course) -> None:
    course.enter(outcome(course), "ada")
    course.enter(outcome(course, lesson=OTHER), "ada")
    course.enter(outcome(course, points={"double-check": 0.5}, half="half = 1"), "ada")
    assert course.marks("ada", SMALL) == (2.5, 4, 2)
    assert course.marks("ada", OTHER) == (2, 2, 0)
    assert cell_of(autograded(course), "half").source == "half = 1"
    with nbgrader.api.Gradebook(course.url) as book:
        names = {x.name: x.score for x in book.find_submission("1_unit", "ada").notebooks}
    assert names == {"1_small": 2.5, "2_other": 2}


def test_a_lesson_that_comes_later_gets_room(tmp_path: Path, db: str) -> None:
    root = make_course(tmp_path, SMALL)
    with logged(False), Course(root, root / "grader", db) as course:
        course.publish(SMALL)
        course.enter(outcome(course), "ada")
    make_course(tmp_path, SMALL, OTHER)
    with logged(False), Course(root, root / "grader", db) as course:
        course.publish(SMALL)
        course.publish(OTHER)
        assert (course.known("ada", SMALL), course.known("ada", OTHER)) == (True, False)
        course.enter(outcome(course, lesson=OTHER), "ada")
        assert course.marks("ada", SMALL) == (4, 4, 2)
        assert course.marks("ada", OTHER) == (2, 2, 0)


def test_a_mark_by_hand_holds_while_the_answer_is_the_same(course: Course) -> None:
    course.enter(outcome(course), "ada")
    mark_by_hand(course, "why", 1.5, "Nearly.")
    course.enter(outcome(course, half="half = 1"), "ada")
    assert course.marks("ada", SMALL) == (5.5, 6, 0)
    said = course.hand_marks("ada", SMALL)
    assert (said["why"].points, said["why"].comment) == (1.5, "Nearly.")
    assert set(said) == {"why"}


def test_a_mark_by_hand_is_doubted_once_the_answer_changed(course: Course) -> None:
    course.enter(outcome(course), "ada")
    mark_by_hand(course, "why", 1.5)
    for _ in range(2):  # the second time, it is the same answer, but still not the marked one
        course.enter(outcome(course, why="Another reason."), "ada")
        assert course.marks("ada", SMALL) == (4, 4, 2)
        assert grades(course)["why"] == (None, 1.5, True)
        assert course.hand_marks("ada", SMALL)["why"].points is None
    course.enter(outcome(course, why=STUB), "ada")
    assert course.marks("ada", SMALL) == (4, 4, 2)


def test_a_mark_by_hand_is_doubted_if_the_marked_answer_is_lost(course: Course) -> None:
    course.enter(outcome(course), "ada")
    mark_by_hand(course, "why", 1.5)
    course.file("autograded", "ada", SMALL).write_text("{")
    course.enter(outcome(course), "ada")
    assert course.marks("ada", SMALL) == (4, 4, 2)


def test_a_check_that_the_teacher_overruled(course: Course) -> None:
    course.enter(outcome(course, points={"half-check": 0}), "ada")
    mark_by_hand(course, "half-check", 1)
    course.enter(outcome(course, points={"half-check": 0}), "ada")
    assert grades(course)["half-check"] == (0, 1, True)  # as nbgrader does
    assert course.marks("ada", SMALL) == (4, 4, 2)
    assert course.hand_marks("ada", SMALL)["half-check"].points == 1


def test_a_failure_leaves_marks_and_files_as_they_were(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.enter(outcome(course), "ada")
    mark_by_hand(course, "why", 1.5)

    def fail(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as broken, pytest.raises(MemoryError):
        broken.setattr("grader.gradebook._put_comments", fail)
        course.enter(outcome(course, points={"half-check": 0}, why="Another reason."), "ada")
    assert course.marks("ada", SMALL) == (5.5, 6, 0)
    assert cell_of(autograded(course), "why").source == "Because I say so."


def test_unreadable_keeps_the_old_marks_and_introduces_the_student(course: Course) -> None:
    course.enter(outcome(course), "ada")
    course.enter(Outcome("ada", SMALL, Status.UNREADABLE), "ada")
    course.enter(Outcome("bob", SMALL, Status.UNREADABLE), "Bob B.")
    course.enter(Outcome("eve", "", Status.UNREADABLE), "eve")  # a file of no known lesson
    assert course.marks("ada", SMALL) == (4, 4, 2)
    assert (course.known("ada", SMALL), course.known("bob", SMALL)) == (True, False)
    assert course.marks("bob", SMALL) == (0, 0, 0)
    assert course.hand_marks("bob", SMALL) == {}
    with nbgrader.api.Gradebook(course.url) as book:
        students = {student.id: student.last_name for student in book.students}
        assert students == {"ada": None, "bob": "Bob B.", "eve": None}
        assert len(book.assignment_submissions("1_unit")) == 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Zoë O'Brien; DROP TABLE grade", "Zoë O'Brien; DROP TABLE grade"),
        ('"; --%s {x} \\', '"; --%s {x} \\'),
        ("李" * 300, "李" * 128),
        ("bad\udce9\0byte", "bad?byte"),
    ],
)
def test_odd_names(course: Course, name: str, kept: str) -> None:
    course.enter(outcome(course, "odd.-_ü@x"), name)
    with nbgrader.api.Gradebook(course.url) as book:
        assert book.find_student("odd.-_ü@x").last_name == kept
    assert course.marks("odd.-_ü@x", SMALL) == (4, 4, 2)


def test_the_files_are_what_nbgrader_expects(course: Course) -> None:
    result = outcome(course)
    before = result.to_json()
    course.enter(result, "ada")
    assert result.to_json() == before
    solved = nbformat.read(course.source / f"{SMALL}.ipynb", 4)
    graded, handed = (
        nbformat.read(course.file(x, "ada", SMALL), 4) for x in ("autograded", "submitted")
    )
    for notebook in (graded, handed):
        nbformat.validate(notebook)
    assert cell_of(graded, "double-check").source == cell_of(solved, "double-check").source
    assert "secret_sum" not in nbformat.writes(handed)
    assert cell_of(graded, "double").source == "def double(x):\n    return 2 * x"
    assert cell_of(graded, "try-it").outputs[0].text == "42\n"
    assert cell_of(handed, "try-it").outputs == []
    assert graded.metadata.course.grading == {"status": "ok", "findings": ["a finding"]}
    assert not list(course.data.rglob("*.part"))


def test_output_that_is_no_unicode(course: Course) -> None:
    result = outcome(course)
    cell_of(result.notebook, "try-it").outputs[0].text = "half \ud800"
    course.enter(result, "ada")
    assert cell_of(autograded(course), "try-it").outputs[0].text == "half ?"


def test_the_same_as_nbgraders_own_autograder(course: Course) -> None:
    """On what lies in "submitted" then, and without running it."""
    course.enter(outcome(course, lesson=OTHER), "ada")  # nbgrader wants all lessons of a unit
    cells = [
        {},
        {"why": STUB},
        {"why": "Another reason."},
        {"half": "half = 1"},
    ]
    for given in cells:
        course.enter(outcome(course, **given), "ada")
        mine, comments = grades(course), _comments(course)
        folders = CourseDirectory(config=course.settings)
        folders.assignment_id, folders.notebook_id, folders.student_id = "1_unit", "1_small", "ada"
        settings = course.settings.copy()
        settings.Autograde.autograde_preprocessors = ["nbgrader.preprocessors.SaveAutoGrades"]
        converter = Autograde(coursedir=folders, config=settings)
        converter.force = True
        ours = nbformat.writes(autograded(course))
        converter.start()
        assert (grades(course), _comments(course)) == (mine, comments)
        theirs = autograded(course)
        for cell in nbformat.reads(ours, 4).cells:
            assert (cell.source, cell.metadata) == (
                cell_of(theirs, cell.id).source,
                cell_of(theirs, cell.id).metadata,
            )


def _comments(course: Course) -> dict[str, str | None]:
    with nbgrader.api.Gradebook(course.url) as book:
        rows = book.find_submission_notebook("1_small", "1_unit", "ada").comments
        return {row.name: row.auto_comment for row in rows}


def test_nbgraders_feedback_reads_it(course: Course) -> None:
    course.enter(outcome(course, points={"double-check": 1 / 4}), "ada")
    mark_by_hand(course, "why", 1.5, "Nearly there.")
    folders = CourseDirectory(config=course.settings)
    folders.assignment_id, folders.student_id = "1_unit", "ada"
    GenerateFeedback(coursedir=folders, config=course.settings).start()
    page = course.file("feedback", "ada", SMALL, ".html").read_text(encoding="utf-8")
    assert "Nearly there." in page
    assert "Score: 3.75 / 6.0" in page


def test_a_class_of_two_hundred_with_one_commit_each(course: Course) -> None:
    assert course.marks("nobody", SMALL) == (0, 0, 0)  # and the lesson's checks are known
    commits: list[Any] = []
    event.listen(course.book.engine, "commit", commits.append)
    first = outcome(course)
    for number in range(200):
        first.student = f"student-{number}"
        first.checks[1].points = number / 200
        course.enter(first, first.student)
    assert len(commits) == 200
    for number in (0, 99, 199):
        assert course.marks(f"student-{number}", SMALL) == (3 + number / 200, 4, 2)
    with nbgrader.api.Gradebook(course.url) as book:
        assert len(book.notebook_submissions("1_small", "1_unit")) == 200


def test_two_who_grade_at_once(course: Course, tmp_path: Path) -> None:
    """The same students into one gradebook: as two teachers on one server may do."""
    results = [outcome(course, f"student-{number}") for number in range(25)]
    failed = []

    def enter(data: Path) -> None:
        try:
            with Course(tmp_path, data, course.url) as other:
                for result in results:
                    other.enter(result, result.student)
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=enter, args=(tmp_path / name,)) for name in ("here", "there")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with nbgrader.api.Gradebook(course.url) as book:
        assert {x.score for x in book.notebook_submissions("1_small", "1_unit")} == {4}
        assert len(book.students) == 25


# What is published.


def test_publishing_again_only_if_something_changed(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    with monkeypatch.context() as broken:
        broken.setattr("grader.gradebook.GenerateAssignment", never)
        course.publish(SMALL)
    course.enter(outcome(course), "ada")
    source = course.source / f"{SMALL}.ipynb"
    notebook = nbformat.read(source, 4)
    cell_of(notebook, "half-check").metadata["nbgrader"]["points"] = 5
    cell_of(notebook, "half-check").source = "assert half(1) == 7"
    nbformat.write(notebook, source)
    course.publish(SMALL)
    course.enter(outcome(course, points={"half-check": 4}), "ada")
    assert course.marks("ada", SMALL) == (7, 8, 2)
    assert cell_of(autograded(course), "half-check").source == "assert half(1) == 7"

    notebook.cells.remove(cell_of(notebook, "half-check"))
    nbformat.write(notebook, source)
    with pytest.raises(
        GraderError, match=r"gradebook\.db away|an empty database with --db"
    ) as told:
        course.publish(SMALL)
    assert PASSWORD not in str(told.value)
    assert course.marks("ada", SMALL) == (7, 8, 2)


def test_one_folder_for_two_gradebooks(course: Course, tmp_path: Path) -> None:
    """Each learns of a change, whichever is told first."""
    source = course.source / f"{SMALL}.ipynb"
    notebook = nbformat.read(source, 4)
    cell_of(notebook, "half-check").metadata["nbgrader"]["points"] = 5
    nbformat.write(notebook, source)
    with Course(tmp_path, course.data, f"sqlite:///{tmp_path}/new.db") as other:
        for each in (other, course):
            each.publish(SMALL)
            each.enter(outcome(each), "ada")
            assert each.marks("ada", SMALL) == (4, 8, 2)


def test_an_outcome_of_other_checks(course: Course) -> None:
    result = outcome(course)
    result.checks[0].id = "gone"
    with pytest.raises(GraderError, match="'gone' is no check of lesson 1_unit/1_small"):
        course.enter(result, "ada")
    assert not course.known("ada", SMALL)


def test_a_check_without_an_outcome_is_no_zero(course: Course) -> None:
    result = outcome(course)
    del result.checks[0]
    course.enter(result, "ada")
    assert course.marks("ada", SMALL) == (2, 2, 4)


# Databases.


@pytest.mark.parametrize(
    ("db", "words"),
    [
        ("marks.db", "is no URL"),
        ("postgresql://ada@host:port/course", "is no URL"),
        ("postgresql://ada:p@ss@host/course", "write @ as %40"),
        ("mysql://ada@host/course", "does not work with mysql"),
        ("sqlite://", "must be in a file"),
        ("sqlite:////nowhere/at/all/x.db", "unable to open database file"),
        ("postgresql://ada:secret@127.0.0.1:1/course", "is the server running"),
        ("postgresql+asyncfoo://ada:secret@127.0.0.1/course", "driver that is not installed"),
        ("postgresql+psycopg2://ada:secret@127.0.0.1/course", "install psycopg"),
        ("postgresql://ada:secret@127.0.0.1/course?nonsense=secret", "nonsense"),
    ],
)
def test_databases_that_cannot_be_used(tmp_path: Path, db: str, words: str) -> None:
    with pytest.raises(GraderError, match=words) as told, Course(tmp_path, tmp_path, db):
        raise AssertionError
    assert "secret" not in str(told.value)
    assert "ss@host" not in str(told.value)


def test_a_wrong_password_and_a_server_that_goes_away(tmp_path: Path) -> None:
    url = new_database()
    wrong = url.replace("teacher:", "teacher:x")
    with pytest.raises(GraderError, match="password authentication failed") as told:
        has_gradebook(gradebook_url(tmp_path, wrong))
    assert PASSWORD not in str(told.value)
    assert not has_gradebook(gradebook_url(tmp_path, url))
    root = make_course(tmp_path)
    with logged(False), Course(root, root / "grader", url) as course:
        course.publish(SMALL)
        course.enter(outcome(course), "ada")
        course.book.db.connection().connection.driver_connection.close()
        with pytest.raises(GraderError, match="fails"):
            course.marks("ada", SMALL)
    assert has_gradebook(course.url)


def test_urls(tmp_path: Path) -> None:
    assert gradebook_url(tmp_path) == f"sqlite:///{tmp_path}/gradebook.db"
    assert gradebook_url(tmp_path, "sqlite:///x.db") == f"sqlite:///{Path.cwd()}/x.db"
    full = gradebook_url(tmp_path, "postgresql://ada:se%40cret@host/course?sslmode=require")
    assert full.startswith("postgresql+psycopg://ada:se%40cret@host/course?")
    assert "sslmode=require" in full and "connect_timeout=" in full
    assert gradebook_url(tmp_path, full) == full
    assert shown_url(full) == "postgresql+psycopg://ada:***@host/course"


def test_sqlite_waits_and_writes_fast(tmp_path: Path) -> None:
    root = make_course(tmp_path)
    with Course(root, root / "grader") as course:
        ask = course.book.db.connection().exec_driver_sql
        asked = [
            ask(f"PRAGMA {x}").scalar() for x in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert asked == ["wal", 1, 30000]
    assert [x.name for x in (root / "grader").glob("gradebook*")] == ["gradebook.db"]


# nbgrader's pages.

SERVE = """
import pathlib, sys
from grader.web import open_formgrader
root = pathlib.Path(sys.argv[1])
open_formgrader(root / "grader", root, db=sys.argv[2], browser=False)
"""


def test_formgrader(course: Course, db: str) -> None:
    course.enter(outcome(course), "Ada Lovelace")
    course.enter(outcome(course, "bob", OTHER), "bob")
    root = course.source.parent
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(root), db],
        env={**os.environ, "HOME": str(root / "home"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        address = next(line.strip() for line in process.stdout if "http://" in line)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

        def page(path: str) -> str:
            with browser.open(address.replace("/formgrader?", f"/formgrader{path}?")) as answer:
                return str(answer.read().decode())

        first = page("")
        assert "<title>nbgrader formgrade</title>" in first
        assert PASSWORD not in first and "postgresql" not in first
        rows = {row["student"]: row for row in json.loads(page("/api/submissions/1_unit"))}
        assert (rows["ada"]["autograded"], rows["ada"]["score"]) == (True, 4)
        assert rows["ada"]["needs_manual_grade"] and not rows["bob"]["needs_manual_grade"]
        lessons = {row["name"]: row for row in json.loads(page("/api/notebooks/1_unit"))}
        assert {name: row["num_submissions"] for name, row in lessons.items()} == {
            "1_small": 1,
            "2_other": 1,
        }
        (submitted,) = json.loads(page("/api/submitted_notebooks/1_unit/1_small"))
        assert (submitted["last_name"], submitted["index"]) == ("Ada Lovelace", 0)
        shown = page(f"/submissions/{submitted['id']}/")
        assert "secret_sum" in re.sub("<[^>]*>", "", shown)
        assert "Because I say so." in shown
        (mine,) = json.loads(page("/api/student_notebook_submissions/bob/1_unit"))
        assert (mine["name"], mine["score"]) == ("2_other", 2)
        assert {x["id"] for x in json.loads(page("/api/students"))} == {"ada", "bob"}
        for path in (
            *("/manage_submissions/1_unit", "/gradebook", "/gradebook/1_unit"),
            *("/gradebook/1_unit/1_small", "/manage_students", "/manage_students/ada/1_unit"),
        ):
            assert "<title>" in page(path)
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_formgrader_without_marks(tmp_path: Path, db: str) -> None:
    root = make_course(tmp_path)
    answer = subprocess.run(
        [sys.executable, "-c", SERVE, str(root), db], capture_output=True, text=True
    )
    assert "GraderError: there are no marks in" in answer.stderr
    assert PASSWORD not in answer.stderr
