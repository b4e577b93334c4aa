"""Playing a notebook: one process, which runs its cells and tells the grader what comes out.

Order matters. All that a student will ever see of the run (outputs, errors, what visible tests found)
comes out of the main process, which never sees a hidden test. When the notebook is through, and the
grader does not listen to it any more, it forks a process for the hidden tests. There, each check's
hidden part finds the names as its visible part has left them.
"""

import base64
import json
import linecache
import marshal
import os
import signal
import socket
import warnings
from types import TracebackType
from typing import Any

from course.learn.holes import filled, refill
from course.learn.short_errors import render
from grader.sandbox.recorder import STAND_IN, Recorder, Stopped, reseed
from grader.sandbox.shell import OUTPUTS, Shell, use_streams

MAX_LINE = 64 * 2**20


class Channel:
    """Lines of JSON, to the grader and from it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")

    def say(self, words: dict[str, Any]) -> None:
        """Send a line."""
        self.connection.sendall(json.dumps(words, default=str).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next line. When the grader is gone, so is this process."""
        line = self._file.readline(MAX_LINE)
        if not line:
            os._exit(0)
        return json.loads(line)

    def ask(self, words: dict[str, Any]) -> dict[str, Any]:
        """Send a line, and wait for the answer."""
        self.say(words)
        return self.hear()


class Player:
    """Plays one notebook.

    Args:
        main: the socket for all that a student may see.
        others: sockets for processes that run hidden tests.
        layers: what stands between this process and the machine.
    """

    def __init__(self, main: socket.socket, others: list[socket.socket], layers: list[str]) -> None:
        self.main = Channel(main)
        self.others = others
        self.layers = layers
        self.shell = Shell.instance()
        self.shell.db = {}  # what %cd and the like remember; else in a file of the server's
        self.busy = False
        self.cells: list[dict[str, Any]] = []
        # As a check's visible part has left them: names, and the parts that stood in the machine.
        self.names: dict[int, dict[str, Any]] = {}
        self.parts: dict[int, dict[str, Any]] = {}

    def play(self) -> None:
        """Run the notebook that the grader sends, and then what else it asks for."""
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        self.cells = self.main.hear()["cells"]
        self.main.say({"layers": self.layers})
        pid = os.getpid()
        for number, cell in enumerate(self.cells):
            if not cell:
                continue  # it has had its turn, in a process that died
            self.main.say({"start": number})
            if "code" in cell:
                done = self._run_check(self.main, cell, cell["code"])
                if done["passed"] and cell["hidden"]:
                    self.names[number] = dict(self.shell.user_ns)
                    self.parts[number] = filled()
            else:
                done = self._run_cell(cell["source"])
            if os.getpid() != pid:
                os._exit(0)  # a process that a cell has forked, and that came out of it
            self.main.say({"done": number, **done})
        self.main.say({"end": True})
        while True:
            self._fork_for_hidden(self.main.hear()["runner"])

    def _interrupted(self, *_: object) -> None:
        if self.busy:
            raise KeyboardInterrupt

    def _run_cell(self, source: str) -> dict[str, Any]:
        outputs: list[dict[str, Any]] = []
        error: BaseException | None = None
        try:
            self.busy = True
            outputs, error = self.shell.run(source)
        except KeyboardInterrupt:
            outputs = OUTPUTS.take()
        finally:
            self.busy = False
        count = self.shell.execution_count - 1
        return {"outputs": outputs, "full": isinstance(error, MemoryError), "count": count}

    def _run_check(self, channel: Channel, cell: dict[str, Any], code: str) -> dict[str, Any]:
        """Run one part of a check; its values are sent while it runs."""
        filename = cell["filename"]
        shown = cell["shown"].splitlines(keepends=True)
        linecache.cache[filename] = (len(cell["shown"]), None, shown, filename)
        namespace = self.shell.user_ns
        namespace[STAND_IN] = Recorder(cell["sites"], channel.ask)
        reseed()  # as in the reference's run
        use_streams()
        try:
            self.busy = True
            exec(marshal.loads(base64.b64decode(code)), namespace)
        except Stopped:
            return {"passed": False}
        except BaseException as error:
            self.busy = False
            return {"passed": False, "error": describe(error, error.__traceback__)}
        finally:
            self.busy = False
            OUTPUTS.take()
        return {"passed": True}

    def _fork_for_hidden(self, runner: int) -> None:
        """Let a new process run hidden parts, one after another, as the grader sends them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # student code may have threads; they end here
            if os.fork():
                self.others[runner].close()  # so that the grader hears of it when that process ends
                return
        channel = Channel(self.others[runner])
        channel.say({"pid": os.getpid()})
        pid = os.getpid()
        while True:
            order = channel.hear()
            number = order["cell"]
            self.shell.user_ns.clear()
            self.shell.user_ns.update(self.names[number])
            refill(self.parts[number])
            cell = {**self.cells[number], "sites": order["sites"]}
            done = self._run_check(channel, cell, order["code"])
            if os.getpid() != pid:
                os._exit(0)
            channel.say({"done": number, **done})


def describe(error: BaseException, trace: TracebackType | None) -> dict[str, Any]:
    """An error that a check ran into: the names of its classes, and how a student reads it."""
    try:
        lines = render(type(error), error, trace)
    except Exception:  # the error's own text may fail
        lines = [type(error).__name__]
    return {
        "names": [kind.__name__ for kind in type(error).__mro__],
        "text": "\n".join(lines)[:4000].encode("utf-8", "replace").decode(),
    }
