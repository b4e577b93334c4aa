"""What this machine has to keep student code away from everything else."""

import functools
from dataclasses import dataclass

from grader.errors import GraderError
from grader.fork_server import SEEN
from grader.sandbox.layers import landlock_version, python_folders, seccomp_works, wrapper

INSTALL = (
    "install bubblewrap (Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
)


@dataclass(frozen=True)
class Walls:
    """What keeps student code from what.

    Attributes:
        files: from solutions, gradebook, other submissions and homes.
        network: from the network.
        processes: from the grader's processes and other submissions'.
    """

    files: tuple[str, ...]
    network: tuple[str, ...]
    processes: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """What nothing keeps student code from."""
        return [name for name, layers in vars(self).items() if not layers]


@functools.cache
def walls() -> Walls:
    """What this machine offers; found out by trying, once."""
    outer, _ = wrapper((*python_folders(), *SEEN))
    landlock, seccomp = landlock_version(), seccomp_works()
    files = [
        *(["bubblewrap"] if outer == "bubblewrap" else []),
        *(["landlock"] if landlock else []),
    ]
    around = [outer] if outer else []
    network = [*around, *(["seccomp"] if seccomp else [])]
    processes = [*around, *(["landlock"] if landlock >= 6 else [])]
    return Walls(tuple(files), tuple(network), tuple(processes))


def require_walls() -> None:
    """Refuse to run submissions on a machine that cannot keep them in.

    Raises:
        GraderError: naming what is missing, and the remedy.
    """
    missing = walls().missing
    if missing:
        raise GraderError(
            f"nothing on this machine keeps submissions from {' and '.join(missing)}: {INSTALL}. "
            "`grader doctor` tells more; `--unsafe` grades all the same, and then submissions run "
            "with your rights"
        )
