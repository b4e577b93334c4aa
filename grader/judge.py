"""Deciding what a check gives, from values that came out of the sandbox. No student code runs here.

What comes out may be anything: student code shares a process with what sends it. So a message is
only ever taken for a value, which is right or wrong; that there is a message, or how it looks, earns
nothing. The expected values never went in.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course.learn.checks import (
    EXPRESSION,
    NOT_TRUE,
    Attempt,
    Call,
    Slopes,
    clean_problem,
    close_problem,
    equal_problem,
    explain,
    gradients_problem,
    raises_problem,
)
from grader.dissect import Site
from grader.sandbox.values import Untrue, decode, words

TEXT = 2000  # characters of a student's own words in a message
SHOWN, SHOWN_NAMES = 200, 300  # of one name; of what names stand for
MESSAGE = 8000  # characters of all of it
MAX_NAMES = 100

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
            said = _said(site, message)
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            self.odd = "a message that no assertion sends"
            return self._fail(number, NOT_TRUE)
        try:
            problem = self._problem(site, expected[call] if call < len(expected) else None, said)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            problem = NOT_TRUE  # values of kinds that cannot be compared
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
        if self.hidden:  # nothing that student code sends then is for a student's eyes
            return explain("", Call(hidden=True), "", site.hint)
        return explain(self.problem, site.call, words(values, SHOWN_NAMES), site.hint)[:MESSAGE]

    def _fail(self, number: int, problem: str) -> bool:
        if self.failed_at is None:
            self.failed_at, self.problem = number, problem
        return False

    def _problem(self, site: Site, expected: Any, said: Any) -> str | None:
        if site.kind == "raises":
            return raises_problem(said, expected)
        if site.kind == "gradients":
            # What is random is held against itself, and everything else against the reference.
            wanted = said.numerical if expected is None else expected
            return gradients_problem(said, wanted, **site.tolerances)
        if site.kind == "compare":
            outside = [decode(value, ours=True) for value in expected]
            sides = [said.pop(0) if sent else outside[i] for i, sent in enumerate(site.sent)]
            return None if _holds(COMPARE[site.comparison], *sides) else NOT_TRUE
        if site.kind == "true":
            return None if _holds(operator.truth, *said) else NOT_TRUE
        if site.kind == "clean":
            return clean_problem(*said)
        if site.kind == "credit":
            return self._take_credit(*said)
        wanted = said[1] if site.sent[1] else decode(expected, ours=True)
        if site.kind == "close":
            return close_problem(said[0], wanted, **site.tolerances)
        return equal_problem(said[0], wanted)

    def _take_credit(self, value: Any) -> str | None:
        """A number at the end of a check is its points, as in nbgrader; None is all of them."""
        if value is None:
            return None
        if not isinstance(value, (int, float, np.number, np.bool_)) or math.isnan(value):
            return f"{EXPRESSION} is {value!r}, which is no number of points"
        self.credit = min(max(float(value), 0.0), self.key.points)
        return None


def _said(site: Site, message: dict[str, Any]) -> Any:
    """What an assertion sent: values, an attempt or slopes.

    Raises:
        Untrue: if it is nothing that an assertion of this kind sends; or another error of reading.
    """
    if site.kind == "raises":
        arguments, raised, text = message["attempt"]
        names = [words(name, SHOWN) for name in raised[:MAX_NAMES]]
        return Attempt(words(arguments, TEXT), names, words(text, TEXT))
    if site.kind == "gradients":
        said = {name: decode(value) for name, value in message["slopes"].items()}
        slopes = Slopes(**said)
        slopes.names = [words(name, SHOWN) for name in slopes.names[:MAX_NAMES]]
        slopes.at = slopes.at[:MAX_NAMES]
        lengths = {len(slopes.names), len(slopes.at), len(slopes.numerical)}
        if slopes.gradients is not None and {len(slopes.gradients)} != lengths:
            raise Untrue("as many gradients as inputs")
        return slopes
    values = [decode(value) for value in message["values"]]
    if len(values) != sum(site.sent):
        raise Untrue("as many values as the assertion has")
    return values


def _holds(test: Callable[..., Any], *values: Any) -> bool:
    try:
        return bool(test(*values))
    except (TypeError, ValueError):
        return False
