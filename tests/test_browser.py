"""Lesson 1.1 as a student meets it: the true command, JupyterLab, and Chromium.

Screenshots go to the folder that the variable ARTIFACTS names, `artifacts/` by default.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import sample_course
from sample_course import REPOSITORY, Server

NUMBER, LESSON = "1.1", "1_micrograd/1_scalars"
EXERCISE = "micrograd-engine-Value-__add__"
# Seen by one who has not written it yet: before the exercise, and after it.
HOLES = ["__add__ is yours to write", "yours to write: replace this line"]
WRONG_ANSWER = """\
@exercise("course.micrograd.engine.Value.__add__")
def __add__(self, other):
    other = other if isinstance(other, Value) else Value(other)
    return Value(self.data + other.data)"""
FAILING_CHECK = "add-remembers"
PICTURE = "Computation graph"  # how its text alternative begins

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = [
    "--headless",
    "--no-sandbox",  # which a root in a container cannot have
    "--disable-gpu",
    # What Chromium itself would ask the network for.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


def sources(path: Path) -> dict[str, str]:
    return {cell.id: cell.source for cell in nbformat.read(path, 4).cells}


@pytest.fixture(scope="module")
def answer() -> str:
    return sources(REPOSITORY / f"solutions/{LESSON}.ipynb")[EXERCISE]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course whose student has solved all of the lesson but one exercise."""
    folder = tmp_path_factory.mktemp("a course")
    for name in ("course", "notebooks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    notebook = nbformat.read(folder / f"notebooks/{LESSON}.ipynb", 4)
    solved = sources(REPOSITORY / f"solutions/{LESSON}.ipynb")
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.id != EXERCISE:
            cell.source = solved[cell.id]
    work = folder / f"work/{LESSON}.ipynb"
    work.parent.mkdir(parents=True)
    nbformat.write(notebook, work)
    return folder


@pytest.fixture(scope="module")
def server(course: Path) -> Iterator[Server]:
    with sample_course.opened(course, NUMBER) as server:
        yield server


class Student:
    """Someone before a browser: what they do, and what they see."""

    def __init__(self, page: "sync_api.Page", positions: dict[str, int]) -> None:
        self.page = page
        self.positions = positions
        self.hosts: set[str | None] = set()
        self.photographs_taken = 0
        page.on("request", lambda request: self._went_to(request.url))
        page.on("websocket", lambda socket: self._went_to(socket.url))

    def _went_to(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.hosts.add(urlsplit(url).hostname)

    def opens(self, address: str) -> None:
        self.page.goto(address)
        self.cell(EXERCISE).wait_for()
        sync_api.expect(self.page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
            "data-status", "idle"
        )

    def cell(self, identity: str) -> "sync_api.Locator":
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self.positions[identity])

    def writes(self, identity: str, source: str) -> None:
        self.cell(identity).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(source)

    def chooses(self, menu: str, entry: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile(entry)).click()

    def runs_all(self) -> None:
        """Restarts the kernel and starts to run all cells."""
        self.chooses("Edit", "Clear Outputs of All Cells")  # to know the new ones from the old
        self.chooses("Run", "Restart Kernel and Run All Cells")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def sees_output(self, text: str) -> None:
        outputs = self.page.locator(".jp-OutputArea-output", has_text=text)
        sync_api.expect(outputs).not_to_have_count(0)

    def sees_the_last_cell_done(self) -> None:
        prompt = self.page.locator(".jp-CodeCell .jp-InputPrompt").last
        sync_api.expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=120_000)

    def validates(self) -> str:
        """Presses Validate; gives what the dialog says, and closes it."""
        self.page.get_by_role("button", name="Validate").click()
        dialog = self.page.locator(".jp-Dialog")
        dialog.get_by_text(re.compile("Results|Success", re.IGNORECASE)).first.wait_for(
            timeout=120_000
        )
        text = dialog.inner_text()
        self.photographs("validate")
        self.page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        return text

    def photographs(self, name: str) -> None:
        folder = Path(os.environ.get("ARTIFACTS") or REPOSITORY / "artifacts")
        folder.mkdir(parents=True, exist_ok=True)
        self.photographs_taken += 1
        self.page.screenshot(path=folder / f"lesson-{NUMBER}-{self.photographs_taken}-{name}.png")


@pytest.fixture
def student(course: Path) -> Iterator[Student]:
    cells = nbformat.read(course / f"work/{LESSON}.ipynb", 4).cells
    positions = {cell.id: position for position, cell in enumerate(cells)}
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        sync_api.expect.set_options(timeout=60_000)
        yield Student(page, positions)
        browser.close()


def test_a_student_does_the_lesson(server: Server, student: Student, answer: str) -> None:
    student.opens(server.address)
    student.photographs("opened")
    page = student.page
    assert page.get_by_text("official Jupyter news").count() == 0
    assert "Nbgrader" not in page.get_by_role("menubar").inner_text()

    student.runs_all()
    for text in HOLES:
        student.sees_output(text)

    student.writes(EXERCISE, WRONG_ANSWER)
    check = sources(REPOSITORY / f"notebooks/{LESSON}.ipynb")[FAILING_CHECK]
    assert check in student.validates()

    student.writes(EXERCISE, answer)
    student.runs_all()
    student.sees_the_last_cell_done()  # so no error has stopped the run
    picture = page.locator(f".jp-OutputArea img[alt^='{PICTURE}']").first
    picture.scroll_into_view_if_needed()
    sync_api.expect(picture).to_be_in_viewport()
    student.photographs("picture")
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 100
    assert "Success! Your notebook passes all the tests." in student.validates()
    assert student.hosts == {"127.0.0.1"}
