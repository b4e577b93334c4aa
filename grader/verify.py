"""The proof that a lesson's checks are right.

The solved notebook gets full marks and the untouched one none. Every wrong answer of the bank
loses points on its own exercise, with a message that names the misconception. Every right answer
keeps full marks, whatever the seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.preprocessors import ClearSolutions

from grader.bank import Answer, read_bank
from grader.build import Built
from grader.nbgrader_settings import notebook_settings
from grader.paths import ROOT
from grader.run import run_notebook

SEEDS = range(5)
WRONG, RIGHT = 3, 1  # how many answers of each kind an exercise needs at least


@dataclass(frozen=True)
class Proof:
    """One claim about a lesson's checks, tried.

    Attributes:
        claim: what was tried.
        problem: why it does not hold; empty if it does.
    """

    claim: str
    problem: str = ""


def untouched(solved: Any) -> Any:
    """The student's notebook with the hidden tests still in it, as it is when graded."""
    notebook = nbformat.reads(nbformat.writes(solved), 4)
    return ClearSolutions(config=notebook_settings()).preprocess(notebook, {})[0]


def verify(built: Built, root: Path = ROOT) -> Iterator[Proof]:
    """Try every claim about one lesson, one after another.

    Args:
        built: the lesson.
        root: the repository, in which the lesson's bank stands beside its text.
    """
    yield _verify_solved(built)
    yield _verify_untouched(built)
    answers = read_bank(built, root)
    for exercise in built.exercises:
        own = [answer for answer in answers if answer.exercise == exercise.id]
        yield _verify_bank_size(f"{built.text.name}.bank.md: {exercise.paths[0]}", own)
        for answer in own:
            yield _verify_right(built, answer) if answer.right else _verify_wrong(built, answer)


def _verify_solved(built: Built) -> Proof:
    claim = "the solved notebook gets full marks"
    run = run_notebook(built.solved)
    if run.errors:
        cell, error = next(iter(run.errors.items()))
        return Proof(claim, f"its cell {cell} raises {error}")
    return Proof(claim, "" if run.full() else f"it loses points: {_failures(run.messages)}")


def _verify_untouched(built: Built) -> Proof:
    run = run_notebook(untouched(built.solved))
    passed = [check for check, points in run.points.items() if points]
    problem = f"these checks pass with nothing written: {', '.join(passed)}" if passed else ""
    return Proof("the untouched notebook gets no points", problem)


def _verify_bank_size(exercise: str, answers: list[Answer]) -> Proof:
    right = sum(answer.right for answer in answers)
    wrong = len(answers) - right
    enough = wrong >= WRONG and right >= RIGHT
    problem = "" if enough else f"it has {wrong} wrong and {right} right ones"
    return Proof(f"{exercise} has {WRONG} wrong answers and {RIGHT} right one at least", problem)


def _own_checks(built: Built, answer: Answer) -> set[str]:
    return {check for check, of in built.checks.items() if answer.exercise in of}


def _verify_wrong(built: Built, answer: Answer) -> Proof:
    claim = f"{answer.place}: wrong: {answer.about}"
    replace = {answer.exercise: answer.cell}
    run = run_notebook(built.solved, replace=replace, checks=_own_checks(built, answer))
    if run.full():
        return Proof(claim, "it keeps full marks on its own exercise")
    messages = list(run.messages.values()) + list(run.errors.values())
    if not any(answer.says.lower() in message.lower() for message in messages):
        return Proof(claim, f"no message says {answer.says!r}: {_failures(run.messages)}")
    return Proof(claim)


def _verify_right(built: Built, answer: Answer) -> Proof:
    claim = f"{answer.place}: right: {answer.about}"
    replace = {answer.exercise: answer.cell}
    for seed in SEEDS:
        # All checks once: later exercises build on this one. Then its own on other seeds.
        checks = set(built.checks) if seed == 0 else _own_checks(built, answer)
        run = run_notebook(built.solved, replace=replace, checks=checks, seed=seed)
        if not run.full():
            return Proof(claim, f"it loses points with seed {seed}: {_failures(run.messages)}")
    return Proof(claim)


def _failures(messages: dict[str, str]) -> str:
    return "; ".join(f"{check}: {' '.join(message.split())}" for check, message in messages.items())
