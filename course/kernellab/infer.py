"""Types: what the CUDA compiler says of a kernel, and what numba makes of its variables."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import types
from numba.core import compiler as core_compiler
from numba.core import registry, typed_passes
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
        raise Refused(explain(function, str(error))) from None
    except Exception as error:
        # The front end has passed, and code generation asks for what is not there (an older
        # numba's NVVM, a driver). What needs a driver to compile is nothing for this course.
        missing = type(error).__name__ in ("NvvmSupportError", "CudaSupportError", "OSError")
        if not missing or "driver" in str(error).lower():
            raise Refused(explain(function, f"{type(error).__name__}: {error}")) from None
    finally:
        dispatcher.get_current_device = ask


class _NoDevice:
    compute_capability = COMPUTE_CAPABILITY


def explain(
    function: Callable, text: str, who: str = "the CUDA compiler refuses this kernel"
) -> str:
    """A short form of numba's message: the reason, and the line."""
    name = getattr(function, "__name__", "kernel")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip() for line in text.splitlines()]
    where = re.search(r"line (\d+):", text) or re.search(r"\((\d+)\)", text)
    useful = [
        line
        for line in lines
        if line
        and not line.startswith(
            ("Failed in", "During:", "File ", "def ", "<source", "^", "This error may", "There are")
        )
    ]
    arrow = next((lines[i - 1] for i, line in enumerate(lines) if line.startswith("^") and i), "")
    reason = next((line for line in useful if line != arrow), "it does not compile")
    place = f", line {where[1]}" if where else ""
    code = f"\n    {arrow}" if arrow else ""
    return (
        f"{name}{place}: {who}: {reason}{code}\n"
        "Kernels know numbers, arrays, tuples, loops and branches; no lists, dicts, strings, "
        "or numpy functions on whole arrays."
    )


def variables(function: Callable, arguments: Sequence[types.Type]) -> dict[str, types.Type | None]:
    """{variable: type} by numba's own inference; None for one that has several types in turn.

    Args:
        function: plain Python, without barriers.
        arguments: the types of its arguments.

    Raises:
        Unsupported: if numba for CPUs cannot type it.
    """
    target = registry.cpu_target
    try:
        tree = core_compiler.run_frontend(function)
        from numba.core.ssa import reconstruct_ssa
        from numba.core.untyped_passes import ReconstructSSA  # noqa: F401  (the pass we mirror)

        tree = reconstruct_ssa(tree)
        target.typing_context.refresh()
        target.target_context.refresh()
        inferred, *_ = typed_passes.type_inference_stage(
            target.typing_context, target.target_context, tree, tuple(arguments), None
        )
    except NumbaError as error:
        short = explain(function, str(error), "numba cannot compile it for this computer")
        raise Unsupported(short.splitlines()[0]) from None
    return _merge(inferred, tree)


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
