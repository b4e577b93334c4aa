"""What the helpers of checks are in the sandbox: they send values out, and hear whether to go on."""

import inspect
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from course.learn.checks import attempt_call, faults_of, measure_slopes, show_names
from grader.sandbox.values import Encoder

STAND_IN = "__check__"  # what helpers are called in the code of a check
Ask = Callable[[dict[str, Any]], dict[str, Any]]  # sends words to the grader, gives its answer


def reseed(seed: int = 0) -> None:
    """Let every check begin with the same random numbers, whatever ran before it."""
    random.seed(seed)
    np.random.seed(seed)


class Stopped(BaseException):
    """The check has failed. Not an Exception, so that student code does not catch it by accident."""


class Recorder:
    """Stands for all helpers of one check.

    Args:
        sites: for each assertion: "kind", "nested", and "names", whose values a message may tell.
        ask: see above.
    """

    def __init__(self, sites: list[dict[str, Any]], ask: Ask) -> None:
        self.sites = sites
        self.ask = ask
        self.encoder = Encoder()

    def __call__(self, number: int, *values: Any) -> None:
        """Send the values of one assertion.

        Raises:
            Stopped: if the grader says that they are wrong.
        """
        __tracebackhide__ = True
        site = self.sites[number]
        if site["nested"] and values[0]:
            return  # student code may come by here a million times
        answer = self.ask({"site": number, **self._look(site, values)})
        if not answer["go"]:
            frame = inspect.currentframe()
            caller = frame.f_back if frame else None
            if caller is not None and site["names"]:
                self.ask({"shown": show_names(site["names"], caller)})
            raise Stopped

    def _look(self, site: dict[str, Any], values: tuple[Any, ...]) -> dict[str, Any]:
        __tracebackhide__ = True
        if site["kind"] == "raises":
            attempt = attempt_call(*values)
            return {"attempt": [attempt.arguments, attempt.raised, attempt.text]}
        if site["kind"] == "gradients":
            slopes = measure_slopes(*values)
            return {"slopes": {name: self.encoder.encode(x) for name, x in vars(slopes).items()}}
        if site["kind"] == "clean":
            values = (faults_of(*values),)
        return {"values": [self.encoder.encode(value) for value in values]}
