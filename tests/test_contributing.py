"""The example in CONTRIBUTING.md is a lesson that builds and proves."""

import importlib.util
import re
import sys

import pytest

from course.learn import manifest
from course.learn.manifest import Lesson, Part
from grader.build import build_lesson
from grader.paths import ROOT
from grader.verify import verify, verify_mutants


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example's lesson, in a repository of its own; its reference is importable."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    reference = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lesson, bank = re.findall(r"^`````markdown\n(.*?)^`````$", text, re.MULTILINE | re.DOTALL)
    module = tmp_path / "activations.py"
    module.write_text(reference[1])
    folder = tmp_path / "lessons" / "1_micrograd"
    folder.mkdir(parents=True)
    (folder / "3_leaks.md").write_text(lesson)
    (folder / "3_leaks.bank.md").write_text(bank)

    name = "course.micrograd.activations"
    spec = importlib.util.spec_from_file_location(name, module)
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, loaded)
    spec.loader.exec_module(loaded)
    built = build_lesson(folder / "3_leaks.md", tmp_path)
    entry = built.manifest()
    parts = tuple(Part(**part) for part in entry["parts"])
    lessons = manifest.lessons() | {
        entry["name"]: Lesson(entry["name"], entry["number"], entry["title"], parts)
    }
    monkeypatch.setattr(manifest, "lessons", lambda: lessons)
    return built, tmp_path


def test_the_example_holds(example):
    built, root = example
    assert built.text.number == "1.3"
    proofs = list(verify(built, root))
    assert [f"{proof.claim}: {proof.problem}" for proof in proofs if proof.problem] == []
    assert len(proofs) == 7


def test_the_example_notices_mistakes(example):
    built, root = example
    proof = verify_mutants(built, root)
    assert str(proof) == "1.3: 6 mutants, 5 killed, 1 equivalent, 0 survived (100.0 %)"
    assert proof.holds
