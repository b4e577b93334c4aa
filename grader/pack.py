"""A lesson, packed for grading: what the workers need of it, made once and kept.

A pack is plain data, so that it travels to other machines. It holds the answers: it never goes into the
sandbox.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat

import course
from grader.answer_key import make_key, take_apart
from grader.errors import GraderError
from grader.judge import CheckKey
from grader.paths import ROOT

# What may differ between two runs of the same wrong answer: where an object lies in memory, on
# which line of a cell something stands, what names stand for, and the numbers in names such as
# matmul_2, which count what was made before.
INCIDENTAL = re.compile(r"0x[0-9a-f]{6,}|\bline \d+\b|^where .*\n?|(?<=[a-z])_\d+\b", re.MULTILINE)

# The modules that a mark depends on, besides the sandbox's: when one changes, all is graded again.
DECIDING = (
    *("answer_key", "bank", "dissect", "execute", "fork_server", "judge", "lift", "pack", "play"),
    *("preflight", "run", "worker"),
)

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Misconception:
    """What a wrong answer of the bank looks like from outside.

    Attributes:
        exercise: the id of the exercise.
        about: the misconception.
        messages: why its checks fail: check id -> message; empty for those that pass.
    """

    exercise: str
    about: str
    messages: dict[str, str]


@dataclass
class Pack:
    """A lesson for the workers.

    Attributes:
        lesson: "<unit>/<lesson>".
        solved, release: its notebooks, as the text of their files.
        key: check id -> what the check expects.
        misconceptions: what the bank knows.
        digest: of all that it was made of.
    """

    lesson: str
    solved: str
    release: str
    key: dict[str, CheckKey]
    misconceptions: list[Misconception] = field(default_factory=list)
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.digest:
            self.digest = hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Pack":
        """From the text that `to_json` gave."""
        fields = json.loads(text)
        fields["key"] = {name: CheckKey(**key) for name, key in fields["key"].items()}
        fields["misconceptions"] = [Misconception(**known) for known in fields["misconceptions"]]
        return cls(**fields)


def load_pack(lesson: str, root: Path, data: Path, watch: Watch = lambda *_: None) -> Pack:
    """A lesson's pack, from the folder of packs if it is still right; else it is made.

    Args:
        lesson: "<unit>/<lesson>".
        root: the repository.
        data: the folder for gradebook and marks; packs go into packs/ there.
        watch: called with what is done, how much of it is, and how much there is.

    Raises:
        GraderError: if the lesson is not built, or does not pass its own checks.
    """
    digest = _digest(lesson, root)
    kept = data / "packs" / f"{lesson}.json"
    try:
        pack = Pack.from_json(kept.read_text(encoding="utf-8"))
        if pack.digest == digest:
            return pack
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or of another version
        pass
    pack = make_pack(lesson, root, watch)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(pack.to_json(), encoding="utf-8")
    return pack


def make_pack(
    lesson: str, root: Path, watch: Watch = lambda *_: None, learn: Collection[str] | None = None
) -> Pack:
    """Make a lesson's pack: run the reference, and the bank's wrong answers.

    Args:
        lesson: "<unit>/<lesson>".
        root: the repository.
        watch: as for `load_pack`.
        learn: the exercises whose misconceptions are learned; by default of all.
    """
    watch(f"lesson {lesson}: the answer key", 0, 1)
    try:
        solved = nbformat.read(root / "solutions" / f"{lesson}.ipynb", 4)
        release = nbformat.read(root / "notebooks" / f"{lesson}.ipynb", 4)
    except OSError as error:
        raise GraderError(f"{error.filename} is missing: run `grader build`") from None
    text = root / "lessons" / f"{lesson}.md"
    built = None
    if text.exists():
        from grader.build import build_lesson

        built = build_lesson(text, root)
    key = make_key(solved, built.checks if built else _checked_above(solved))
    pack = Pack(
        lesson,
        nbformat.writes(solved),
        nbformat.writes(release),
        key,
        digest=_digest(lesson, root),
    )
    if built and sys.platform == "linux":  # elsewhere there is no fork server to run them
        pack.misconceptions = _learn(pack, built, root, watch, learn)
    return pack


def _digest(lesson: str, root: Path) -> str:
    """Of the lesson's notebooks and bank, the machine, and what makes packs of them."""
    files = [root / f"{folder}/{lesson}.ipynb" for folder in ("solutions", "notebooks")]
    files += [root / "lessons" / f"{lesson}{ending}" for ending in (".md", ".bank.md")]
    files += sorted(Path(course.__path__[0]).rglob("*.py"))
    files += [ROOT / "grader" / f"{name}.py" for name in DECIDING]
    files += sorted((ROOT / "grader" / "sandbox").glob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        if file.exists():
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _checked_above(solved: Any) -> dict[str, list[str]]:
    """Which exercise each check belongs to, if no lesson text says so: the one above it."""
    above: list[str] = []
    found = {}
    for cell in solved.cells:
        nbgrader = cell.metadata.get("nbgrader", {})
        if nbgrader.get("solution") and not nbgrader.get("grade"):
            above = [nbgrader["grade_id"]]
        elif nbgrader.get("grade"):
            found[nbgrader["grade_id"]] = above
    return found


def _learn(
    pack: Pack, built: Any, root: Path, watch: Watch, learn: Collection[str] | None
) -> list[Misconception]:
    """Grade the bank's wrong answers, and remember what their checks say."""
    from grader.bank import read_bank
    from grader.fork_server import drop_server_of_this_thread
    from grader.play import Cell, play
    from grader.sandbox.layers import Limits

    checks = take_apart(built.solved)
    wrong = [answer for answer in read_bank(built, root) if not answer.right]
    if learn is not None:
        wrong = [answer for answer in wrong if answer.exercise in learn]
    found = []
    for number, answer in enumerate(wrong):
        watch(f"lesson {pack.lesson}: known misconceptions", number, len(wrong))
        own = [name for name, of in built.checks.items() if answer.exercise in of]
        cells = []
        for cell in built.solved.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if name in own and name in checks:
                cells.append(Cell(name, name, cell.source, checks[name], pack.key[name]))
            elif name and cell.cell_type == "code" and name not in checks:
                source = answer.cell if name == answer.exercise else cell.source
                cells.append(Cell(name, name, source))
        # Our own answers need no sandbox, only a limit.
        played = play(
            cells, pack.lesson, Limits(cell_seconds=10, notebook_seconds=30), layers=False
        )
        messages = {name: essence(checked.message) for name, checked in played.checks.items()}
        found.append(Misconception(answer.exercise, answer.about, messages))
    drop_server_of_this_thread()
    return found


def essence(message: str) -> str:
    """A check's message without what may differ between two runs of the same answer."""
    return INCIDENTAL.sub("", message)
