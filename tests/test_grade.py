"""Grading a class through nbgrader: marks, statuses, and nobody's trouble is another's."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from graded_class import FILES, HOW, PUPILS, graded_class
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from small_course import OTHER, SMALL, cell_of, handed_in, make_course
from typer.testing import CliRunner

import grader.worker
from course.learn.lab import environment
from grader.cli import app
from grader.demo import run_demo
from grader.errors import GraderError
from grader.grade import grade
from grader.nbgrader_settings import course_settings
from grader.paths import ROOT
from grader.results import Result, Status, write_csv

pytestmark = pytest.mark.nbgrader

OK, REPAIRED, TIMEOUT = Status.OK, Status.REPAIRED, Status.TIMEOUT
CRASHED, TAMPERED = Status.CRASHED, Status.TAMPERED

EXPECTED = {  # status, and points of 4
    "right": (OK, 4),
    "nothing": (OK, 0),
    "half wrong": (OK, 3),
    "plainly wrong": (OK, 1),
    "shadows": (OK, 1),
    "chained": (OK, 2),
    "borrows": (OK, 2),
    "hidden wrong": (OK, 2),
    "syntax": (OK, 2),
    "warns": (OK, 4),
    "exits": (OK, 2),
    "dies": (CRASHED, 2),
    "loops": (TIMEOUT, 2),
    "stubborn": (TIMEOUT, 2),
    "spy": (OK, 0),
    "orphan": (OK, 2),
    "copied": (REPAIRED, 4),
    "dropped": (REPAIRED, 4),
    "edited": (TAMPERED, 0),
    "skips": (OK, 0),
    "points": (TAMPERED, 0),
    "empty": (Status.UNREADABLE, None),
    "broken": (Status.UNREADABLE, None),
}


@pytest.mark.parametrize("student", EXPECTED)
def test_marks_and_status(student: str) -> None:
    result = graded_class().results[student]
    assert (result.status, result.score) == EXPECTED[student]
    assert result.lesson == SMALL
    if result.score is not None:
        assert (result.possible, result.pending) == (4, 2)


def test_everybody_is_there_once() -> None:
    assert set(EXPECTED) == set(PUPILS) | set(FILES) == set(graded_class().results)


def test_findings_say_what_happened() -> None:
    results = graded_class().results
    assert results["right"].findings == []
    assert "copied" not in " ".join(results["copied"].findings)  # a student's name is no finding
    assert results["dies"].findings == [
        "Python died in the cell 'half'; what does not need it counts"
    ]
    assert "'half-check', the cell 'both-check'" in results["loops"].findings[0]
    assert results["stubborn"].findings == ["more than 3 seconds: the cell 'half'"]
    assert results["empty"].findings == ["the file is empty"]


def test_submissions_are_left_as_they_were() -> None:
    assert {path: path.read_bytes() for path in graded_class().before} == graded_class().before


def test_nothing_that_a_notebook_started_is_left() -> None:
    assert graded_class().results["orphan"].status == OK
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "4321"] not in commands


def test_progress_is_told() -> None:
    watched, count = graded_class().watched, len(EXPECTED)
    done = [number for _, number, total in watched if total == count]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, count)


def test_the_csv_has_no_zero_where_there_is_no_mark() -> None:
    with (graded_class().root / "grader/results.csv").open(newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows["right"] == {
        "student": "right",
        "lesson": SMALL,
        "score": "4",
        "max": "4",
        "manual_pending": "2",
        "status": "ok",
        "findings": "",
    }
    assert (rows["nothing"]["score"], rows["empty"]["score"]) == ("0", "")
    assert rows["empty"]["status"] == "unreadable"


def test_the_gradebook_has_the_marks() -> None:
    root = graded_class().root
    with Gradebook(f"sqlite:///{root}/grader/gradebook.db") as book:
        assert [assignment.name for assignment in book.assignments] == ["1_unit"]
        assert len(book.students) == len(EXPECTED)  # also those without a mark
        assert book.find_submission_notebook("1_small", "1_unit", "right").score == 4
        late = book.find_student(next(x.id for x in book.students if x.last_name == "half wrong"))
        assert book.find_submission_notebook("1_small", "1_unit", late.id).score == 3


# A few submissions at a time.


def hand_in(root: Path, **notebooks: Any) -> Path:
    folder = root / "handed_in"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for student, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{student}.ipynb")
    return folder


def test_a_lesson_that_comes_later_and_grading_again(tmp_path: Path) -> None:
    """The unit grows after the first marks; no mark is lost, none is invented."""
    root = make_course(tmp_path, SMALL)
    (first,) = grade(hand_in(root, ada=handed_in()), root, how=HOW, feedback=False).results
    assert (first.score, first.again) == (4, False)

    make_course(tmp_path, SMALL, OTHER)
    both = {"ada": handed_in(OTHER), "bob": handed_in(half="x = 1")}
    results = grade(hand_in(root, **both), root, how=HOW, feedback=False).results
    assert [(r.student, r.lesson, r.status, r.score) for r in results] == [
        ("ada", SMALL, Status.NOT_SUBMITTED, None),
        ("ada", OTHER, OK, 2),
        ("bob", SMALL, OK, 2),
        ("bob", OTHER, Status.NOT_SUBMITTED, None),
    ]
    with Gradebook(f"sqlite:///{root}/grader/gradebook.db") as book:
        assert book.find_submission_notebook("1_small", "1_unit", "ada").score == 4
        with pytest.raises(MissingEntry):
            book.find_submission_notebook("2_other", "1_unit", "bob")

    (again,) = grade(hand_in(root, bob=handed_in()), root, how=HOW, feedback=False).results
    assert (again.score, again.again) == (4, True)
    (root / "handed_in/bob.ipynb").write_text("")
    (broken,) = grade(root / "handed_in", root, how=HOW, feedback=False).results
    assert broken.lesson == ""  # it could be of either lesson
    (root / "handed_in/bob.ipynb").rename(root / "handed_in/bob-1_small.ipynb")
    (broken,) = grade(root / "handed_in", root, how=HOW, feedback=False).results
    assert "keeps the marks of an earlier file" in broken.findings[-1]


def test_checks_that_changed_since_marks_were_given(tmp_path: Path) -> None:
    root = make_course(tmp_path, SMALL)
    folder = hand_in(root, ada=handed_in())
    grade(folder, root, how=HOW, feedback=False)
    source = root / f"solutions/{SMALL}.ipynb"
    notebook = nbformat.read(source, 4)
    check = cell_of(notebook, "half-check")
    check.source, check.metadata["nbgrader"]["points"] = "assert half(1) == 0.5", 5
    nbformat.write(notebook, source)
    (result,) = grade(folder, root, how=HOW, feedback=False).results
    assert (result.score, result.possible) == (8, 8)
    notebook.cells.remove(check)
    nbformat.write(notebook, source)
    with pytest.raises(GraderError, match=r"gradebook\.db away"):
        grade(folder, root, how=HOW, feedback=False)


def test_trouble_inside_nbgrader_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = grader.worker._grade

    def sometimes(job: Any, *more: Any) -> None:
        if job.student == "ada":
            raise MemoryError
        run(job, *more)

    monkeypatch.setattr(grader.worker, "_grade", sometimes)
    root = make_course(tmp_path, SMALL)
    results = grade(hand_in(root, ada=handed_in(), bob=handed_in()), root, how=HOW).results
    assert [(r.status, r.score) for r in results] == [(CRASHED, None), (OK, 4)]
    assert "no mark yet" in (root / f"grader/feedback/ada/{SMALL}.html").read_text()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda root: root / "nowhere", "there is no"),
        (lambda root: hand_in(root), "there is no notebook in"),
        (lambda root: hand_in(root).rename(root / "grader/submitted"), "keeps its own copies"),
    ],
)
def test_misuse(tmp_path: Path, prepare: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(GraderError, match=words):
        grade(prepare(make_course(tmp_path)), tmp_path)


def test_without_lessons(tmp_path: Path) -> None:
    with pytest.raises(GraderError, match="grader build"):
        grade(tmp_path, tmp_path)


# The commands.


def run_command(monkeypatch: pytest.MonkeyPatch, root: Path, *arguments: str) -> Any:
    monkeypatch.setattr("grader.paths.ROOT", root)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "120"})


def test_the_command_grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_course(tmp_path, SMALL)
    folder = str(hand_in(root, ada=handed_in()))
    answer = run_command(
        monkeypatch, root, "grade", folder, "--unsafe", "--csv", str(root / "marks.csv")
    )
    assert answer.exit_code == 0, answer.output
    assert re.search(r"ada +4 +4 +2 +ok", answer.output)
    assert "ada" in (root / "marks.csv").read_text()
    assert not (root / "grader/results.csv").exists()

    (root / "handed_in/bob.ipynb").write_text("")
    answer = run_command(monkeypatch, root, "grade", folder, "--unsafe", "--no-feedback")
    assert answer.exit_code == 1
    assert "1 have not changed, and were not run again" in answer.output
    assert "1 of 2 need somebody to look" in answer.output
    assert not (root / f"grader/feedback/bob/{SMALL}.html").exists()


MAIN = """
import pathlib, sys, grader.paths
grader.paths.ROOT = pathlib.Path(sys.argv.pop(1))
from grader.cli import main
main()
"""


@pytest.mark.parametrize("arguments", [("grade", "nowhere"), ("web",), ("web", "--demo")])
def test_mistakes_get_a_remedy_and_exit_code_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    root = str(make_course(tmp_path))
    answer = subprocess.run(
        [sys.executable, "-c", MAIN, root, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert answer.returncode == 2
    assert re.search("^grader: there (is|are) no", answer.stdout, re.MULTILINE)
    assert "Traceback" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("command", ["grade", "demo", "web", "doctor"])
def test_help_has_an_example(command: str) -> None:
    answer = CliRunner().invoke(app, [command, "--help"])
    assert answer.exit_code == 0
    assert f"Example: grader {command}" in answer.output


def test_formgrader_opens_on_the_same_marks(tmp_path: Path) -> None:
    """And writes nothing outside the course, whatever the home folder is."""
    root, home = graded_class().root, tmp_path / "home"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(root), "web", "--no-browser"],
        env={**os.environ, "HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        address = next(line.strip() for line in process.stdout if "http://" in line)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address) as page:
            assert page.url.endswith("/formgrader/manage_assignments")
            assert "<title>nbgrader formgrade</title>" in page.read().decode()
        with browser.open(address.replace("?", "/api/notebooks/1_unit?")) as answer:
            (lesson,) = json.load(answer)
        assert (lesson["name"], lesson["num_submissions"]) == ("1_small", len(PUPILS))
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert list(home.iterdir()) == []


# The demonstration.


@pytest.fixture
def demo_root(tmp_path: Path) -> Path:
    for folder in ("lessons", "solutions", "notebooks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    return tmp_path


def test_the_demonstration(demo_root: Path) -> None:
    (demo_root / "grader/demo").mkdir(parents=True)
    (demo_root / "grader/demo/old").touch()
    pupils, graded = run_demo(students=3, root=demo_root)
    results = {result.student: result for result in graded.results}
    assert list(results) == [pupil.name for pupil in pupils] == ["ada", "blaise", "carl"]
    for student in ("ada", "blaise"):
        assert results[student].score == results[student].possible
    assert 0 < (results["carl"].score or 0) < (results["carl"].possible or 0)
    assert (demo_root / "grader/demo/results.csv").exists()
    assert (demo_root / f"grader/demo/feedback/carl/{graded.results[2].lesson}.html").exists()
    assert not (demo_root / "grader/demo/old").exists()
    assert not (demo_root / "grader/gradebook.db").exists()


def test_a_class_of_any_size_in_which_all_are_different(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.demo.grade", lambda *_, **__: None)
    pupils, _ = run_demo(students=15, root=demo_root)
    for what in ("name", "did", "content"):
        assert len({getattr(pupil, what) for pupil in pupils}) == 15, what
    texts = [pupil.content for pupil in pupils]
    for trouble in ("os._exit", "while True", "assert True"):
        assert sum(trouble in text for text in texts) == 1, trouble
    assert "" in texts
    assert not any(marker in text for text in texts for marker in ("### BEGIN", "### END"))


def test_csv_of_odd_names(tmp_path: Path) -> None:
    write_csv([Result('Zoë, "Z"', SMALL, OK, ["a; b"], 2.5, 4)], tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["student"], row["score"], row["findings"]) == ('Zoë, "Z"', "2.5", "a; b")


def test_marks_of_other_lessons_stay(tmp_path: Path) -> None:
    """Also when the copies that were graded are gone."""
    root = make_course(tmp_path)
    first = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), first)
    grade(first, root, how=HOW, feedback=False)
    shutil.rmtree(root / "grader" / "submitted")
    subprocess.run(["chmod", "-R", "u+w", root / "grader" / "autograded"], check=True)
    shutil.rmtree(root / "grader" / "autograded")
    nbformat.write(handed_in(OTHER), first)
    grade(first, root, how=HOW, feedback=False)
    with Gradebook(f"sqlite:///{root}/grader/gradebook.db") as book:
        marks = {x.name: x.score for x in book.find_submission("1_unit", "ada").notebooks}
    assert marks == {"1_small": 4, "2_other": 2}


def test_another_answer_waits_for_the_teacher_again(tmp_path: Path) -> None:
    root = make_course(tmp_path)
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), path)
    grade(path, root, how=HOW, feedback=False)
    with Gradebook(f"sqlite:///{root}/grader/gradebook.db") as book:
        found = book.find_grade("why", "1_small", "1_unit", "ada")
        found.manual_score, found.needs_manual_grade = 2, False
        book.db.commit()
    (again,) = (r for r in grade(path, root, how=HOW, feedback=False).results if r.lesson == SMALL)
    assert (again.score, again.pending) == (6, 0)
    nbformat.write(handed_in(why="Something else."), path)
    (other,) = (r for r in grade(path, root, how=HOW, feedback=False).results if r.lesson == SMALL)
    assert (other.score, other.pending) == (4, 2)


def test_marks_that_cannot_be_written_are_told_first(tmp_path: Path) -> None:
    root = make_course(tmp_path)
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), path)
    with pytest.raises(GraderError, match="cannot be written"):
        grade(path, root, csv=tmp_path)
    assert not (root / "grader" / "submitted").exists()


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's
def test_nbgraders_own_autograde_runs_in_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What formgrader's button does."""
    root = make_course(tmp_path, SMALL)
    monkeypatch.setenv("PATH", environment(root)["PATH"])
    settings = course_settings(root)
    settings.ExecuteNotebook.unsafe = True
    api = NbGraderAPI(config=settings)
    assert api.generate_assignment("1_unit")["success"]
    pupils = {
        "ada": handed_in(),
        "bob": handed_in(half="import os\nos._exit(1)"),
        "cyd": handed_in(double="def double(x): return abs(2 * x)"),
    }
    for student, notebook in pupils.items():
        path = root / f"grader/submitted/{student}/{SMALL}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
        answer = api.autograde("1_unit", student)
        assert answer["success"], answer
    with Gradebook(settings.CourseDirectory.db_url) as book:
        scores = {
            student: book.find_submission_notebook("1_small", "1_unit", student).score
            for student in pupils
        }
    assert scores == {"ada": 4, "bob": 2, "cyd": 2}
