"""Holes: the machine with a lesson's parts taken out, and the student's parts put in.

`course` is complete and works. `lesson(name)` replaces the parts that the lesson asks for by
holes, which say whose turn it is when they are used. `@exercise(path)` puts the student's object
in a part's place, everywhere in `course` where the part stood.
"""

import difflib
import gc
import importlib
import inspect
import os
import pkgutil
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

from course.learn.manifest import Lesson, Part, find_lesson
from course.learn.short_errors import ShortTraceback, shorten_recursion_errors

T = TypeVar("T")


class LessonError(ShortTraceback, Exception):
    """The notebook's cells do not fit together; the message says what to do."""


class NotYetWritten(ShortTraceback, NotImplementedError):
    """A part is used that the student has not put in yet."""


class Hole:
    """Stands where a part is missing. Any use of it says whose turn it is."""

    def __init__(self, message: str) -> None:
        object.__setattr__(self, "_message", message)

    def _use(self, *args: object, **kwargs: object) -> Any:
        __tracebackhide__ = True
        raise NotYetWritten(object.__getattribute__(self, "_message"))

    __call__ = __getattr__ = __setattr__ = __mro_entries__ = __instancecheck__ = _use
    __getitem__ = _use  # a kernel is launched as kernel[grid, block](...)

    def __get__(self, instance: object, owner: type | None = None) -> object:
        """Found on a class, a hole is a method that is missing."""
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<hole: {object.__getattribute__(self, '_message')}>"


class _State:
    """The lesson under way: one for each process, as there is one `course` in it."""

    lesson: Lesson | None = None
    reference: ClassVar[dict[str, Any]] = {}  # path -> the object that `course` came with
    filled: ClassVar[dict[str, Any]] = {}  # path -> the student's object


def lesson(name: str) -> None:
    """Set up a lesson: its parts are taken out of `course`, to be written in this notebook.

    Running the cell again keeps the parts you have already put in.

    Args:
        name: "<unit>/<lesson>", for example "1_micrograd/1_scalars".

    Raises:
        LookupError: if there is no such lesson.
    """
    wanted = find_lesson(name)
    _warnings_to_stdout()
    shorten_recursion_errors()
    # Graphs hold no reference cycles and are freed at once. Looking for cycles every 700 objects,
    # as Python does, takes most of the time of training a network of scalars.
    gc.set_threshold(100_000)
    if _State.lesson == wanted:
        print(f"Lesson {wanted.number} is set up already; the parts you have put in stay in.")
        return
    restore()
    for unit in sorted({".".join(part.path.split(".")[:2]) for part in wanted.parts}):
        _import_all(unit)
    _State.reference = {part.path: find_part(part.path) for part in wanted.parts}
    _State.lesson = wanted
    _put({part.path: Hole(_message(part)) for part in wanted.parts if _owner_part(part) is None})
    count = len({part.exercise for part in wanted.parts if not part.given})
    exercises = "1 exercise" if count == 1 else f"{count} exercises"
    print(f"Lesson {wanted.number}, {wanted.title}: {exercises}. Other parts: the reference.")


