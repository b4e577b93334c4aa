"""Many submissions: the same marks however the work is spread; an interrupted run goes on."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from graded_class import HOW, PUPILS
from nbgrader.api import Gradebook
from small_course import SMALL, handed_in, make_course

import grader.spread
from grader.errors import GraderError
from grader.fork_server import _servers
from grader.grade import grade
from grader.outcome import Outcome, outcome_file
from grader.worker import grade_submission

pytestmark = pytest.mark.nbgrader

QUICK = ("right", "nothing", "half wrong", "hidden wrong", "plainly wrong", "dies", "copied", "spy")


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handed_in"
    folder.mkdir()
    for name in QUICK:
        cells, change = PUPILS[name]
        nbformat.write(handed_in(change=change, **cells), folder / f"{name}.ipynb")
    (folder / "broken.ipynb").write_text("{")
    return folder


def course(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return make_course(folder, SMALL)


def facts(root: Path, students: list[str]) -> dict[str, Any]:
    """What was found out about each student, without times."""
    found = {}
    for student in students:
        outcome = Outcome.from_json(outcome_file(root / "grader", student, SMALL).read_text())
        checks = [{**vars(check), "seconds": 0} for check in outcome.checks]
        found[student] = (outcome.status, outcome.findings, checks)
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A scheduler and a worker in processes of their own, as on other machines."""
    distributed = pytest.importorskip("distributed", reason="the package distributed is missing")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
    ) as started:
        yield started.scheduler_address


def test_the_same_marks_however_it_is_spread(
    tmp_path: Path, class_folder: Path, cluster: str
) -> None:
    ways: dict[str, dict[str, Any]] = {
        "one": {"workers": 1},
        "three": {"workers": 3},
        "cluster": {"cluster": cluster},
    }
    seen = {}
    for name, way in ways.items():
        root = course(tmp_path, name)
        results = grade(class_folder, root, how=HOW, **way).results
        assert not _servers, "a fork server is left"
        students = [outcome.stem for outcome in (root / f"grader/outcomes/{SMALL}").iterdir()]
        assert len(students) == len(QUICK) + 1
        marks = [(r.student, r.score, r.possible, r.pending, r.status) for r in results]
        seen[name] = (marks, facts(root, sorted(students)))
    assert seen["one"] == seen["three"] == seen["cluster"]


def test_an_interrupted_run_goes_on(
    tmp_path: Path, class_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = course(tmp_path, "course")

    def interrupt(what: str, done: int, total: int) -> None:
        if total > 1 and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(class_folder, root, how=HOW, workers=2, watch=interrupt)
    assert not _servers
    done = len(list((root / f"grader/outcomes/{SMALL}").glob("*.json")))
    assert done == 3

    ran, lock = [], threading.Lock()

    def run(job: Any, *more: Any) -> Outcome:
        with lock:
            ran.append(job.student)
        return grade_submission(job, *more)

    monkeypatch.setattr(grader.spread, "grade_submission", run)
    graded = grade(class_folder, root, how=HOW, workers=2)
    assert (len(ran), graded.unchanged) == (len(QUICK) + 1 - done, done)
    assert len(graded.results) == len(QUICK) + 1

    ran.clear()
    changed = class_folder / "right.ipynb"
    nbformat.write(handed_in(half="x = 1"), changed)
    graded = grade(class_folder, root, how=HOW)
    assert ran == ["right"]
    (right,) = (r for r in graded.results if r.student == "right")
    assert (right.score, right.again) == (2, True)

    ran.clear()
    grade(class_folder, root, how=HOW, again=True)
    assert len(ran) == len(QUICK) + 1


def test_a_lost_gradebook_is_filled_again_without_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = course(tmp_path, "course")
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), path)
    grade(path, root, how=HOW)
    for file in (root / "grader").glob("gradebook.db*"):
        file.unlink()
    monkeypatch.setattr(grader.spread, "grade_submission", None)
    (result,) = grade(path, root, how=HOW).results
    assert result.score == 4
    with Gradebook(f"sqlite:///{root}/grader/gradebook.db") as book:
        assert book.find_submission_notebook("1_small", "1_unit", "ada").score == 4


def test_outcomes_say_what_made_them(tmp_path: Path) -> None:
    root = course(tmp_path, "course")
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), path)
    grade(path, root, how=HOW)
    outcome = json.loads(outcome_file(root / "grader", "ada", SMALL).read_text())
    assert outcome["host"]
    assert outcome["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert outcome["layers"][-1] == "rlimits"
    assert outcome["memory"] > 0


@pytest.mark.parametrize(
    ("address", "words"),
    [("tcp://127.0.0.1:9", "no Dask scheduler answers"), ("nonsense://x", "no Dask scheduler")],
)
def test_a_cluster_that_is_not_there(tmp_path: Path, address: str, words: str) -> None:
    root = course(tmp_path, "course")
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), path)
    with pytest.raises(GraderError, match=words):
        grade(path, root, how=HOW, cluster=address)


def test_nothing_runs_after_ctrl_c(tmp_path: Path) -> None:
    """The command is interrupted in the middle: no process of it is left, and it says nothing ugly."""
    root = course(tmp_path, "course")
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(half="import time\ntime.sleep(54)"), path)
    script = (
        "import pathlib, sys, grader.paths\n"
        "grader.paths.ROOT = pathlib.Path(sys.argv.pop(1))\n"
        "from grader.cli import main\nmain()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(root), "grade", str(path), "--unsafe"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    import psutil

    def inside() -> list[Any]:
        return psutil.Process(process.pid).children(recursive=True)

    while len(inside()) < 3 and process.poll() is None:
        pass
    family = inside()
    process.send_signal(2)
    output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
