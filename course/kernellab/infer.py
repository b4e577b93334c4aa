"""Types: what the CUDA compiler says of a kernel, and what numba makes of its variables."""

import inspect
import linecache
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import types
from numba.core import compiler as core_compiler
from numba.core import registry, typed_passes, typing
from numba.core.errors import NumbaError
from numba.np import numpy_support

from course.kernellab.errors import Refused, Unsupported

COMPUTE_CAPABILITY = (8, 0)
"""The GPU generation whose rules are checked: Ampere, that of the A100."""


def check_types(function: Callable, arguments: Sequence[types.Type]) -> None:
    """Whether the CUDA compiler takes a kernel, as far as it gets without NVIDIA's packages.

    Raises:
        Refused: with the line and the reason.
    """
    from numba import cuda
    from numba.cuda import dispatcher
    from numba.cuda.compiler import compile_cuda

    # numba asks the GPU for which generation to compile the device functions of a kernel.
    ask = dispatcher.get_current_device
    if not cuda.is_available():
        dispatcher.get_current_device = _NoDevice
    try:
        compile_cuda(function, types.void, tuple(arguments), cc=COMPUTE_CAPABILITY)
    except NumbaError as error:
        raise Refused(explain(function, str(error), at=line_in(function, error))) from None
    except Exception as error:
        if hasattr(error, "_render_traceback_"):
            raise  # made for a notebook's reader: a function is called that is still to be written
        # The front end has passed, and code generation asks for what is not there (an older
        # numba's NVVM, a driver). What needs a driver to compile is nothing for this course.
        missing = type(error).__name__ in ("NvvmSupportError", "CudaSupportError", "OSError")
        if not missing or "driver" in str(error).lower():
            text, at = f"{type(error).__name__}: {error}", line_in(function, error)
            raise Refused(explain(function, text, at=at)) from None
    finally:
        dispatcher.get_current_device = ask


class _NoDevice:
    compute_capability = COMPUTE_CAPABILITY


def explain(
    function: Callable, text: str, who: str = "the CUDA compiler refuses this kernel", at: int = 0
) -> str:
    """A short form of numba's message: the reason, and the line."""
    name = getattr(function, "__name__", "kernel")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip() for line in text.splitlines()]
    useful = [line for line in lines if line and not line.startswith(NOISE)]
    arrow = next((lines[i - 1] for i, line in enumerate(lines) if line.startswith("^") and i), "")
    reason = next((line for line in useful if line != arrow), "it does not compile")
    if reason.endswith(":"):  # "No implementation ... for signature:", and the signature below
        reason += next((f" {line[4:]}" for line in useful if line.startswith(">>> ")), "")
    if "shared.array" in reason or "local.array" in reason:
        reason = f"the shape of such an array must be a constant ({reason})"
    line = line_of(function, text) or at
    place = f", line {line}" if line else ""
    code = f"\n    {source_line(function, line)}" if line else ""
    return (
        f"{name}{place}: {who}: {reason}{code}\n"
        "Kernels know numbers, arrays, tuples, loops and branches; no lists, dicts, strings, "
        "or numpy functions on whole arrays."
    )


NOISE = ("Failed in", "During:", "File ", "def ", "<source", "^", "This error may", "There are")


def line_of(function: Callable, text: str) -> int:
    """The line of a function that numba's message speaks of; 0 if it does not say."""
    code = function.__code__
    first = code.co_firstlineno
    try:
        last = first + len(inspect.getsourcelines(function)[0])
    except (OSError, TypeError):
        last = first + 10_000
    if missing := re.search(r"name '(\w+)' is not defined", text):
        for number in range(first, last):
            if re.search(rf"\b{missing[1]}\b", source_line(function, number)):
                return number
    for sign, word in (("'with ", "with"), ("exception_match", "try")):
        if sign in text:
            for number in range(first, last):
                if re.match(rf"{word}\b", source_line(function, number)):
                    return number
    file = re.escape(os.path.basename(code.co_filename))
    numbers = re.findall(rf'{file}", line (\d+)', text) + re.findall(rf"{file} \((\d+)\)", text)
    return next((n for n in map(int, numbers) if first <= n < last), 0)


def line_in(function: Callable, error: BaseException) -> int:
    """The line that numba was at when it gave up; 0 if that is not to be seen."""
    found = 0
    trace = error.__traceback__
    while trace is not None:
        place = trace.tb_frame.f_locals.get("loc")
        if getattr(place, "filename", None) == function.__code__.co_filename:
            found = int(getattr(place, "line", 0) or 0)
        trace = trace.tb_next
    return found or int(getattr(getattr(error, "loc", None), "line", 0) or 0)


