"""Lesson texts and reference code in; solved notebooks, student notebooks and the manifest out."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)

from grader.lesson_text import LessonText, TextCell, read
from grader.lift import LiftError, lift
from grader.lint import lint, lint_markers, lint_syntax
from grader.nbgrader_settings import notebook_settings
from grader.paths import ROOT, shown

MANIFEST = Path("course", "learn", "lessons.json")


@dataclass
class Exercise:
    """One exercise of a lesson.

    Attributes:
        id: the notebook cell's id.
        number: counted from 1 in the lesson.
        paths: the parts it asks for.
        cell: where it stands in the text.
    """

    id: str
    number: int
    paths: list[str]
    cell: TextCell

    def answers_to(self, name: str) -> bool:
        """Whether people mean this exercise by name: its id, or the end of a part's path."""
        return name == self.id or any(f".{path}".endswith(f".{name}") for path in self.paths)


@dataclass
class Built:
    """A lesson, built.

    Attributes:
        text: what it was built from.
        solved: the solved notebook, with hidden tests and solution markers.
        student: the notebook that students open.
        exercises: in order.
        checks: check id -> ids of the exercises it belongs to.
        lines: for each cell of the notebooks, the line of the text it came from.
    """

    text: LessonText
    solved: Any = None
    student: Any = None
    exercises: list[Exercise] = field(default_factory=list)
    checks: dict[str, list[str]] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)

    def exercise(self, name: str) -> Exercise | None:
        """The exercise that name means; None if there is none, or more than one."""
        found = [exercise for exercise in self.exercises if exercise.answers_to(name)]
        return found[0] if len(found) == 1 else None

    def manifest(self) -> dict[str, Any]:
        """What the notebook must know of itself at run time."""
        parts = []
        for cell in self.text.cells:
            if cell.kind in ("exercise", "given"):
                for path in cell.names():
                    title = cell.options.get("title", self.text.title)
                    part = {"path": path, "exercise": part_id(cell.names()), "title": title}
                    parts.append(part | ({"given": True} if cell.kind == "given" else {}))
        return {
            "name": self.text.name,
            "number": self.text.number,
            "title": self.text.title,
            "parts": parts,
        }


def part_id(paths: list[str]) -> str:
    """The id of the cell that asks for these parts: the first part's path, as nbgrader likes it."""
    name = re.sub(r"[^A-Za-z0-9_]", "-", paths[0].removeprefix("course."))
    return name[-64:]


def lesson_files(lessons: Path) -> list[Path]:
    """The lesson texts, in the order of the course."""
    found = [p for p in lessons.glob("*/*.md") if not p.name.endswith(".bank.md")]
    return sorted(found, key=lambda p: [int(n) for n in re.findall(r"(?:^|/)(\d+)_", p.as_posix())])


