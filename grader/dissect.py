"""Taking a check apart: what runs beside student code, and what stays outside.

A check says `assert_close(double(3.0), 6.0, hint="twice")`. Beside student code runs only
`__check__(0, double(3.0))`, which sends the value out. The expected value, the hint and the
tolerance stay with the `Site`. An expected value that is itself computed by the student's parts, as in
`assert_close(model(x), model(x))`, can only be computed there: both values are sent, and compared outside.
"""

import ast
import copy
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from course.learn.checks import BEGIN_HIDDEN, END_HIDDEN, Call, read_call
from grader.sandbox.recorder import STAND_IN
from grader.syntax import parse

HELPERS = (
    "assert_close",
    "assert_equal",
    "assert_true",
    "assert_raises",
    "assert_gradients",
    "assert_clean",
)
COMPARISONS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@dataclass(frozen=True)
class Site:
    """One assertion of a check.

    Attributes:
        kind: "close", "equal", "true", "compare", "raises", "gradients", "clean", or "credit": a
            number at the end of a check, which nbgrader takes for partial credit.
        call: what a message says about it.
        hint: the author's.
        tolerances: "rtol" and "atol", as far as the author gave them.
        comparison: the sign of a "compare", such as "<".
        nested: whether it stands in a function or class, which student code may call.
        sent: for each of its values, such as actual and expected, whether it is sent out.
    """

    kind: str
    call: Call
    hint: str = ""
    tolerances: dict[str, float] = field(default_factory=dict)
    comparison: str = ""
    nested: bool = False
    sent: tuple[bool, ...] = (True,)


@dataclass
class Dissected:
    """A check, taken apart.

    Attributes:
        sites: its assertions, in the order of its source.
        visible, hidden: what runs beside student code. The hidden part is empty if there is none.
        reference: the whole of it, with the expected values, for the reference to run.
    """

    sites: list[Site]
    visible: ast.Module
    hidden: ast.Module
    reference: ast.Module


def dissect(source: str, students: Iterable[str]) -> Dissected:
    """Take a check apart.

    Args:
        source: the check's, hidden part and all.
        students: the names that stand for student code: parts, and what is made of them.

    Raises:
        SyntaxError: if it is no Python.
    """
    tree = parse(source)
    own = _students_names(tree, set(students))
    sites: list[Site] = []
    rows = enumerate(source.splitlines(), 1)
    begin = next((n for n, row in rows if row.strip() == BEGIN_HIDDEN), len(source) + 1)
    # All that stands below the first hidden line runs hidden, and so does a statement around it.
    body = [x for x in tree.body if (x.end_lineno or x.lineno) >= begin]
    if body:
        begin = min(begin, body[0].lineno)
    outside = _Replace(source, own, sites, begin, inside=False).visit(copy.deepcopy(tree))
    inside = _Replace(source, own, [], begin, inside=True).visit(copy.deepcopy(tree))
    visible = ast.Module([x for x in inside.body if x.lineno < begin], [])
    hidden = ast.Module([x for x in inside.body if x.lineno >= begin], [])
    _drop_answers(hidden, own)
    return Dissected(sites, visible, hidden, outside)


def visible_source(source: str) -> str:
    """What students see of a check, on the same lines."""
    rows, hidden = [], False
    for row in source.splitlines():
        hidden = hidden or row.strip() == BEGIN_HIDDEN
        rows.append("" if hidden else row)
        hidden = hidden and row.strip() != END_HIDDEN
    return "\n".join(rows)


def students_names(notebook: Any) -> set[str]:
    """The names in a solved notebook that stand for student code.

    They are what exercises and given cells define, and what comes from `course`, which runs on it.
    """
    names: set[str] = set()
    for cell in notebook.cells:
        nbgrader = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or not nbgrader or nbgrader.get("grade"):
            continue
        for statement in parse(cell.source).body:
            if isinstance(statement, ast.ImportFrom):
                if (statement.module or "").startswith("course.") and not (
                    statement.module or ""
                ).startswith(("course.learn", "course.viz")):
                    names |= {alias.asname or alias.name for alias in statement.names}
            elif isinstance(statement, ast.Import):
                names |= {
                    (alias.asname or alias.name).partition(".")[0]
                    for alias in statement.names
                    if alias.name.startswith("course.")
                }
            elif cell.id != "setup":
                names |= set(_bound(statement))
    return names


