"""Python text as a syntax tree, parsed by one thread at a time.

Until CPython 3.11.8 and 3.12.1 all threads share one count of how deep the parser's conversion is,
so two of them at once can raise `SystemError: AST constructor recursion depth mismatch`
(python/cpython issue 106905). Workers are threads: they parse here.
"""

from __future__ import annotations

import ast
import threading

_parsing = threading.Lock()


def parse(source: str) -> ast.Module:
    """The syntax tree of `source`, as `ast.parse` gives it.

    Raises:
        SyntaxError: if `source` is not Python.
    """
    with _parsing:
        return ast.parse(source)