def build_lesson(path: Path, root: Path = ROOT) -> Built:
    """Build one lesson.

    Args:
        path: the text, <root>/lessons/<unit>/<lesson>.md.
        root: the repository.

    Raises:
        LessonTextError: for the first mistake found, with file and line.
    """
    text = read(path, root / "lessons", root)
    built = Built(text)
    cells: list[Any] = []
    seen: dict[str, int] = {}

    def claim(identity: str, cell: TextCell) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", identity):
            raise text.error(cell, f"{identity!r} cannot be an id: letters, digits, '-', '_' only")
        if identity in seen:
            first = seen[identity]
            raise text.error(cell, f"the id {identity!r} is used twice, first at line {first}")
        seen[identity] = cell.line
        return identity

    def add(new: Any, cell: TextCell) -> None:
        cells.append(new)
        built.lines.append(cell.line)

    for cell in text.cells:
        if cell.kind == "exercise":
            exercise = Exercise(
                claim(part_id(cell.names()), cell), len(built.exercises) + 1, cell.names(), cell
            )
            built.exercises.append(exercise)
            card = new_markdown_cell(_card(text, exercise), id=f"{exercise.id[-59:]}-card")
            add(card, cell)
            source = _lift_exercise(text, exercise)
            add(_code(source, exercise.id, solution=True), cell)
        elif cell.kind == "given":
            path_given = cell.options["given"]
            own = {
                name.removeprefix(f"{path_given}.")
                for other in text.cells
                if other.kind == "exercise"
                for name in other.names()
                if name.startswith(f"{path_given}.")
            }
            try:
                source = lift(path_given, [], own)
            except LiftError as error:
                raise text.error(cell, str(error)) from None
            add(_code(source, claim(part_id([path_given]), cell), locked=True), cell)
        elif cell.kind == "check":
            name = claim(cell.options["check"], cell)
            built.checks[name] = [exercise.id for exercise in _checked(built, cell)]
            points = cell.options["points"]
            add(_code(cell.source, name, grade=True, locked=True, points=points), cell)
        elif cell.kind == "answer":
            name = claim(cell.options["answer"], cell)
            answer = new_markdown_cell(cell.source, id=name)
            answer.metadata["nbgrader"] = _nbgrader(
                name, grade=True, solution=True, points=cell.options["points"]
            )
            add(answer, cell)
        elif cell.kind == "plain" and all(c.cell_type == "markdown" for c in cells):
            if f'lesson("{text.name}")' not in cell.source:
                raise text.error(
                    cell, f'the first code cell sets up the lesson: lesson("{text.name}")'
                )
            add(_code(cell.source, claim("setup", cell), locked=True), cell)
        else:
            make = new_markdown_cell if cell.kind == "markdown" else new_code_cell
            digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
            again = sum(name.startswith(digest) for name in seen)
            identity = claim(digest if not again else f"{digest}-{again}", cell)
            new = make(cell.source, id=identity)
            if "tags" in cell.options:
                new.metadata["tags"] = cell.options["tags"]
            add(new, cell)

    lint_syntax(built)
    built.solved = _formatted(text, new_notebook(cells=cells, metadata=_metadata(text)))
    nbformat.validate(built.solved)
    lint_markers(built)
    built.student = release(built.solved)
    lint(built)
    return built


def release(solved: Any) -> Any:
    """The student's notebook: what `nbgrader generate_assignment` makes of the solved one."""
    notebook = nbformat.reads(nbformat.writes(solved), 4)  # a copy
    resources: dict[str, Any] = {}
    for preprocessor in (
        LockCells,
        ClearSolutions,
        ClearOutput,
        CheckCellMetadata,
        ComputeChecksums,
        ClearHiddenTests,
        ClearMarkScheme,
        ComputeChecksums,
        CheckCellMetadata,
    ):
        step = preprocessor(config=notebook_settings())
        notebook, resources = step.preprocess(notebook, resources)
    return notebook


def build_all(root: Path = ROOT) -> Iterator[tuple[str, Built]]:
    """Build every lesson, one after another; yields its name and what was built."""
    numbers: dict[str, str] = {}
    for path in lesson_files(root / "lessons"):
        built = build_lesson(path, root)
        first = numbers.setdefault(built.text.number, built.text.name)
        if first != built.text.name:
            raise built.text.error(1, f"its number, {built.text.number}, is that of {first} too")
        yield built.text.name, built


def outputs(lessons: list[Built]) -> dict[Path, str]:
    """The files that the build writes, relative to the repository, and what stands in them."""
    files = {MANIFEST: json.dumps([x.manifest() for x in lessons], indent=1) + "\n"}
    for built in lessons:
        for folder, notebook in (("solutions", built.solved), ("notebooks", built.student)):
            path = Path(folder, *built.text.name.split("/")).with_suffix(".ipynb")
            files[path] = nbformat.writes(notebook) + "\n"
    return files


def differences(files: dict[Path, str], root: Path = ROOT, *, stale: bool = True) -> list[str]:
    """What on disk is not as built: one line each, empty if all is as it should be.

    Args:
        files: what `outputs` gave.
        root: the repository.
        stale: whether to look for notebooks that belong to no lesson, too.
    """
    found = []
    for path, content in files.items():
        target = root / path
        if not target.exists():
            found.append(f"{path.as_posix()} is missing")
        elif target.read_text(encoding="utf-8") != content:
            found.append(f"{path.as_posix()} differs from what the lesson text gives")
    for path in _stale(files, root) if stale else []:
        found.append(f"{shown(path, root)} belongs to no lesson text")
    return found


