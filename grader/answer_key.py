"""The answer key: what each assertion of a lesson expects, from a run of the reference.

The solved notebook runs here, in the grader's own process, with the reference in the place of the
student's parts. Each assertion's expected values are kept.
"""

import ast
import linecache
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from course.learn.checks import attempt_call, faults_of, measure_slopes
from grader.dissect import Dissected, Site, dissect, students_names
from grader.errors import GraderError
from grader.judge import CheckKey, Judge
from grader.run import undone
from grader.sandbox.recorder import STAND_IN, reseed
from grader.sandbox.values import Encoder
from grader.syntax import parse

SEEDS = 0, 1  # two runs: what differs between them is random, and is not held against anybody


def is_check(cell: Any) -> bool:
    """Whether a cell of a notebook is a graded check."""
    nbgrader = cell.metadata.get("nbgrader", {})
    graded = bool(nbgrader.get("grade")) and not nbgrader.get("solution")
    return graded and cell.cell_type == "code"


def take_apart(solved: Any) -> dict[str, Dissected]:
    """All checks of a solved notebook, taken apart, by id."""
    names = students_names(solved)
    return {
        cell.metadata["nbgrader"]["grade_id"]: dissect(cell.source, names)
        for cell in solved.cells
        if is_check(cell)
    }


def make_key(solved: Any, exercises: dict[str, list[str]] | None = None) -> dict[str, CheckKey]:
    """Run a solved notebook on the reference, and keep what its checks expect.

    Args:
        solved: the notebook, with hidden tests.
        exercises: check id -> ids of the exercises it belongs to.

    Returns:
        The key of each check.

    Raises:
        GraderError: if the solved notebook does not pass its own checks.
    """
    checks = take_apart(solved)
    first, second = (_run(solved, checks, seed) for seed in SEEDS)
    for name, key in first.items():
        key.exercises = (exercises or {}).get(name, [])
        for number, site in enumerate(checks[name].sites):
            if site.kind == "gradients":
                again = second[name].expected[number]
                key.expected[number] = [
                    slopes if _all_near(slopes, other) else None
                    for slopes, other in zip(key.expected[number], again)
                ]
    return first


class _Reference:
    """What helpers are called in the reference's run: it keeps the expected values."""

    def __init__(self, sites: list[Site], points: float) -> None:
        self.key = CheckKey(points, expected=[[] for _ in sites])
        self.judge = Judge(sites, self.key)
        self.encoder = Encoder()

    def __call__(self, number: int, *values: Any) -> None:
        site = self.judge.sites[number]
        known, message = self._look(site, values)
        if not site.nested:
            self.key.expected[number].append(known)
        self.judge.hidden = site.call.hidden
        if not self.judge.hear({"site": number, **message}):
            raise AssertionError(self.judge.message() or "the check fails")

    def _look(self, site: Site, values: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        """What stays outside, and what student code would send."""
        if site.kind == "raises":
            attempt = attempt_call(*values[1:])
            return values[0].__name__, {
                "attempt": [attempt.arguments, attempt.raised, attempt.text]
            }
        if site.kind == "gradients":
            slopes = measure_slopes(*values)
            said = {name: self.encoder.encode(value) for name, value in vars(slopes).items()}
            return [np.asarray(slope, float).tolist() for slope in slopes.numerical], {
                "slopes": said
            }
        if site.kind == "clean":
            values = (faults_of(*values),)
        encoded = [self.encoder.encode(value) for value in values]
        sent = [value for value, sent in zip(encoded, site.sent) if sent]
        kept = [None if sent else value for value, sent in zip(encoded, site.sent)]
        if _holds_a_thing(kept):
            raise TypeError(
                "an expected value is an object, which cannot be compared outside the sandbox: "
                "compare numbers, texts or lists"
            )
        known = kept if site.kind == "compare" else kept[-1]
        return known, {"values": sent}


def _all_near(slopes: list[Any], other: list[Any]) -> bool:
    """Whether two runs gave the same derivatives, in whatever shapes each input has."""
    return all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-12)
        for a, b in zip(slopes, other, strict=True)
    )


def _holds_a_thing(data: Any) -> bool:
    if isinstance(data, dict):
        return "thing" in data or any(map(_holds_a_thing, data.values()))
    return isinstance(data, list) and any(map(_holds_a_thing, data))


def _run(solved: Any, checks: dict[str, Dissected], seed: int) -> dict[str, CheckKey]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    keys = {}
    with undone():
        for cell in solved.cells:
            nbgrader = cell.metadata.get("nbgrader", {})
            name = nbgrader.get("grade_id", "")
            if name in checks:
                reference = _Reference(checks[name].sites, float(nbgrader["points"]))
                namespace[STAND_IN] = reference
                start = time.perf_counter()
                _execute(checks[name].reference, cell.source, name, namespace, seed)
                reference.key.seconds = time.perf_counter() - start
                keys[name] = reference.key
            elif nbgrader and cell.cell_type == "code":
                _execute(parse(cell.source), cell.source, name, namespace, seed)
    return keys


def _execute(
    tree: ast.Module, source: str, name: str, namespace: dict[str, Any], seed: int
) -> None:
    reseed(seed)
    filename = f"<cell {name}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = len(source), None, lines, filename  # kernels run from their source
    run: Callable[..., None] = exec
    try:
        run(compile(tree, filename, "exec"), namespace)
    except Exception as error:
        raise GraderError(
            f"the solved notebook fails in its cell {name!r} ({type(error).__name__}: {error}): "
            "run `grader build` and `grader verify`"
        ) from error
