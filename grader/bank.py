"""A lesson's bank: wrong answers, each a misconception, and right ones that look different."""

from dataclasses import dataclass
from pathlib import Path

from grader.build import Built
from grader.errors import LessonTextError
from grader.lesson_text import read
from grader.lift import LiftError, splice
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


def read_bank(built: Built, root: Path = ROOT) -> list[Answer]:
    """The answers beside a lesson's text, in <lesson>.bank.md.

    Raises:
        LessonTextError: if the bank is missing, or an answer fits no exercise.
    """
    path = root / "lessons" / f"{built.text.name}.bank.md"
    if not path.exists():
        raise LessonTextError(shown(path, root), 1, "every lesson has a bank of answers; write it")
    text = read(path, root / "lessons", root)
    solved = {cell.id: cell.source for cell in built.solved.cells}
    answers = []
    for cell in text.cells:
        if cell.kind == "markdown":
            continue
        if cell.kind not in ("wrong", "right"):
            raise text.error(cell, "a bank's code cells are 'wrong' or 'right' answers")
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