def write(files: dict[Path, str], root: Path = ROOT) -> list[Path]:
    """Write what differs, and remove notebooks of lessons that are gone; returns what changed."""
    changed = []
    for path, content in files.items():
        target = root / path
        if not target.exists() or target.read_text(encoding="utf-8") != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8", newline="\n")
            changed.append(path)
    for stale in _stale(files, root):
        stale.unlink()
        changed.append(stale.relative_to(root))
    return changed


def _stale(files: dict[Path, str], root: Path) -> list[Path]:
    built = {root / path for path in files}
    return [
        path
        for folder in ("solutions", "notebooks")
        for path in sorted((root / folder).glob("*/*.ipynb"))
        if path not in built
    ]


def _formatted(text: LessonText, notebook: Any) -> Any:
    """The notebook with its code formatted as ruff formats the reference."""
    config = str(ROOT / "pyproject.toml")
    command = [sys.executable, "-m", "ruff", "format", "--no-cache", "--config", config]
    command += ["--stdin-filename", "lesson.ipynb", "-"]
    source = nbformat.writes(notebook)
    done = subprocess.run(command, input=source, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise text.error(1, f"ruff cannot format its code: {done.stderr.strip()}")
    return nbformat.reads(done.stdout, 4)


def _lift_exercise(text: LessonText, exercise: Exercise) -> str:
    sources = []
    for path in exercise.paths:
        holes = exercise.cell.options.get("holes")
        try:
            source = lift(path, holes or [])
            if not holes:
                name = path.rpartition(".")[2]
                if f"\nclass {name}" in source:
                    raise LiftError(f"{path} is a class: name the student's methods, holes: [...]")
                source = lift(path, [name])
            sources.append(source)
        except LiftError as error:
            raise text.error(exercise.cell, str(error)) from None
    if exercise.cell.source.strip():
        raise text.error(exercise.cell, "an exercise cell is empty: its code is in the reference")
    return "\n\n\n".join(sources)


def _checked(built: Built, cell: TextCell) -> list[Exercise]:
    """The exercises that a check names, all of which stand above it."""
    of = cell.options["of"]
    found = []
    for name in of if isinstance(of, list) else [of]:
        exercise = built.exercise(name)
        if exercise is None:
            above = ", ".join(x.paths[0].removeprefix("course.") for x in built.exercises)
            raise built.text.error(
                cell, f"the check is of {name!r}, which names no exercise above it ({above})"
            )
        found.append(exercise)
    return found


def _card(text: LessonText, exercise: Exercise) -> str:
    """What stands above an exercise: number, title, difficulty, minutes, needs and hints."""
    options = exercise.cell.options
    hints = options["hints"]
    if len(hints) != 3:
        raise text.error(exercise.cell, f"an exercise has three hints, this one {len(hints)}")
    if not 1 <= options["difficulty"] <= 5:
        raise text.error(exercise.cell, "difficulty is a number from 1 to 5")
    facts = [f"difficulty {options['difficulty']} of 5", f"about {options['minutes']} minutes"]
    if "needs" in options:
        facts.append(f"needs {options['needs']}")
    folded = [
        # list-item: nbgrader's pages would hide the triangle
        f'<details><summary style="display:list-item">Hint {i}</summary>\n\n{hint.strip()}\n\n</details>'
        for i, hint in enumerate(hints, 1)
    ]
    heading = f"### Exercise {exercise.number}: {options['title']}"
    return "\n\n".join([heading, f"*{', '.join(facts)}*", *folded])


def _code(
    source: str,
    identity: str,
    *,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    points: int | None = None,
) -> Any:
    cell = new_code_cell(source, id=identity)
    cell.metadata["nbgrader"] = _nbgrader(
        identity, grade=grade, solution=solution, locked=locked, points=points
    )
    return cell


def _nbgrader(
    identity: str,
    *,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    points: int | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "grade": grade,
        "grade_id": identity,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        metadata["points"] = points
    return metadata


def _metadata(text: LessonText) -> dict[str, Any]:
    return {
        "course": {"lesson": text.name},
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
