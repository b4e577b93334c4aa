"""From a kernel's source to a tree that every engine understands.

`lower` replaces what is CUDA's by what is Python's, once, for all engines:

    cuda.threadIdx.x            _threadIdx_x
    cuda.grid(1)                _blockIdx_x * _blockDim_x + _threadIdx_x
    cuda.shared.array(32, f4)   _shared0, with its shape and dtype in `shared`
    cuda.syncthreads()          _syncthreads()
    cuda.atomic.add(a, i, v)    _atomic_add(a, i, v)
    TPB, float32, math.exp      16, _np.float32, _math.exp
    a[i] += v                   a[i] = a[i] + v
    x, y = a.shape              x = a.shape[0]; y = a.shape[1]

What still has to be done with the meetings of threads (`MEETINGS`), each engine does in its way.
"""

import ast
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import BuiltinFunctionType, ModuleType
from typing import Any, cast

import numpy as np
from numba import cuda, types
from numba.np import numpy_support

from course.kernellab.errors import Unsupported
from course.kernellab.records import Site
from course.kernellab.source import MISSING, FunctionSource, read

DIMS = {
    name: tuple(f"_{name}_{axis}" for axis in "xyz")
    for name in ("threadIdx", "blockIdx", "blockDim", "gridDim")
}
CONTEXT = [name for names in DIMS.values() for name in names]
"""What every lowered function can ask: where its thread is, and how large the launch is."""

THREAD = "(_threadIdx_x + _blockDim_x * (_threadIdx_y + _blockDim_y * _threadIdx_z))"
THREADS = "(_blockDim_x * _blockDim_y * _blockDim_z)"

BLOCK_MEETINGS = ("syncthreads", "syncthreads_count", "syncthreads_and", "syncthreads_or")
SHUFFLES = ("shfl_sync", "shfl_up_sync", "shfl_down_sync", "shfl_xor_sync")
VOTES = ("all_sync", "any_sync", "eq_sync", "ballot_sync", "match_any_sync", "match_all_sync")
MEETINGS = frozenset(f"_{name}" for name in (*BLOCK_MEETINGS, "syncwarp", *SHUFFLES, *VOTES))
"""Calls at which a thread waits for others."""

ATOMICS = (
    *("add", "sub", "max", "min", "nanmax", "nanmin", "and_", "or_", "xor", "inc", "dec"),
    *("exch", "cas", "compare_and_swap"),
)
FENCES = ("threadfence", "threadfence_block", "threadfence_system")
PURE = ("popc", "brev", "clz", "ffs", "fma", "cbrt", "selp")
OTHER = ("grid", "gridsize", "laneid", "warpsize", "activemask", "lanemask_lt", "nanosleep")


def _known() -> dict[int, str]:
    """{id of an object in numba.cuda: its name here}, however a kernel came to name it."""
    names = [*DIMS, *BLOCK_MEETINGS, "syncwarp", *SHUFFLES, *VOTES, *FENCES, *PURE, *OTHER]
    table = {id(value): name for name in names if (value := getattr(cuda, name, None)) is not None}
    table |= {id(getattr(cuda.atomic, name)): f"atomic.{name}" for name in ATOMICS}
    table[id(cuda.shared.array)] = "shared.array"
    table[id(cuda.local.array)] = "local.array"
    table[id(cuda.const.array_like)] = "const.array_like"
    return table


KNOWN = _known()


@dataclass(frozen=True)
class Memory:
    """An array that a kernel declares.

    Attributes:
        name: the variable it is first given to, for people.
        shape: its shape; () stands for "whatever the launch reserves" (dynamic shared memory).
        dtype: of its elements.
        line: where it is declared.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    line: int

    @property
    def nbytes(self) -> int:
        """Its size; 0 if the launch decides."""
        return math.prod(self.shape) * self.dtype.itemsize if self.shape else 0


@dataclass
class Tables:
    """What a kernel and the device functions that it calls have in common."""

    sites: list[Site] = field(default_factory=list)
    shared: list[Memory] = field(default_factory=list)
    constants: list[np.ndarray] = field(default_factory=list)
    devices: dict[Callable, "Lowered"] = field(default_factory=dict)


@dataclass
class Lowered:
    """A function in the engines' language.

    Attributes:
        source: where it comes from.
        name: what the engines call it.
        body: its statements.
        locals: the arrays that each of its threads has for itself: `_local0` and so on.
        tables: shared with the kernel it belongs to.
        meets: whether a thread may wait for others in it, or in what it calls.
    """

    source: FunctionSource
    name: str
    tables: Tables
    body: list[ast.stmt] = field(default_factory=list)
    locals: list[Memory] = field(default_factory=list)
    meets: bool = False
    uses_shared: bool = False

    @property
    def params(self) -> list[str]:
        """The names of its parameters."""
        return self.source.params


def lower(function: Callable) -> Lowered:
    """A kernel and all that it calls, lowered.

    Args:
        function: the Python function under `@cuda.jit`.

    Raises:
        Unsupported, NoSource: with the line and the reason.
    """
    lowered = Lowered(read(function), "_kernel", Tables())
    _Lower(lowered).run()
    return lowered


def expression(text: str) -> ast.expr:
    """The tree of a Python expression."""
    return ast.parse(text, mode="eval").body


def statements(text: str) -> list[ast.stmt]:
    """The trees of Python statements."""
    return ast.parse(text).body


def name(identifier: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(identifier, ast.Load())


def assign(target: str, value: ast.expr) -> ast.Assign:
    """`target = value`."""
    return ast.Assign([ast.Name(target, ast.Store())], value)


def called(node: ast.AST) -> str | None:
    """The name of the function that a call calls; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return None


