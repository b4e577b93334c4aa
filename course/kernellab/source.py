"""A kernel's source as a tree, and what the names in it mean.

The lab never runs a kernel's own bytecode. It reads the source, because only there can a barrier
be seen as the place where a thread has to wait.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from course.kernellab.errors import NoSource, Unsupported

MISSING = object()


@dataclass(frozen=True)
class FunctionSource:
    """A Python function's source, and the objects that its free names stand for.

    Attributes:
        name: the function's.
        tree: its definition; line numbers are those of the file or notebook cell.
        text: its source, with decorators.
        first_line: the line of the text's first line.
        filename: where a debugger finds the source.
        globals: names that are no locals, with their values at the time of reading.
        locals: parameters and variables.
    """

    name: str
    tree: ast.FunctionDef
    text: str
    first_line: int
    filename: str
    globals: dict[str, Any]
    locals: frozenset[str]

    @property
    def params(self) -> list[str]:
        """The names of the parameters, in order."""
        return [arg.arg for arg in self.tree.args.args]

    def value(self, node: ast.AST) -> Any:
        """The object that `name` or `name.attribute...` stands for; MISSING for anything else."""
        if isinstance(node, ast.Name):
            if node.id in self.locals:
                return MISSING
            return self.globals.get(node.id, MISSING)
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            # Only namespaces are looked into: an array's `.shape` is a question for run time.
            if isinstance(owner, (ModuleType, type)):
                return getattr(owner, node.attr, MISSING)
        return MISSING


def read(function: Callable) -> FunctionSource:
    """The source of a Python function.

    Raises:
        NoSource: if Python does not know it, as for functions made by `exec`.
        Unsupported: for parameters with defaults, `*args`, `**kwargs` and keyword-only ones.
    """
    name = getattr(function, "__name__", "?")
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise NoSource(
            f"the source of {name} cannot be found ({error}). Write the kernel in a notebook cell "
            "or in a file: the lab runs kernels from their source."
        ) from None
    text = textwrap.dedent("".join(lines))
    try:
        tree = ast.parse(text).body[0]
    except SyntaxError as error:
        raise NoSource(f"the source of {name} cannot be read by itself: {error}") from None
    if not isinstance(tree, ast.FunctionDef):
        raise NoSource(f"{name} is not defined by `def`: write the kernel as a function.")
    arguments = tree.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults:
        raise Unsupported(
            f"{name}: the lab wants plain parameters, without defaults, *args or keywords."
        )
    ast.increment_lineno(tree, first - 1)
    indent = len(lines[0]) - len(lines[0].lstrip())
    for node in ast.walk(tree):
        if hasattr(node, "col_offset"):
            node.col_offset += indent
            node.end_col_offset += indent  # type: ignore[attr-defined]
    code = function.__code__
    names = dict(function.__globals__)
    for free, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            names[free] = cell.cell_contents
        except ValueError:  # not yet assigned
            names.pop(free, None)
    return FunctionSource(
        name=name,
        tree=tree,
        text=text,
        first_line=first,
        filename=code.co_filename,
        globals=names,
        locals=frozenset(code.co_varnames + code.co_cellvars),
    )
