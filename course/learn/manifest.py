"""Which lessons there are, and which parts of the machine each one asks for.

The list is built from the lesson texts by `grader build` into `lessons.json` beside this file.
"""

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MANIFEST = Path(__file__).with_name("lessons.json")


@dataclass(frozen=True)
class Part:
    """One object of the machine that a lesson asks for.

    Attributes:
        path: where it stands, for example "course.micrograd.engine.Value.tanh".
        exercise: the id of the notebook cell that fills it.
        title: the exercise's title.
        given: the notebook gives it complete; only running its cell is asked.
    """

    path: str
    exercise: str
    title: str
    given: bool = False


@dataclass(frozen=True)
class Lesson:
    """One notebook.

    Attributes:
        name: "<unit>/<lesson>", the notebook's path without its ending.
        number: as people say it, for example "1.1".
        title: the heading.
        parts: what it asks for, in the notebook's order.
    """

    name: str
    number: str
    title: str
    parts: tuple[Part, ...]


@cache
def lessons() -> dict[str, Lesson]:
    """All lessons by name, in the order of the course."""
    entries = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return {
        entry["name"]: Lesson(
            entry["name"],
            entry["number"],
            entry["title"],
            tuple(Part(**part) for part in entry["parts"]),
        )
        for entry in entries
    }


def find_lesson(name: str) -> Lesson:
    """The lesson with this name ("1_micrograd/1_scalars") or number ("1.1").

    Raises:
        LookupError: if there is none; the message lists those there are.
    """
    for lesson in lessons().values():
        if name in (lesson.name, lesson.number):
            return lesson
    close = difflib.get_close_matches(name, lessons(), n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    listing = "\n".join(f"  {x.number:>4}  {x.name}  ({x.title})" for x in lessons().values())
    raise LookupError(f"There is no lesson {name!r}.{guess} The lessons are:\n{listing}")
