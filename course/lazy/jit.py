"""Run a function's Python a few times, and after that only its kernels.

Once kernels are few, what takes the time is Python: noting what is to be done, planning it, writing
kernels, every step anew and every time the same. `jit` notes which kernels a function has run, on which
arrays, and from then on runs just these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from course.lazy.array import LazyArray, captures, compute
from course.lazy.ir import Node, buffer, view_array
from course.lazy.run import Launch, count, in_c_order, tell
from course.tensor.shapes import Shape

Result = TypeVar("Result")


class JitError(RuntimeError):
    """A function cannot be replayed: it would not do the same again."""


class Capture:
    """Watches one run of a function: which arrays it uses, and which it changes in place."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[LazyArray, np.ndarray]] = {}  # by the id of their memory
        self.changed: dict[int, LazyArray] = {}
        # Of what the function makes, only what somebody keeps is of interest.
        self.made: WeakValueDictionary[int, LazyArray] = WeakValueDictionary()
        self.made_and_changed: WeakValueDictionary[int, LazyArray] = WeakValueDictionary()

    def makes(self, array: LazyArray) -> None:
        """An array is made by the function itself."""
        self.made[id(array)] = array

    def sees(self, array: LazyArray) -> None:
        """An array of others is used. If its numbers are there, note whose they are."""
        data = array._node.data
        if data is not None and id(array) not in self.changed and id(array) not in self.made:
            memory = memory_of(data)
            self.seen.setdefault(id(memory), (array, memory))

    def changes(self, array: LazyArray) -> None:
        """An array becomes other numbers."""
        if id(array) in self.made:
            self.made_and_changed[id(array)] = array
        else:
            self.sees(array)
            self.changed[id(array)] = array

    def all_changed(self, results: list[LazyArray]) -> list[LazyArray]:
        """What the function has changed, of others' arrays and of those that it made and others keep.

        Results that it made are not among them: they are handed out, and a replay makes new ones.
        """
        given = {id(x) for x in results}
        kept = [x for x in self.made_and_changed.values() if id(x) not in given]
        return [*self.changed.values(), *kept]


@dataclass
class Step:
    """A launch, with slots for its arrays.

    Attributes:
        launch: which has the function and the constants.
        outs: the slots that it writes.
        ins: the slots that it reads.
        shapes: for each of these, in which shape a call reads it.
        views: and through which views, the first one first.
    """

    launch: Launch
    outs: list[int]
    ins: list[int]
    shapes: list[Shape]
    views: list[tuple[Node, ...]]

    def __post_init__(self) -> None:
        self.arguments = [*self.outs, *self.ins]
        self.constants = self.launch.constants


