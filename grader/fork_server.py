"""The grader's end of the fork server: starts it inside a wrapper, gives it orders, ends it."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from grader.errors import GraderError
from grader.paths import ROOT
from grader.sandbox.layers import DISK, Limits, python_folders, wrapper

START_SECONDS = 120  # for loading the libraries on a slow, busy machine
ANSWER_SECONDS = 20
MAX_FILES = 20_000  # that a notebook may have at a time
MAX_DEATHS = 30  # of one notebook's processes
SEEN = (ROOT / "course", ROOT / "grader" / "__init__.py", ROOT / "grader" / "sandbox")


class Lost(Exception):
    """The fork server does not answer any more."""


class ForkServer:
    """A fork server, inside a wrapper if the machine has one. Use it from one thread at a time.

    Args:
        layers: whether notebooks give up their rights; without it, they run with the grader's.
        with_numba: whether to have numba loaded too, which takes a second.

    Raises:
        GraderError: if it cannot be started.
    """

    def __init__(self, layers: bool = True, with_numba: bool = False) -> None:
        if sys.platform != "linux":
            raise GraderError(
                "the sandbox needs Linux: grade in a container or a virtual machine, or use "
                "--executor jupyter --unsafe if you would run these notebooks yourself"
            )
        self.kind = (layers, with_numba)
        self.layers = layers
        self.wall, words = wrapper((*python_folders(), *SEEN)) if layers else ("", [])
        self._scratch = tempfile.mkdtemp(prefix="grading-")
        scratch = "/tmp" if self.wall == "bubblewrap" else self._scratch
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        log = Path(self._scratch, "server.log")
        command = [*words, sys.executable, "-m", "grader.sandbox.server", str(theirs.fileno())]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, self.wall, scratch, *["numba"] * with_numba],
                cwd=ROOT if self.wall != "bubblewrap" else None,
                env=_environment(scratch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        try:
            self._answer(START_SECONDS)
        except Lost:
            words_of_log = log.read_text(errors="replace").strip()[-2000:]
            self.close()
            raise GraderError(
                "the process that runs submissions does not start; `grader doctor` tells more"
                + (f":\n{words_of_log}" if words_of_log else "")
            ) from None

    def start(self, lesson: str, limits: Limits) -> "Job":
        """Make a process for a notebook.

        Raises:
            Lost: if the server does not answer.
        """
        pairs = [socket.socketpair() for _ in range(1 + MAX_DEATHS)]
        order = {"do": "start", "lesson": lesson, "limits": asdict(limits), "layers": self.layers}
        fds = [theirs.fileno() for _, theirs in pairs]
        try:
            socket.send_fds(self._control, [json.dumps(order).encode()], fds)
        except OSError:
            raise Lost from None
        finally:
            for _, theirs in pairs:
                theirs.close()
        main, *runners = [mine for mine, _ in pairs]
        return Job(int(self._answer()["pid"]), main, runners)

    def signal(self, word: str, pid: int) -> None:
        """Stop or kill a process of the notebook.

        Args:
            word: "stop" for an interrupt, or "kill".
            pid: the process's number, as the server sees it.
        """
        try:
            self._control.sendall(json.dumps({"do": word, "pid": pid}).encode())
        except OSError:
            raise Lost from None

    def clear(self) -> dict[str, Any]:
        """End all that is left of a notebook; returns what it has used."""
        used = self._order("clear")
        if used["left"]:
            raise Lost
        return used

    def excess(self, limits: Limits) -> str:
        """What there is too much of inside, in words; empty if all is within the limits."""
        family = _family(self._process.pid)
        if len(family) > limits.processes:
            return "too many processes were started"
        memory = 0
        for process in family:
            with contextlib.suppress(psutil.Error, OSError, AttributeError):
                memory += process.memory_full_info().pss
        if memory > 2 * limits.memory:
            return "too much memory was taken"
        if self.wall == "bubblewrap":  # which limits their size itself
            size, files = 0, int(self._order("count")["files"])
        else:
            size, files = _size(self._scratch)
        if size > DISK or files > MAX_FILES:
            return "too much was written to files"
        return ""

    def _order(self, word: str) -> dict[str, Any]:
        try:
            self._control.sendall(json.dumps({"do": word}).encode())
        except OSError:
            raise Lost from None
        return self._answer()

    def close(self) -> None:
        """End the server and all that is inside with it."""
        family = _family(self._process.pid)
        self._control.close()  # which ends an idle server
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()
        subprocess.run(["rm", "-rf", "--", self._scratch], capture_output=True)

    def _answer(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        self._control.settimeout(seconds)
        try:
            text = self._control.recv(1 << 16)
        except OSError:
            raise Lost from None
        if not text:
            raise Lost
        return json.loads(text)


def _family(pid: int) -> list[Any]:
    """All processes that come from one."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _size(top: str) -> tuple[int, int]:
    """How many bytes all files below a folder have, and how many files there are."""
    size, files, folders = 0, 0, [top]
    while folders and files <= MAX_FILES:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # nobody nests folders so deep by accident
                return size, MAX_FILES + 1
            continue
        files += len(entries)
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    size += entry.stat(follow_symlinks=False).st_size
    return size, files


@dataclass
class Job:
    """One notebook's process.

    Attributes:
        pid: its number, as the server sees it.
        main: the socket to it.
        runners: sockets to processes that it forks for hidden tests.
    """

    pid: int
    main: socket.socket
    runners: list[socket.socket]

    def close(self) -> None:
        """Listen to nobody any more."""
        for connection in (self.main, *self.runners):
            connection.close()


_servers: dict[int, ForkServer] = {}  # by thread
_stopped = threading.Event()


def server_of_this_thread(layers: bool, with_numba: bool = False) -> ForkServer:
    """The fork server of the calling thread; made if there is none.

    Raises:
        GraderError: if it cannot be started, or grading is being stopped.
    """
    if _stopped.is_set():
        raise GraderError("grading was stopped")
    server = _servers.get(threading.get_ident())
    if server is None or server.kind != (layers, with_numba):
        drop_server_of_this_thread()
        server = _servers[threading.get_ident()] = ForkServer(layers, with_numba)
        if _stopped.is_set():  # while it started
            drop_server_of_this_thread()
            raise GraderError("grading was stopped")
    return server


def drop_server_of_this_thread() -> None:
    """End the calling thread's fork server: it is not what it was any more."""
    server = _servers.pop(threading.get_ident(), None)
    if server is not None:
        server.close()


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """End all fork servers of this process, whichever threads made them, and let none be made."""
    _stopped.set()
    try:
        close_all()
        yield
    finally:
        _stopped.clear()


def close_all() -> None:
    """End all fork servers of this process."""
    while _servers:
        _servers.popitem()[1].close()


def _environment(scratch: str) -> dict[str, str]:
    """The variables that student code gets to see."""
    kept = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    variables |= {name: scratch for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR")}
    variables |= {
        name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    }
    return variables | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",  # the same marks each time
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "COURSE_GRADING": "1",  # course.learn lends no parts
    }