def clone(node: Any) -> Any:
    """A copy of a tree. Marks stay on it; device functions are shared, not copied."""
    if isinstance(node, list):
        return [clone(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    new = type(node)(**{field: clone(value) for field, value in ast.iter_fields(node)})
    for mark in MARKS:
        if hasattr(node, mark):
            setattr(new, mark, getattr(node, mark))
    return new


MARKS = ("lineno", "col_offset", "end_lineno", "end_col_offset", "site", "device", "label")


def site_of(node: ast.AST) -> int:
    """The site that lowering gave to an access or a meeting; -1 if it gave none."""
    return getattr(node, "site", -1)


def meets(node: ast.AST | Iterable[ast.AST]) -> bool:
    """Whether a thread may wait for others somewhere in a tree (or in several)."""
    trees = [node] if isinstance(node, ast.AST) else list(node)
    return any(_is_meeting(part) for tree in trees for part in ast.walk(tree))


def _is_meeting(node: ast.AST) -> bool:
    device = getattr(node, "device", None)
    return called(node) in MEETINGS or (device is not None and device.meets)


class _Lower(ast.NodeTransformer):
    """The pass itself. Expressions come back as expressions, statements as lists of statements."""

    def __init__(self, out: Lowered) -> None:
        self.out = out
        self.source = out.source
        self.tables = out.tables
        self.temporaries = 0

    def run(self) -> None:
        self.out.body = self.block(self.source.tree.body)

    # ------------------------------------------------------------------ help

    def refuse(self, node: ast.AST, what: str) -> Unsupported:
        line = getattr(node, "lineno", self.source.first_line)
        return Unsupported(f"{self.source.name}, line {line}: {what}")

    def site(self, kind: str, node: ast.AST, text: str) -> int:
        line = getattr(node, "lineno", self.source.first_line)
        self.tables.sites.append(Site(len(self.tables.sites), kind, line, text))
        return len(self.tables.sites) - 1

    def temporary(self) -> str:
        self.temporaries += 1
        return f"_tmp{self.temporaries}"

    def at(self, node: ast.AST, *new: Any) -> Any:
        """The new nodes, at the place of an old one."""
        for item in new:
            for part in ast.walk(item):
                if not hasattr(part, "lineno"):
                    ast.copy_location(part, node)
        return new[0]

    def constant(self, node: ast.expr, what: str) -> Any:
        """The value of an expression of constants."""
        tree = ast.fix_missing_locations(ast.Expression(self.visit(node)))
        try:
            return eval(compile(tree, "<constant>", "eval"), {"_np": np, "_math": math})
        except NameError:
            text = ast.unparse(node)
            raise self.refuse(
                node, f"{what} must be a constant, and `{text}` is known at run time only."
            ) from None

    # ----------------------------------------------------------- expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Store):
            return node
        return self.literal(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        owner = self.source.value(node.value)
        dims = KNOWN.get(id(owner))
        if dims in DIMS:
            return self.at(node, name(DIMS[dims]["xyz".index(node.attr)]))
        return self.literal(node)

    def literal(self, node: ast.Name | ast.Attribute) -> ast.expr:
        """A name from outside the kernel, replaced by what it stands for."""
        value = self.source.value(node)
        if value is MISSING:
            return cast(ast.expr, self.generic_visit(node))
        intrinsic = KNOWN.get(id(value))
        if intrinsic == "laneid":
            return self.at(node, expression(f"({THREAD} % 32)"))
        if intrinsic == "warpsize":
            return self.at(node, ast.Constant(32))
        if isinstance(value, np.ndarray):
            return self.at(node, name(self.constant_array(value)))
        tree = constant_tree(value)
        if tree is None:
            text = ast.unparse(node)
            raise self.refuse(node, f"`{text}` is a {type(value).__name__}, {NOT_HERE}")
        return self.at(node, tree)

    def constant_array(self, value: np.ndarray) -> str:
        """The name under which the engines pass an array from outside the kernel."""
        for number, known in enumerate(self.tables.constants):
            if known is value:
                return f"_const{number}"
        self.tables.constants.append(value)
        return f"_const{len(self.tables.constants) - 1}"

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        exponent = node.right
        negative = isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub)
        number = exponent.operand if negative else None  # type: ignore[attr-defined]
        new = cast(ast.expr, self.generic_visit(node))
        whole = isinstance(number, ast.Constant) and type(number.value) is int
        if isinstance(node.op, ast.Pow) and whole:
            # numba's own code for x ** -2 raises an error where x is 0; a GPU gives infinity.
            power = ast.BinOp(node.left, ast.Pow(), cast(ast.expr, number))
            return self.at(node, ast.Call(name("_reciprocal"), [power], []))
        if isinstance(node.op, ast.Pow) and not isinstance(node.right, (ast.Constant, ast.UnaryOp)):
            return self.at(node, ast.Call(name("_power"), [node.left, node.right], []))
        return new

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        value = self.source.value(node.value)
        if isinstance(value, tuple):  # numbers from outside: TILE[0]
            try:
                return self.at(node, constant_tree(value[self.constant(node.slice, "index")]))
            except Unsupported:
                pass  # an index of run time, into a tuple
        text = ast.unparse(node)
        kind = "store" if isinstance(node.ctx, ast.Store) else "load"
        is_tuple = isinstance(node.value, ast.Attribute) and node.value.attr in ("shape", "strides")
        site = -1 if is_tuple else self.site(kind, node, text)
        new = cast(ast.Subscript, self.generic_visit(node))
        new.site = site  # type: ignore[attr-defined]
        return new

    def visit_Call(self, node: ast.Call) -> ast.expr:
        value = self.source.value(node.func)
        intrinsic = KNOWN.get(id(value))
        if intrinsic is not None:
            return self.at(node, self.intrinsic(node, intrinsic))
        if (
            isinstance(node.func, ast.Name)
            and node.func.id in ("min", "max")
            and len(node.args) > 1
        ):
            best, *others = [self.visit(argument) for argument in node.args]
            for other in others:  # in CUDA, numbers win over nan
                best = ast.Call(name(f"_{node.func.id}"), [best, other], [])
            return self.at(node, best)
        if hasattr(value, "targetoptions") and hasattr(value, "py_func"):
            return self.device_call(node, value)
        if isinstance(value, ModuleType):
            raise self.refuse(node, f"`{ast.unparse(node.func)}` is a module, and cannot be called")
        return cast(ast.expr, self.generic_visit(node))

    def device_call(self, node: ast.Call, value: Any) -> ast.expr:
        """A call of a function under `@cuda.jit`, with or without `device=True`, as numba has it."""
        function = value.py_func
        if function not in self.tables.devices:
            number = len(self.tables.devices)
            device = Lowered(read(function), f"_device{number}_{function.__name__}", self.tables)
            self.tables.devices[function] = device
            _Lower(device).run()
        device = self.tables.devices[function]
        if not device.body:
            raise self.refuse(node, f"{function.__name__} calls itself: the lab does not recurse")
        if node.keywords:
            raise self.refuse(node, "call device functions with arguments in their order")
        if len(node.args) != len(device.params):
            raise self.refuse(
                node,
                f"{function.__name__} takes {len(device.params)} arguments, got {len(node.args)}",
            )
        self.out.meets |= device.meets
        self.out.uses_shared |= device.uses_shared
        new = ast.Call(name(device.name), [self.visit(argument) for argument in node.args], [])
        new.device = device  # type: ignore[attr-defined]
        new.site = self.site("call", node, ast.unparse(node))  # type: ignore[attr-defined]
        return self.at(node, new)

    def intrinsic(self, node: ast.Call, what: str) -> ast.expr:
        """What a call of numba.cuda's becomes."""
        if what in ("grid", "gridsize"):
            count = self.constant(node.args[0], "the number of dimensions")
            axes = zip(DIMS["blockIdx"], DIMS["blockDim"], DIMS["threadIdx"], DIMS["gridDim"])
            one = "({0} * {1} + {2})" if what == "grid" else "({3} * {1})"
            parts = [one.format(*axis) for axis in axes][:count]
            return expression(parts[0] if count == 1 else f"({', '.join(parts)})")
        if what in ("shared.array", "local.array"):
            return self.declare(node, what)
        if what == "const.array_like":
            value = self.source.value(node.args[0])
            if not isinstance(value, np.ndarray):
                raise self.refuse(
                    node, "cuda.const.array_like wants an array from outside the kernel"
                )
            return name(self.constant_array(value))
        text = ast.unparse(node)
        args = [self.visit(argument) for argument in node.args]
        if node.keywords:
            raise self.refuse(node, f"`{text}`: give the arguments without keywords")
        if what.startswith("atomic."):
            new = ast.Call(name("_atomic_" + what[7:].rstrip("_")), args, [])
            if what == "atomic.compare_and_swap":
                new = ast.Call(name("_atomic_cas"), [args[0], ast.Constant(0), *args[1:]], [])
            new.site = self.site("atomic", node, text)  # type: ignore[attr-defined]
            return new
        if what in FENCES or what == "nanosleep":
            return ast.Call(name("_threadfence"), [], []) if what in FENCES else ast.Constant(None)
        if what == "activemask":
            return expression(f"((1 << min(32, {THREADS} - {THREAD} // 32 * 32)) - 1)")
        if what == "lanemask_lt":
            return expression(f"((1 << ({THREAD} % 32)) - 1)")
        if what in PURE:
            return ast.Call(name(f"_{what}"), args, [])
        self.out.meets = True
        warps = what not in BLOCK_MEETINGS
        if what == "syncwarp" and not args:
            args = [ast.Constant(0xFFFFFFFF)]
        new = ast.Call(name(f"_{what}"), args, [])
        kind = "warp" if warps else "barrier"
        new.site = self.site(kind, node, text)  # type: ignore[attr-defined]
        return new

    def declare(self, node: ast.Call, what: str) -> ast.expr:
        """A place in shared or local memory."""
        given = dict(zip(("shape", "dtype"), node.args))
        given |= {word.arg: word.value for word in node.keywords if word.arg}
        if "shape" not in given or "dtype" not in given:
            raise self.refuse(node, f"cuda.{what} needs a shape and a dtype")
        shape = self.constant(given["shape"], f"the shape of cuda.{what}")
        shape = tuple(int(n) for n in (shape if isinstance(shape, tuple) else (shape,)))
        dtype = given["dtype"]
        value = dtype.value if isinstance(dtype, ast.Constant) else self.source.value(dtype)
        kind = what.partition(".")[0]
        place = self.tables.shared if kind == "shared" else self.out.locals
        self.out.uses_shared |= kind == "shared"
        if shape == (0,) and kind == "shared":
            shape = ()
        label = getattr(node, "label", f"{kind}{len(place)}")
        taken = {memory.name for memory in (*self.tables.shared, *self.out.locals)}
        label = next(n for n in (label, *(f"{label} {i}" for i in range(2, 99))) if n not in taken)
        place.append(Memory(label, shape, numpy_dtype(value), node.lineno))
        return name(f"_{kind}{len(place) - 1}")

    # ------------------------------------------------------------ statements

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            out += [] if new is None else new if isinstance(new, list) else [new]
        return out or [ast.Pass()]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt) and not isinstance(node, ALLOWED):
            raise self.refuse(
                node, f"`{ast.unparse(node).splitlines()[0]}` is nothing for a kernel"
            )
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.Dict, ast.List)):
            raise self.refuse(node, f"`{ast.unparse(node)}` is nothing for a kernel")
        return super().generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        node.test = self.visit(node.test)
        node.body = self.block(node.body)
        node.orelse = self.block(node.orelse) if node.orelse else []
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        return self.visit_If(cast(ast.If, node))

    def visit_For(self, node: ast.For) -> ast.AST:
        node.iter = self.visit(node.iter)
        if not isinstance(node.target, ast.Name):
            unpack = self.temporary()
            target, node.target = node.target, ast.Name(unpack, ast.Store())
            first = ast.copy_location(ast.Assign([target], name(unpack)), node)
            node.body = [self.at(node, first), *node.body]
        node.body = self.block(node.body)
        node.orelse = self.block(node.orelse) if node.orelse else []
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant):  # a docstring
            return None
        node.value = self.visit(node.value)
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Assert(self, node: ast.Assert) -> None:
        """A kernel asserts only with debug=True; without, CUDA leaves it out, and so do we."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        out: list[ast.stmt] = []
        target = node.target
        if isinstance(target, ast.Subscript) and has_call(target.slice):
            index = self.temporary()  # evaluated once, as Python does
            out += self.visit_Assign(self.at(node, assign(index, target.slice)))
            target = ast.Subscript(target.value, name(index), ast.Store())
        old = cast(Any, clone(target))
        old.ctx = ast.Load()
        value = ast.BinOp(old, node.op, node.value)
        new = ast.Assign([target], value)
        return out + self.visit_Assign(self.at(node, ast.copy_location(new, node)))

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        """One assignment for each variable or element."""
        for target in node.targets:
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Call):
                node.value.label = target.id  # type: ignore[attr-defined]
        value = self.visit(node.value)
        if len(node.targets) == 1:
            return self.give(node, node.targets[0], value)
        if isinstance(value, (ast.Constant, ast.Name)):
            return [s for t in node.targets for s in self.give(node, t, clone(value))]
        held = self.temporary()
        out: list[ast.stmt] = [self.at(node, assign(held, value))]
        return out + [s for t in node.targets for s in self.give(node, t, name(held))]

    def give(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        """`target = value`, where the target may be a tuple of targets."""
        if not isinstance(target, (ast.Tuple, ast.List)):
            new = ast.Assign([self.visit(target)], value)
            return [self.at(node, ast.copy_location(new, node))]
        out: list[ast.stmt] = []
        parts = list(target.elts)
        if isinstance(value, ast.Tuple) and len(value.elts) == len(parts):
            values = list(value.elts)
            written = {n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name)}
            read_names = {n.id for v in values for n in ast.walk(v) if isinstance(n, ast.Name)}
            plain = all(isinstance(part, ast.Name) for part in parts)
            if not plain or written & read_names:  # a, b = b, a
                held = [self.temporary() for _ in values]
                out += [self.at(node, assign(h, v)) for h, v in zip(held, values)]
                values = [name(h) for h in held]
        else:
            if not (isinstance(value, ast.Attribute) and value.attr == "shape"):
                held_tuple = self.temporary()
                out.append(self.at(node, assign(held_tuple, value)))
                value = name(held_tuple)
            values = [
                ast.Subscript(clone(value), ast.Constant(i), ast.Load()) for i in range(len(parts))
            ]
        for part, each in zip(parts, values):
            out += self.give(node, part, each)
        return out


ALLOWED = (
    *(ast.Assign, ast.Expr, ast.If, ast.While, ast.For, ast.Pass),
    *(ast.Break, ast.Continue, ast.Return),
)
AS_FLOAT = ("floor", "ceil", "trunc", "fmod")
"""Functions of `math` that give a float on a GPU, where numba for CPUs gives an integer or nothing."""

NOT_HERE = "which the lab does not know in kernels."


def has_call(node: ast.AST) -> bool:
    """Whether something is called in an expression."""
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


def numpy_dtype(value: Any) -> np.dtype:
    """The numpy dtype of a numba type, a numpy type, or a name such as "float32"."""
    if isinstance(value, types.Type):
        return numpy_support.as_dtype(value)
    return np.dtype(value)


def constant_tree(value: Any) -> ast.expr | None:
    """A value from outside a kernel as source; None if there is no way to write it."""
    if value is None or isinstance(value, (bool, int, str)):
        return ast.Constant(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return ast.Constant(value)
        return expression(_special(value))
    if isinstance(value, complex):
        return ast.Constant(value)
    if isinstance(value, (np.bool_, np.number)):
        kind = type(value).__name__
        inner = constant_tree(value.item())
        return None if inner is None else ast.Call(expression(f"_np.{_scalar(kind)}"), [inner], [])
    if isinstance(value, tuple):
        parts = [constant_tree(part) for part in value]
        return None if None in parts else ast.Tuple(cast(list, parts), ast.Load())
    if isinstance(value, types.Type):
        try:
            return expression(f"_np.{_scalar(numpy_dtype(value).name)}")
        except NotImplementedError:
            return None
    if isinstance(value, type) and issubclass(value, np.generic):
        return expression(f"_np.{_scalar(value.__name__)}")
    function = str(getattr(value, "__name__", ""))
    if isinstance(value, BuiltinFunctionType) and value is getattr(math, function, None):
        return name(f"_{function}") if function in AS_FLOAT else expression(f"_math.{function}")
    if isinstance(value, (type, BuiltinFunctionType)) and value.__module__ == "builtins":
        return name(function)
    if function and getattr(np, function, None) is value:
        return expression(f"_np.{function}")
    return None


def _scalar(kind: str) -> str:
    return "bool_" if kind in ("bool", "bool_") else kind


def _special(value: float) -> str:
    return "_np.nan" if value != value else "_np.inf" if value > 0 else "(-_np.inf)"
