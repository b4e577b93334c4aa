"""What came of running one submission: plain data, which travels between processes and machines.

A worker makes an `Outcome` of a submission; one writer puts it into the gradebook; feedback and
reports are made of it. It is kept as JSON, so that an interrupted run goes on where it was.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.results import Status


@dataclass
class CheckOutcome:
    """What one check gave.

    Attributes:
        id: the check's id.
        exercises: ids of the exercises it belongs to.
        points: the points it gave.
        possible: the points it could have given.
        message: why it failed, as its student may read it; empty if it passed.
        hidden: whether it failed in its hidden part.
        failed_at: which of its assertions failed first, counted from 0 in the order of its source;
            -1 if its code ended before an assertion failed; None if it passed.
        misconception: what the bank knows about such a failure; empty if nothing.
        seconds: how long it ran.
    """

    id: str
    exercises: list[str]
    points: float
    possible: float
    message: str = ""
    hidden: bool = False
    failed_at: int | None = None
    misconception: str = ""
    seconds: float = 0.0


@dataclass
class Outcome:
    """What came of one student's notebook of one lesson.

    Attributes:
        student: the student's id, as nbgrader knows it (`Submission.student_id`).
        lesson: "<unit>/<lesson>".
        status: how it went; it says nothing about the marks.
        findings: what a teacher should know, in words.
        checks: one for each check of the lesson, in order; empty if nothing could be run.
        notebook: the notebook as it ran, with outputs, as nbformat's JSON; without hidden tests.
            None if nothing could be run.
        seconds: how long all of it took.
        cpu_seconds: processor time of the student's code.
        memory: the most bytes it used.
        executor: "sandbox" or "jupyter".
        layers: what stood between the student's code and the machine; see `grader doctor`.
        host: the machine's name.
        versions: package -> version.
        digest: of all that the outcome depends on: the submission, the lesson, the limits.
    """

    student: str
    lesson: str
    status: Status
    findings: list[str] = field(default_factory=list)
    checks: list[CheckOutcome] = field(default_factory=list)
    notebook: dict[str, Any] | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    executor: str = "sandbox"
    layers: list[str] = field(default_factory=list)
    host: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    digest: str = ""

    def to_json(self) -> str:
        """As text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """From the text that `to_json` gave.

        Raises:
            ValueError: if the text is something else.
        """
        try:
            fields = json.loads(text)
            fields["checks"] = [CheckOutcome(**check) for check in fields["checks"]]
            fields["status"] = Status(fields["status"])
            return cls(**fields)
        except (TypeError, KeyError) as error:
            raise ValueError(f"this is no outcome: {error}") from None


def outcome_file(data: Path, student: str, lesson: str) -> Path:
    """Where a student's outcome is kept: <data>/outcomes/<unit>/<lesson>/<student>.json."""
    return data / "outcomes" / lesson / f"{student}.json"
