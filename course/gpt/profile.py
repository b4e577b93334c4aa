"""Where a training step's time goes, estimated from the log of its launches."""

from collections.abc import Iterable
from dataclasses import dataclass

from course.cuda.record import Launch


@dataclass
class Row:
    """What the launches of one kernel cost together.

    Attributes:
        kernel: its name.
        launches: how many there were.
        bytes: of all arrays that were passed to them.
        seconds: the estimate.
    """

    kernel: str
    launches: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.kernel:30} {self.launches:5} x {self.bytes:14,} bytes {1e3 * self.seconds:9.3f} ms"


def profile(
    launches: Iterable[Launch], overhead: float = 4e-6, bandwidth: float = 1e12
) -> list[Row]:
    """The estimated time of each kernel, the longest first.

    A launch takes at least `overhead`, until its first thread runs. What it does then is limited, in nearly all of our
    kernels, by the memory:

        seconds = overhead + bytes / bandwidth

    Args:
        launches: of a log (see `course.cuda.record`).
        overhead: seconds for each launch.
        bandwidth: bytes for each second.

    Returns:
        A row for each kernel. Of equally long ones, that which was launched first comes first.
    """
    rows: dict[str, Row] = {}
    for entry in launches:
        row = rows.setdefault(entry.kernel, Row(entry.kernel))
        row.launches += 1
        row.bytes += entry.bytes
        row.seconds += overhead + entry.bytes / bandwidth
    return sorted(rows.values(), key=lambda row: -row.seconds)
