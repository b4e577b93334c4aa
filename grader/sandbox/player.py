"""Playing a notebook: one process, which runs its cells and tells the grader what comes out.

Order matters. All that a student will ever see of the run (outputs, errors, what visible tests found)
comes out of the main process, which never sees a hidden test. Behind each check that has hidden
tests it leaves a snapshot of itself: a forked process that waits. When the notebook is through, and
the grader has stopped listening to it, the hidden tests go to the snapshots.

If the main process dies, the latest snapshot takes its place.
"""

import base64
import json
import linecache
import marshal
import os
import random
import signal
import socket
import time
import warnings
from types import TracebackType
from typing import Any

import numpy as np

from course.learn.short_errors import render
from grader.sandbox.recorder import Recorder, Stopped
from grader.sandbox.shell import OUTPUTS, Shell, use_streams

STAND_IN = "__check__"  # grader.dissect calls helpers by this name
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
        mains: sockets for the main process: one, and one for each that may have to take its place.
        others: a socket for each snapshot.
        layers: what stands between this process and the machine.
    """

    def __init__(
        self, mains: list[socket.socket], others: list[socket.socket], layers: list[str]
    ) -> None:
        self.mains = mains
        self.others = others
        self.layers = layers
        self.shell = Shell.instance()
        self.busy = False
        self.cells: list[dict[str, Any]] = []
        self.skipped: set[int] = set()

    def play(self) -> None:
        """Run the notebook that the grader sends, from its beginning."""
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        channel = Channel(self.mains[0])
        order = channel.hear()
        self.cells, self.skipped = order["cells"], set(order["skip"])
        self._go_on(channel, 0)

    def _interrupted(self, *_: object) -> None:
        if self.busy:
            raise KeyboardInterrupt

    def _go_on(self, channel: Channel, first: int) -> None:
        """Run the cells from the first one on."""
        channel.say({"pid": os.getpid(), "layers": self.layers})
        for number in range(first, len(self.cells)):
            cell = self.cells[number]
            if number in self.skipped:
                continue
            channel.say({"start": number})
            began = time.perf_counter()
            if "code" in cell:
                done = self._run_check(channel, cell, cell["code"])
            else:
                done = self._run_cell(cell["source"])
            done["seconds"] = time.perf_counter() - began
            channel.say({"done": number, **done})
            if done.get("passed") and cell["snapshot"] is not None:
                self._leave_snapshot(number, self.others[cell["snapshot"]])
        channel.say({"end": True})
        channel.hear()  # until the grader ends it all

    def _run_cell(self, source: str) -> dict[str, Any]:
        outputs: list[dict[str, Any]] = []
        finished = False
        try:
            self.busy = True
            outputs, finished = self.shell.run(source)
        except KeyboardInterrupt:
            outputs = OUTPUTS.take()
        finally:
            self.busy = False
        count = self.shell.execution_count - 1
        return {"outputs": outputs, "finished": finished, "count": count}

    def _run_check(self, channel: Channel, cell: dict[str, Any], code: str) -> dict[str, Any]:
        """Run one part of a check; its values are sent while it runs."""
        filename = cell["filename"]
        shown = cell["shown"].splitlines(keepends=True)
        linecache.cache[filename] = (len(cell["shown"]), None, shown, filename)
        namespace = self.shell.user_ns
        namespace[STAND_IN] = Recorder(cell["sites"], channel.ask)
        random.seed(0)  # as in the reference's run
        np.random.seed(0)
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

    def _leave_snapshot(self, number: int, connection: socket.socket) -> None:
        """Fork a process that waits behind a check: for its hidden part, or to go on from there."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # student code may have threads; they end here
            if os.fork():
                return
        channel = Channel(connection)
        while True:
            order = channel.hear()
            if "hidden" in order:
                channel.say({"pid": os.getpid()})
                cell = {**self.cells[number], "sites": order["sites"]}
                channel.say({"done": number, **self._run_check(channel, cell, order["hidden"])})
                os._exit(0)
            if os.fork() == 0:
                self.skipped = set(order["skip"])
                self._go_on(Channel(self.mains[order["main"]]), number + 1)
                os._exit(0)


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
