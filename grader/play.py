"""Running one notebook in the sandbox, from outside: what its cells put out, what its checks found.

Nothing that arrives is trusted. A process that does not answer is stopped, then killed, and the
notebook runs again in a new process, without the cell that killed the first.
"""

import ast
import base64
import json
import marshal
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from course.learn.checks import HIDDEN_FAILED, TRY
from grader.dissect import Dissected, visible_source
from grader.fork_server import (
    MAX_DEATHS,
    ForkServer,
    Job,
    Lost,
    drop_server_of_this_thread,
    server_of_this_thread,
)
from grader.judge import CheckKey, Judge
from grader.results import Status
from grader.sandbox.layers import Limits
from grader.sandbox.values import words as plain_words

OUTPUT_LIMIT = 2_000_000  # characters that are kept of a cell's outputs
COMMON = (  # errors whose names tell nothing of the inputs that a hidden test has chosen
    *("AttributeError", "IndexError", "KeyError", "NameError", "NotImplementedError"),
    *("RecursionError", "TypeError", "ValueError", "ZeroDivisionError", "OverflowError"),
)
# What reading a message may raise that is none of ours.
STRANGE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
HURRIED = 0.1  # seconds for a cell when the notebook's time is over
GRACE = 2.0  # seconds for a cell to stop after an interrupt
LOOK_EVERY = 0.5  # seconds between looks at what all processes use together
START_SECONDS = 20.0
FULL = "memory ran out"
SLOW, NO_MESSAGE = "slow", "something that no cell sends was sent"  # why a process has to go
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


def play(
    cells: list[Cell],
    lesson: str,
    limits: Limits,
    layers: bool = True,
    with_numba: bool = False,
) -> Played:
    """Run a notebook's cells in a sandbox.

    Args:
        cells: what to run, in order.
        lesson: "<unit>/<lesson>", whose parts it must not see.
        limits: how much it may use.
        layers: whether there is a sandbox; without, only for code that one would run oneself.
        with_numba: whether the lesson uses numba, which is then there at once.

    Returns:
        What came of it, whatever it was.
    """
    for last_try in (False, True):
        try:
            return play_on(server_of_this_thread(layers, with_numba), cells, lesson, limits)
        except Lost as lost:
            drop_server_of_this_thread()
            if last_try:
                played = lost.args[0] if lost.args else Played()
                played.status = Status.CRASHED
                played.findings.append("it brought the sandbox down, twice")
                return played
    raise AssertionError("not reached")


def play_on(server: ForkServer, cells: list[Cell], lesson: str, limits: Limits) -> Played:
    """Run a notebook's cells in the sandbox of this fork server; see `play`.

    Raises:
        Lost: if the fork server does not answer any more.
    """
    player = _Play(cells, lesson, limits, server)
    try:
        player.run()
    except Lost:
        raise Lost(player.played) from None
    except BaseException:
        drop_server_of_this_thread()  # what is in there must not meet the next submission
        raise
    try:
        used = player.server.clear()
        player.played.cpu_seconds = round(float(used["seconds"]), 3)
        player.played.memory = int(used["memory"])
    except Lost:  # the notebook was through; only what it has left would not go
        drop_server_of_this_thread()
    return player.played


class _Died(Exception):
    """The process under way is gone, or has to go; the text says why."""


