"""`course open` and `course restart`, through the real command; no browser is needed here."""

import json
import re
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import sample_course
from nbformat.v4 import new_code_cell, new_notebook
from sample_course import LESSONS, RIGHT_ANSWER, WRONG_ANSWER, Server
from websocket import create_connection

LESSON = LESSONS["1.1"]

PROBE = """\
import matplotlib.pyplot, numba, sys
@numba.njit(cache=True)
def one(): return 1
one()
matplotlib.pyplot.figure().savefig("figure.png")
print(sys.executable)"""


def course(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        sample_course.course_command(*arguments),
        cwd=folder,
        env=sample_course.environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Server]:
    """A running course, on a computer that has a wrong kernel called python3 elsewhere."""
    folder = sample_course.make_course(tmp_path_factory.mktemp("a course"))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    kernel = elsewhere / "kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(
        json.dumps({"argv": ["false"], "display_name": "Wrong", "language": "python"})
    )
    variables = {"HOME": str(home), "JUPYTER_PATH": str(elsewhere)}
    with sample_course.opened(folder, "1.1", **variables) as server:
        yield server


def ask(server: Server, path: str, data: Any = None) -> Any:
    """Asks Jupyter's REST interface."""
    request = urllib.request.Request(
        server.base + path,
        data=None if data is None else json.dumps(data).encode(),
        headers={"Authorization": f"token {server.token}"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def run_cell(server: Server, notebook: str, code: str) -> str:
    """Runs code in a notebook's kernel, as JupyterLab does; gives what it printed."""
    session = {"kernel": {"name": "python3"}, "name": "", "path": notebook, "type": "notebook"}
    kernel = ask(server, "/api/sessions", session)["kernel"]["id"]
    address = f"{server.base}/api/kernels/{kernel}/channels".replace("http:", "ws:")
    channel = create_connection(
        address, header=[f"Authorization: token {server.token}"], timeout=120
    )
    identity = uuid.uuid4().hex
    header = {"msg_id": identity, "msg_type": "execute_request", "session": "s", "username": ""}
    content = {"code": code, "silent": False, "store_history": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    channel.send(json.dumps({**message, "channel": "shell"}))
    printed = ""
    while True:
        reply = json.loads(channel.recv())
        if reply["parent_header"].get("msg_id") != identity:
            continue
        if reply["msg_type"] == "stream":
            printed += reply["content"]["text"]
        if reply["msg_type"] == "error":
            raise AssertionError("\n".join(reply["content"]["traceback"]))
        if reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
            channel.close()
            return printed


def validate(server: Server, *cells: tuple[int, str]) -> Any:
    """Puts sources into the lesson's cells and presses Validate."""
    path = server.folder / "work" / f"{LESSON}.ipynb"
    notebook = sample_course.sample_notebook()
    for position, source in cells:
        notebook.cells[position].source = source
    nbformat.write(notebook, path)
    answer = ask(server, f"/assignments/validate?path={LESSON}.ipynb", {"path": f"{LESSON}.ipynb"})
    assert answer["success"], answer["value"]
    return answer["value"]


def test_the_printed_address_is_the_lesson(server: Server) -> None:
    assert f"/lab/tree/{LESSON}.ipynb?token=" in server.address
    with urllib.request.urlopen(server.address) as page:
        assert page.status == 200
    assert ask(server, f"/api/contents/{LESSON}.ipynb")["type"] == "notebook"


def test_nothing_is_written_outside_and_the_kernel_is_this_python(
    server: Server, home: Path
) -> None:
    printed = run_cell(server, f"{LESSON}.ipynb", PROBE)
    assert Path(printed.strip()).parent == Path(sys.executable).parent
    notebook = new_notebook(cells=[new_code_cell(PROBE)])
    nbformat.write(notebook, server.folder / "work/probe.ipynb")
    answer = ask(server, "/assignments/validate", {"path": "probe.ipynb"})
    assert answer == {"success": True, "value": {}}
    assert [path.relative_to(home).as_posix() for path in home.rglob("*")] == []
    assert (server.folder / ".jupyter").is_dir()


def test_instructors_panels_and_news_are_off(server: Server) -> None:
    with urllib.request.urlopen(server.address) as page:
        text = page.read().decode()
    found = re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert found
    disabled = json.loads(found[1])["disabledExtensions"]
    for panel in ("assignment-list", "course-list", "create-assignment", "formgrader", "menu"):
        assert f"@jupyter/nbgrader:{panel}" in disabled
    assert not any("validate" in name for name in disabled)
    news = ask(server, "/lab/api/settings/@jupyterlab/apputils-extension:notification")
    assert news["schema"]["properties"]["fetchNews"]["default"] == "false"


def test_validate_tells_wrong_from_right(server: Server) -> None:
    (failed,) = validate(server)["failed"]
    assert "NotImplementedError" in failed["raw_error"]
    (failed,) = validate(server, (2, WRONG_ANSWER))["failed"]
    assert "is this 2x, or x + 2?" in failed["raw_error"]
    assert validate(server, (2, RIGHT_ANSWER)) == {}


def test_validate_shows_stderr_of_a_cell_that_failed(server: Server) -> None:
    (failed,) = validate(server, (2, WRONG_ANSWER))["failed"]
    assert "a line that a library writes" in failed["raw_error"]


def test_opening_again_shows_the_running_course(server: Server) -> None:
    proxy = "http://127.0.0.1:9"  # nothing is there
    again = course(server.folder, "open", "1.2", "--no-browser", http_proxy=proxy)
    assert again.returncode == 0
    address = server.address.replace(LESSON, LESSONS["1.2"])
    assert address in again.stdout


def test_a_newer_version_of_a_changed_notebook_is_told_once(server: Server) -> None:
    mine = server.folder / f"work/{LESSONS['1.2']}.ipynb"
    mine.write_text("my answers")
    (server.folder / f"notebooks/{LESSONS['1.2']}.ipynb").write_text("a newer version")
    first, second = (course(server.folder, "open", "--no-browser") for _ in range(2))
    assert "course restart 1.2" in first.stdout
    assert "newer" not in second.stdout
    assert mine.read_text() == "my answers"


def test_a_port_that_is_taken_is_said(server: Server) -> None:
    port = server.base.rpartition(":")[2]
    answer = course(server.folder, "open", "1.1", "--no-browser", "--port", port)
    assert answer.returncode == 1
    assert f"port {port} is not available" in answer.stderr


def test_the_terminal_shows_the_address_and_no_noise(server: Server) -> None:
    lines = (server.folder / "server.log").read_text().strip().splitlines()
    assert lines == [
        "The course is open at",
        "",
        f"    {server.address}",
        "",
        "Keep this window open while you work. Ctrl-C, twice, stops the course.",
    ]


def test_an_unknown_lesson_is_answered_with_the_list(tmp_path: Path) -> None:
    answer = course(sample_course.make_course(tmp_path), "open", "7.7", "--no-browser")
    assert answer.returncode == 2
    for number, name in LESSONS.items():
        assert number in answer.stderr
        assert name in answer.stderr
    assert "Traceback" not in answer.stderr


def test_lessons_that_are_not_built_are_asked_for(tmp_path: Path) -> None:
    folder = sample_course.make_course(tmp_path)
    (folder / f"notebooks/{LESSON}.ipynb").unlink()
    answer = course(folder, "open", "1.1", "--no-browser")
    assert answer.returncode == 2
    assert "grader build" in answer.stderr
    (folder / "course/learn/lessons.json").unlink()
    answer = course(folder, "open", "--no-browser")
    assert answer.returncode == 2
    assert "grader build" in answer.stderr


def test_restart_gives_a_fresh_copy_and_keeps_the_old_one(tmp_path: Path) -> None:
    folder = sample_course.make_course(tmp_path)
    copy = folder / f"work/{LESSON}.ipynb"
    copy.parent.mkdir(parents=True)
    copy.write_text("my answers")
    answer = course(folder, "restart", "1.1")
    assert answer.returncode == 0
    assert f"work/backup/{LESSON}-1.ipynb" in answer.stdout
    assert (folder / f"work/backup/{LESSON}-1.ipynb").read_text() == "my answers"
    assert copy.read_bytes() == (folder / f"notebooks/{LESSON}.ipynb").read_bytes()


@pytest.mark.parametrize("arguments", [["--help"], ["open", "--help"], ["restart", "-h"]])
def test_help_has_an_example(arguments: list[str], tmp_path: Path) -> None:
    answer = course(sample_course.make_course(tmp_path), *arguments)
    assert answer.returncode == 0
    assert "Example: course" in answer.stdout


@pytest.mark.parametrize("arguments", [["fly"], ["open", "--port", "0"], ["open", "--sideways"]])
def test_misuse_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    assert course(sample_course.make_course(tmp_path), *arguments).returncode == 2


def test_validate_runs_as_grading_does(server: Server) -> None:
    """So a borrowed part, which earns nothing, does not pass here either."""
    grading = f"import os\nassert not os.environ.get('COURSE_GRADING'), 'grading'\n{RIGHT_ANSWER}"
    (failed,) = validate(server, (2, grading))["failed"]
    assert failed
