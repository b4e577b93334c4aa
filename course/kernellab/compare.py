"""A kernel against a reference: first whether it is right, then how fast it is.

lab.compare(add, lambda a, b, out: a + b, [lab.case(4, 32, a, b, out)])
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course.kernellab.check import check
from course.kernellab.errors import KernelError, LaunchError
from course.kernellab.launch import State
from course.kernellab.limits import launch_shape
from course.kernellab.memory import DeviceArray, host_view
from course.kernellab.records import Report

CHECKED_THREADS = 4096
"""Launches of up to so many threads go through the checker as well; larger ones would take long."""


@dataclass(frozen=True)
class Case:
    """A launch to try a kernel on.

    Attributes:
        grid, block: its shape.
        arguments: numpy arrays, numbers; fresh copies go into each run.
        dynamic_shared: bytes.
    """

    grid: Any
    block: Any
    arguments: tuple
    dynamic_shared: int = 0


def case(grid: Any, block: Any, *arguments: Any, dynamic_shared: int = 0) -> Case:
    """A launch to try a kernel on."""
    return Case(grid, block, arguments, dynamic_shared)


@dataclass
class Comparison:
    """What `compare` found.

    Attributes:
        kernel: its name.
        problems: what is wrong, in words; empty for a right kernel.
        reports: of the cases that went through the checker.
        seconds: {who: median time of a run of the last case}.
        where: {who: what it ran on}.
    """

    kernel: str
    problems: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cases: int = 0

    @property
    def ok(self) -> bool:
        """Whether every case was right, in every schedule."""
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            return f"{self.kernel}: not right\n" + "\n".join(f"* {p}" for p in self.problems)
        head = f"{self.kernel}: right in {self.cases} cases"
        if self.reports:
            head += f", without faults in {len(self.reports)} that were checked"
        slowest = max(map(len, self.seconds), default=0)
        rows = [
            f"  {who:{slowest}}  {s * 1e6:12,.1f} microseconds" for who, s in self.seconds.items()
        ]
        return "\n".join([head, *rows])

    def __repr__(self) -> str:
        return str(self)


def compare(
    kernel: Any,
    reference: Callable,
    cases: Sequence[Case],
    *,
    others: Mapping[str, Callable] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    rounds: int = 5,
) -> Comparison:
    """Tries a kernel on all cases, and times it on the last one.

    Args:
        kernel: what `@cuda.jit` made.
        reference: of the same arguments. It returns what the last array of the arguments must hold
            (or a tuple, for the last arrays), or writes into its arguments and returns None.
        cases: made by `case`.
        others: further functions of the same arguments to time, such as {"torch": f}.
        rtol: how close floats must be, relative to the expected value.
        atol: how close they must be at least; as in `numpy.allclose`.
        rounds: of the timing; the median counts.

    Raises:
        LaunchError: without cases.
    """
    if not cases:
        raise LaunchError("lab.compare wants at least one case: lab.case(grid, block, x, out).")
    out = Comparison(getattr(getattr(kernel, "py_func", kernel), "__name__", "kernel"))
    for number, each in enumerate(cases, 1):
        out.problems += _try(kernel, reference, each, number, rtol, atol, out)
        out.cases += 1
    if out.ok:
        last = cases[-1]
        where = "this kernel, in the lab" if State.on else "this kernel, on the GPU"
        out.seconds[where] = _time(lambda a: _launch(kernel, last, a), last, rounds)
        out.seconds["reference"] = _time(_with(reference), last, rounds)
        for name, function in (others or {}).items():
            out.seconds[name] = _time(_with(function), last, rounds)
    return out


def _with(function: Callable) -> Callable[[list[Any]], Any]:
    return lambda arguments: function(*arguments)


def _fresh(each: Case) -> list[Any]:
    values = [host_view(a) if isinstance(a, DeviceArray) else a for a in each.arguments]
    return [a.copy() if isinstance(a, np.ndarray) else a for a in values]


def _launch(kernel: Any, each: Case, arguments: list[Any]) -> None:
    kernel[each.grid, each.block, 0, each.dynamic_shared](*arguments)
    if not State.on:
        from numba import cuda

        cuda.synchronize()


def _try(
    kernel: Any,
    reference: Callable,
    each: Case,
    number: int,
    rtol: float,
    atol: float,
    out: Comparison,
) -> list[str]:
    given, wanted = _fresh(each), _fresh(each)
    returned = reference(*wanted)
    arrays = [i for i, a in enumerate(wanted) if isinstance(a, np.ndarray)]
    if returned is not None:
        results = returned if isinstance(returned, tuple) else (returned,)
        for position, result in zip(arrays[-len(results) :], results):
            wanted[position] = np.asarray(result)
    try:
        _launch(kernel, each, given)
    except KernelError as error:
        return [f"case {number}: {error}"]
    problems = [p for i in arrays if (p := _difference(given[i], wanted[i], i, number, rtol, atol))]
    launch = launch_shape((each.grid, each.block, 0, each.dynamic_shared))
    if State.on and launch.threads * launch.blocks <= CHECKED_THREADS:
        report = check(kernel[each.grid, each.block, 0, each.dynamic_shared], *_fresh(each))
        out.reports.append(report)
        problems += [f"case {number}: {fault}" for fault in report.faults]
    return problems


def _difference(
    got: np.ndarray, expected: np.ndarray, position: int, number: int, rtol: float, atol: float
) -> str:
    """How an array differs from what it should hold; "" if it does not."""
    where = f"case {number}, argument {position}"
    if got.shape != expected.shape:
        return f"{where}: got shape {got.shape}, expected {expected.shape}"
    if got.dtype.kind in "fc":
        same = np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    else:
        same = got == expected
    if same.all():
        return ""
    index = tuple(int(i) for i in np.argwhere(~same)[0])
    bad = int((~same).sum())
    return (
        f"{where}: {bad} of {same.size} elements differ, the first at {list(index)}: "
        f"got {got[index]}, expected {expected[index]}"
    )


def _time(run: Callable[[list[Any]], Any], each: Case, rounds: int) -> float:
    """The median time of a run, after one that compiles and one that proves the indices."""
    times = []
    for turn in range(rounds + 2):
        arguments = _fresh(each)
        start = time.perf_counter()
        run(arguments)
        if turn >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)