class Recording:
    """What a function has run, ready to be run again on other numbers.

    All memory that was used has slots. A replay fills the slots of arguments and of what the function
    read; runs the kernels; and hands out what the function changed, and its results.

    Args:
        launches: what has been run.
        capture: who watched it.
        args: the function's arguments.
        results: what it returned.
        changed: what it changed in place.
    """

    def __init__(
        self,
        launches: list[Launch],
        capture: Capture,
        args: list[LazyArray],
        results: list[LazyArray],
        changed: list[LazyArray],
    ) -> None:
        self.launches = launches
        self.slots: dict[int, int] = {}
        self.arrays: list[np.ndarray] = []
        self.reads: list[tuple[int, LazyArray]] = []  # slots that come from arrays of others
        self.fixed: list[int] = []  # slots of numbers that the function itself has made
        self.argument_slots = [self.slot(numbers_of(x)) for x in args]
        if len(set(self.argument_slots)) < len(args):
            raise JitError(
                "two arguments are the same array: make a copy of one, for the first calls"
            )
        filled = set(self.argument_slots)
        for launch in launches:
            for array, _ in launch.inputs:
                self.take(array, filled, capture)
            filled.update(self.slot(array) for array in launch.outputs)
        for x in (*results, *changed):
            self.take(numbers_of(x), filled, capture)
        self.steps = [
            Step(
                launch,
                [self.slot(array) for array in launch.outputs],
                [self.slot(array) for array, _ in launch.inputs],
                [array.shape for array, _ in launch.inputs],
                [tuple(reversed(views)) for _, views in launch.inputs],
            )
            for launch in launches
        ]
        self.rows = [array.reshape(-1) for array in self.arrays]  # as kernels take them
        self.keep(results, changed)

    def take(self, array: np.ndarray, filled: set[int], capture: Capture) -> None:
        """Note where an array comes from, if nothing that runs before has filled its slot."""
        slot = self.slot(array)
        if slot in filled:
            return
        filled.add(slot)
        if id(memory_of(array)) in capture.seen:
            self.reads.append((slot, capture.seen[id(memory_of(array))][0]))
        else:
            self.fixed.append(slot)

    def slot(self, array: np.ndarray) -> int:
        """The number of the slot of an array's memory."""
        memory = memory_of(array)
        if id(memory) not in self.slots:
            self.slots[id(memory)] = len(self.arrays)
            self.arrays.append(memory)
        return self.slots[id(memory)]

    def keep(self, results: list[LazyArray], changed: list[LazyArray]) -> None:
        """Note which slots are handed out, in which shapes. They get fresh memory at each replay."""
        self.results = [self.slot(numbers_of(x)) for x in results]
        self.shapes = [x.shape for x in results]
        self.changed = [(self.slot(numbers_of(x)), x) for x in changed]
        for slot, owner in self.changed:
            self.arrays[slot] = self.arrays[slot].reshape(owner.shape)
        handed_out = {*self.results, *[slot for slot, _ in self.changed]}
        self.fresh = [
            slot
            for step in self.steps
            for slot in step.outs
            if step.launch.source and slot in handed_out
        ]

    def replay(self, args: list[LazyArray]) -> list[np.ndarray]:
        """Run the kernels once more; the numbers of the results."""
        for slot, x in zip(self.argument_slots, args):
            self.fill(slot, numbers_of(x))
        for slot, owner in self.reads:
            if owner._node.data is None:
                compute(owner)
            self.fill(slot, numbers_of(owner))
        for slot in self.fresh:
            self.fill(slot, np.empty_like(self.arrays[slot]))
        for step in self.steps:
            self.run(step)
        for slot, owner in self.changed:
            owner._node = buffer(self.arrays[slot])
        return [self.arrays[slot] for slot in self.results]

    def fill(self, slot: int, array: np.ndarray) -> None:
        """Put other memory into a slot."""
        if self.arrays[slot] is not array:
            self.arrays[slot] = array
            self.rows[slot] = array.reshape(-1)

    def run(self, step: Step) -> None:
        """Run one kernel; or let numpy run one function, whose results are new arrays."""
        tell(step.launch)
        if step.launch.source:
            step.launch.function(*[self.rows[slot] for slot in step.arguments], *step.constants)
            return
        inputs = [self.arrays[slot].reshape(shape) for slot, shape in zip(step.ins, step.shapes)]
        for i, views in enumerate(step.views):
            for view in views:
                inputs[i] = view_array(inputs[i], view)
        results = step.launch.function(*inputs)
        for slot, array in zip(step.outs, results if isinstance(results, tuple) else (results,)):
            self.fill(slot, in_c_order(array).reshape(self.arrays[slot].shape))

    def differs_from(self, other: "Recording") -> str:
        """Why a replay of this recording would not do what the other one did; "" if it would."""
        if len(self.steps) != len(other.steps):
            return f"it ran {len(other.steps)} kernels, then {len(self.steps)}"
        for i, (mine, theirs) in enumerate(zip(self.launches, other.launches)):
            if mine.source != theirs.source or mine.name != theirs.name:
                return f"kernel {i} was another one"
            for a, b in zip(mine.constants, theirs.constants):
                if a != b and not (a != a and b != b):
                    return f"a number in kernel {i} was {b}, then {a}"
        for slot, other_slot in zip(self.fixed, other.fixed):
            now, before = self.arrays[slot], other.arrays[other_slot]
            if not np.array_equal(now, before, equal_nan=now.dtype.kind == "f"):
                return f"an array of shape {now.shape}, made in the function, held other numbers"
        return ""


