"""The text of the compiled engines: a small Python module for each kernel and kind of arguments."""

import ast
import sys
from typing import Any

import numba
import numpy as np
from numba import types

from course.kernellab import runtime
from course.kernellab.flatten import EXCHANGE, Flat, is_barrier
from course.kernellab.infer import OnlyTyped, variables
from course.kernellab.lower import CONTEXT, Lowered, Memory, clone, expression, name, site_of
from course.kernellab.python import memory_names
from course.kernellab.split import Split

ATOMICS = [n for n in dir(runtime) if n.startswith("atomic_")]
HELPERS = {
    **{f"_{n}": n for n in ATOMICS},
    **{f"_{n}": n for n in ("clz", "ffs", "brev", "fma", "selp", "cbrt", "put", "get", "inside")},
    "_min": "smaller",
    "_max": "larger",
    "_reciprocal": "reciprocal",
    "_power": "power",
    **{f"_{n}": n for n in ("floor", "ceil", "trunc", "fmod")},
    **{f"_{n}": n for n in ("ballot", "present", "count_true", "all_true", "source_lane")},
    "_popc": "bits_of",
    "_matching": "matching_values",
}
HEADER = "import math as _math\n\nimport numpy as _np\nfrom numba import njit as _njit\n\n"
HEADER += "from course.kernellab.runtime import (\n"
HEADER += "".join(f"    {there} as {here},\n" for here, there in HELPERS.items()) + ")\n"

DIMS = [n for n in CONTEXT if n.startswith(("_blockDim", "_gridDim"))]
THREAD_ARGS = "_thread, _blockIdx_x, _blockIdx_y, _blockIdx_z"
JIT = '@_njit(error_model="numpy"{cache})\n'


def infer_variables(flat: Flat, arguments: list[types.Type]) -> dict[str, types.Type | None]:
    """The types of a flat kernel's variables, for these types of arguments."""
    text = "\n".join(_devices(flat, set()))
    params = [*flat.kernel.params, *CONTEXT, "_thread", *EXCHANGE, "_fault"]
    params += memory_names(flat.kernel) + [f"_local{i}" for i in range(len(flat.locals))]
    body = [_Bounds(set()).visit(_plain(clone(statement))) for statement in flat.body]
    text += "\n" + _function("_kernel", params, body or [ast.Pass()])
    environment: dict[str, Any] = {"_np": np, "_math": __import__("math")}
    environment["_njit"] = lambda **_: OnlyTyped
    environment |= {here: getattr(runtime, there) for here, there in HELPERS.items()}
    exec(compile(text, "<types>", "exec"), environment)
    tables = flat.kernel.tables
    extra = [types.int64] * (len(CONTEXT) + 1) + [
        numba.typeof(np.empty(1, d)) for d in EXCHANGE_DTYPES
    ]
    extra += [numba.typeof(np.empty(1, np.int64))]
    extra += [_memory_type(m) for m in tables.shared]
    extra += [numba.typeof(array) for array in tables.constants]
    extra += [_memory_type(m) for m in flat.locals]
    return variables(environment["_kernel"], [*arguments, *extra])


EXCHANGE_DTYPES = (np.float64, np.int64, np.int64)


def _memory_type(memory: Memory) -> types.Type:
    return numba.typeof(np.empty((1,) * max(1, len(memory.shape)), memory.dtype))


