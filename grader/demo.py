"""A class that does not exist: submissions made from a lesson's bank, from perfect to hopeless."""

import copy
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.utils import rmtree

from grader.bank import Answer, read_bank
from grader.build import Built, build_lesson
from grader.grade import Graded, grade, read_releases
from grader.lift import BEGIN, END
from grader.paths import ROOT
from grader.sandbox.layers import Limits
from grader.worker import How

UNIT = "1_micrograd"
CELL_SECONDS = 10
NAMES = (
    *("ada", "blaise", "carl", "dorothy", "emmy", "felix"),
    *("grace", "henri", "ida", "john", "katherine", "leonhard"),
)


@dataclass
class Pupil:
    """One member of the class.

    Attributes:
        name: as the file is called.
        did: what they did, in words.
        content: what they hand in.
    """

    name: str
    did: str
    content: str


def run_demo(
    students: int = 12, root: Path = ROOT, watch: Callable[[str, int, int], None] = lambda *_: None
) -> tuple[list[Pupil], Graded]:
    """Make up a class and grade it, in <root>/grader/demo, which is emptied first.

    Args:
        students: how many.
        root: the repository.
        watch: see `grader.grade.grade`.
    """
    lessons = list(read_releases(root))
    lesson = next((name for name in lessons if name.startswith(f"{UNIT}/")), lessons[0])
    built = build_lesson(root / "lessons" / f"{lesson}.md", root)
    pupils = list(itertools.islice(_pupils(built, read_bank(built, root)), students))
    data = root / "grader" / "demo"
    if data.exists():
        rmtree(str(data))  # nbgrader's, as its files are read-only
    handed_in = data / "handed_in"
    handed_in.mkdir(parents=True)
    for pupil in pupils:
        (handed_in / f"{pupil.name}.ipynb").write_text(pupil.content, encoding="utf-8")
    # We made them ourselves: they need no walls.
    limits = Limits(CELL_SECONDS, 5 * CELL_SECONDS)
    executor = "sandbox" if sys.platform == "linux" else "jupyter"
    how = How(limits, executor, unsafe=True)
    return pupils, grade(handed_in, root, data, how=how, watch=watch)


def _pupils(built: Built, bank: list[Answer]) -> Iterator[Pupil]:
    """The class: twelve who are all different, and then more who each misunderstood something."""
    solved = _solved_cells(built)
    exercises = [exercise.id for exercise in built.exercises]
    half = exercises[: (len(exercises) + 1) // 2]
    last = exercises[-1]
    right = {answer.exercise: answer.cell for answer in bank if answer.right}
    wrong = _in_turns([answer for answer in bank if not answer.right])
    names = itertools.chain(NAMES, (f"student-{number}" for number in itertools.count(13)))

    def pupil(
        did: str, cells: dict[str, str], change: Callable[[Any], None] | None = None
    ) -> Pupil:
        notebook = copy.deepcopy(built.student)
        for cell in notebook.cells:
            cell.source = _without_markers(cells.get(cell.id, cell.source))
        if change:
            change(notebook)
        return Pupil(next(names), did, nbformat.writes(notebook))

    def mistaken() -> Pupil:
        answer = next(wrong)
        return pupil(answer.about, solved | {answer.exercise: answer.cell})

    yield pupil("Everything right.", solved)
    yield pupil("Everything right, in other ways.", solved | right)
    yield mistaken()
    yield mistaken()
    yield pupil(
        f"The first {len(half)} of {len(exercises)} exercises.", {x: solved[x] for x in half}
    )
    yield pupil("Everything right; one check copied by accident.", solved, _copy_a_check)
    yield pupil("Wrote nothing, and changed a check so that it passes.", {}, _cheat)
    yield pupil("Wrote nothing.", {})
    yield Pupil(next(names), "Handed in an empty file.", "")
    broken = nbformat.writes(built.student)
    yield Pupil(next(names), "The file broke off on the way.", broken[: len(broken) // 2])
    dies = {half[-1]: f"import os\n\nos._exit(1)\n\n{solved[half[-1]]}"}
    yield pupil(f"Killed Python at exercise {len(half)}.", solved | dies)
    loops = {last: f"while True:\n    pass\n\n{solved[last]}"}
    yield pupil("An endless loop at the last exercise.", solved | loops)
    while True:
        yield mistaken()


def _solved_cells(built: Built) -> dict[str, str]:
    """The cells that students write, solved."""
    return {
        cell.id: cell.source
        for cell in built.solved.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


def _without_markers(source: str) -> str:
    """A solved cell as a student would have it."""
    lines = source.splitlines()
    return "\n".join(line for line in lines if line.strip() not in (BEGIN, END))


def _in_turns(answers: list[Answer]) -> Iterator[Answer]:
    """The answers again and again, each next one of another exercise."""
    by_exercise: dict[str, list[Answer]] = {}
    for answer in answers:
        by_exercise.setdefault(answer.exercise, []).append(answer)
    turns = itertools.zip_longest(*by_exercise.values())
    return itertools.cycle([answer for turn in turns for answer in turn if answer])


def _checks(notebook: Any) -> list[int]:
    cells = notebook.cells
    return [
        number
        for number, cell in enumerate(cells)
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade")
    ]


def _copy_a_check(notebook: Any) -> None:
    number = _checks(notebook)[0]
    twin = copy.deepcopy(notebook.cells[number])
    twin.id = "copied-by-accident"
    notebook.cells.insert(number + 1, twin)


def _cheat(notebook: Any) -> None:
    notebook.cells[_checks(notebook)[0]].source = "assert True"