def source_line(function: Callable, number: int) -> str:
    """A line of the file or cell in which a function stands."""
    return linecache.getline(function.__code__.co_filename, number).strip()


def variables(function: Callable, arguments: Sequence[types.Type]) -> dict[str, types.Type | None]:
    """{variable: type} by numba's own inference; None for one that has several types in turn.

    Args:
        function: plain Python, without barriers.
        arguments: the types of its arguments.

    Raises:
        Unsupported: if numba for CPUs cannot type it.
    """
    try:
        inferred, _, tree = _inferred(function, tuple(arguments))
    except NumbaError as error:
        short = explain(function, str(error), "numba cannot compile it for this computer")
        raise Unsupported(short.splitlines()[0]) from None
    return _merge(inferred, tree)


def _inferred(
    function: Callable, arguments: tuple[types.Type, ...]
) -> tuple[dict[str, types.Type], types.Type, Any]:
    """(the types of a function's variables, what it returns, its code as numba sees it)."""
    from numba.core.ssa import reconstruct_ssa
    from numba.core.untyped_passes import ReconstructSSA  # noqa: F401  (the pass we mirror)

    target = registry.cpu_target
    tree = reconstruct_ssa(core_compiler.run_frontend(function))
    target.typing_context.refresh()
    target.target_context.refresh()
    inferred, returned, *_ = typed_passes.type_inference_stage(
        target.typing_context, target.target_context, tree, arguments, None
    )
    return inferred, types.unliteral(returned), tree


class OnlyTyped(registry.CPUDispatcher):
    """A function for others to call while their types are inferred. Nothing of it is compiled.

    Of numba's own functions one learns what they return by compiling them, which takes ten times as long.
    """

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What numba asks when it comes to a call: as Dispatcher.get_call_template."""
        signature, folded = vars(self)["_compiler"].fold_argument_types(args, kws)
        folded = tuple(folded)
        known = vars(self).setdefault("returns", {})
        if folded not in known:
            known[folded] = _inferred(self.py_func, folded)[1]
        name = self.py_func.__name__
        template = typing.make_concrete_template(
            name, key=name, signatures=[typing.signature(known[folded], *folded)]
        )
        return template, signature, folded, {}


def _merge(inferred: dict[str, types.Type], tree: Any) -> dict[str, types.Type | None]:
    """One type for the versions of a variable that numba has told apart.

    A version that only flows into another one (the `acc = 0` before a loop that adds floats) takes
    the other's type, as numba converts it there.
    """
    from numba.core import ir

    used: set[str] = set()
    for block in tree.blocks.values():
        for statement in block.body:
            if isinstance(statement, ir.Assign):
                value = statement.value
                if isinstance(value, ir.Expr) and value.op == "phi":
                    continue
                used |= {v.name for v in statement.list_vars() if v.name != statement.target.name}
            else:
                used |= {v.name for v in statement.list_vars()}
    versions: dict[str, dict[str, types.Type]] = {}
    for version, kind in inferred.items():
        if version.startswith(("$", "arg.")):
            continue
        versions.setdefault(version.partition(".")[0], {})[version] = types.unliteral(kind)
    out: dict[str, types.Type | None] = {}
    for variable, kinds in versions.items():
        live = {kind for version, kind in kinds.items() if version in used}
        every = set(kinds.values())
        if len(every) == 1:
            out[variable] = every.pop()
        elif len(live) == 1 and all(_widens(kind, next(iter(live))) for kind in every):
            out[variable] = live.pop()
        else:
            out[variable] = None
    return out


def _widens(kind: types.Type, to: types.Type) -> bool:
    """Whether a value keeps its value when it takes another type."""
    if kind == to:
        return True
    if not (isinstance(kind, (types.Number, types.Boolean)) and isinstance(to, types.Number)):
        return False
    source, target = numpy_support.as_dtype(kind), numpy_support.as_dtype(to)
    return bool(np.can_cast(source, target))


def scalar_types(found: dict[str, types.Type | None], variables: dict[str, str]) -> dict[str, type]:
    """The variables that are floats, with their numpy types: those that need a conversion.

    Args:
        found: types by name.
        variables: {name: the variable that it is a life of}. Lives of different types: left out.
    """
    kinds: dict[str, set[types.Type | None]] = {}
    for name, kind in found.items():
        kinds.setdefault(variables.get(name, name), set()).add(kind)
    return {
        variable: numpy_support.as_dtype(kind).type
        for variable, several in kinds.items()
        if len(several) == 1 and isinstance(kind := next(iter(several)), types.Float)
    }
