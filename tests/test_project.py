"""Rules of the house: which way imports point, style, types, and what may not be committed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.paths import ROOT

UNITS = ["start", "micrograd", "tensor", "graph", "lazy", "cuda", "gpt", "beyond"]  # in order
TOOLS = {"viz", "kernellab"}  # know no unit


def imported(path: Path) -> set[str]:
    """The top two names of every module that a file imports: course.viz, grader.build ..."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:2]) for name in names}


def course_files() -> list[Path]:
    return sorted((ROOT / "course").rglob("*.py"))


@pytest.mark.parametrize("path", course_files(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_arrows_point_one_way(path):
    package = path.relative_to(ROOT / "course").parts[0]
    used = {n.split(".")[1] for n in imported(path) if n.startswith("course.")}
    used &= {p.name for p in (ROOT / "course").iterdir() if p.is_dir()}
    assert not any(name.startswith(("grader", "tests")) for name in imported(path))
    if package in TOOLS:
        assert used <= {package}, f"{package} knows no unit and no tool but itself"
    elif package in UNITS:
        earlier = set(UNITS[: UNITS.index(package) + 1])
        if UNITS.index(package) >= UNITS.index("cuda"):
            earlier.add("kernellab")  # without which its kernels would need a GPU
        assert used <= earlier, f"{package} imports {used - earlier}, which come later"
    elif package == "learn":
        assert used <= {"learn"}


def test_functions_beside_kernels_have_types():
    """mypy lets course.cuda be without annotations, for its kernels' sake."""
    for path in sorted((ROOT / "course" / "cuda").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            if any("cuda.jit" in ast.unparse(x) for x in node.decorator_list):
                continue
            bare = [a.arg for a in node.args.args if a.annotation is None]
            place = f"{path.name}: {node.name}"
            assert node.returns is not None, f"{place} says nothing of what it returns"
            assert set(bare) <= {"self", "cls"}, f"{place}: {bare}"


def test_every_package_has_its_place():
    found = {p.name for p in (ROOT / "course").iterdir() if p.is_dir() and p.name[0] != "_"}
    assert found <= set(UNITS) | TOOLS | {"learn"}


def test_the_grader_parses_in_one_thread_at_a_time():
    """CPython before 3.11.8 may fail otherwise; grader/syntax.py tells how."""
    for path in (ROOT / "grader").rglob("*.py"):
        if path.name != "syntax.py":
            assert "ast.parse(" not in path.read_text(encoding="utf-8"), f"{path}: use syntax.parse"


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"])
def test_style_and_types(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_machine_path_or_registry_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    forbidden = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|/(?:root|home)/\w+/|/tmp/")
    found = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".lock", ".ipynb", ".json", ""}:
            # In the sandbox, /tmp/ is no place of any machine.
            if path.name in ("test_project.py", "test_sandbox.py"):
                continue
            for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if forbidden.search(line):
                    found.append(f"{name}:{n}: {line.strip()[:80]}")
    assert found == []