class _Plain(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if is_barrier(node) else node


def _plain(node: ast.stmt) -> ast.stmt:
    """A statement without its barriers."""
    return _Plain().visit(node)


# ------------------------------------------------------------------------------- pieces of text


class _Bounds(ast.NodeTransformer):
    """Puts `_inside(...)` around the indices of the sites that are to be checked.

    Args:
        sites: which; None for all.
        unsigned: whether the other indices are known not to be negative. Then they are given as
            unsigned, and numba needs no code for those that count from the end.
        tuples: variables that are tuples.
    """

    def __init__(
        self, sites: set[int] | None, unsigned: bool = False, tuples: frozenset[str] = frozenset()
    ) -> None:
        self.sites = sites
        self.unsigned = unsigned
        self.tuples = tuples

    def wanted(self, node: ast.AST) -> bool:
        site = site_of(node)
        return site >= 0 and (self.sites is None or site in self.sites)

    def wrap(self, array: ast.expr, index: ast.expr, site: int) -> ast.expr:
        text = f"_inside({ast.unparse(array)}, _index, {site}, _fault, {THREAD_ARGS})"
        call = expression(text)
        call.args[1] = index  # type: ignore[attr-defined]
        return call

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if isinstance(node.value, ast.Name) and node.value.id in self.tuples:
            return node  # a tuple: numba checks it
        if self.wanted(node) and not any(isinstance(part, ast.Slice) for part in parts):
            node.slice = self.wrap(node.value, node.slice, site_of(node))
        elif self.unsigned and site_of(node) >= 0 and isinstance(node.value, ast.Name):
            new = [part if isinstance(part, ast.Slice) else _as_unsigned(part) for part in parts]
            whole = isinstance(node.slice, ast.Tuple)
            node.slice = ast.Tuple(new, ast.Load()) if whole else new[0]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        if function.startswith("_atomic_") and self.wanted(node):
            node.args[1] = self.wrap(node.args[0], node.args[1], site_of(node))
        device = getattr(node, "device", None)
        if device is not None:
            node.args += [name(n) for n in (*CONTEXT, "_fault", "_thread", *memory_names(device))]
        if function == "_threadfence":
            return ast.Constant(None)
        return node


def _as_unsigned(node: ast.expr) -> ast.expr:
    return ast.Call(expression("_np.uint64"), [node], [])


def _function(label: str, params: list[str], body: list[ast.stmt]) -> str:
    tree = ast.FunctionDef(
        label, ast.arguments([], [ast.arg(p) for p in params], None, [], [], None, []), body, []
    )
    if sys.version_info >= (3, 12):
        tree.type_params = []
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _devices(flat: Flat, sites: set[int] | None) -> list[str]:
    """The device functions that stay functions, innermost first."""
    out = []
    for device in reversed(flat.devices):
        body = [_Bounds(sites).visit(clone(statement)) for statement in device.body]
        local = [_allocate(f"_local{i}", memory) for i, memory in enumerate(device.locals)]
        params = [*device.params, *CONTEXT, "_fault", "_thread", *memory_names(device)]
        out.append(JIT.format(cache="") + _function(device.name, params, [*local, *body]))
    return out


def _allocate(label: str, memory: Memory) -> ast.stmt:
    shape = ", ".join(map(str, memory.shape))
    return ast.parse(f"{label} = _np.empty(({shape},), _np.{_dtype(memory.dtype)})").body[0]


def _dtype(dtype: np.dtype) -> str:
    return "bool_" if dtype.kind == "b" else dtype.name


def shared_memory(kernel: Lowered) -> list[str]:
    """Lines that reserve a block's shared memory."""
    lines = []
    for i, memory in enumerate(kernel.tables.shared):
        dtype = _dtype(memory.dtype)
        if memory.shape:
            shape = ", ".join(map(str, memory.shape))
            lines.append(f"_shared{i} = _np.empty(({shape},), _np.{dtype})")
        else:
            size = memory.dtype.itemsize
            lines.append(
                f"_shared{i} = _dynamic[: _dynamic.size // {size} * {size}].view(_np.{dtype})"
            )
    return lines


def _indent(lines: list[str], by: int) -> str:
    return "".join(" " * by + line + "\n" for text in lines for line in text.splitlines())


# ------------------------------------------------------------------------------- the split engine


def launch_params(flat: Flat) -> list[str]:
    """What a compiled launch is called with."""
    constants = [f"_const{i}" for i in range(len(flat.kernel.tables.constants))]
    return [*flat.kernel.params, *DIMS, "_fault", "_dynamic", *constants]


def split_source(
    flat: Flat,
    kinds: dict[str, types.Type | None],
    sites: set[int] | None,
    block: tuple[int, int, int] | None = None,
    unsigned: bool = False,
) -> str:
    """A whole launch as one function, `launch`.

    Args:
        flat: the kernel.
        kinds: the types of its variables.
        sites: those whose indices are checked; None for all.
        block: the size of a block, if the code is to be for this one only: loops over threads
            then have known lengths, which LLVM makes good use of.
        unsigned: whether the indices that are not checked are known not to be negative.
    """
    bounds = _Bounds(sites, unsigned, _tuples(kinds))
    head = HEADER + "\n\n" + "\n\n".join(_devices(flat, sites)) + "\n\n"
    if not flat.has_barriers:
        return head + _without_barriers(flat, bounds, block)
    split = Split(flat, kinds, registers=sites is not None)
    lines = [*_known_block(block), *shared_memory(flat.kernel)]
    lines.append("_threads = _blockDim_x * _blockDim_y * _blockDim_z")
    if any(n in ast.unparse(s) for s in flat.body for n in EXCHANGE):
        lines += ["_floats = _np.zeros(_threads, _np.float64)"]
        lines += ["_integers = _np.zeros(_threads, _np.int64)"]
        lines += ["_votes = _np.zeros(_threads, _np.int64)"]
    lines += [f"{mask} = _np.empty(_threads, _np.bool_)" for mask in split.masks]
    for variable, dtype in split.expanded.items():
        lines.append(f"_all_{variable} = _np.empty(_threads, _np.{_dtype(dtype)})")
    for i, memory in enumerate(flat.locals):
        shape = list(map(str, memory.shape))
        shape = [*shape, "_threads"] if i in split.registers else ["_threads", *shape]
        kind = _dtype(memory.dtype)
        lines.append(f"_all_local{i} = _np.empty(({', '.join(shape)},), _np.{kind})")
    changed = [p for p in flat.kernel.params if p in split.known.assigned]
    lines += [f"_given_{p} = {p}" for p in changed]
    body: list[str] = ["_thread = 0"]
    body += [f"{p} = _given_{p}" for p in changed if p not in split.expanded]
    body += [f"_all_{p}[:] = _given_{p}" for p in changed if p in split.expanded]
    for statement in split.body:
        tree = bounds.visit(ast.fix_missing_locations(statement))
        body.append(ast.unparse(ast.fix_missing_locations(tree)))
    text = JIT.format(cache=", cache=True") + f"def launch({', '.join(launch_params(flat))}):\n"
    text += _indent(lines, 4) + BLOCKS + _indent(body or ["pass"], 16)
    return head + text


def _tuples(kinds: dict[str, types.Type | None]) -> frozenset[str]:
    return frozenset(v for v, kind in kinds.items() if isinstance(kind, types.BaseTuple))


BLOCKS = (
    "    for _blockIdx_z in range(_gridDim_z):\n"
    "        for _blockIdx_y in range(_gridDim_y):\n"
    "            for _blockIdx_x in range(_gridDim_x):\n"
)
THREADS = (
    "                for _threadIdx_z in range(_blockDim_z):\n"
    "                    for _threadIdx_y in range(_blockDim_y):\n"
    "                        for _threadIdx_x in range(_blockDim_x):\n"
)


def _known_block(block: tuple[int, int, int] | None) -> list[str]:
    return [f"_blockDim_{axis} = {size}" for axis, size in zip("xyz", block or ())]


def _without_barriers(flat: Flat, bounds: _Bounds, block: tuple[int, int, int] | None) -> str:
    """Threads that never meet: a function for one thread, called in a loop."""
    local = [f"_local{i}" for i in range(len(flat.locals))]
    hidden = [*CONTEXT, "_fault", *memory_names(flat.kernel), *local]
    body = [bounds.visit(clone(statement)) for statement in flat.body]
    uses = any(n.id == "_thread" for s in body for n in ast.walk(s) if isinstance(n, ast.Name))
    if uses:
        body = ast.parse(f"_thread = {_LINEAR}").body + body
    text = JIT.format(cache="") + _function("_one_thread", [*flat.kernel.params, *hidden], body)
    lines = [*_known_block(block), *shared_memory(flat.kernel)]
    lines += [ast.unparse(_allocate(f"_local{i}", m)) for i, m in enumerate(flat.locals)]
    call = f"_one_thread({', '.join([*flat.kernel.params, *hidden])})"
    text += "\n\n" + JIT.format(cache=", cache=True")
    text += f"def launch({', '.join(launch_params(flat))}):\n" + _indent(lines, 4)
    return text + BLOCKS + THREADS + _indent([call], 28)


_LINEAR = "_threadIdx_x + _blockDim_x * (_threadIdx_y + _blockDim_y * _threadIdx_z)"


# ------------------------------------------------------------------------------ the gen engine


def gen_source(flat: Flat, kinds: dict[str, types.Type | None]) -> str:
    """One thread as a generator, `thread`, that yields the level of the barrier it waits at."""

    class Yields(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST:
            if not is_barrier(node):
                return self.generic_visit(node)
            level = node.value.args[0]  # type: ignore[attr-defined]
            return ast.copy_location(ast.Expr(ast.Yield(level)), node)

    params = [*flat.kernel.params, *CONTEXT, *EXCHANGE, "_fault", *memory_names(flat.kernel)]
    bounds = _Bounds(None, tuples=_tuples(kinds))
    body = [Yields().visit(bounds.visit(clone(statement))) for statement in flat.body]
    local = [_allocate(f"_local{i}", memory) for i, memory in enumerate(flat.locals)]
    start = ast.parse(f"_thread = {_LINEAR}").body
    text = JIT.format(cache="") + _function("thread", params, [*start, *local, *body])
    return HEADER + "\n\n" + "\n\n".join(_devices(flat, None)) + "\n\n" + text
