"""The fork server: has the libraries loaded, and makes a fresh process of itself for each notebook.

    python -m grader.sandbox.server FD WALL FOLDER [numba]

FD is a socket to the grader, of the kind that keeps messages apart; WALL names the
wrapper around this process, or is empty; FOLDER is where notebooks may write. The server never runs student code: a
process that it forks gives up its rights first, and then plays one notebook (`player.py`).
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

import course
from course.learn.holes import forget
from course.learn.manifest import find_lesson
from grader.sandbox.layers import Limits, give_up_rights, protect_server, python_folders
from grader.sandbox.player import Player
from grader.sandbox.shell import make_shell

MAX_MESSAGE = 1 << 16
SHARED = Path("/dev/shm")
TOOLS = ("course.cli", "course.learn.lab", "course.learn.validate", "course.learn.workspace")
COURSE = Path(course.__path__[0])


def preload(with_numba: bool) -> None:
    """Load what notebooks use, and let numba's compiler warm up if they use that."""
    import matplotlib.pyplot  # noqa: F401

    for info in pkgutil.walk_packages(course.__path__, "course."):
        if not info.name.startswith(TOOLS):
            importlib.import_module(info.name)
    if with_numba:
        import numba.cuda
        import numpy as np

        from course.kernellab import forget_compiled, watch

        numba.njit(lambda numbers: numbers.sum())(np.ones(2))

        @numba.cuda.jit
        def kernel(numbers: Any) -> None:
            numbers[0] = 1.0

        watch(kernel[1, 1], np.ones(2, np.float32))  # the first check of types takes a second
        forget_compiled()
    make_shell()


def references(lesson: str) -> set[Path]:
    """The files that hold the reference of the parts that a lesson asks for."""
    try:
        parts = find_lesson(lesson).parts
    except LookupError:  # a lesson that is not in this course has no reference either
        return set()
    modules = {part.path.rsplit(".", depth)[0] for part in parts for depth in (1, 2)}
    return {COURSE.parent.joinpath(*name.split(".")).with_suffix(".py") for name in modules}


def readable(lesson: str) -> list[Path]:
    """The files that a notebook may read: not the reference of the parts that it asks for."""
    asked = references(lesson)
    files = (path for path in COURSE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return [*python_folders(), *(path for path in files if path not in asked)]


def hide_files(lesson: str) -> None:
    """Let modules whose files a notebook may not read have none: %autoreload would complain."""
    asked = {str(path) for path in references(lesson)}
    ours = str(Path(__file__).parents[1]) + os.sep  # this module too, also as `__mp_main__`
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.startswith("grader.") or file.startswith(ours) or file in asked:
            with contextlib.suppress(AttributeError):
                del module.__file__


class Server:
    """Takes orders from the grader, one notebook at a time.

    Args:
        control: the socket they come by.
        wall: the wrapper around this process, such as bubblewrap; empty if there is none.
        scratch: where notebooks may write.
    """

    def __init__(self, control: socket.socket, wall: str, scratch: Path) -> None:
        self.control = control
        self.wall = wall
        self.scratch = scratch
        self.jobs = 0

    def serve(self) -> None:
        """Follow orders until the grader is gone."""
        self.say(ready=True)
        while True:
            text, fds, _, _ = socket.recv_fds(self.control, MAX_MESSAGE, 253)
            if not text:
                return
            order = json.loads(text)
            match order["do"]:
                case "start":
                    self.say(pid=self.start(order, fds))
                case "stop":
                    self.signal(order["pid"], signal.SIGINT)
                case "kill":
                    self.signal(order["pid"], signal.SIGKILL)
                case "count":
                    counts = os.statvfs(self.scratch)
                    self.say(files=counts.f_files - counts.f_ffree)
                case "clear":
                    self.say(**self.clear())

    def say(self, **words: Any) -> None:
        """Answer the grader."""
        self.control.sendall(json.dumps(words).encode())

    def start(self, order: dict[str, Any], fds: list[int]) -> int:
        """Make a process for a notebook; returns its number."""
        self.jobs += 1
        folder = self.scratch / f"notebook-{self.jobs}"
        folder.mkdir()
        pid = os.fork()
        if pid:
            for fd in fds:
                os.close(fd)
            return pid
        code = 1
        try:
            self.control.close()
            os.setsid()
            self._play(order, [socket.socket(fileno=fd) for fd in fds], folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _play(self, order: dict[str, Any], sockets: list[socket.socket], folder: Path) -> None:
        os.chdir(folder)
        sys.path.insert(0, "")  # modules that a notebook writes, as in Jupyter
        for name in ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
            os.environ[name] = str(folder)
        limits = Limits(**order["limits"])
        with contextlib.suppress(LookupError):  # a lesson that is not in this course has no parts
            forget(order["lesson"])
        hide_files(order["lesson"])
        layers = []
        if order["layers"]:
            layers = give_up_rights(limits, folder, readable(order["lesson"]), self.wall)
        Player(sockets[0], sockets[1:], layers).play()

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process, if it is one that came from here."""
        with contextlib.suppress(psutil.Error, OSError, ValueError, OverflowError):
            if psutil.Process() in psutil.Process(pid).parents():
                os.kill(pid, number)

    def clear(self) -> dict[str, Any]:
        """End all that a notebook has left, and tell what it has used."""
        seconds, memory = 0.0, 0
        deadline = time.monotonic() + 10
        while True:
            family = psutil.Process().children(recursive=True)
            if not family or time.monotonic() > deadline:  # some multiply faster than they die
                break
            for process in family:
                with contextlib.suppress(psutil.Error, OSError):
                    process.kill()
            time.sleep(0.002)
            with contextlib.suppress(ChildProcessError):
                while True:
                    pid, _, used = os.wait4(-1, os.WNOHANG)
                    if pid == 0:
                        break
                    seconds += used.ru_utime + used.ru_stime
                    memory = max(memory, used.ru_maxrss * 1024)
        leftovers = [*self.scratch.glob("notebook-*")]
        if self.wall == "bubblewrap":  # whose /dev/shm is nobody else's
            leftovers += SHARED.iterdir()
        # Not with shutil: folders may be nested deeper than Python can call itself.
        subprocess.run(["rm", "-rf", "--", *map(str, leftovers)], capture_output=True)
        return {"seconds": seconds, "memory": memory, "left": len(family)}


def main() -> None:
    """Serve the grader whose socket is given."""
    control = socket.socket(fileno=int(sys.argv[1]))
    wall, scratch = sys.argv[2], Path(sys.argv[3])
    with_numba = "numba" in sys.argv[4:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader
    preload(with_numba)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    protect_server()
    gc.collect()
    gc.freeze()  # so that looking for garbage does not copy what all notebooks share
    Server(control, wall, scratch).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
