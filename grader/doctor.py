"""What this machine has to keep student code away from everything else."""

import contextlib
import functools
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from grader.errors import GraderError
from grader.fork_server import SEEN, ForkServer
from grader.paths import ROOT
from grader.play import Cell, play_on
from grader.sandbox.layers import (
    SYSTEM,
    Limits,
    landlock_version,
    python_folders,
    seccomp_works,
    wrapper,
)

INSTALL = "use Linux 5.13 or newer, and install bubblewrap (Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"


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
    # Only landlock can hide the reference of one lesson's parts.
    files = ["landlock"] if landlock else []
    if landlock and outer == "bubblewrap":
        files.insert(0, "bubblewrap")
    around = [outer] if outer else []
    network = [*around, *(["seccomp"] if seccomp else [])]
    processes = [*around, *(["landlock"] if landlock >= 6 else [])]
    return Walls(tuple(files), tuple(network), tuple(processes))


# Each tries something that it must not get; the sandbox's own Python runs it.
ATTEMPTS = {
    "reading the solutions": "list(pathlib.Path({root!r}, 'solutions').iterdir())",
    "reading the lesson texts": "list(pathlib.Path({root!r}, 'lessons').iterdir())",
    "reading the reference of the lesson's parts": "pathlib.Path({root!r}, {part!r}).read_text()",
    "reading the gradebook's folder": "list(pathlib.Path({root!r}, 'grader').glob('*.db')) or 1 / 0",
    "listing the home folder": "list(pathlib.Path({home!r}).iterdir()) or 1 / 0",
    "writing beside its own folder": "pathlib.Path({root!r}, 'probe').write_text('x')",
    "seeing the grader's process": "pathlib.Path('/proc/{pid}/environ').read_bytes()",
    "sending the grader a signal": "os.kill({pid}, 0)",
    "stopping the fork server": "os.kill(os.getppid(), 9)",
    "connecting to this computer": "socket.create_connection(('127.0.0.1', {port}), 2)",
    "looking into the fork server": "open(f'/proc/{{os.getppid()}}/mem', 'rb').read(1)",
}


def examine() -> dict[str, str]:
    """Try to get out of the sandbox, in each way of `ATTEMPTS`; returns "refused" or what came."""
    part = "course/start/interpolate.py"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        contextlib.closing(ForkServer()) as forks,
    ):
        words = {
            "root": str(ROOT),
            "part": part,
            "home": str(Path.home()),
            "pid": os.getpid(),
            "port": server.getsockname()[1],
        }
        code = ["import os, pathlib, socket", "found = {}"]
        for name, attempt in ATTEMPTS.items():
            code.append(
                f"try:\n    {attempt.format(**words)}\n    found[{name!r}] = 'got through'\n"
                f"except Exception:\n    found[{name!r}] = 'refused'"
            )
        cell = Cell(
            "probe", "the probe", "\n".join([*code, "import json; print(json.dumps(found))"])
        )
        played = play_on(forks, [cell], "0_start/0_welcome", Limits(30, 60))
    text = "".join(out.get("text", "") for out in played.outputs.get(0, []))
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    return {name: str(found.get(name, "no answer")) for name in ATTEMPTS}


def require_walls() -> None:
    """Refuse to run submissions on a machine that cannot keep them in.

    Raises:
        GraderError: naming what is missing, and the remedy.
    """
    public = [Path(name) for name in (*SYSTEM, sys.prefix, sys.base_prefix)]
    inside = next((folder for folder in public if ROOT.is_relative_to(folder)), None)
    if inside:
        raise GraderError(
            f"the course lies in {inside}, all of which submissions can read, and so its solutions: "
            "move it to a folder of its own"
        )
    missing = walls().missing
    if missing:
        raise GraderError(
            f"nothing on this machine keeps submissions from {' and '.join(missing)}: {INSTALL}. "
            "`grader doctor` tells more; `--unsafe` grades all the same, and then submissions run "
            "with your rights"
        )