def exercise(path: str) -> Callable[[T], T]:
    """Put the decorated function or class into `course`, where the part called path stood.

    Args:
        path: the part, for example "course.micrograd.engine.Value.tanh".

    Raises:
        LessonError: if no lesson is set up, it has no such part, or the object does not fit.
    """
    if _State.lesson is None:
        raise LessonError('Run the first code cell of this notebook first: `lesson("...")`.')
    parts = {part.path: part for part in _State.lesson.parts}
    if path not in parts:
        close = difflib.get_close_matches(path, parts, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise LessonError(f"Lesson {_State.lesson.number} has no part {path!r}.{guess}")

    def fill(new: T) -> T:
        owner = _owner_part(parts[path])
        if owner is not None and owner.path not in _State.filled:
            name = owner.path.rpartition(".")[2]
            raise LessonError(f"Run the cell that defines `class {name}` first.")
        _check_fits(path, new)
        _State.filled[path] = new
        _put({path: new})
        methods = [method for method in parts.values() if _owner_part(method) == parts[path]]
        # A class that is run again gets its methods back.
        _put({x.path: _State.filled.get(x.path, Hole(_message(x))) for x in methods})
        return new

    return fill


def borrow(path: str) -> Any:
    """Put the reference in a part's place, to go on with the lesson when you are stuck.

    It earns no points: in grading, borrowing is refused.

    Args:
        path: the part, as it stands in its exercise, for example
            "course.micrograd.engine.topological_order".

    Returns:
        The reference's object. `topological_order = borrow("...")` gives it its name here.

    Raises:
        LessonError: in grading, or if the lesson has no such part.
    """
    if os.environ.get("COURSE_GRADING"):
        raise LessonError(f"{path} is borrowed, not written: it earns no points.")
    reference = _State.reference.get(path)
    part = exercise(path)(reference)
    print(
        f"{path} is borrowed from the reference. Write your own when you can: it earns no points."
    )
    return part


def forget(name: str) -> None:
    """Take the code out of a lesson's parts, for good: in grading, nobody finds it in memory either.

    Args:
        name: the lesson, as in `lesson(name)`.

    Raises:
        LookupError: if there is no such lesson.
    """
    for part in find_lesson(name).parts:
        _forget(find_part(part.path))


def _forget(reference: Any) -> None:
    """Take the code out of a reference part.

    What tells whether a student's part fits stays: that it is a class or a function, and how it is
    called.
    """
    if isinstance(reference, type):
        for value in vars(reference).values():
            for function in (value, getattr(value, "__func__", None), getattr(value, "fget", None)):
                if isinstance(function, types.FunctionType):
                    _forget(function)
    elif is_kernel(reference):
        _forget(reference.py_func)
    elif isinstance(reference, types.FunctionType):
        empty = _empty.__code__
        reference.__code__ = reference.__code__.replace(
            co_code=empty.co_code,
            co_consts=empty.co_consts,
            co_names=(),
            co_linetable=empty.co_linetable,
            co_exceptiontable=b"",
            co_flags=reference.__code__.co_flags & ~inspect.CO_GENERATOR,
        )


def _empty() -> None:
    """Stands for code that was forgotten."""


def filled() -> dict[str, Any]:
    """The parts that the student has put in, by path."""
    return dict(_State.filled)


def refill(parts: dict[str, Any]) -> None:
    """Put these parts in once more, where others have taken their places since.

    Args:
        parts: what `filled` gave.
    """
    for path, part in parts.items():
        if _State.filled.get(path) is not part:
            exercise(path)(part)


def restore() -> None:
    """Put all of `course`'s own parts back."""
    _put(_State.reference)
    _State.lesson, _State.reference, _State.filled = None, {}, {}


def _message(part: Part) -> str:
    assert _State.lesson is not None
    where = f"lesson {_State.lesson.number}"
    if part.given:
        return f"{part.path} comes with this notebook: run the cell that defines it ({where})."
    ids = list(dict.fromkeys(p.exercise for p in _State.lesson.parts if not p.given))
    where += f', exercise {ids.index(part.exercise) + 1}, "{part.title}"'
    return f"{part.path} is yours to write ({where}). If you have, run its cell, @exercise line and all."


def _owner_part(part: Part) -> Part | None:
    """The class this part is a method of, if that class is a part of the lesson too."""
    assert _State.lesson is not None
    owner = part.path.rpartition(".")[0]
    return next((other for other in _State.lesson.parts if other.path == owner), None)


def is_kernel(x: Any) -> bool:
    """Whether an object is a kernel or a device function: what `@cuda.jit` makes."""
    # Not asked of the object first: a hole answers any question with whose turn it is.
    return type(x).__name__ == "CUDADispatcher"


def _is_device_function(x: Any) -> bool:
    return bool(x.targetoptions.get("device"))


def _check_kernel_fits(path: str, new: Any, reference: Any) -> None:
    """Refuse what is no kernel where a kernel is wanted, and the other way round."""
    options = "(device=True)" if is_kernel(reference) and _is_device_function(reference) else ""
    if is_kernel(reference) and not is_kernel(new):
        kind = "device function" if options else "kernel"
        raise LessonError(
            f"{path} is a {kind}: `@cuda.jit{options}` stands between @exercise and `def`."
        )
    if is_kernel(new) and not is_kernel(reference):
        raise LessonError(f"{path} is an ordinary function: it goes without `@cuda.jit`.")
    if is_kernel(new) and _is_device_function(new) != bool(options):
        kind = "a device function, which kernels call" if options else "a kernel, to be launched"
        raise LessonError(f"{path} is {kind}: it is decorated with `@cuda.jit{options}`.")


def _check_fits(path: str, new: Any) -> None:
    """Refuse an object that cannot take the reference's place, and say why."""
    reference = _State.reference[path]
    name = path.rpartition(".")[2]
    _check_kernel_fits(path, new, reference)
    wanted = "class" if inspect.isclass(reference) else "function"
    got = "class" if inspect.isclass(new) else "function" if callable(new) else ""
    if got != wanted:
        found = f"a {got}" if got else f"{new!r}, which is neither function nor class"
        raise LessonError(f"{path} is a {wanted}; this cell gives {found}.")
    if getattr(new, "__name__", name) != name:
        raise LessonError(f"This cell should define `{name}`; it defines `{new.__name__}`.")
    if wanted == "function":
        asked, yours = inspect.signature(reference), inspect.signature(new)
        required = [p for p in asked.parameters.values() if p.default is p.empty]
        try:
            yours.bind(
                *[None for p in required if p.kind is p.POSITIONAL_OR_KEYWORD],
                **{p.name: None for p in required if p.kind is p.KEYWORD_ONLY},
            )
        except TypeError:
            raise LessonError(
                f"{path} is called as {name}{_bare(asked)}; yours is {name}{_bare(yours)}. "
                "Keep the parameters as they were given."
            ) from None


def _bare(signature: inspect.Signature) -> str:
    """A signature without its annotations, to be read at a glance."""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))


