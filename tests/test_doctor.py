"""What the doctor says of a machine, and that nothing untrusted runs where nothing keeps it in."""

from pathlib import Path

import nbformat
import pytest
from small_course import SMALL, handed_in, make_course
from typer.testing import CliRunner

import grader.doctor
from grader.cli import app
from grader.doctor import ATTEMPTS, Walls, examine, require_walls, walls
from grader.errors import GraderError
from grader.grade import grade
from grader.worker import How

needs_walls = pytest.mark.skipif(
    bool(walls().missing), reason=f"nothing here keeps submissions from {walls().missing}"
)


@pytest.fixture
def no_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Walls((), ("seccomp",), ())
    monkeypatch.setattr(grader.doctor, "walls", lambda: nothing)


@needs_walls
def test_every_attempt_to_get_out_is_refused() -> None:
    assert examine() == dict.fromkeys(ATTEMPTS, "refused")


def test_the_attempts_would_succeed_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would show nothing."""
    real = grader.doctor.ForkServer
    monkeypatch.setattr(grader.doctor, "ForkServer", lambda: real(layers=False))
    harmless = {name: x for name, x in ATTEMPTS.items() if "stopping" not in name}
    harmless = {name: x for name, x in harmless.items() if "write_text" not in x}
    monkeypatch.setattr(grader.doctor, "ATTEMPTS", harmless)
    got_through = {name for name, result in examine().items() if result == "got through"}
    assert got_through >= {
        "reading the solutions",
        "reading the lesson texts",
        "reading the reference of the lesson's parts",
        "listing the home folder",
        "connecting to this computer",
        "sending the grader a signal",
    }


def test_without_walls_nothing_is_graded(tmp_path: Path, no_walls: None) -> None:
    with pytest.raises(GraderError, match="nothing on this machine keeps submissions from files"):
        require_walls()
    root = make_course(tmp_path, SMALL)
    path = tmp_path / "ada.ipynb"
    nbformat.write(handed_in(), path)
    with pytest.raises(GraderError, match="--unsafe"):
        grade(path, root)
    (result,) = grade(path, root, how=How(unsafe=True)).results
    assert result.score == 4


def test_the_command_names_the_remedy(no_walls: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "120"})
    assert answer.exit_code == 1
    assert "NOTHING" in answer.output
    assert "install bubblewrap" in answer.output


@needs_walls
def test_the_command_shows_what_it_tried() -> None:
    answer = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "120"})
    assert answer.exit_code == 0, answer.output
    assert answer.output.count("refused: ") == len(ATTEMPTS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--executor", "jupyter"], "no sandbox"),
        (["--executor", "docker"], "there are sandbox and jupyter"),
        (["--workers", "-1"], "Invalid value"),
    ],
)
def test_misused_options(tmp_path: Path, words: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, ["grade", str(tmp_path), *words])
    assert answer.exit_code != 0
    assert said in answer.output + str(answer.exception)
