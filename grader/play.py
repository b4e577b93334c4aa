"""Running one notebook in the sandbox, from outside: what its cells put out, what its checks found.

Nothing that arrives is trusted. A process that does not answer is stopped, then killed; what it would
have run next goes on in its latest snapshot, or in a new process.
"""

import ast
import base64
import builtins
import json
import marshal
import select
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from course.learn.checks import HIDDEN_FAILED, TRY
from grader.dissect import Dissected, visible_source
from grader.fork_server import (
    MAX_RESTARTS,
    ForkServer,
    Job,
    Lost,
    drop_server_of_this_thread,
    server_of_this_thread,
)
from grader.judge import CheckKey, Judge
from grader.results import Status
from grader.sandbox.layers import Limits

GRACE = 2.0  # seconds for a cell to stop after an interrupt
LOOK_EVERY = 0.5  # seconds between looks at what all processes use together
MAX_LINE = 24 * 2**20
MAX_BYTES = 200 * 2**20  # from one notebook


@dataclass
class Cell:
    """One code cell to run.

    Attributes:
        id: its id with nbgrader, or the cell's own.
        called: what to call it in words.
        source: its code.
        check: what to compare, if it is a check.
        key: what the check expects.
    """

    id: str
    called: str
    source: str
    check: Dissected | None = None
    key: CheckKey | None = None


@dataclass
class Checked:
    """How a check went.

    Attributes:
        judge: what it found.
        reached: whether the check began at all.
        finished: whether it ran to its end, and all was right.
        message: why it failed.
        hidden: whether it failed in its hidden part.
        seconds: how long it ran.
    """

    judge: Judge
    reached: bool = False
    finished: bool = False
    message: str = ""
    hidden: bool = False
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """The points it gives."""
        if not self.finished:
            return 0.0
        return self.judge.key.points if self.judge.credit is None else self.judge.credit

    def fail(self, message: str, hidden: bool = False) -> None:
        """Let the check fail, unless it has already."""
        self.finished = False
        if not self.message:
            self.message, self.hidden = message, hidden


@dataclass
class Played:
    """What came of running a notebook.

    Attributes:
        outputs: cell's place -> its outputs, for all cells but checks.
        counts: cell's place -> its execution count.
        checks: check id -> how it went.
        status: how it went on the whole.
        findings: what a teacher should know.
        layers: what stood between the student's code and the machine.
        cpu_seconds: processor time that it took.
        memory: the most bytes that one process took.
    """

    outputs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    checks: dict[str, Checked] = field(default_factory=dict)
    status: Status = Status.OK
    findings: list[str] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    memory: int = 0


def play(cells: list[Cell], lesson: str, limits: Limits, layers: bool = True) -> Played:
    """Run a notebook's cells in a sandbox.

    Args:
        cells: what to run, in order.
        lesson: "<unit>/<lesson>", whose parts it must not see.
        limits: how much it may use.
        layers: whether there is a sandbox; without, only for code that one would run oneself.

    Returns:
        What came of it, whatever it was.
    """
    for last_try in (False, True):
        player = _Play(cells, lesson, limits, server_of_this_thread(layers))
        try:
            player.run()
            break
        except Lost:
            drop_server_of_this_thread()
            if last_try:
                player.trouble(Status.CRASHED, "it brought the sandbox down, twice")
                return player.played
    try:
        used = player.server.clear()
        player.played.cpu_seconds = round(float(used["seconds"]), 3)
        player.played.memory = int(used["memory"])
    except (Lost, KeyError, TypeError, ValueError):
        drop_server_of_this_thread()
    return player.played


class _Died(Exception):
    """The process under way is gone, or has to go; the text says why."""


