"""The engine that is plain Python: each CUDA thread is a generator that stops where it must wait.

It is slow, and open: `print` and `breakpoint()` work in a kernel, and a debugger shows the
student's own lines. The checker runs kernels with it too, with other functions for the accesses.

    _syncthreads()              (yield ("syncthreads", site))
    _shfl_sync(mask, v, lane)   (yield ("shfl_sync", site, mask, v, lane))
    a[i]                        _load(a, i, site, path)
    a[i] = v                    _store(a, i, v, site, path)
    x + y                       _Add(x, y)                  see arithmetic.py
    f(x)                        (yield from _device0_f(x, ...)), if threads meet in f

`path` tells in which iteration of which loops the access happens: accesses of a warp with the same
site and path are those that the hardware makes at once.
"""

import ast
from collections.abc import Callable
from types import CodeType
from typing import Any, cast

import numpy as np

from course.kernellab import arithmetic, runtime
from course.kernellab.lower import (
    CONTEXT,
    MEETINGS,
    Lowered,
    called,
    clone,
    name,
    site_of,
    statements,
)

HIDDEN = [*CONTEXT, "_path"]
"""Arguments that every function gets behind those of the student."""


def build(kernel: Lowered, types: dict[str, type], environment: dict[str, Any]) -> Callable:
    """The kernel as a Python function of its arguments, CONTEXT, the path, and its shared arrays.

    Args:
        kernel: what `lower` made.
        types: {variable: scalar type} of the kernel's variables; others keep what they are given.
        environment: `_load`, `_store`, `_atomic` and `_counts`, and how to make local arrays.

    Returns:
        a generator function if threads meet in the kernel, else a plain function.
    """
    counts = environment["_counts"]
    names: dict[str, Any] = dict(environment)
    for symbol in arithmetic.OPERATORS:
        names[f"_{symbol}"] = arithmetic.binary(symbol, counts)
    names |= {f"_{n}": _scalar(f, counts) for n, f in SCALARS.items()}
    names["_fma"] = counted_fma(counts)
    names |= {"_min": arithmetic.extreme("min"), "_max": arithmetic.extreme("max")}
    names["_power"] = arithmetic.binary("Pow", counts)
    names |= {"_abs": arithmetic.absolute, "_reciprocal": arithmetic.reciprocal}
    names |= {"_negate": arithmetic.negate, "_invert": arithmetic.invert}
    names |= {"_float": arithmetic.cast_to(np.float64), "_int": arithmetic.cast_to(np.int64)}
    names |= {"_round": arithmetic.rounded, "_plain": arithmetic.plain, "_np": np}
    functions = [kernel, *kernel.tables.devices.values()]
    for function in functions:
        types_here = types if function is kernel else {}
        code = _Python(function, types_here, names, counts).code(function is kernel)
        exec(code, names)
    return cast(Callable, names[kernel.name])


def _scalar(function: Callable, counts: Any) -> Callable:
    """A function of runtime.py for single values, as plain Python."""
    function = getattr(function, "py_func", function)

    def apply(*values: Any) -> Any:
        return arithmetic.plain(function(*values))

    return apply


def counted_fma(counts: Any) -> Callable:
    """`cuda.fma`, which is two operations."""

    def apply(a: Any, b: Any, c: Any) -> Any:
        counts.flops += 2
        return arithmetic.plain(arithmetic.fma(a, b, c))

    return apply


def _popc(value: Any) -> int:
    return bin(int(value) % 2 ** runtime.width(value)).count("1")


def _clz(value: Any) -> int:
    bits = runtime.width(value)
    return bits - (int(value) % 2**bits).bit_length()


def _ffs(value: Any) -> int:
    bits = int(value) % 2 ** runtime.width(value)
    return (bits & -bits).bit_length()


def _brev(value: Any) -> Any:
    width = runtime.width(value)
    reverse = int(format(int(value) % 2**width, f"0{width}b")[::-1], 2)
    return np.uint64(reverse) if width == 64 else np.uint32(reverse)


SCALARS: dict[str, Any] = {
    "popc": _popc,
    "clz": _clz,
    "ffs": _ffs,
    "brev": _brev,
    "fma": arithmetic.fma,
    "selp": lambda condition, a, b: a if condition else b,
    "cbrt": np.cbrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "fmod": np.fmod,
}


