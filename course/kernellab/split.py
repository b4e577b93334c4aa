"""The engine for speed: a kernel is split at its barriers.

Between two barriers, threads are independent. So each stretch without a barrier becomes a loop
over the threads of the block, and numba compiles the whole launch as one function of plain loops:

    tile[t] = x[i]                  for t in range(threads):
    cuda.syncthreads()                  tile[t] = x[...]
    out[i] = tile[n - 1 - t]        for t in range(threads):
                                        out[...] = tile[n - 1 - t]

* A variable that lives across a barrier becomes an array with one place a thread.
* An `if` or a loop with a barrier in it whose condition differs from thread to thread becomes a
  mask, an array of flags: who takes part. `break`, `continue` and `return` clear flags.
* What is the same for the whole block (uniform.py) is done once, outside of the loops.

The technique is that of MCUDA (Stratton et al. 2008) and of pocl (Jaaskelainen et al. 2015).
"""

import ast
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numba import types
from numba.np import numpy_support

from course.kernellab.errors import Unsupported
from course.kernellab.flatten import Flat, is_barrier
from course.kernellab.lower import assign, clone, expression, name, statements
from course.kernellab.registers import in_registers
from course.kernellab.uniform import THREAD_NAMES, Loop, Uniformity, has_barrier


@dataclass
class Region:
    """A stretch without barriers, that every thread of a mask runs through."""

    body: list[ast.stmt]
    mask: str | None


@dataclass
class Around:
    """A loop with a barrier, around the statement that is being split.

    Attributes:
        loop: the loop.
        alive: the mask of the threads that are still in it; None if they all leave together.
        turn: the mask of those that have not left this iteration by `continue`.
        first: where its masks begin in the chain.
    """

    loop: Loop
    alive: str | None
    turn: str | None
    first: int


