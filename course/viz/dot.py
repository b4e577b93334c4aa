"""Running Graphviz: whichever dot this machine has, or none."""

import os
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import graphviz
from graphviz.backend import dot_command


def find_dots() -> list[Path]:
    """The programs on this machine that can lay out a graph, best first.

    A system's own `dot` comes first; then `graphviz-pure`, which pip installs, also when the
    environment's scripts folder is not on PATH (a Jupyter kernel's often is not).
    """
    scripts = sysconfig.get_path("scripts")
    found = (
        shutil.which("dot"),
        shutil.which("graphviz-pure"),
        shutil.which("graphviz-pure", path=scripts),
    )
    return [Path(path) for path in dict.fromkeys(found) if path]


def to_svg(source: str) -> bytes | None:
    """Lay out a graph in the DOT language; None if no program on this machine can."""
    for binary in find_dots():
        try:
            with _dot_binary(binary):
                svg = graphviz.pipe("dot", "svg", source.encode(), quiet=True)
        except (graphviz.ExecutableNotFound, graphviz.CalledProcessError, OSError):
            continue  # a dot that is broken is as good as none: the next one may work
        if b"<svg" in svg:
            return svg
    return None


@contextmanager
def _dot_binary(path: Path) -> Iterator[None]:
    """Let the graphviz package use this program, and put back what it used before."""
    before: os.PathLike[str] = dot_command.DOT_BINARY
    dot_command.DOT_BINARY = path
    try:
        yield
    finally:
        dot_command.DOT_BINARY = before
