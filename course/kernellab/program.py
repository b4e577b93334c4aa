"""A kernel, ready to run: its source read once, compiled once for each kind of arguments."""

import ast
import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numba
import numpy as np
from numba import types
from numba.core.errors import NumbaError

from course.kernellab import compiled, python, runtime
from course.kernellab.arithmetic import Counts
from course.kernellab.content import content
from course.kernellab.errors import OutOfBounds, Unsupported
from course.kernellab.files import load
from course.kernellab.flatten import WARP as WARP_LEVEL
from course.kernellab.flatten import Flat, flatten
from course.kernellab.infer import check_types, scalar_types
from course.kernellab.limits import Launch
from course.kernellab.lower import Lowered, lower
from course.kernellab.records import WARP, Thread
from course.kernellab.runtime import FAULT_SIZE, NEGATIVE
from course.kernellab.schedule import Watcher, positions, run_block
from course.kernellab.taint import data_dependent

ENGINES = ("split", "gen", "py")
"""From fast and closed to slow and open."""

_lock = threading.RLock()


class Program:
    """What the lab knows of one kernel. `program(kernel)` gives it."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.name = function.__name__
        self.params = list(inspect.signature(function).parameters)
        self.typed: dict[tuple, Typed] = {}

    @functools.cached_property
    def lowered(self) -> Lowered:
        """The kernel in the engines' language."""
        return lower(self.function)

    def of(self, arguments: Sequence[Any]) -> "Typed":
        """The program for arguments of these types, refused if CUDA would refuse it."""
        found = tuple(map(argument_type, arguments))
        if found not in self.typed:
            with _lock:
                if len(found) != len(self.params):
                    raise TypeError(
                        f"{self.name} takes {len(self.params)} arguments "
                        f"({', '.join(self.params)}), got {len(found)}."
                    )
                # First the compiler's word, then ours: what CUDA refuses is no matter of the lab.
                check_types(self.function, found)
                _ = self.lowered
                self.typed[found] = Typed(self, found)
        return self.typed[found]


class _State:
    by_function: ClassVar[dict[Callable, Program]] = {}
    by_content: ClassVar[dict[Any, Program]] = {}


MOST_PROGRAMS = 2000
"""Programs that are kept, for kernels that are defined again and again."""


def program(kernel: Any) -> Program:
    """The program of a kernel: of what `@cuda.jit` made, or of a plain function.

    A kernel that is defined once more, in the same words, has the program of the first one.
    """
    function = getattr(kernel, "py_func", kernel)
    known = _State.by_function.get(function)
    if known is None:
        with _lock:
            key = content(function)
            if len(_State.by_content) > MOST_PROGRAMS:
                _State.by_content.clear()
            known = _State.by_content.setdefault(key, Program(function))
            _State.by_function[function] = known
    return known


def look_again() -> None:
    """Look for each kernel's program anew: a function that it calls may be another one now."""
    with _lock:
        _State.by_function.clear()


def argument_type(value: Any) -> types.Type:
    """The numba type of an argument.

    Raises:
        TypeError: for what kernels cannot take.
    """
    try:
        if isinstance(value, (list, set, dict, str, bytes, type(None))):
            raise ValueError
        return cast(types.Type, numba.typeof(value))
    except (ValueError, NumbaError):
        raise TypeError(
            f"a kernel cannot take a {type(value).__name__}: pass numbers, numpy arrays, "
            "device arrays, or tuples of numbers."
        ) from None


