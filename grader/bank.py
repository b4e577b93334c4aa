"""A lesson's bank: wrong answers, each a misconception, and right ones that look different.

And mutants that are no mistake; see `grader.mutants`.
"""

from dataclasses import dataclass
from pathlib import Path

from grader.build import Built
from grader.errors import LessonTextError
from grader.lesson_text import LessonText, read
from grader.lift import LiftError, splice
from grader.mutants import BECOMES
from grader.paths import ROOT, shown


@dataclass(frozen=True)
class Answer:
    """One answer of the bank.

    Attributes:
        exercise: the id of the exercise it answers.
        right: whether it is right.
        about: the misconception of a wrong answer; why a right one is right.
        says: words that a failing check's message must contain, for a wrong answer.
        cell: the exercise cell with this answer in it.
        place: file and line, for messages.
    """

    exercise: str
    right: bool
    about: str
    says: str
    cell: str
    place: str


@dataclass(frozen=True)
class Equivalent:
    """A mutant that changes nothing which a check should look at.

    Attributes:
        part: the part or method, or the end of its path.
        change: the code before and after, as `Mutant.change` has it.
        why: why it is no mistake.
        place: file and line, for messages.
    """

    part: str
    change: str
    why: str
    place: str

    def is_of(self, part: str) -> bool:
        """Whether this is a mutant of the part."""
        return f".{part}".endswith(f".{self.part}")


def read_bank(built: Built, root: Path = ROOT) -> list[Answer]:
    """The answers beside a lesson's text, in <lesson>.bank.md.

    Raises:
        LessonTextError: if the bank is missing, or an answer fits no exercise.
    """
    text = _read(built, root)
    solved = {cell.id: cell.source for cell in built.solved.cells}
    answers = []
    for cell in text.cells:
        if cell.kind in ("markdown", "equivalent"):
            continue
        if cell.kind not in ("wrong", "right"):
            raise text.error(cell, "a bank's code cells are 'wrong', 'right' or 'equivalent'")
        exercise = built.exercise(cell.options[cell.kind])
        if exercise is None:
            known = ", ".join(x.paths[0].removeprefix("course.") for x in built.exercises)
            raise text.error(
                cell, f"{cell.options[cell.kind]!r} names no exercise of the lesson ({known})"
            )
        try:
            source = splice(solved[exercise.id], cell.source)
        except (LiftError, SyntaxError) as error:
            raise text.error(cell, f"the answer does not fit the exercise: {error}") from None
        answers.append(
            Answer(
                exercise.id,
                cell.kind == "right",
                cell.options.get("misconception") or cell.options["why"],
                cell.options.get("says", ""),
                source,
                f"{text.file}:{cell.line}",
            )
        )
    return answers


def read_equivalents(built: Built, root: Path = ROOT) -> list[Equivalent]:
    """The mutants that are no mistakes, from the lesson's bank.

    A cell holds one or more of them, with empty lines between: the code before, a line "# becomes",
    the code after.

    Raises:
        LessonTextError: if the bank is missing, or a cell has another form.
    """
    text = _read(built, root)
    found = []
    for cell in text.cells:
        if cell.kind != "equivalent":
            continue
        for block in cell.source.split("\n\n"):
            rows = block.strip().splitlines()
            if rows.count(BECOMES) != 1 or BECOMES in (rows[0], rows[-1]):
                raise text.error(cell, f"the code before, a line {BECOMES!r}, the code after")
            found.append(
                Equivalent(
                    cell.options["equivalent"],
                    "\n".join(rows),
                    cell.options["why"],
                    f"{text.file}:{cell.line}",
                )
            )
    return found


def _read(built: Built, root: Path) -> LessonText:
    path = root / "lessons" / f"{built.text.name}.bank.md"
    if not path.exists():
        raise LessonTextError(shown(path, root), 1, "every lesson has a bank of answers; write it")
    return read(path, root / "lessons", root)
