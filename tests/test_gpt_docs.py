"""docs/gpt.md says what works."""

import re

import pytest

from course.tensor import use_kernels
from grader.paths import ROOT


def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/gpt.md").read_text(encoding="utf-8")
    example, weights, watching, fast = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    example = example.replace("steps=200", "steps=20").replace("eval_every=100", "eval_every=10")
    names: dict[str, object] = {}
    try:
        exec(example + watching + fast, names)
    finally:
        use_kernels(False)
    said = capsys.readouterr().out
    assert "[(10, " in said
    assert "The value" in said
    exec("\n".join(line for line in weights.splitlines() if line.startswith("from ")), names)