class Typed:
    """A program for one combination of argument types."""

    def __init__(self, of: Program, arguments: tuple[types.Type, ...]) -> None:
        self.program = of
        self.arguments = arguments
        self.why: dict[str, str] = {}  # engine: why it cannot
        self.by_block: dict[tuple, Callable[..., None]] = {}

    @functools.cached_property
    def flat(self) -> Flat:
        """The kernel with its meetings as statements."""
        return flatten(self.program.lowered)

    @functools.cached_property
    def kinds(self) -> dict[str, types.Type | None]:
        """The types of its variables."""
        return compiled.infer_variables(self.flat, list(self.arguments))

    @functools.cached_property
    def dependent(self) -> set[int]:
        """The sites that depend on data."""
        return data_dependent(self.flat, self.kinds)

    @functools.cached_property
    def checked(self) -> Callable[..., None]:
        """The split engine's launch, with every index checked."""
        return self._compiled(None)

    def fast(self, block: tuple[int, int, int], negative: bool) -> Callable[..., None]:
        """The split engine's launch for one size of block, where indices are checked that depend
        on data, and no others. `negative`: whether some of the others count from the end."""
        if (block, negative) not in self.by_block:
            code = self._compiled(self.dependent, block, not negative)
            self.by_block[block, negative] = code
        return self.by_block[block, negative]

    def _compiled(
        self,
        sites: set[int] | None,
        block: tuple[int, int, int] | None = None,
        unsigned: bool = False,
    ) -> Callable[..., None]:
        with _lock:
            source = compiled.split_source(self.flat, self.kinds, sites, block, unsigned)
            return load(source, self.program.name).launch

    @functools.cached_property
    def generator(self) -> Callable[..., Any]:
        """The gen engine's thread."""
        with _lock:
            source = compiled.gen_source(self.flat, self.kinds)
            return load(source, self.program.name + "_gen").thread

    @functools.cached_property
    def scalars(self) -> dict[str, type]:
        """Floating variables, with their types; empty where numba cannot say."""
        try:
            return scalar_types(self.kinds, self.flat.variables)
        except Unsupported:
            return {}

    # ------------------------------------------------------------------- running

    def engine(self, wanted: str = "auto") -> str:
        """The engine to use: the one that is wanted, or the first that can.

        Raises:
            Unsupported: if the engine that is wanted cannot run the kernel.
        """
        if wanted != "auto":
            if reason := self.cannot(wanted):
                raise Unsupported(f"{self.program.name}: the engine {wanted!r} cannot: {reason}")
            return wanted
        return next(engine for engine in ENGINES if not self.cannot(engine))

    def cannot(self, engine: str) -> str:
        """Why an engine cannot run the kernel; "" if it can."""
        if engine not in self.why:
            self.why[engine] = self._try(engine)
        return self.why[engine]

    def _try(self, engine: str) -> str:
        if engine == "py":
            return ""
        half: list[Any] = [t for t in self.arguments if getattr(t, "dtype", t) == types.float16]
        half += [m for m in self.program.lowered.tables.shared if m.dtype == np.float16]
        if half:
            return "float16 is nothing that numba compiles for a CPU"
        try:
            if engine == "split":
                compiled.split_source(self.flat, self.kinds, None)
            else:
                compiled.gen_source(self.flat, self.kinds)
        except Unsupported as error:
            return str(error)
        return ""

    def run_split(self, launch: Launch, arguments: Sequence[Any], known: str = "") -> str:
        """One launch on the split engine.

        Args:
            launch: its shape.
            arguments: numpy arrays and numbers.
            known: what an earlier launch of this shape has returned: its indices are proven then,
                those that depend on data excepted. "" for the first one.

        Returns:
            "negative" if indices counted from the end, else "proven".
        """
        fault = np.zeros(FAULT_SIZE, np.int64)
        function = self.fast(launch.block, known == "negative") if known else self.checked
        dims = (*launch.block, *launch.grid)
        dynamic = np.empty(launch.dynamic_shared, np.uint8)
        try:
            function(*arguments, *dims, fault, dynamic, *self.program.lowered.tables.constants)
        except IndexError:
            raise self.out_of_bounds(fault, arguments, launch) from None
        return known or ("negative" if fault[NEGATIVE] else "proven")

    def run_gen(self, launch: Launch, arguments: Sequence[Any]) -> None:
        """One launch on the gen engine: numba's generators, resumed from here."""
        fault = np.zeros(FAULT_SIZE, np.int64)
        threads = launch.threads
        make = self.generator
        floats, votes = np.zeros(threads), np.zeros(threads, np.int64)
        integers = np.zeros(threads, np.int64)
        tables = self.program.lowered.tables
        meets = self.flat.has_barriers
        try:
            for block in positions(launch.grid):
                shared = shared_arrays(self.program.lowered, launch)
                rest = (floats, integers, votes, fault, *shared, *tables.constants)
                place = (*block, *launch.block, *launch.grid)
                if not meets:
                    for thread in positions(launch.block):
                        make(*arguments, *thread, *place, *rest)
                    continue
                _rounds([make(*arguments, *t, *place, *rest) for t in positions(launch.block)])
        except IndexError:
            raise self.out_of_bounds(fault, arguments, launch) from None

    def run_py(self, launch: Launch, arguments: Sequence[Any]) -> None:
        """One launch on the py engine."""
        lowered = self.program.lowered
        tables = lowered.tables
        where: dict[str, Any] = {"block": (0, 0, 0), "thread": 0}
        watcher = Watcher()

        def index(array: Any, at: Any, site: int) -> None:
            parts = at if isinstance(at, tuple) else (at,)
            if isinstance(array, np.ndarray):
                for part, size in zip(parts, array.shape):
                    if not isinstance(part, slice) and not -size <= part < size:
                        thread = watcher.thread if lowered.meets else where["thread"]
                        numbers = [int(p) for p in parts if not isinstance(p, slice)]
                        fault = [site + 1, thread, *where["block"], len(numbers), *numbers, 0, 0, 0]
                        raise self.out_of_bounds(fault, arguments, launch)

        def load(array: Any, at: Any, site: int, path: tuple) -> Any:
            index(array, at, site)
            value = array[at]
            return int(value) if type(value) is np.int64 else value

        def store(array: Any, at: Any, value: Any, site: int, path: tuple) -> None:
            index(array, at, site)
            put_value(array, at, value)

        def atomic(what: str, site: int, path: tuple, array: Any, at: Any, *values: Any) -> Any:
            index(array, at, site)
            return do_atomic(what, array, at, *values)

        environment = {"_load": load, "_store": store, "_atomic": atomic, "_counts": Counts()}
        environment |= {"_local_array": local_array, "_tick": nothing, "_threadfence": nothing}
        run = python.build(lowered, self.scalars, environment)
        scalars = [int(a) if type(a) is np.int64 else a for a in arguments]
        scalars = [np.float64(a) if type(a) is float else a for a in scalars]
        with np.errstate(all="ignore"):
            for block in positions(launch.grid):
                where["block"] = block
                shared = shared_arrays(lowered, launch)
                place = (*block, *launch.block, *launch.grid, (), *shared, *tables.constants)
                threads = list(positions(launch.block))
                if not lowered.meets:
                    for number, thread in enumerate(threads):
                        where["thread"] = number
                        run(*scalars, *thread, *place)
                    continue

                def start(number: int, threads: list = threads, place: tuple = place) -> Any:
                    return run(*scalars, *threads[number], *place)

                run_block(start, launch.threads, watcher)

    def out_of_bounds(self, fault: Any, arguments: Sequence[Any], launch: Launch) -> OutOfBounds:
        """The error for an index that its array does not have, in words."""
        site = self.program.lowered.tables.sites[int(fault[0]) - 1]
        numbers = [int(n) for n in fault[6 : 6 + min(3, int(fault[5]))]]
        index = str(numbers[0]) if len(numbers) == 1 else str(tuple(numbers))
        who = Thread(position(int(fault[1]), launch.block), tuple(map(int, fault[2:5])))  # type: ignore[arg-type]
        known = dict(zip(self.program.lowered.params, arguments))
        text = array_text(site.text)
        array = known.get(text)
        size = f", whose shape is {array.shape}" if isinstance(array, np.ndarray) else ""
        return OutOfBounds(
            f"{self.program.name}, line {site.line}: `{site.text}` uses index {index} of "
            f"`{text}`{size} ({who}). On a GPU this reads or destroys other memory. "
            "Does every thread check that its index is inside?"
        )


