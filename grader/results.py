"""What came of grading: a status, findings and marks for each submission, and the CSV of them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Status(StrEnum):
    """How grading a submission went, from good to bad. It says nothing about the marks."""

    OK = "ok"
    REPAIRED = "repaired"  # something in the file was put right first; the findings say what
    TIMEOUT = "timeout"  # a cell took too long; what else ran counts
    CRASHED = "crashed"  # Python died while the notebook ran; what ran before counts
    TAMPERED = "tampered"  # something was changed that nobody changes by accident
    UNREADABLE = "unreadable"  # nothing could be run, so there is no mark
    NOT_SUBMITTED = "not submitted"

    @property
    def needs_teacher(self) -> bool:
        """Whether a person should look at the submission."""
        return self in (Status.TIMEOUT, Status.CRASHED, Status.TAMPERED, Status.UNREADABLE)

    def worst(self, other: "Status") -> "Status":
        """The worse of two."""
        order = list(Status)
        return max(self, other, key=order.index)


@dataclass
class Result:
    """One student's lesson, graded.

    Attributes:
        student: the name as the submission gives it.
        lesson: "<unit>/<lesson>"; empty if it is not known.
        status: how it went.
        findings: what a teacher should know, in words.
        score: the points given so far; None if nothing could be graded.
        possible: the points that could have been given so far.
        pending: the points of answers that wait to be graded by hand.
        seconds: how long it took.
        again: whether there were marks before, which these replace.
    """

    student: str
    lesson: str
    status: Status
    findings: list[str] = field(default_factory=list)
    score: float | None = None
    possible: float | None = None
    pending: float = 0
    seconds: float = 0
    again: bool = False


def write_csv(results: Iterable[Result], path: Path) -> None:
    """Write one row for each result; a missing mark stays empty, it is not a zero."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["student", "lesson", "score", "max", "manual_pending", "status", "findings"])
        for result in results:
            rows.writerow(
                [
                    result.student,
                    result.lesson,
                    points(result.score),
                    points(result.possible),
                    points(result.pending),
                    result.status,
                    "; ".join(result.findings),
                ]
            )


def points(number: float | None) -> str:
    """A number of points as people write it: 3, 2.5, or nothing."""
    return "" if number is None else f"{number:.4g}"