class Split:
    """A flat kernel, taken apart. `body` is what has to be done for one block.

    Args:
        flat: the kernel.
        kinds: {variable: numba type}, None for a variable with several types.
        registers: whether small local arrays become registers, which takes longer to compile.

    Raises:
        Unsupported: for what cannot be split, with the line and the reason.
    """

    def __init__(
        self, flat: Flat, kinds: dict[str, types.Type | None], registers: bool = True
    ) -> None:
        self.flat = flat
        self.params = flat.kernel.params
        self.kinds = dict(kinds)
        self.regions: list[Region] = []
        self.masks: list[str] = []
        self.synthetic = 0
        body = self._aliases(clone(flat.body))
        while body and isinstance(body[-1], ast.Return):
            body = body[:-1]
        body = self._unroll(body)
        self.registers: set[int] = set()
        if registers:
            body, self.registers = in_registers(body, flat.locals)
        self.known = Uniformity(body, self.params, self.kinds)
        self.again = self._again(body)
        body = self._without(body, set(self.again))
        returns = any(isinstance(node, ast.Return) for s in body for node in ast.walk(s))
        chain = [self._mask("_live")] if returns else []
        tree = (
            [*statements("_live[:] = True"), *self._split(body, chain, [])]
            if returns
            else (self._split(body, chain, []))
        )
        self.expanded = self._expanded()
        self.body = [part for node in tree for part in self._emit(node)]

    # ------------------------------------------------------- names for arrays

    def _aliases(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """`tile = _shared0`: the array's own name is used instead of the variable."""
        stores: dict[str, int] = {}
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    stores[node.id] = stores.get(node.id, 0) + 1
        alias: dict[str, str] = {}

        def fixed(value: ast.expr) -> bool:
            if not isinstance(value, ast.Name) or value.id in stores:
                return False
            memory = value.id.startswith(("_shared", "_local", "_const"))
            return memory or isinstance(self.kinds.get(value.id), types.Array)

        class Replace(ast.NodeTransformer):
            def visit_Assign(self, node: ast.Assign) -> Any:
                self.generic_visit(node)
                target = node.targets[0]
                if isinstance(target, ast.Name) and stores[target.id] == 1 and fixed(node.value):
                    alias[target.id] = cast(ast.Name, node.value).id
                    return ast.copy_location(ast.Pass(), node)
                return node

            def visit_Name(self, node: ast.Name) -> ast.Name:
                node.id = alias.get(node.id, node.id)
                return node

        replace = Replace()
        return [replace.visit(statement) for statement in body]

    # ----------------------------------------------- loops of unequal lengths

    def _unroll(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """A `for` with a barrier whose range differs from thread to thread becomes a `while`."""
        known = Uniformity(body, self.params, self.kinds)

        def change(body: list[ast.stmt]) -> list[ast.stmt]:
            out: list[ast.stmt] = []
            for node in body:
                for part in ("body", "orelse"):
                    if getattr(node, part, None):
                        setattr(node, part, change(getattr(node, part)))
                if isinstance(node, ast.For) and has_barrier(node):
                    target = cast(ast.Name, node.target).id
                    if target not in known.uniform:
                        out += self._counted(node, target)
                        continue
                out.append(node)
            return out

        return change(body)

    def _range(self, node: ast.For) -> list[ast.expr]:
        call = node.iter
        is_range = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if not is_range or cast(ast.Name, cast(ast.Call, call).func).id != "range":
            raise self.cannot(node, "a loop with a barrier that does not run over a `range`")
        args = cast(ast.Call, call).args
        if len(args) == 1:
            return [ast.Constant(0), args[0], ast.Constant(1)]
        return [*args, *([ast.Constant(1)] if len(args) == 2 else [])]

    def _counted(self, node: ast.For, target: str) -> list[ast.stmt]:
        self.synthetic += 1
        names = [f"_{word}{self.synthetic}" for word in ("next", "stop", "step")]
        for each in names:
            self.kinds[each] = types.int64
        start = [assign(n, value) for n, value in zip(names, self._range(node))]
        nxt, stop, step = names
        test = f"({step} > 0 and {nxt} < {stop}) or ({step} < 0 and {nxt} > {stop})"
        head = statements(f"{target} = {nxt}\n{nxt} = {nxt} + {step}")
        loop = ast.While(expression(test), [*head, *node.body], [])
        return [ast.copy_location(s, node) for s in (*start, loop)]

    # ------------------------------------------------- what is computed again

    def _again(self, body: list[ast.stmt]) -> dict[str, ast.expr]:
        """{variable: expression} of thread indices and the like: computed anew in each region."""
        found: dict[str, ast.expr] = {}
        for variable, stores in self.known.stores.items():
            if variable in self.known.uniform or len(stores) != 1 or variable in self.params:
                continue
            store = stores[0]
            kind = self.kinds.get(variable)
            fit = isinstance(kind, (types.Integer, types.Boolean, types.Array, types.BaseTuple))
            if not fit or store.loop_target or not self._pure(store.value, found, store.order):
                continue
            if any(not loop.has_barrier for loop in store.loops):
                continue  # changes within a region
            uses = self.known.uses.get(variable, [])
            if all(
                order > store.order and store.loops == around[: len(store.loops)]
                for order, around in uses
            ):
                found[variable] = store.value
        return found

    def _pure(self, node: ast.AST, found: dict[str, ast.expr], order: int) -> bool:
        """Whether an expression gives the same wherever it is computed after its statement."""
        if isinstance(node, ast.Name):
            if node.id in found or node.id in THREAD_NAMES:
                return True
            if node.id not in self.known.assigned:
                return True
            return node.id in self.known.uniform and self._settled(node.id, order)
        if isinstance(node, ast.Subscript) and not self._reads_no_memory(node):
            return False
        if isinstance(node, ast.Call) and not self.known.is_uniform(ast.Call(node.func, [], [])):
            return False
        return all(self._pure(part, found, order) for part in ast.iter_child_nodes(node))

    def _settled(self, variable: str, order: int) -> bool:
        """Whether a uniform variable does not change after a statement, within its loops."""
        stores = self.known.stores[variable]
        return len(stores) == 1 and stores[0].order < order

    def _reads_no_memory(self, node: ast.Subscript) -> bool:
        return getattr(node, "site", -1) < 0 or self.known.is_view(node)

    def _without(self, body: list[ast.stmt], variables: set[str]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for node in body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Name) and target.id in variables:
                continue
            for part in ("body", "orelse"):
                if getattr(node, part, None):
                    setattr(node, part, self._without(getattr(node, part), variables))
            out.append(node)
        return out or [ast.Pass()]

    # -------------------------------------------------------------- splitting

    def cannot(self, node: ast.AST, what: str) -> Unsupported:
        """The error for what cannot be split, with its line."""
        return Unsupported(f"line {getattr(node, 'lineno', '?')}: {what}")

    def _mask(self, label: str | None = None) -> str:
        self.masks.append(label or f"_mask{len(self.masks)}")
        return self.masks[-1]

    def _region(self, body: list[ast.stmt], chain: list[str]) -> list[ast.stmt]:
        if all(isinstance(s, ast.Pass) and not hasattr(s, "clears") for s in body):
            return []
        place: Any = ast.Pass()
        place.region = Region(body, chain[-1] if chain else None)
        self.regions.append(place.region)
        return [place]

    def _is_apart(self, node: ast.stmt) -> bool:
        """Whether a statement cannot be a part of a region as it is."""
        if is_barrier(node) or has_barrier(node):
            return True
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            return isinstance(target, ast.Name) and target.id in self.known.uniform
        if isinstance(node, ast.If):
            if _escapes(node) and self.known.is_uniform(node.test):
                return True
            inner = [n for n in (*node.body, *node.orelse) if not isinstance(n, EXITS)]
            return any(self._is_apart(n) for n in inner)
        return isinstance(node, EXITS)

    def _split(
        self, body: list[ast.stmt], chain: list[str], around: list[Around]
    ) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        run: list[ast.stmt] = []
        for node in body:
            if not self._is_apart(node):
                run.append(self._leaving(node, chain, around))
                continue
            out += self._region(run, chain)
            run = []
            if isinstance(node, ast.Assign):
                out.append(node)
            elif isinstance(node, ast.If):
                out += self._split_if(node, chain, around)
            elif isinstance(node, (ast.While, ast.For)):
                out += self._split_loop(node, chain, around)
            elif isinstance(node, (ast.Break, ast.Continue, ast.Return)):
                out += self._split_exit(node, chain, around)
                return out  # what follows is never reached
        return out + self._region(run, chain)

    def _split_if(self, node: ast.If, chain: list[str], around: list[Around]) -> list[ast.stmt]:
        if self.known.is_uniform(node.test):
            body = self._split(node.body, chain, around)
            orelse = self._split(node.orelse, chain, around)
            return [ast.If(node.test, body or [ast.Pass()], orelse)]
        yes, no = self._mask(), self._mask() if node.orelse else None
        out = statements(f"{yes}[:] = False" + (f"\n{no}[:] = False" if no else ""))
        test = statements(
            f"_c = bool(0)\n{yes}[_thread] = _c" + (f"\n{no}[_thread] = not _c" if no else "")
        )
        cast(ast.Assign, test[0]).value = ast.Call(name("bool"), [node.test], [])
        out += self._region(test, chain)
        out += self._split(node.body, [*chain, yes], around)
        if no:
            out += self._split(node.orelse, [*chain, no], around)
        return out

    def _split_loop(
        self, node: ast.While | ast.For, chain: list[str], around: list[Around]
    ) -> list[ast.stmt]:
        if node.orelse:
            raise self.cannot(node, "a loop with `else` and a barrier")
        loop = self.known.loops[id(node)]
        leaves = self.known.diverges(loop) or _returns(node)
        head = node.test if isinstance(node, ast.While) else node.iter
        if self.known.is_uniform(head) and not leaves:
            inner = [*around, Around(loop, None, None, len(chain))]
            body = self._split(node.body, chain, inner) or [ast.Pass()]
            if isinstance(node, ast.While):
                return [ast.While(node.test, body, [])]
            return [ast.For(node.target, node.iter, body, [])]
        alive = self._mask()
        turn = self._mask() if _continues(node) else None
        masks = [alive, turn] if turn else [alive]
        everybody = chain[-1] if chain else "True"
        out = statements(f"{alive}[:] = {everybody}")
        inner = [*around, Around(loop, alive, turn, len(chain))]
        inner_chain = [*chain, *masks]
        begin = statements(f"{turn}[:] = {alive}") if turn else []
        if isinstance(node, ast.For):
            body = [*begin, *self._split(node.body, inner_chain, inner)]
            body += statements(f"if not _np.any({alive}):\n    break")
            return [*out, ast.For(node.target, node.iter, body, [])]
        test = statements(f"_c = bool(0)\n{alive}[_thread] = _c\nif _c:\n    _any = True")
        cast(ast.Assign, test[0]).value = ast.Call(name("bool"), [node.test], [])
        body = [*statements("_any = False"), *self._region(test, [*chain, alive])]
        body += statements("if not _any:\n    break")
        body += [*begin, *self._split(node.body, inner_chain, inner)]
        return [*out, ast.While(ast.Constant(True), body, [])]

    def _split_exit(self, node: ast.stmt, chain: list[str], around: list[Around]) -> list[ast.stmt]:
        """`break`, `continue` or `return` that every thread of the chain takes."""
        if not isinstance(node, ast.Return):
            here = around[-1]
            own = sum(mask is not None for mask in (here.alive, here.turn))
            if len(chain) == here.first + own:  # nobody stays behind in a mask
                return [node]
        return self._region([self._leaving(node, chain, around)], chain)

    def _leaving(self, node: ast.stmt, chain: list[str], around: list[Around]) -> ast.stmt:
        """A statement of a region, with its exits marked by the flags that they clear."""
        if not _escapes(node):
            return node

        def mark(node: Any, in_loop: bool) -> Any:
            exits = isinstance(node, (ast.Break, ast.Continue, ast.Return))
            if exits and not (in_loop and not isinstance(node, ast.Return)):
                if in_loop:
                    raise self.cannot(node, "`return` in a loop of a kernel with barriers")
                out: Any = ast.Pass()
                out.clears = self._cleared(node, chain, around)
                return ast.copy_location(out, node)
            inside = in_loop or isinstance(node, (ast.For, ast.While))
            for part in ("body", "orelse"):
                if getattr(node, part, None):
                    setattr(node, part, [mark(inner, inside) for inner in getattr(node, part)])
            return node

        return mark(node, False)

    def _cleared(self, node: ast.stmt, chain: list[str], around: list[Around]) -> list[str]:
        if isinstance(node, ast.Return):
            return list(chain)
        here = around[-1]
        if here.alive is None:
            raise self.cannot(node, "a way out of a loop that the split engine did not expect")
        if isinstance(node, ast.Break):
            return chain[here.first :]
        return chain[here.first + 1 :]

    # ------------------------------------------------- variables of the threads

    def _expanded(self) -> dict[str, np.dtype]:
        """{variable: dtype} of those that live longer than a region."""
        regions: dict[str, set[int]] = {}
        for number, region in enumerate(self.regions):
            for statement in region.body:
                for node in ast.walk(statement):
                    if isinstance(node, ast.Name):
                        regions.setdefault(node.id, set()).add(number)
        for variable, value in self.again.items():  # computed anew where they are used
            for number in regions.get(variable, set()):
                for node in ast.walk(value):
                    if isinstance(node, ast.Name):
                        regions.setdefault(node.id, set()).add(number)
        out: dict[str, np.dtype] = {}
        private = self.known.assigned - self.known.uniform - set(self.again)
        for variable in sorted(private):
            where = regions.get(variable, set())
            if len(where) == 1:
                body = self.regions[next(iter(where))].body
                if first_is_store(variable, body) is not False:
                    continue
            if not where:
                continue
            kind = self.kinds.get(variable)
            if not isinstance(kind, (types.Number, types.Boolean)):
                what = "is of several types in turn" if kind is None else f"is a {kind}"
                raise Unsupported(f"`{variable}` lives across a barrier and {what}")
            out[variable] = numpy_support.as_dtype(kind)
        return out

    # ----------------------------------------------------------------- writing

    def _emit(self, node: Any) -> list[ast.stmt]:
        region = getattr(node, "region", None)
        if region is not None:
            return [self._threads(region)]
        for part in ("body", "orelse"):
            if getattr(node, part, None):
                inner = [new for old in getattr(node, part) for new in self._emit(old)]
                setattr(node, part, inner)
        return [node]

    def _threads(self, region: Region) -> ast.stmt:
        """The loop over the threads of the block."""
        read: set[str] = set()
        stored: set[str] = set()
        for statement in region.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    read.add(node.id)
                    if isinstance(node.ctx, ast.Store):
                        stored.add(node.id)
        again: list[str] = []

        def need(variable: str) -> None:
            if variable in self.again and variable not in again:
                for node in ast.walk(self.again[variable]):
                    if isinstance(node, ast.Name):
                        read.add(node.id)
                        need(node.id)
                again.append(variable)

        for variable in sorted(read):
            need(variable)
        before: list[ast.stmt] = []
        for number in range(len(self.flat.locals)):
            if f"_local{number}" in read:
                before += statements(f"_local{number} = _all_local{number}[_thread]")
        for variable in sorted(read & set(self.expanded)):
            before += statements(f"{variable} = _all_{variable}[_thread]")
        before += [assign(v, clone(self.again[v])) for v in again]
        after = [
            s
            for v in sorted(stored & set(self.expanded))
            for s in statements(f"_all_{v}[_thread] = {v}")
        ]
        body = [*before, *self._exits(region.body, after), *after] or [ast.Pass()]
        loop = statements(
            "for _threadIdx_z in range(_blockDim_z):\n"
            " for _threadIdx_y in range(_blockDim_y):\n"
            "  for _threadIdx_x in range(_blockDim_x):\n"
            "   _thread = _threadIdx_x + _blockDim_x * (_threadIdx_y + _blockDim_y * _threadIdx_z)"
        )[0]
        innermost = cast(Any, loop).body[0].body[0]
        if region.mask:
            body = [ast.If(expression(f"{region.mask}[_thread]"), body, [])]
        innermost.body += body
        return loop

    def _exits(self, body: list[ast.stmt], after: list[ast.stmt]) -> list[ast.stmt]:
        """Where a thread leaves: flags down, variables put away, on to the next thread."""
        out: list[ast.stmt] = []
        for node in body:
            clears = getattr(node, "clears", None)
            if clears is not None:
                for mask in clears:
                    out += statements(f"{mask}[_thread] = False")
                out += [*clone(after), ast.Continue()]
                continue
            for part in ("body", "orelse"):
                if getattr(node, part, None):
                    setattr(node, part, self._exits(getattr(node, part), after))
            out.append(node)
        return out


def first_is_store(variable: str, body: list[ast.stmt]) -> bool | None:
    """Whether a variable is surely written before it is read; None if it does not occur."""
    for position, statement in enumerate(body):
        found = _first(variable, statement)
        if found is None:
            continue
        maybe = isinstance(statement, (ast.If, ast.For, ast.While))
        if found and maybe and not _surely(variable, statement):
            # Not every thread comes by the assignment: a later reading may find an older value.
            return not any(occurs(variable, later) for later in body[position + 1 :])
        return found
    return None


def occurs(variable: str, node: ast.AST) -> bool:
    """Whether a variable is named in a tree."""
    return any(isinstance(part, ast.Name) and part.id == variable for part in ast.walk(node))


def _surely(variable: str, node: ast.stmt) -> bool:
    if not isinstance(node, ast.If):
        return False
    return all(first_is_store(variable, part) is True for part in (node.body, node.orelse))


def _first(variable: str, node: Any) -> bool | None:
    if not occurs(variable, node):
        return None
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.Assign):
        value = _first(variable, node.value)
        return value if value is not None else _first(variable, node.targets[0])
    if isinstance(node, ast.If):
        if _first(variable, node.test) is not None:
            return False
        return all(first_is_store(variable, part) is not False for part in (node.body, node.orelse))
    if isinstance(node, (ast.For, ast.While)):
        head = node.iter if isinstance(node, ast.For) else node.test
        if _first(variable, head) is not None:
            return False
        target = isinstance(node, ast.For) and _first(variable, node.target)
        return bool(target) or bool(first_is_store(variable, node.body))
    for part in ast.iter_child_nodes(node):
        found = _first(variable, part)
        if found is not None:
            return found
    return None


def _escapes(node: ast.stmt, in_loop: bool = False) -> bool:
    """Whether a statement can be left by `break`, `continue` or `return`."""
    if isinstance(node, ast.Return):
        return True
    if isinstance(node, (ast.Break, ast.Continue)):
        return not in_loop
    inside = in_loop or isinstance(node, (ast.For, ast.While))
    parts = [*getattr(node, "body", []), *getattr(node, "orelse", [])]
    return any(_escapes(part, inside) for part in parts)


def _returns(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Return) for part in ast.walk(node))


def _continues(node: Any) -> bool:
    """Whether a loop has a `continue` of its own."""

    def find(body: list[ast.stmt]) -> bool:
        for part in body:
            if isinstance(part, ast.Continue):
                return True
            if isinstance(part, ast.If) and (find(part.body) or find(part.orelse)):
                return True
        return False

    return find(node.body)


EXITS = (ast.Break, ast.Continue, ast.Return)