def array_text(text: str) -> str:
    """The array in the source of an access: `x` of `x[i]`, and of `cuda.atomic.add(x, i, 1)`."""
    tree = ast.parse(text, mode="eval").body
    if isinstance(tree, ast.Call):
        return ast.unparse(tree.args[0])
    return ast.unparse(tree.value) if isinstance(tree, ast.Subscript) else text


def position(thread: int, block: tuple[int, int, int]) -> tuple[int, int, int]:
    """Where thread number `thread` stands in its block."""
    x, y, _ = block
    return thread % x, thread // x % y, thread // (x * y)


def shared_arrays(kernel: Lowered, launch: Launch) -> list[np.ndarray]:
    """A block's shared memory."""
    dynamic = np.empty(launch.dynamic_shared, np.uint8)
    out = []
    for memory in kernel.tables.shared:
        if memory.shape:
            out.append(np.empty(memory.shape, memory.dtype))
        else:
            size = memory.dtype.itemsize
            out.append(dynamic[: dynamic.size // size * size].view(memory.dtype))
    return out


def _rounds(threads: list[Any]) -> None:
    """Resumes a block's generators in turn until all have finished."""
    state = [-2] * len(threads)  # -2: may run; -1: finished; 0, 1: waits for block or warp
    left = len(threads)
    while left:
        for first in range(0, len(threads), WARP):
            warp = range(first, min(first + WARP, len(threads)))
            moving = True
            while moving:
                moving = False
                for thread in warp:
                    if state[thread] == -2:
                        state[thread] = next(threads[thread], -1)
                        left -= state[thread] == -1
                        moving |= state[thread] == WARP_LEVEL
                for thread in warp:
                    if state[thread] == WARP_LEVEL:
                        state[thread] = -2
        state = [-2 if s == 0 else s for s in state]


# ------------------------------------------------------- what the py engine and the checker share


def put_value(array: Any, at: Any, value: Any) -> None:
    """`array[at] = value`, converted as C does."""
    if array.dtype.kind in "iu" and type(value) is not array.dtype.type:
        value = np.int64(value) if type(value) is int else np.asarray(value)
        value = value.astype(array.dtype)
    array[at] = value


def do_atomic(what: str, array: np.ndarray, at: Any, *values: Any) -> Any:
    """An atomic operation in plain Python; returns the old value."""
    kind = array.dtype.type
    converted = [np.asarray(value).astype(kind)[()] for value in values]
    old = getattr(runtime, f"atomic_{what}").py_func(array, at, *converted)
    return int(old) if type(old) is np.int64 else old


def local_array(memory: Any) -> np.ndarray:
    """A thread's own array."""
    return np.empty(memory.shape, memory.dtype)


def nothing(*_: Any) -> None:
    """Does nothing."""