class _Replace(ast.NodeTransformer):
    """Replaces calls of the helpers by calls of the stand-in, and writes down the sites."""

    def __init__(
        self, source: str, own: set[str], sites: list[Site], begin: int, inside: bool
    ) -> None:
        self.source = source
        self.own = own
        self.sites = sites
        self.begin = begin  # the line from which on all is hidden
        self.inside = inside
        self.depth = 0

    def visit_Module(self, tree: ast.Module) -> ast.AST:
        tree.body = [self.visit(statement) for statement in tree.body]
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr) and not _is_stand_in(last.value):
            call = read_call(self.source, None, last.lineno)
            last.value = self._stand_in(Site("credit", call), [last.value], last.value)
        return ast.fix_missing_locations(tree)

    def _nested(self, node: ast.AST) -> ast.AST:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _nested

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in HELPERS) or not node.args:
            return node
        kind = node.func.id.removeprefix("assert_")
        keywords = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
        hint = keywords.get("hint")
        if kind == "true" and len(node.args) > 1:
            hint = _literal(node.args[1])
        tolerances = {name: keywords[name] for name in ("rtol", "atol") if name in keywords}
        call = read_call(self.source, node, node.lineno, 1 if kind == "raises" else 0)
        values, comparison = list(node.args), ""
        sent: tuple[bool, ...]
        if kind in ("close", "equal") and len(values) == 2:
            sent = (True, self._is_students(values[1]))
        elif kind == "true":
            condition = values[0]
            values, sent = [condition], (True,)
            if isinstance(condition, ast.Compare) and not self.depth:
                comparison = self._comparison(condition)
                if comparison:
                    kind, values = "compare", [condition.left, *condition.comparators]
                    sent = tuple(map(self._is_students, values))
        else:
            # The error that a call should raise stays outside; everything else is called inside.
            sent = (kind != "raises", *[True] * (len(values) - 1))
        site = Site(
            kind,
            call,
            hint if isinstance(hint, str) else "",
            {name: x for name, x in tolerances.items() if isinstance(x, (int, float))},
            comparison,
            self.depth > 0,
            sent,
        )
        return self._stand_in(site, values, node)

    def _comparison(self, condition: ast.Compare) -> str:
        """The sign of a simple comparison that student code has a part in; else nothing."""
        if len(condition.ops) > 1 or not self._is_students(condition):
            return ""
        return COMPARISONS.get(type(condition.ops[0]), "")

    def _stand_in(self, site: Site, values: list[ast.expr], place: ast.expr) -> ast.Call:
        call = dataclasses.replace(site.call, hidden=place.lineno >= self.begin)
        self.sites.append(dataclasses.replace(site, call=call))
        number = len(self.sites) - 1
        if self.inside:
            values = [value for value, sent in zip(values, site.sent) if sent]
        stand_in = ast.Call(ast.Name(STAND_IN, ast.Load()), [ast.Constant(number), *values], [])
        return ast.fix_missing_locations(ast.copy_location(stand_in, place))

    def _is_students(self, expression: ast.expr) -> bool:
        return bool(_loaded(expression) & self.own)


def _is_stand_in(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == STAND_IN
    )


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _loaded(tree: ast.AST) -> set[str]:
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _bound(tree: ast.AST) -> Iterator[str]:
    """The names that a statement defines or changes, in whatever way."""
    if isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield tree.name
        return
    if isinstance(tree, ast.Name) and isinstance(tree.ctx, ast.Store):
        yield tree.id
    elif isinstance(tree, (ast.Attribute, ast.Subscript)) and isinstance(tree.ctx, ast.Store):
        yield from _base(tree)
    elif isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute):
        yield from _base(tree.func)  # it may change what it is a method of: history.append(...)
    for child in ast.iter_child_nodes(tree):
        yield from _bound(child)


def _base(node: ast.expr) -> Iterator[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _students_names(tree: ast.Module, names: set[str]) -> set[str]:
    """The given names, and those that the check computes from them.

    A statement that mentions one of them makes all that it defines one of them: too many rather
    than too few, as the expected value would then be the reference's, and not the student's own.
    """
    own = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    own |= {name for statement in tree.body for name in _defined(statement)}
    while True:
        found = set(names)
        for statement in tree.body:
            found |= _spread(statement, names) & own  # a module such as `math` is never changed
        if found == names:
            return names
        names = found


def _spread(statement: ast.stmt, names: set[str]) -> set[str]:
    """What a statement defines or changes with the help of these names."""
    if isinstance(statement, (ast.For, ast.With, ast.Try)):
        inner = [x for x in ast.walk(statement) if x is not statement and isinstance(x, ast.stmt)]
        found = set().union(*(_spread(x, names) for x in inner)) if inner else set()
        if isinstance(statement, ast.For) and _loaded(statement.iter) & names:
            found |= set(_bound(statement.target))
        if isinstance(statement, ast.With) and any(_loaded(x) & names for x in statement.items):
            found |= {name for item in statement.items for name in _bound(item)}
        return found
    return set(_bound(statement)) if _loaded(statement) & names else set()


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name


def _drop_answers(hidden: ast.Module, own: set[str]) -> None:
    """Take out what only the expected values needed."""
    while True:
        loaded = _loaded(hidden)
        kept = [
            statement
            for statement in hidden.body
            if not (
                isinstance(statement, ast.Assign)
                and not _loaded(statement.value) & own
                and all(isinstance(target, ast.Name) for target in statement.targets)
                and not loaded & set(_bound(statement))
            )
        ]
        if len(kept) == len(hidden.body):
            return
        hidden.body = kept