def _locate(path: str) -> tuple[Any, str]:
    """The module or class that holds the part, and the part's name in it."""
    names = path.split(".")
    for cut in range(len(names) - 1, 0, -1):
        module = ".".join(names[:cut])
        try:
            owner: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module exists; something that it imports does not
            continue
        for name in names[cut:-1]:
            owner = vars(owner)[name]
        return owner, names[-1]
    raise LookupError(f"There is no {path}.")


def find_part(path: str) -> Any:
    """The object that stands at path in `course` now: the reference, a hole or the student's.

    Raises:
        LookupError: if there is none.
    """
    try:
        owner, name = _locate(path)
        return vars(owner)[name]
    except KeyError:
        raise LookupError(f"There is no {path}.") from None


def _put(parts: Mapping[str, Any]) -> None:
    """Replace the parts, by path, wherever `course` refers to them.

    All at once, as looking through all of `course` takes its time.
    """
    swaps: dict[int, tuple[Any, Any]] = {}  # id of the old object -> the old and the new one
    bases: dict[int, tuple[Any, Any]] = {}  # the same for classes, also those behind holes
    for path, new in parts.items():
        owner, name = _locate(path)
        if isinstance(owner, types.ModuleType):
            old = vars(owner)[name]
            swaps[id(old)] = old, new
            if isinstance(new, type):
                bases |= {id(x): (x, new) for x in (old, _State.reference.get(path))}
    if swaps:
        for holder in _holders():
            _replace_references(holder, swaps)
            _replace_bases(holder, bases)
        lab = sys.modules.get("course.kernellab")
        if lab is not None:
            lab.forget_compiled()  # kernels keep the code of the functions that they call
    for path, new in parts.items():  # now, as a method's class may be among the parts
        owner, name = _locate(path)
        setattr(owner, name, new)


def _replace_references(holder: Any, swaps: Mapping[int, tuple[Any, Any]]) -> None:
    """Put new for old in a module's or class's attributes, tables and default arguments."""

    def swapped(value: Any) -> Any:
        return swaps[id(value)][1] if id(value) in swaps else value

    for key, value in list(vars(holder).items()):
        if id(value) in swaps:
            setattr(holder, key, swapped(value))
        elif isinstance(value, dict):
            value.update({k: swapped(v) for k, v in value.items() if id(v) in swaps})
        elif isinstance(value, list):
            value[:] = [swapped(v) for v in value]
        elif isinstance(value, types.FunctionType):
            if value.__defaults__:
                value.__defaults__ = tuple(map(swapped, value.__defaults__))
            if value.__kwdefaults__:
                value.__kwdefaults__.update(
                    {k: swapped(v) for k, v in value.__kwdefaults__.items() if id(v) in swaps}
                )


def _replace_bases(holder: Any, bases: Mapping[int, tuple[Any, Any]]) -> None:
    """Let subclasses of an old class inherit from the new one.

    A hole cannot be a base class: while there is one, subclasses keep the reference as base.
    """
    if not isinstance(holder, type):
        return

    def swapped(base: type) -> type:
        new = bases[id(base)][1] if id(base) in bases else base
        return base if new is holder else new  # it may inherit from the one that it replaces

    if any(id(base) in bases for base in holder.__bases__):
        holder.__bases__ = tuple(map(swapped, holder.__bases__))


def _holders() -> Iterator[Any]:
    """What can refer to a part: the modules, the classes in them, and what holes stand for."""
    holders: dict[int, Any] = {id(module): module for module in _course_modules()}
    for module in list(holders.values()):
        holders |= {id(v): v for v in vars(module).values() if isinstance(v, type)}
    yield from holders.values()
    yield from (
        v for v in _State.reference.values() if isinstance(v, type) and id(v) not in holders
    )
    yield types.SimpleNamespace(**_State.reference)


def _course_modules() -> list[types.ModuleType]:
    """The machine's modules that are loaded; not the tools around it, which know no part."""
    tools = ("course.learn", "course.viz", "course.kernellab", "course.cli")
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("course.") and not name.startswith(tools)
    ]


def _import_all(unit: str) -> None:
    """Import every module of a unit, so that all references to its parts are known."""
    package = importlib.import_module(unit)
    for info in pkgutil.walk_packages(package.__path__, f"{unit}."):
        importlib.import_module(info.name)


def _warnings_to_stdout() -> None:
    """Show warnings as ordinary output: nbgrader takes anything on stderr for a failed check."""

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        print(f"Warning: {message} ({category.__name__})")

    warnings.showwarning = show