def memory_of(array: np.ndarray) -> np.ndarray:
    """The array itself, or the one of which it is a reshape: both are the same memory."""
    base = array.base
    while isinstance(base, np.ndarray) and base.nbytes == array.nbytes and base.flags.c_contiguous:
        array, base = base, base.base
    return array


def numbers_of(x: LazyArray) -> np.ndarray:
    """The numbers of a computed array, not copied."""
    data = x._node.data
    assert data is not None
    return data


class jit(Generic[Result]):
    """Make a function quick that does the same at each call, such as a training step.

        step = jit(lambda x, y: ...)    # takes and returns tensors of the device "lazy"

    The first calls run the function. Once two calls in a row have run the same kernels, its Python no
    longer runs, only these kernels, on the new arguments. (The first call often differs, as an optimiser
    makes its arrays then.) So all that Python decides must stay the same: shapes, and numbers such as
    the learning rate. What changes must be an argument. What it changes in place, such as weights, is
    changed at each call.

    Args:
        function: takes tensors or lazy arrays, one after the other; returns one, or a tuple or list.

    Raises:
        JitError: when called, if the third call still differed from the second (dropout does), or if
            an argument has another shape or dtype than before.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self.function = function
        self.recording: Recording | None = None
        self.runs = 0
        self.is_ready = False

    def __call__(self, *args: Any) -> Result:
        """Run it, or replay it."""
        arrays = [_array_of(x) for x in args]
        kinds = [(x.shape, x.dtype) for x in arrays]
        if self.recording is None:
            self.kinds = kinds
        elif kinds != self.kinds:
            raise JitError(
                f"jit has seen arguments {_words(self.kinds)}, and now {_words(kinds)}: "
                "make another jit of the function for these"
            )
        if self.is_ready:
            for x in arrays:
                if not x.is_computed:
                    compute(x)
            assert self.recording is not None
            results = self.recording.replay(arrays)
            shaped = [x.reshape(shape) for x, shape in zip(results, self.recording.shapes)]
            return self.wrap([LazyArray(buffer(x)) for x in shaped])
        return self.record(args, arrays)

    def record(self, args: tuple, arrays: list[LazyArray]) -> Result:
        """Run the function and note its kernels; from the second time on, compare with the last."""
        compute(*arrays)
        capture = Capture()
        captures.append(capture)
        try:
            with count() as work:
                result = self.function(*args)
                outs, self.wrap = _taken_apart(result)
                changed = capture.all_changed(outs)
                compute(*outs, *changed)
        finally:
            captures.remove(capture)
        recording = Recording(work.launches, capture, arrays, outs, changed)
        before, self.recording = self.recording, recording
        self.runs += 1
        if before is not None:
            why = recording.differs_from(before)
            self.is_ready = not why
            if why and self.runs > 2:
                raise JitError(
                    f"the function did not do the same twice: {why}. A replay would repeat the "
                    "last run; give what changes as an argument, or do without jit."
                )
        return result


def _words(kinds: list) -> str:
    return ", ".join(f"{shape} {dtype}" for shape, dtype in kinds) or "none"


def _array_of(x: Any) -> LazyArray:
    x = getattr(x, "_data", x)  # of a tensor
    if not isinstance(x, LazyArray):
        raise TypeError(
            f"jit takes tensors on the device 'lazy' or lazy arrays, and got a {type(x).__name__}"
            + (': move it with x.to("lazy")' if isinstance(x, np.ndarray) else "")
        )
    return x


def _taken_apart(result: Any) -> tuple[list[LazyArray], Callable[[list[LazyArray]], Any]]:
    """The lazy arrays of a result, and what makes such a result of others."""
    if result is None:
        return [], lambda arrays: None
    several = isinstance(result, tuple | list)
    parts = list(result) if several else [result]
    likes = [getattr(part, "_like", lambda x: x) for part in parts]

    def wrap(arrays: list[LazyArray]) -> Any:
        made = [like(x) for like, x in zip(likes, arrays)]
        return type(result)(made) if several else made[0]

    return [_array_of(part) for part in parts], wrap