class _Lines:
    """Lines of JSON from one socket, of bounded length, in bounded time."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setblocking(False)
        self.read = 0
        self._pieces: list[bytes] = []
        self._ready: list[bytes] = []

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The next line; None if none came in so many seconds.

        Raises:
            _Died: if nobody is there any more, or sends what is no line of ours.
        """
        deadline = time.monotonic() + seconds
        while not self._ready:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.connection], [], [], left)[0]:
                return None
            try:
                data = self.connection.recv(1 << 20)
            except OSError:
                data = b""
            if not data:
                raise _Died("Python died")
            self.read += len(data)
            *whole, rest = data.split(b"\n")
            if whole:
                whole[0] = b"".join([*self._pieces, whole[0]])
                self._ready, self._pieces = whole[::-1], []
            self._pieces.append(rest)
            if self.read > MAX_BYTES or sum(map(len, self._pieces)) > MAX_LINE:
                raise _Died("too much was put out")
        try:
            words = json.loads(self._ready.pop())
        except (ValueError, RecursionError):
            raise _Died("what arrived was no message") from None
        if not isinstance(words, dict):
            raise _Died("what arrived was no message")
        return words

    def say(self, words: dict[str, Any]) -> None:
        """Send a line.

        Raises:
            _Died: if nobody takes it.
        """
        self.connection.settimeout(10)
        try:
            self.connection.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            raise _Died("Python died") from None
        finally:
            self.connection.setblocking(False)