class _Lines:
    """Lines of JSON from one socket, of bounded length, in bounded time."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
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
            if left <= 0:
                return None
            self.connection.settimeout(left)
            try:
                data = self.connection.recv(1 << 20)
            except TimeoutError:
                return None
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
            raise _Died(NO_MESSAGE) from None
        if not isinstance(words, dict):
            raise _Died(NO_MESSAGE)
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


class _Play:
    """One notebook under way."""

    def __init__(self, cells: list[Cell], lesson: str, limits: Limits, server: ForkServer) -> None:
        self.cells = cells
        self.lesson = lesson
        self.limits = limits
        self.server = server
        self.deadline = time.monotonic() + limits.notebook_seconds
        self.next_look = time.monotonic() + LOOK_EVERY
        self.pid = 0  # of the main process
        self.place = -1  # of the cell under way
        self.played = Played()
        self.deadly: set[int] = set()  # cells that killed Python, or would not stop
        self.slow: dict[int, str] = {}  # cells that took too long, and what to call them
        self.late = ""  # the first cell that the time of the whole notebook did not suffice for
        for cell in cells:
            if cell.check is not None and cell.key is not None:
                self.played.checks[cell.id] = Checked(Judge(cell.check.sites, cell.key))

    def run(self) -> None:
        """Run all of it."""
        last, deaths = False, 0
        while True:
            job = self.server.start(self.lesson, self.limits)
            self.pid, self.place = job.pid, -1
            try:
                self._follow(job)
                self.deadline = time.monotonic() + self.limits.notebook_seconds
                self._hidden(job)
                break
            except _Died as reason:
                why = str(reason)
            except STRANGE:
                why = NO_MESSAGE
            finally:
                job.close()
            self.server.signal("kill", self.pid)
            self._note_death(why)
            deaths += 1
            if last:
                break
            if deaths >= MAX_DEATHS:  # once more, for what stands above
                last = True
                self.deadly |= set(range(self.place, len(self.cells)))
            if self._left() < 0:  # once more, without all that has cost so much time
                last = True
                self.deadly |= set(self.slow)
                self.deadline = time.monotonic() + self.limits.notebook_seconds
            for name, checked in self.played.checks.items():  # those that held are tried again
                if not checked.message:
                    judge = Judge(checked.judge.sites, checked.judge.key)
                    self.played.checks[name] = Checked(judge)
        self._sum_up()

    def _sum_up(self) -> None:
        if self.late:
            seconds = f"{self.limits.notebook_seconds:g}"
            words = f"the notebook took more than {seconds} seconds, which ended in {self.late}"
            self.trouble(Status.TIMEOUT, words)
        elif self.slow:
            seconds = f"{self.limits.cell_seconds:g}"
            called = ", ".join(dict.fromkeys(self.slow.values()))
            self.trouble(Status.TIMEOUT, f"more than {seconds} seconds: {called}")
        for cell in self.cells:
            if cell.check is None:
                continue
            checked = self.played.checks[cell.id]
            if checked.judge.odd:
                self.trouble(Status.TAMPERED, f"{cell.called} sent {checked.judge.odd}")
            if not checked.reached:
                checked.fail("This check was not reached.")

    def trouble(self, status: Status, finding: str) -> None:
        """Note something that a teacher should know."""
        self.played.status = self.played.status.worst(status)
        self.played.findings.append(finding)

    def _order(self) -> dict[str, Any]:
        """What the sandbox must know of the cells, and no more."""
        cells: list[dict[str, Any]] = []
        for number, cell in enumerate(self.cells):
            checked = self._checked(number)
            if number in self.deadly or (checked is not None and checked.message):
                cells.append({})  # it has had its turn
            elif cell.check is None:
                cells.append({"source": cell.source})
            else:
                cells.append(
                    {
                        "code": _compiled(cell.check.visible, cell.id),
                        "filename": f"<check {cell.id}>",
                        "shown": visible_source(cell.source),
                        "sites": _sites(cell.check, hidden=False),
                        "hidden": bool(cell.check.hidden.body),
                    }
                )
        return {"cells": cells}

    def _note_death(self, why: str) -> None:
        """The process is gone: its cell costs what depends on it, and nothing else."""
        if self.place < 0:  # no cell has run: that is the sandbox's trouble
            raise Lost
        cell = self.cells[self.place]
        self.deadly.add(self.place)
        if why == SLOW:
            words = f"{self._took_too_long(self.place)} and could not be stopped."
            name = "CellTimeoutError"
        else:
            words = f"{why} in this cell."
            status = Status.TAMPERED if why == NO_MESSAGE else Status.CRASHED
            self.trouble(status, f"{why} in {cell.called}; what does not need it counts")
            name = "KernelDied"
        checked = self._checked(self.place)
        if checked is not None:
            checked.fail(words)
        elif why != FULL:
            self.played.outputs[self.place] = [error_output(name, words)]

    def _took_too_long(self, number: int) -> str:
        """Note that a cell did; returns it in words."""
        self.slow[number] = self.cells[number].called
        if self._left() > 0:
            return f"The cell took more than {self.limits.cell_seconds:g} seconds"
        self.late = self.late or self.cells[number].called
        return f"The notebook took more than {self.limits.notebook_seconds:g} seconds up to here"

    def _follow(self, job: Job) -> None:
        """Follow the main process to its end: all that a student may see comes from here."""
        lines = _Lines(job.main)
        lines.say(self._order())
        first = self._next(lines, time.monotonic() + START_SECONDS)
        self.played.layers = [str(layer) for layer in first["layers"]]
        until = time.monotonic() + START_SECONDS
        running, began = False, time.monotonic()
        while True:
            words = self._next(lines, until)
            if "start" in words:
                place = words["start"]
                if running or not isinstance(place, int) or not self._may_start(place):
                    raise _Died(NO_MESSAGE)
                self.place, running = place, True
                checked = self._checked(place)
                if checked is not None:
                    checked.reached = True
                now = began = time.monotonic()
                # Out of time, the rest of the notebook is hurried through, for what it defines.
                until = min(now + self.limits.cell_seconds, max(self.deadline, now + HURRIED))
            elif "end" in words and not running:
                return
            elif "done" in words and running:
                running = False
                now = time.monotonic()
                self._done(self.place, words, now - began)
                if self._left() < -self.limits.notebook_seconds:
                    raise _Died(SLOW)
                until = min(now + START_SECONDS, max(self.deadline, now + HURRIED))
            else:
                self._answer(self.played.checks[self.cells[self.place].id], lines, words)

    def _may_start(self, place: int) -> bool:
        """Whether it may be this cell's turn: they run in order, each once, and no deadly one."""
        return self.place < place < len(self.cells) and place not in self.deadly

    def _next(self, lines: _Lines, until: float) -> dict[str, Any]:
        """The next message of the main process; one that takes too long is interrupted first."""
        try:
            return self._heard(lines, until)
        except _Died as reason:
            if str(reason) != SLOW or self.place < 0:
                raise
        self.server.signal("stop", self.pid)
        words = lines.next(GRACE)
        if words is None or "done" not in words:
            raise _Died(SLOW)
        took = f"{self._took_too_long(self.place)} and was stopped."
        checked = self._checked(self.place)
        if checked is not None:
            checked.fail(took)
        elif isinstance(words.get("outputs"), list):
            kept = [x for x in words["outputs"] if isinstance(x, dict)]
            kept = [x for x in kept if x.get("output_type") != "error"]
            words["outputs"] = [*kept, error_output("CellTimeoutError", took)]
        return words

    def _look(self) -> None:
        """Now and then, look at what all processes use together."""
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK_EVERY
        excess = self.server.excess(self.limits)
        if excess:
            drop_server_of_this_thread()
            self.server = server_of_this_thread(*self.server.kind)
            raise _Died(excess)

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _answer(self, checked: Checked, lines: _Lines, words: dict[str, Any]) -> None:
        """A check has sent something: tell it whether to go on."""
        if "shown" in words:
            if checked.judge.failed_at is not None and not checked.judge.hidden:
                checked.message = checked.judge.message(words["shown"])
            lines.say({})
            return
        going = checked.judge.hear(words)
        if not going:
            checked.fail(checked.judge.message(), checked.judge.hidden)
        lines.say({"go": going})

    def _checked(self, place: int) -> Checked | None:
        cell = self.cells[place]
        return None if cell.check is None else self.played.checks[cell.id]

    def _done(self, number: int, words: dict[str, Any], seconds: float) -> None:
        """A cell, or the visible part of a check, is through."""
        cell = self.cells[number]
        checked = self._checked(number)
        if checked is None:
            self.played.outputs[number] = _within_limit(words["outputs"])
            self.played.counts[number] = int(words["count"])
            if (
                words["full"] is True
            ):  # what fills it is still there, and leaves no room for the rest
                raise _Died(FULL)
            return
        checked.seconds += seconds
        if words["passed"] is not True:
            checked.fail(_error_message(words.get("error")) or checked.judge.message())
        elif checked.message or not checked.judge.finish(hidden=False):
            checked.fail(checked.judge.message())
        elif cell.check is not None and not cell.check.hidden.body:
            checked.finished = True

    # The hidden part: nobody listens to the visible one any more.

    def _hidden(self, job: Job) -> None:
        waiting = [
            (number, cell, self.played.checks[cell.id])
            for number, cell in enumerate(self.cells)
            if cell.check is not None and cell.check.hidden.body
        ]
        waiting = [each for each in waiting if each[2].reached and not each[2].message]
        main = _Lines(job.main)
        for place, connection in enumerate(job.runners):
            if not waiting:
                return
            lines = _Lines(connection)
            try:
                main.say({"runner": place})
                self.pid = int(self._heard(lines, time.monotonic() + START_SECONDS)["pid"])
                while waiting:
                    self._play_hidden(lines, *waiting[0])
                    waiting.pop(0)
                return
            except (_Died, *STRANGE) as reason:
                self._note_hidden_death(str(reason), *waiting.pop(0))
        for _, _, checked in waiting:
            checked.fail(f"{HIDDEN_FAILED} Python died too often before it. {TRY}", hidden=True)

    def _note_hidden_death(self, why: str, number: int, cell: Cell, checked: Checked) -> None:
        self.server.signal("kill", self.pid)
        how = "It took too long there." if why == SLOW else "Python died there."
        checked.fail(f"{HIDDEN_FAILED} {how} {TRY}", hidden=True)
        if why == SLOW:
            self._took_too_long(number)
        else:
            where = f"in a hidden test of {cell.called}"
            self.trouble(Status.CRASHED, f"Python died {where}; what does not need it counts")

    def _play_hidden(self, lines: _Lines, number: int, cell: Cell, checked: Checked) -> None:
        assert cell.check is not None
        checked.judge.hidden = True
        code = _compiled(cell.check.hidden, cell.id)
        lines.say({"cell": number, "code": code, "sites": _sites(cell.check, hidden=True)})
        began = time.monotonic()
        deadline = began + max(1.0, min(self.limits.cell_seconds, self._left()))
        while True:
            words = self._heard(lines, deadline)
            if "done" in words:
                break
            self._answer(checked, lines, words)
        checked.seconds += time.monotonic() - began
        if words["passed"] is True and not checked.message and checked.judge.finish(hidden=True):
            checked.finished = True
            return
        error = words.get("error")
        if error:
            # The error's own words, and rarer names, may be chosen to say what was tried.
            name = next((name for name in error["names"] if name in COMMON), "an error")
            checked.fail(f"{HIDDEN_FAILED} Your part raised {name} there. {TRY}", hidden=True)
        checked.fail(checked.judge.message() or f"{HIDDEN_FAILED} {TRY}", hidden=True)

    def _heard(self, lines: _Lines, until: float) -> dict[str, Any]:
        """The next message, or no more patience: whatever else arrives then comes too late."""
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise _Died(SLOW)
            words = lines.next(min(left, LOOK_EVERY))
            self._look()
            if words is not None:
                return words


def error_output(name: str, words: str) -> dict[str, Any]:
    """An error, as an output of a cell."""
    text = [f"{name}: {words}"]
    return {"output_type": "error", "ename": name, "evalue": words, "traceback": text}


def _within_limit(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs as far as there is room for them; the sandbox keeps a limit too, if it is honest."""
    room, kept = OUTPUT_LIMIT, []
    for output in outputs:
        room -= len(json.dumps(output))
        if room < 0:
            break
        kept.append(output)
    return kept


def _error_message(error: Any) -> str:
    """What a student reads of an error that a visible test ran into."""
    return plain_words(error["text"], 4000) if error else ""


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
