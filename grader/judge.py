"""Deciding what a check gives, from values that came out of the sandbox. No student code runs here.

What comes out may be anything: student code shares a process with what sends it. So a message is
only ever taken for a value, which is right or wrong; that there is a message, or how it looks, earns
nothing. The expected values never went in.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from course.learn.checks import (
    NOT_TRUE,
    Attempt,
    Slopes,
    close_problem,
    equal_problem,
    explain,
    gradients_problem,
    raises_problem,
)
from grader.dissect import Site
from grader.sandbox.values import Untrue, decode

TEXT = 2000  # characters of a student's own words in a message

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass
class CheckKey:
    """What a check expects, as the reference gave it: plain JSON data.

    Attributes:
        points: what the check can give.
        exercises: ids of the exercises it belongs to.
        expected: for each site, and for each time that the reference came by, what stays outside:
            the expected value; both sides of a comparison, None for a side that is sent; the name of
            an error; derivatives, or None where they are random.
        seconds: how long the reference took.
    """

    points: float
    exercises: list[str] = field(default_factory=list)
    expected: list[list[Any]] = field(default_factory=list)
    seconds: float = 0.0


class Judge:
    """Follows one check, value by value.

    Args:
        sites: the check's assertions.
        key: what they expect.
    """

    def __init__(self, sites: list[Site], key: CheckKey) -> None:
        self.sites = sites
        self.key = key
        self.failed_at: int | None = None
        self.problem = ""
        self.credit: float | None = None
        self.hidden = False  # whether the hidden part is under way
        self.odd = ""  # a message that no honest run of the check sends
        self._calls = [0] * len(sites)

    def hear(self, message: dict[str, Any]) -> bool:
        """Take in what one assertion sent; returns whether the check goes on."""
        number = message.get("site")
        if not isinstance(number, int) or not 0 <= number < len(self.sites):
            self.odd = "a value for no assertion of the check"
            return self._fail(-1, "Something other than the check sent a value.")
        site = self.sites[number]
        if site.call.hidden != self.hidden and not site.nested:
            self.odd = "a value for another part of the check"
            return self._fail(-1, "Something other than the check sent a value.")
        call = self._calls[number]
        self._calls[number] += 1
        expected = self.key.expected[number]
        if call >= len(expected) and not site.nested:
            return self._fail(number, f"{NOT_TRUE} as often as it was tried")
        try:
            known = expected[call] if call < len(expected) else None
            problem = self._problem(site, known, message)
        except (Untrue, KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.odd = "a message that no assertion sends"
            return self._fail(number, NOT_TRUE)
        return self._fail(number, problem) if problem else True

    def finish(self, hidden: bool) -> bool:
        """The visible (hidden) part ran to its end; returns whether it is all right."""
        if self.failed_at is not None:
            return False
        for number, site in enumerate(self.sites):
            if site.call.hidden == hidden and not site.nested:
                missing = len(self.key.expected[number]) - self._calls[number]
                if missing > 0:
                    return self._fail(number, "The check ended before it came to \0.")
        return True

    def message(self, values: str = "") -> str:
        """Why the check failed, as its student may read it.

        Args:
            values: what names of the check stand for, in words that came out of the sandbox.
        """
        if self.failed_at is None or self.failed_at < 0:
            return self.problem
        site = self.sites[self.failed_at]
        return explain(self.problem, site.call, values[:300], site.hint)

    def _fail(self, number: int, problem: str) -> bool:
        if self.failed_at is None:
            self.failed_at, self.problem = number, problem
        return False

    def _problem(self, site: Site, expected: Any, message: dict[str, Any]) -> str | None:
        if site.kind == "raises":
            arguments, raised, text = message["attempt"]
            attempt = Attempt(str(arguments)[:TEXT], [*map(str, raised)], str(text)[:TEXT])
            return raises_problem(attempt, expected)
        if site.kind == "gradients":
            return self._wrong_gradients(site, expected, message["slopes"])
        values = [decode(value) for value in message["values"]]
        if site.kind == "compare":
            outside = [decode(value) for value in expected]
            sides = [values.pop(0) if sent else outside[i] for i, sent in enumerate(site.sent)]
            return None if _holds(COMPARE[site.comparison], *sides) else NOT_TRUE
        if site.kind == "true":
            (value,) = values
            return None if _holds(operator.truth, value) else NOT_TRUE
        if site.kind == "credit":
            (value,) = values
            return self._take_credit(value)
        actual = values.pop(0)
        wanted = values.pop(0) if site.sent[1] else decode(expected)
        if site.kind == "close":
            return close_problem(actual, wanted, **site.tolerances)
        return equal_problem(actual, wanted)

    def _wrong_gradients(self, site: Site, expected: Any, said: dict[str, Any]) -> str | None:
        gradients, numerical = decode(said["gradients"]), decode(said["numerical"])
        names, at = [*map(str, decode(said["names"]))], decode(said["at"])
        slopes = Slopes(names, at, gradients, numerical, decode(said["result"]))
        # What is random is held against itself, and everything else against the reference.
        wanted = numerical if expected is None else expected
        if gradients is not None and not len(gradients) == len(wanted) == len(names):
            raise Untrue("as many gradients as inputs")
        return gradients_problem(slopes, wanted, **site.tolerances)

    def _take_credit(self, value: Any) -> str | None:
        """A number at the end of a check is its points, as in nbgrader."""
        if value is None:
            return None
        self.credit = min(max(float(value), 0.0), self.key.points)
        return None


def _holds(test: Callable[..., Any], *values: Any) -> bool:
    try:
        return bool(test(*values))
    except (TypeError, ValueError):
        return False
