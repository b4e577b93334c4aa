"""Outcomes of lesson 1.1 as grading makes them, of a class that does not exist: not a test itself."""

import copy
import functools
import random
from pathlib import Path
from typing import Any

from grader.bank import Answer, read_bank
from grader.build import Built, build_lesson
from grader.lift import BEGIN, END
from grader.outcome import CheckOutcome, Outcome, outcome_file
from grader.paths import ROOT
from grader.results import Status

LESSON = "1_micrograd/1_scalars"
BACKWARD = "micrograd-engine-Value-backward"
ORDER = "micrograd-engine-topological_order"

# Long enough, and like nothing that the lesson or its bank knows.
OWN_BACKWARD = '''
@exercise("course.micrograd.engine.Value.backward")
def backward(self) -> None:
    """Compute d(self)/d(node) for every node that self was computed from."""
    waiting, needed_by, seen = [self], {}, set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        needed_by.setdefault(id(current), 0)
        for parent in current.inputs:
            needed_by[id(parent)] = needed_by.get(id(parent), 0) + 1
            waiting.append(parent)
    received = {id(self): 1.0}
    ready = [self]
    while len(ready) > 0:
        current = ready.pop(0)
        share = received.pop(id(current), 0.0)
        if current.inputs:
            current.grad = share
        else:
            current.grad = current.grad + share
        pairs = list(zip(current.inputs, current.local_grads))
        for index in range(len(pairs)):
            parent, slope = pairs[index][0], pairs[index][1]
            before = received.get(id(parent), 0.0)
            received[id(parent)] = before + slope * share
            needed_by[id(parent)] -= 1
            if needed_by[id(parent)] == 0:
                ready.append(parent)
'''
RENAMED = {
    "waiting": "todo", "needed_by": "users", "current": "v", "parent": "p", "received": "acc",
    "share": "g", "slope": "d", "before": "old", "ready": "queue", "index": "k", "pairs": "both",
}  # fmt: skip


def disguised(source: str) -> str:
    """The same code with other names, other spacing and comments."""
    for name, other in RENAMED.items():
        source = source.replace(name, other)
    return source.replace("= ", "=  ").replace("\n    while", "\n    # my own idea\n    while")


@functools.cache
def lesson() -> tuple[Built, list[Answer]]:
    built = build_lesson(ROOT / "lessons" / f"{LESSON}.md", ROOT)
    return built, read_bank(built, ROOT)


def plain(source: str) -> str:
    """A solved cell as a student would have it."""
    return "\n".join(x for x in source.splitlines() if x.strip() not in (BEGIN, END))


def solved_cells() -> dict[str, str]:
    built, _ = lesson()
    return {
        cell.id: plain(cell.source)
        for cell in built.solved.cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
    }


def notebook(cells: dict[str, str]) -> Any:
    """The released notebook with these cells in it."""
    filled = copy.deepcopy(lesson()[0].student)
    for cell in filled.cells:
        cell.source = cells.get(cell.id, cell.source)
    return filled


def make_outcome(student: str, ability: float, dice: random.Random) -> Outcome:
    """One student's: the abler, the more is right; the later exercises are harder."""
    built, bank = lesson()
    solved = solved_cells()
    cells: dict[str, str] = {}
    wrong: dict[str, Answer] = {}
    for number, exercise in enumerate(solved):
        luck = ability + dice.gauss(0, 0.8) - 0.22 * number
        answers = [x for x in bank if x.exercise == exercise and not x.right]
        if luck < -2.6:
            continue
        cells[exercise] = solved[exercise]
        if luck < -0.5 and answers:
            # Some misconceptions are more frequent than others.
            wrong[exercise] = answers[min(int(dice.expovariate(0.8)), len(answers) - 1)]
            cells[exercise] = plain(wrong[exercise].cell)
    checks = [
        _check(name, of, _points(built, name), cells, wrong, dice)
        for name, of in built.checks.items()
    ]
    return Outcome(
        student,
        LESSON,
        Status.OK,
        checks=checks,
        notebook=notebook(cells),
        seconds=2 + dice.random(),
        cpu_seconds=1.2 + dice.expovariate(2),
        memory=int(2**20 * dice.uniform(90, 140)),
    )


def _points(built: Built, name: str) -> float:
    return next(
        float(cell.metadata["nbgrader"]["points"])
        for cell in built.solved.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") == name
    )


def _check(
    name: str,
    of: list[str],
    possible: float,
    cells: dict[str, str],
    wrong: dict[str, Answer],
    dice: random.Random,
) -> CheckOutcome:
    seconds = round(dice.expovariate(200), 4)
    missing = [exercise for exercise in of if exercise not in cells]
    mistaken = [wrong[exercise] for exercise in of if exercise in wrong]
    if missing:
        message = "NotImplementedError: yours to write: replace this line"
        return CheckOutcome(name, of, 0, possible, message, failed_at=-1, seconds=seconds)
    if not mistaken or dice.random() < 0.3:
        return CheckOutcome(name, of, possible, possible, seconds=seconds)
    answer = mistaken[0]
    hidden = answer.says.startswith("A hidden") or name == "backward-large"
    message = answer.says if answer.says.startswith("A ") else f"f(2) is 1\nHint: {answer.says}"
    # The bank does not know what everybody means.
    about = answer.about if dice.random() < 0.85 else ""
    at = dice.choice([0, 0, 1, 2]) + 3 * hidden
    return CheckOutcome(name, of, 0, possible, message, hidden, at, about, seconds)


def make_class(students: int = 28, seed: int = 1) -> list[Outcome]:
    """The class: everybody has an ability; a few have bad luck with the machine; two write alike."""
    dice = random.Random(seed)
    outcomes = [
        make_outcome(f"student-{number:03}", dice.gauss(1.2, 1.0), dice)
        for number in range(1, students - 4)
    ]
    solved = solved_cells()
    for name, source in (("ada", OWN_BACKWARD), ("blaise", disguised(OWN_BACKWARD))):
        outcome = make_outcome(name, 2.5, dice)
        outcome.notebook = notebook(solved | {BACKWARD: source.strip()})
        outcomes.append(outcome)
    slow = make_outcome("carl", 0.5, dice)
    slow.status, slow.cpu_seconds = Status.TIMEOUT, 60.0
    slow.findings = ["the cell 'backward-large' took more than 60 seconds and was stopped"]
    dead = make_outcome("dörthe", 0.5, dice)
    dead.status, dead.findings = Status.CRASHED, ["Python died in the cell 'tanh'"]
    for check in dead.checks[-6:]:
        check.points, check.message, check.failed_at = 0, "It did not run.", None
    empty = Outcome("emmy", LESSON, Status.UNREADABLE, ["the file is empty"])
    outcomes[0].status = Status.REPAIRED
    outcomes[0].findings = ["the check 'slope' was there 2 times; one of them counts"]
    return [*outcomes, slow, dead, empty]


def keep(outcomes: list[Outcome], data: Path) -> Path:
    """Write outcomes as grading keeps them."""
    for outcome in outcomes:
        path = outcome_file(data, outcome.student, outcome.lesson)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(outcome.to_json(), encoding="utf-8")
    return data