class _Play:
    """One notebook under way."""

    def __init__(self, cells: list[Cell], lesson: str, limits: Limits, server: ForkServer) -> None:
        self.cells = cells
        self.lesson = lesson
        self.limits = limits
        self.server = server
        self.deadline = time.monotonic() + limits.notebook_seconds
        self.pid = 0  # of the main process
        self.place = -1  # of the cell under way
        self.played = Played()
        self.skipped: set[int] = set()  # cells that killed Python, or would not stop
        self.slow: list[str] = []
        self.snapshots: dict[int, int] = {}  # cell's place -> its socket's place in the job
        for cell in cells:
            if cell.check is not None and cell.key is not None:
                self.played.checks[cell.id] = Checked(Judge(cell.check.sites, cell.key))

    def run(self) -> None:
        """Run all of it."""
        hidden = [n for n, cell in enumerate(self.cells) if cell.check and cell.check.hidden.body]
        self.socket_of = {number: place for place, number in enumerate(hidden)}
        job = self.server.start(self.lesson, self.limits, len(hidden))
        try:
            self._visible(job)
            self._hidden(job)
        finally:
            job.close()
        if self.slow:
            called = ", ".join(dict.fromkeys(self.slow))
            seconds = f"{self.limits.cell_seconds:g}"
            self.trouble(Status.TIMEOUT, f"more than {seconds} seconds: {called}")
        for cell in self.cells:
            checked = self.played.checks.get(cell.id)
            if checked is None:
                continue
            if checked.judge.odd:
                self.trouble(Status.TAMPERED, f"{cell.called} sent {checked.judge.odd}")
            if not checked.reached:
                checked.fail("This check was not reached.")

    def trouble(self, status: Status, finding: str) -> None:
        """Note something that a teacher should know."""
        self.played.status = self.played.status.worst(status)
        self.played.findings.append(finding)

    # The visible part: one process after another, until all cells have had their turn.

    def _visible(self, job: Job) -> None:
        lines = _Lines(job.mains[0])
        lines.say(self._order())
        self.pid, self.place, main = job.pid, -1, 0
        while True:
            try:
                self._follow(lines)
                return
            except _Died as reason:
                why = str(reason)
            except (KeyError, TypeError, ValueError):
                why = "what arrived was no message"
            self.server.signal("kill", self.pid)
            self._note_death(self.place, why)
            main += 1
            if main > MAX_RESTARTS or self._left() < 0:
                return
            lines = _Lines(job.mains[main])
            if not self._resume(job, main):
                lines = self._begin_again(job)

    def _order(self) -> dict[str, Any]:
        cells: list[dict[str, Any]] = []
        for number, cell in enumerate(self.cells):
            if cell.check is None:
                cells.append({"source": cell.source})
                continue
            cells.append(
                {
                    "code": _compiled(cell.check.visible, cell.id),
                    "filename": f"<check {cell.id}>",
                    "shown": visible_source(cell.source),
                    "sites": _sites(cell.check, hidden=False),
                    "snapshot": self.socket_of.get(number),
                }
            )
        return {"cells": cells, "skip": sorted(self.skipped)}

    def _resume(self, job: Job, main: int) -> bool:
        """Let the latest snapshot above the cell that died go on below it."""
        above = [number for number in self.snapshots if number < self.place]
        if not above:
            return False
        order = {"resume": True, "main": main, "skip": sorted(self.skipped)}
        try:
            _Lines(job.others[self.snapshots[max(above)]]).say(order)
        except _Died:
            return False
        return True

    def _begin_again(self, job: Job) -> _Lines:
        """No snapshot can go on: everything once more in a new process, but for what killed it."""
        self.snapshots.clear()
        for cell in self.cells:
            old = self.played.checks.get(cell.id)
            if old is not None and not old.message:
                self.played.checks[cell.id] = Checked(Judge(old.judge.sites, old.judge.key))
        job.close()
        fresh = self.server.start(self.lesson, self.limits, len(self.socket_of))
        job.mains, job.others, self.pid = fresh.mains, fresh.others, fresh.pid
        lines = _Lines(job.mains[0])
        lines.say(self._order())
        return lines

    def _note_death(self, number: int, why: str) -> None:
        """The process is gone: its cell costs what depends on it, and nothing else."""
        if not 0 <= number < len(self.cells):
            self.trouble(Status.CRASHED, f"{why} before the first cell")
            return
        cell = self.cells[number]
        self.skipped.add(number)
        checked = self.played.checks.get(cell.id)
        if why == "slow":
            seconds = f"{self.limits.cell_seconds:g}"
            words = f"The cell took more than {seconds} seconds and could not be stopped."
            self.slow.append(cell.called)
            name = "CellTimeoutError"
        else:
            words = f"{why} in this cell."
            self.trouble(Status.CRASHED, f"{why} in {cell.called}; what does not need it counts")
            name = "KernelDied"
        if checked is not None:
            checked.fail(words)
        else:
            self.played.outputs[number] = [error_output(name, words)]

    def _follow(self, lines: _Lines) -> None:
        """Follow a main process to its end."""
        began = time.monotonic()
        while True:
            allowed = min(self.limits.cell_seconds - (time.monotonic() - began), self._left())
            words = self._next(lines, allowed)
            if "pid" in words:
                self.pid = int(words["pid"])
                if not self.played.layers:  # the first word comes before any student code
                    self.played.layers = [str(layer) for layer in words["layers"]]
            elif "start" in words:
                if self._left() < 0:
                    raise _Died("slow")
                self.place = self._cell(words["start"])
                checked = self.played.checks.get(self.cells[self.place].id)
                if checked is not None:
                    checked.reached = True
                began = time.monotonic()
            elif "end" in words:
                return
            elif "done" in words:
                if self._cell(words["done"]) != self.place:
                    raise _Died("what arrived was no message")
                self._done(self.place, words)
            else:
                self._answer(self.played.checks[self.cells[self.place].id], lines, words)

    def _next(self, lines: _Lines, seconds: float) -> dict[str, Any]:
        """The next message of a process; one that takes too long is interrupted first."""
        deadline = time.monotonic() + max(seconds, 0.1)
        while True:
            left = deadline - time.monotonic()
            words = lines.next(max(0.0, min(left, LOOK_EVERY)))
            if words is not None:
                return words
            self._look()
            if left <= 0:
                break
        self.server.signal("stop", self.pid)
        words = lines.next(GRACE)
        if words is None or "done" not in words:
            raise _Died("slow")
        cell = self.cells[self.place]
        self.slow.append(cell.called)
        took = f"The cell took more than {self.limits.cell_seconds:g} seconds and was stopped."
        checked = self.played.checks.get(cell.id)
        if checked is not None:
            checked.fail(took)
        elif isinstance(words.get("outputs"), list):
            kept = [x for x in words["outputs"] if isinstance(x, dict)]
            kept = [x for x in kept if x.get("output_type") != "error"]
            words["outputs"] = [*kept, error_output("CellTimeoutError", took)]
        return words

    def _look(self) -> None:
        processes, size = self.server.load()
        if processes > self.limits.processes or size > 2 * self.limits.memory:
            drop_server_of_this_thread()
            self.server = server_of_this_thread(self.server.layers)
            too = "too many processes were started"
            raise _Died(too if processes > self.limits.processes else "too much memory was taken")

    def _cell(self, number: Any) -> int:
        if not isinstance(number, int) or not 0 <= number < len(self.cells):
            raise _Died("what arrived was no message")
        return number

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _answer(self, checked: Checked, lines: _Lines, words: dict[str, Any]) -> None:
        """A check has sent something: tell it whether to go on."""
        if "shown" in words:
            if checked.judge.failed_at is not None:
                checked.message = checked.judge.message(str(words["shown"]))
            lines.say({})
            return
        going = checked.judge.hear(words)
        if not going:
            site = checked.judge.failed_at
            hidden = site is not None and site >= 0 and checked.judge.sites[site].call.hidden
            checked.fail(checked.judge.message(), hidden)
        lines.say({"go": going})

    def _done(self, number: int, words: dict[str, Any]) -> None:
        """A cell, or the visible part of a check, is through."""
        cell = self.cells[number]
        checked = self.played.checks.get(cell.id)
        if checked is None:
            self.played.outputs[number] = list(words["outputs"])
            self.played.counts[number] = int(words["count"])
            return
        checked.seconds += float(words["seconds"])
        if words["passed"] is not True:
            checked.fail(_error_message(words.get("error")) or checked.judge.message())
        elif checked.message or not checked.judge.finish(hidden=False):
            checked.fail(checked.judge.message())
        elif number in self.socket_of:
            self.snapshots[number] = self.socket_of[number]
        else:
            checked.finished = True

    # The hidden part: nobody listens to the visible one any more.

    def _hidden(self, job: Job) -> None:
        self.server.signal("kill", job.pid)
        for number, place in self.snapshots.items():
            cell = self.cells[number]
            checked = self.played.checks[cell.id]
            if checked.message:
                continue
            try:
                self._play_hidden(_Lines(job.others[place]), cell, number, checked)
            except (_Died, KeyError, TypeError, ValueError) as reason:
                slow = str(reason) == "slow"
                how = "It took too long there." if slow else "Python died there."
                checked.fail(f"{HIDDEN_FAILED} {how} {TRY}", hidden=True)
                if slow:
                    self.slow.append(cell.called)
                else:
                    why = f"Python died in a hidden test of {cell.called}; what ran before counts"
                    self.trouble(Status.CRASHED, why)

    def _play_hidden(self, lines: _Lines, cell: Cell, number: int, checked: Checked) -> None:
        assert cell.check is not None
        code = _compiled(cell.check.hidden, cell.id)
        lines.say({"hidden": code, "sites": _sites(cell.check, hidden=True)})
        deadline = time.monotonic() + min(self.limits.cell_seconds, max(1.0, self._left()))
        pid = 0
        while True:
            words = lines.next(max(0.0, min(LOOK_EVERY, deadline - time.monotonic())))
            if words is None:
                self._look()
                if time.monotonic() > deadline:
                    if pid:
                        self.server.signal("kill", pid)
                    raise _Died("slow")
            elif "pid" in words:
                pid = int(words["pid"])
            elif "done" in words:
                break
            else:
                self._answer(checked, lines, words)
        checked.seconds += float(words["seconds"]) if "seconds" in words else 0.0
        if words["passed"] is True and not checked.message and checked.judge.finish(hidden=True):
            checked.finished = True
            return
        error = words.get("error")
        if error and not checked.message:
            names = [str(name) for name in error["names"]]
            name = next((name for name in names if hasattr(builtins, name)), "an error")
            checked.fail(f"{HIDDEN_FAILED} Your part raised {name} there. {TRY}", hidden=True)
        checked.fail(checked.judge.message() or f"{HIDDEN_FAILED} {TRY}", hidden=True)


def error_output(name: str, words: str) -> dict[str, Any]:
    """An error, as an output of a cell."""
    text = [f"{name}: {words}"]
    return {"output_type": "error", "ename": name, "evalue": words, "traceback": text}


def _error_message(error: Any) -> str:
    """What a student reads of an error that a visible test ran into."""
    return str(error["text"])[:4000] if error else ""


def _sites(check: Dissected, hidden: bool) -> list[dict[str, Any] | None]:
    """What the sandbox must know of a check's assertions, and no more."""
    return [
        {
            "kind": site.kind,
            "nested": site.nested,
            "names": [] if site.call.hidden else list(site.call.names),
        }
        if hidden or not site.call.hidden
        else None
        for site in check.sites
    ]


def _compiled(tree: ast.Module, name: str) -> str:
    """A part of a check as code: the sandbox has the same Python."""
    return base64.b64encode(marshal.dumps(compile(tree, f"<check {name}>", "exec"))).decode()