class _Python(ast.NodeTransformer):
    def __init__(
        self, function: Lowered, types: dict[str, type], names: dict[str, Any], counts: Any
    ) -> None:
        self.function, self.types, self.names, self.counts = function, types, names, counts
        self.loops: list[str] = []
        self.numbers: dict[str, str] = {}

    def code(self, is_kernel: bool) -> CodeType:
        """The function's code, with the lines of the source, for debuggers."""
        function = self.function
        body: list[ast.stmt] = []
        for number, memory in enumerate(function.locals):
            self.names[f"_memory_{function.name}_{number}"] = memory
            text = f"_local{number} = _local_array(_memory_{function.name}_{number})"
            body += statements(text)
        body += self.block(function.body)
        hidden = [*HIDDEN, *memory_names(function)]
        params = [*function.params, *hidden]
        tree = clone(function.source.tree)
        tree.name, tree.body, tree.decorator_list, tree.returns = function.name, body, [], None
        tree.args = ast.arguments([], [ast.arg(p) for p in params], None, [], [], None, [])
        module = ast.fix_missing_locations(ast.Module([tree], []))
        return compile(module, function.source.filename, "exec")

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for statement in body:
            new = self.visit(clone(statement))
            out += new if isinstance(new, list) else [new]
        return out

    def path(self) -> ast.expr:
        return name(self.loops[-1] if self.loops else "_path")

    def loop(self, node: Any) -> list[ast.stmt]:
        """A loop that counts its iterations."""
        depth = len(self.loops)
        counter, here = f"_turn{depth}", f"_path{depth}"
        around = self.loops[-1] if self.loops else "_path"
        self.loops.append(here)
        count = statements(f"{counter} += 1\n{here} = (*{around}, {counter})\n_tick()")
        node.body = [*count, *self.block(node.body)]
        self.loops.pop()
        node.orelse = self.block(node.orelse)
        return [*statements(f"{counter} = 0"), node]

    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        node.iter = self.visit(node.iter)
        return self.loop(node)

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        node.test = self.visit(node.test)
        return self.loop(node)

    def visit_If(self, node: ast.If) -> ast.stmt:
        node.test = self.visit(node.test)
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        target = node.targets[0]
        value = self.visit(node.value)
        if isinstance(target, ast.Subscript):
            arguments = [self.visit(target.value), self.visit(target.slice), value]
            place = [ast.Constant(site_of(target)), self.path()]
            store = ast.Expr(ast.Call(name("_store"), [*arguments, *place], []))
            return ast.copy_location(store, node)
        kind = self.types.get(target.id) if isinstance(target, ast.Name) else None
        if kind is not None:
            label = f"_as_{kind.__name__}"
            self.names[label] = arithmetic.cast_to(kind)
            value = ast.Call(name(label), [value], [])
        return ast.copy_location(ast.Assign([target], value), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        site = site_of(node)
        if site < 0:
            node.slice = self.visit(node.slice)
            node.value = self.visit(node.value)
            return node
        arguments = [
            self.visit(node.value),
            self.visit(node.slice),
            ast.Constant(site),
            self.path(),
        ]
        return ast.copy_location(ast.Call(name("_load"), arguments, []), node)

    def visit_Slice(self, node: ast.Slice) -> ast.expr:
        return cast(ast.expr, self.generic_visit(node))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        label = self.numbers.setdefault(repr(node.value), f"_number{len(self.numbers)}")
        full = f"{label}_{self.function.name}"
        self.names[full] = np.float64(node.value)
        return ast.copy_location(name(full), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        arguments = [self.visit(node.left), self.visit(node.right)]
        call = ast.Call(name(f"_{type(node.op).__name__}"), arguments, [])
        return ast.copy_location(call, node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        node.operand = self.visit(node.operand)
        helper = {ast.USub: "_negate", ast.Invert: "_invert"}.get(type(node.op))
        if helper is None:
            return node
        return ast.copy_location(ast.Call(name(helper), [node.operand], []), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments = [self.visit(argument) for argument in node.args]
        function = called(node)
        device = getattr(node, "device", None)
        if device is not None:
            path = self.path()
            deeper = ast.Tuple(
                [ast.Starred(path, ast.Load()), ast.Constant(site_of(node))], ast.Load()
            )
            hidden: list[ast.expr] = [*map(name, CONTEXT), deeper, *map(name, memory_names(device))]
            call = ast.Call(node.func, [*arguments, *hidden], [])
            new: ast.expr = ast.YieldFrom(call) if device.meets else call
        elif function in MEETINGS:
            head: list[ast.expr] = [ast.Constant(function[1:]), ast.Constant(site_of(node))]
            new = ast.Yield(ast.Tuple([*head, *arguments], ast.Load()))
        elif function is not None and function.startswith("_atomic_"):
            head = [ast.Constant(function[8:]), ast.Constant(site_of(node)), self.path()]
            new = ast.Call(name("_atomic"), [*head, *arguments], [])
        elif isinstance(node.func, ast.Name):
            known = function in BUILTINS
            new = ast.Call(
                name(f"_{function}" if known else node.func.id), arguments, node.keywords
            )
        else:
            new = self.method(node, arguments)
        return ast.copy_location(new, node)

    def method(self, node: ast.Call, arguments: list[ast.expr]) -> ast.expr:
        """`_np.float32(x)`, `_math.exp(x)`, and whatever else has a dot."""
        text = ast.unparse(node.func)
        module, _, attribute = text.partition(".")
        if module == "_math":
            self.names.setdefault(
                text.replace(".", "_"), arithmetic.mathematical(attribute, self.counts)
            )
            return ast.Call(name(text.replace(".", "_")), arguments, [])
        if module == "_np" and isinstance(getattr(np, attribute, None), type):
            kind = getattr(np, attribute)
            self.names[f"_as_{kind.__name__}"] = arithmetic.cast_to(kind)
            return ast.Call(name(f"_as_{kind.__name__}"), arguments, [])
        function = node.func if module == "_np" else self.visit(node.func)
        return ast.Call(name("_plain"), [ast.Call(function, arguments, [])], [])


BUILTINS = {"int", "float", "round", "abs"}


def memory_names(function: Lowered) -> list[str]:
    """The shared and constant arrays, under the names that the engines pass them."""
    tables = function.tables
    shared = [f"_shared{i}" for i in range(len(tables.shared))]
    return shared + [f"_const{i}" for i in range(len(tables.constants))]
