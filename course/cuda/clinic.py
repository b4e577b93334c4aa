"""The bug clinic: how kernels are launched to be examined, and whether a chart of their faults is right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course import kernellab as lab

BLOCK = 8
"""Threads in a block, where a patient is launched with blocks of a fixed size."""

Finding = tuple[str, str | None] | None
"""The kind of a fault, and the array that has it if there is one; None for a healthy kernel."""


def numbers(n: int) -> np.ndarray:
    """n whole numbers from -9 to 9, positive and negative, no neighbours equal."""
    return ((np.arange(n) * 7 + 3) % 19 - 9).astype(np.float32)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _blocks(n: int) -> int:
    return -(-n // BLOCK)


@dataclass(frozen=True)
class Launch:
    """How a patient is launched for n elements.

    Attributes:
        grid, block: the launch's shape.
        arguments: what it gets.
    """

    grid: Any
    block: Any
    arguments: tuple[np.ndarray, ...]


def _in_place(n: int) -> Launch:
    return Launch(_blocks(n), BLOCK, (numbers(n),))


def _mapped(n: int) -> Launch:
    return Launch(_blocks(n), BLOCK, (numbers(n), _zeros(n)))


def _for_each_block(n: int) -> Launch:
    return Launch(_blocks(n), BLOCK, (numbers(n), _zeros(_blocks(n))))


def _in_one_block(n: int) -> Launch:
    return Launch(1, 32, (numbers(n),))


def _to_one_number(n: int) -> Launch:
    return Launch(1, 32, (numbers(n), _zeros(1)))


LAUNCHES: dict[int, Callable[[int], Launch]] = {
    1: _in_place,
    2: _in_place,
    3: _mapped,
    4: lambda n: Launch((_blocks(n), 2), (BLOCK, 4), (numbers(8 * n).reshape(8, n),)),
    5: lambda n: Launch(2, BLOCK, (numbers(n),)),
    6: _to_one_number,
    7: _in_one_block,
    8: _in_one_block,
    9: lambda n: Launch(_blocks(n), BLOCK, (numbers(n), _zeros(n), _zeros(n))),
    10: _mapped,
    11: _mapped,
    12: _mapped,
    13: _for_each_block,
    14: _mapped,
    15: _mapped,
    16: _to_one_number,
    17: _for_each_block,
    18: _mapped,
}
"""By number, how a patient is launched. An image has 8 rows and n columns."""


def number_of(patient: Any) -> int:
    """The number in a patient's name."""
    return int(patient.__name__.removeprefix("patient_"))


def examine(patient: Any, n: int) -> lab.Report:
    """Follows a patient through a launch on n elements.

    Args:
        patient: the kernel, such as `patient_1`.
        n: how many elements, from 1 to 32. Of an image with 8 rows, how many columns.

    Returns:
        The checker's report.
    """
    if not 1 <= n <= 32:
        raise ValueError(f"the clinic examines on 1 to 32 elements; got {n}.")
    launch = LAUNCHES[number_of(patient)](n)
    return lab.check(patient[launch.grid, launch.block], *launch.arguments)


SIZES = (7, 13)
"""Sizes at which a fault shows, if there is one: less than a block, and no multiple of one."""


def unconfirmed(chart: Mapping[int, Finding], patients: Sequence[Any]) -> list[int]:
    """The patients for whom the checker does not see what the chart says.

    Args:
        chart: by number, the kind and the array of a fault; None for a patient without one.
        patients: the kernels.

    Returns:
        The numbers of patients whose finding the checker does not confirm, or who have none.
    """
    out = []
    for patient in patients:
        number = number_of(patient)
        faults = [fault for n in SIZES for fault in examine(patient, n).faults]
        seen: list[Finding] = [(fault.kind, fault.array) for fault in faults] or [None]
        if number not in chart or chart[number] not in seen:
            out.append(number)
    return out
