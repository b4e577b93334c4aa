"""Every lesson through real nbgrader: what is handed out, and the two ends of the marks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from small_course import SMALL, make_course

from grader.grade import grade, read_releases
from grader.gradebook import Course, logged
from grader.paths import ROOT
from grader.results import Result, Status

pytestmark = [pytest.mark.nbgrader, pytest.mark.xdist_group("release")]

LESSONS = list(read_releases(ROOT))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("course")
    for folder in ("solutions", "notebooks"):
        shutil.copytree(ROOT / folder, root / folder)
    return root


@pytest.mark.parametrize("lesson", LESSONS)
def test_students_notebooks_are_what_nbgrader_makes(root: Path, lesson: str) -> None:
    course = Course(root, root / "made")
    with logged(False):
        course.publish(lesson)
    made = json.loads((root / "made/release" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    ours = json.loads((ROOT / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    assert ours == made


@pytest.fixture(scope="module")
def results(root: Path) -> dict[tuple[str, str], Result]:
    """All lessons handed in solved, and untouched."""
    folder = root / "handed_in"
    for lesson in LESSONS:
        notebook = nbformat.read(root / "notebooks" / f"{lesson}.ipynb", 4)
        untouched = folder / "untouched" / f"{lesson}.ipynb"
        untouched.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, untouched)
        answers = nbformat.read(root / "solutions" / f"{lesson}.ipynb", 4)
        for cell, answer in zip(notebook.cells, answers.cells, strict=True):
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = answer.source
        solved = folder / "solved" / f"{lesson}.ipynb"
        solved.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, solved)
    graded = grade(folder, root, feedback=False)
    return {(result.student, result.lesson): result for result in graded.results}


@pytest.mark.parametrize("lesson", LESSONS)
def test_solved_is_full_marks_and_untouched_none(
    results: dict[tuple[str, str], Result], root: Path, lesson: str
) -> None:
    solved, untouched = results["solved", lesson], results["untouched", lesson]
    release = nbformat.read(root / "notebooks" / f"{lesson}.ipynb", 4)
    graded = [cell.metadata.get("nbgrader", {}) for cell in release.cells]
    checks = sum(x["points"] for x in graded if x.get("grade") and not x["solution"])
    by_hand = sum(x["points"] for x in graded if x.get("grade") and x["solution"])
    assert (solved.status, untouched.status) == (Status.OK, Status.OK)
    assert solved.score == solved.possible == checks
    assert solved.pending == by_hand
    assert (untouched.score, untouched.possible) == (0, checks + by_hand)


def test_nbgraders_own_commands_know_the_course(tmp_path: Path) -> None:
    root = make_course(tmp_path, SMALL)
    handed_out = (root / f"notebooks/{SMALL}.ipynb").read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["nbgrader", "generate_assignment", "--force", SMALL.split("/")[0]]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = json.loads((root / f"grader/release/{SMALL}.ipynb").read_text())
    assert made == json.loads(handed_out)
    assert (root / f"notebooks/{SMALL}.ipynb").read_bytes() == handed_out
    assert (root / "grader/gradebook.db").exists()
