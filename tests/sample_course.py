"""A small course in a temporary folder, for tests that open notebooks: not a test itself."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

REPOSITORY = Path(__file__).resolve().parents[1]

LESSONS = {"1.1": "1_micrograd/1_scalars", "1.2": "1_micrograd/2_networks"}
EMPTY_ANSWER = "def double(x):\n    raise NotImplementedError"
WRONG_ANSWER = "def double(x):\n    return x + 2"
RIGHT_ANSWER = "def double(x):\n    return 2 * x"

PICTURE = """\
from IPython.display import HTML
svg = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
import base64
HTML(f'<img alt="a graph" src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">')"""

CHECK = """\
import sys
print("a line that a library writes", file=sys.stderr)
assert double(2) == 4, "twice two"
assert double(3) == 6, "twice three: is this 2x, or x + 2?\""""


def sample_notebook() -> nbformat.NotebookNode:
    """A lesson with a picture, one exercise, and a check that also writes to stderr."""
    cells = [
        new_markdown_cell("# A lesson", id="title"),
        new_code_cell(PICTURE, id="picture"),
        new_code_cell(EMPTY_ANSWER, id="double", metadata=_nbgrader("double", solution=True)),
        new_code_cell(
            CHECK, id="check", metadata=_nbgrader("check", grade=True, locked=True, points=1)
        ),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _nbgrader(grade_id: str, **more: object) -> dict[str, object]:
    kind = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return {"nbgrader": {**kind, "grade_id": grade_id, **more}}


def make_course(folder: Path) -> Path:
    """Copies the course's code to a folder and gives it two small lessons."""
    shutil.copytree(
        REPOSITORY / "course", folder / "course", ignore=shutil.ignore_patterns("__pycache__")
    )
    entries = [
        {"name": name, "number": number, "title": "A lesson", "parts": []}
        for number, name in LESSONS.items()
    ]
    (folder / "course/learn/lessons.json").write_text(json.dumps(entries))
    for name in LESSONS.values():
        path = folder / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(sample_notebook(), path)
    return folder


def environment(course: Path, **more: str) -> dict[str, str]:
    """The variables with which `course` means the one in that folder."""
    return {**os.environ, "PYTHONPATH": str(course), "PYTHONUNBUFFERED": "1", **more}


def course_command(*arguments: str) -> list[str]:
    """The console script, as a student runs it."""
    return [str(Path(sys.executable).with_name("course")), *arguments]


@dataclass
class Server:
    """A JupyterLab that `course open` has started."""

    folder: Path  # the course
    address: str  # the address that was printed
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        """The address without the page."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def token(self) -> str:
        """The secret in the address."""
        return urlsplit(self.address).query.removeprefix("token=")


@contextlib.contextmanager
def opened(course: Path, *arguments: str, **variables: str) -> Iterator[Server]:
    """Runs `course open --no-browser` on a free port, and stops it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = course / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            course_command("open", *arguments, "--no-browser", "--port", str(port)),
            cwd=course,
            env=environment(course, **variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Server(course, _address(process, log), process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    """Waits for the printed address."""
    for _ in range(600):
        found = re.search(r"http://\S+", log.read_text())
        if found:
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"`course open` printed no address:\n{log.read_text()}")
