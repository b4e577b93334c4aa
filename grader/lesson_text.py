"""Reading a lesson text: MyST Markdown, its cells, and the options that stand on them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupytext.myst import myst_to_notebook

from grader.errors import LessonTextError
from grader.paths import shown

# The options of each kind of cell: name -> (type, required).
OPTIONS: dict[str, dict[str, tuple[type | tuple[type, ...], bool]]] = {
    "exercise": {
        "exercise": ((str, list), True),
        "holes": (list, False),
        "title": (str, True),
        "difficulty": (int, True),
        "minutes": (int, True),
        "needs": (str, False),
        "hints": (list, True),
    },
    "given": {"given": (str, True)},
    "check": {"check": (str, True), "of": ((str, list), True), "points": (int, True)},
    "answer": {"answer": (str, True), "points": (int, True)},
    "wrong": {"wrong": (str, True), "misconception": (str, True), "says": (str, True)},
    "right": {"right": (str, True), "why": (str, True)},
    "equivalent": {"equivalent": (str, True), "why": (str, True)},
    "plain": {"tags": (list, False)},
}


@dataclass
class TextCell:
    """One cell of a lesson text.

    Attributes:
        kind: "markdown", "plain" (code), or the option that makes it special: "exercise",
            "given", "check", "answer" in a lesson, "wrong", "right" and "equivalent" in a bank.
        source: what stands in it.
        options: what stands on it.
        line: where its fence is, counted from 1.
        first_row: where its source begins, counted from 1.
    """

    kind: str
    source: str
    options: dict[str, Any]
    line: int
    first_row: int

    def names(self) -> list[str]:
        """The parts that an exercise or given cell asks for."""
        value = self.options[self.kind]
        return value if isinstance(value, list) else [value]


@dataclass
class LessonText:
    """A lesson text or a bank, read.

    Attributes:
        name: "<unit>/<lesson>".
        file: the path, for messages.
        title: the first heading.
        cells: in order.
    """

    name: str
    file: str
    title: str
    cells: list[TextCell] = field(default_factory=list)

    @property
    def number(self) -> str:
        """As people say it: "1.1" for 1_micrograd/1_scalars, "0" for 0_start/0_welcome."""
        unit, lesson = [part.split("_")[0] for part in self.name.split("/")]
        return unit if lesson == "0" else f"{unit}.{lesson}"

    def error(self, cell: TextCell | int, message: str) -> LessonTextError:
        """An error at a cell or line of this text."""
        return LessonTextError(self.file, cell if isinstance(cell, int) else cell.line, message)


def read(path: Path, lessons: Path, root: Path) -> LessonText:
    """Read a lesson text or a bank.

    Args:
        path: the .md file, <lessons>/<unit>/<lesson>.md.
        lessons: the folder of lessons; the lesson's name is the path below it.
        root: the repository, for paths in messages.

    Raises:
        LessonTextError: for a cell whose options do not fit.
    """
    file = shown(path, root)
    name = path.relative_to(lessons).as_posix().removesuffix(".md").removesuffix(".bank")
    if not re.fullmatch(r"\d+_[a-z0-9_]+/\d+_[a-z0-9_]+", name):
        raise LessonTextError(file, 1, "a lesson is called lessons/<n>_<unit>/<n>_<lesson>.md")
    text = path.read_text(encoding="utf-8")
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except Exception as error:  # jupytext passes on whatever its parsers raise
        at = re.search(r"at line (\d+)", str(error))
        words = " ".join(str(error).split())
        message = f"jupytext cannot read it (does an option need quotes?): {words}"
        raise LessonTextError(file, int(at[1]) if at else 1, message) from error
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    if heading is None:
        raise LessonTextError(file, 1, 'there is no title: a line "# ..." is missing')
    lesson = LessonText(name, file, heading.group(1).strip())
    for cell, line in zip(notebook.cells, notebook.metadata["source_map"], strict=True):
        lesson.cells.append(_read_cell(lesson, cell, line, _first_row(text.splitlines(), line)))
    return lesson


def _first_row(rows: list[str], fence: int) -> int:
    """The line on which a cell's code begins, below the options that stand on its fence."""
    at = fence  # the row below the fence, counted from 0
    if rows[at : at + 1] == ["---"]:
        at = rows.index("---", at + 1) + 1
    else:
        while at < len(rows) and rows[at].startswith(":"):
            at += 1
    while at < len(rows) and not rows[at].strip():
        at += 1
    return at + 1


def _read_cell(lesson: LessonText, cell: Any, line: int, first_row: int) -> TextCell:
    options = dict(cell.metadata)
    kinds = [kind for kind in OPTIONS if kind in options]
    if len(kinds) > 1:
        raise lesson.error(line, f"a cell is {kinds[0]!r} or {kinds[1]!r}, not both")
    kind = kinds[0] if kinds else "plain"
    if cell.cell_type == "markdown":
        if kind not in ("plain", "answer"):
            raise lesson.error(line, f"{kind!r} stands on a code cell, not on text")
        kind = "markdown" if kind == "plain" else kind
    elif kind == "answer":
        raise lesson.error(line, "'answer' stands on text (+++ {...}), not on a code cell")
    allowed = OPTIONS["plain" if kind == "markdown" else kind]
    for name, value in options.items():
        if name not in allowed:
            raise lesson.error(line, f"unknown option {name!r}; here are {', '.join(allowed)}")
        if not isinstance(value, allowed[name][0]):
            raise lesson.error(line, f"option {name!r} has the wrong type: {value!r}")
        for n, item in enumerate(value if isinstance(value, list) else [], 1):
            if not isinstance(item, str):
                raise lesson.error(
                    line,
                    f"number {n} of {name!r} is not text but {item!r}: put it in quotes if it "
                    "contains ': ' or begins with a sign",
                )
        if value in ("", 0):
            raise lesson.error(line, f"option {name!r} is empty")
    for name, (_, required) in allowed.items():
        if required and name not in options:
            raise lesson.error(line, f"option {name!r} is missing")
    return TextCell(kind, cell.source, options, line, first_row)
