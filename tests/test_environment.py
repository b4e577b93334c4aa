"""pyproject.toml says what the course needs; requirements.lock and environment.yml must agree."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCK = (REPOSITORY / "requirements.lock").read_text()

NEEDED = [
    Requirement(line)
    for line in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
]

PLATFORMS = {
    "linux": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux-arm": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "mac": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "intel-mac": {"sys_platform": "darwin", "platform_machine": "x86_64"},
    "windows": {"sys_platform": "win32", "platform_machine": "AMD64"},
}

CONDA_NAMES = {"graphviz": "python-graphviz", "matplotlib": "matplotlib-base"}
NOT_FROM_CONDA = {
    "copydetect": "left to pip",
    "latex2mathml": "left to pip",
    "pyseccomp": "Linux only",
    "graphviz-pure": "conda has the true `dot`",
    "numba-cuda": "not for macOS, and environment.yml cannot tell platforms apart: left to pip",
    "uv": "only start.py uses it",
}


def pins() -> list[tuple[Requirement, str]]:
    """The entries of the lock: each pin, and the lines under it."""
    entries = re.findall(r"(?m)^([^\s#].*?)(?: \\)?\n((?:[ \t].*\n)*)", LOCK)
    return [(Requirement(pin), below) for pin, below in entries]


def applies(requirement: Requirement, platform: str) -> bool:
    environment = {**default_environment(), **PLATFORMS[platform]}
    return requirement.marker is None or requirement.marker.evaluate(environment)  # type: ignore[arg-type]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_lock_pins_each_dependency_once_and_within_its_bounds(platform: str) -> None:
    pinned: dict[str, list[Version]] = {}
    for pin, _ in pins():
        if applies(pin, platform):
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            pinned.setdefault(canonicalize_name(pin.name), []).append(Version(specifier.version))
    for requirement in NEEDED:
        if applies(requirement, platform):
            (version,) = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), (
                f"{requirement}, but {version} is pinned"
            )


def test_the_lock_was_compiled_from_these_dependencies() -> None:
    direct = {pin.name for pin, below in pins() if re.search(r"\bscalars-to-gpt\b", below)}
    assert direct == {canonicalize_name(requirement.name) for requirement in NEEDED}


def test_every_pin_has_hashes() -> None:
    assert len(pins()) > 100
    for pin, below in pins():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", below), pin


def test_the_lock_names_no_host_and_no_index() -> None:
    assert "://" not in LOCK
    assert "index" not in LOCK.lower()
    assert "find-links" not in LOCK
    assert not re.search(r"(?m)^\s*-(?!-hash=)", LOCK)


def conda() -> tuple[dict[str, SpecifierSet], list[str], str]:
    """environment.yml: its packages, what is left to pip, and its Python."""
    lines = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    python, *rest = [line for line in lines if isinstance(line, str)]
    packages = {name: SpecifierSet(bounds) for name, _, bounds in (x.partition(" ") for x in rest)}
    (pip,) = [line["pip"] for line in lines if not isinstance(line, str)]
    return packages, pip, python


def test_environment_yml_lists_the_same_dependencies() -> None:
    wanted = {
        CONDA_NAMES.get(requirement.name, requirement.name): requirement.specifier
        for requirement in NEEDED
        if applies(requirement, "linux") and requirement.name not in NOT_FROM_CONDA
    }
    packages, pip, _ = conda()
    assert packages == {**wanted, "pip": SpecifierSet(), "graphviz": SpecifierSet()}
    assert pip == ["-e ."]


def test_environment_yml_gives_a_python_that_binder_reads_and_the_course_takes() -> None:
    _, _, python = conda()
    form = re.fullmatch(r"python=(3\.\d+)", python)  # Binder takes any other for Python 3.10
    assert form
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(form[1])
