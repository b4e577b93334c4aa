"""Submissions that are alike: copies are found in disguise, and nobody is accused of the obvious."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_outcomes import (
    BACKWARD,
    OWN_BACKWARD,
    disguised,
    lesson,
    notebook,
    plain,
    solved_cells,
)
from nbformat.v4 import new_code_cell

from grader import similar
from grader.similar import OwnCode, Similar, find_similar, own_code, source_of


def code(student: str, *sources: str) -> OwnCode:
    return OwnCode(student, tuple((f"cell-{i}", source) for i, source in enumerate(sources)))


def known() -> list[str]:
    """What the lesson gives, and its answers."""
    built, bank = lesson()
    cells = [*built.student.cells, *built.solved.cells]
    return [source_of(x) for x in cells if x.cell_type == "code"] + [x.cell for x in bank]


def names(found: Similar) -> list[tuple[str, str]]:
    return [pair.students for pair in found.pairs]


OTHER = """
def backward(self):
    counts = dict()
    def count(value):
        for previous in value.inputs:
            counts[previous] = counts.get(previous, 0) + 1
            if counts[previous] == 1:
                count(previous)
    count(self)
    stack = [(self, 1.0)]
    total = {self: 1.0}
    while stack:
        value, gradient = stack.pop()
        for previous, derivative in zip(value.inputs, value.local_grads):
            total[previous] = total.get(previous, 0) + derivative * gradient
            counts[previous] = counts[previous] - 1
            if not counts[previous]:
                stack.append((previous, total[previous]))
    for value, gradient in total.items():
        value.grad = (0 if value.inputs else value.grad) + gradient
"""


def test_a_copy_is_found_under_other_names() -> None:
    copied = disguised(OWN_BACKWARD)
    assert "received" not in copied
    found = find_similar([code("b", copied), code("c", OTHER), code("a", OWN_BACKWARD)], [])
    (pair,) = found.pairs
    assert pair.students == ("a", "b")
    assert min(pair.shares) > 0.95
    for excerpts, name in zip(pair.excerpts, ("received[", "acc[")):
        (excerpt,) = excerpts
        marked = [line[0] for line in excerpt.lines if line and line[1]]
        assert any(name in text for text in marked)


def test_lines_that_are_not_alike_are_not_marked() -> None:
    own = "\n".join(f"print({number}, 'mine', sep=str({number}))" for number in range(30))
    found = find_similar([code("a", OWN_BACKWARD + own), code("b", OWN_BACKWARD)], [])
    (pair,) = found.pairs
    first, second = pair.shares
    assert first < 0.7 < second
    lines = pair.excerpts[0][0].lines
    assert lines[-1] is None  # left out, as nothing near it is alike
    assert not [line for line in lines if line and line[1] and "'mine'" in line[0]][2:]


def test_a_class_that_writes_what_the_lesson_knows_is_not_alike() -> None:
    _, bank = lesson()
    dice = random.Random(0)
    answers = {name: [source] for name, source in solved_cells().items()}
    for answer in bank:
        answers[answer.exercise].append(plain(answer.cell))
    codes = [
        code(f"s{number}", *(dice.choice(sources) for sources in answers.values()))
        for number in range(12)
    ]
    found = find_similar(codes, known())
    assert found.compared == 12
    assert names(found) == []
    # The class does have a lot in common: it is what is known that makes the difference.
    assert names(find_similar(codes, []))


def test_short_answers_are_not_alike() -> None:
    answer = "def lerp(a, b, t):\n    return a + t * (b - a)"
    assert names(find_similar([code("a", answer), code("b", answer)], [])) == []


@pytest.mark.parametrize(("students", "pairs"), [(5, 10), (6, 0)])
def test_what_many_wrote_is_nobodys_own(students: int, pairs: int) -> None:
    codes = [code(f"s{number}", OWN_BACKWARD) for number in range(students)]
    assert len(find_similar(codes, []).pairs) == pairs


def test_what_is_common_grows_with_the_class() -> None:
    for students, common in ((8, 5), (120, 12), (400, 20)):
        codes = [code(f"s{number}", "x = 1") for number in range(students)]
        assert find_similar(codes, []).common == common


def test_two_large_files_that_share_one_exercise_are_not_alike_as_a_whole() -> None:
    fillers = [
        "\n".join(f"{word}{number} = {number} {sign} f(y) {sign} [3]" for number in range(120))
        for word, sign in (("x", "+"), ("x", "@"))
    ]
    codes = [code(name, OWN_BACKWARD, filler) for name, filler in zip("ab", fillers)]
    assert names(find_similar(codes, [])) == []


def test_own_code_is_what_the_student_wrote() -> None:
    released = frozenset(source_of(x) for x in lesson()[0].student.cells if x.cell_type == "code")
    assert own_code("a", notebook({}), released).cells == ()
    changed = notebook({BACKWARD: OWN_BACKWARD, "slope": "assert True"})
    changed.cells.append(new_code_cell("print('é')\r\nprint(2)", id="mine"))
    changed.cells.append(new_code_cell("   ", id="empty"))
    changed.cells.append(new_code_cell("x = 1", id="odd", metadata={"nbgrader": "no"}))
    own = own_code("a", changed, released)
    assert [name for name, _ in own.cells] == [BACKWARD, "mine", "odd"]
    assert own.cells[1][1] == "print('é')\nprint(2)"
    assert not own.cut


def test_huge_cells_are_cut_and_that_is_said() -> None:
    huge = notebook({BACKWARD: "x = [1, 2, 3]\n" * 100_000})
    huge.cells += [new_code_cell("y = f(x)\n" * 5000, id=f"more-{i}") for i in range(9)]
    own = own_code("a", huge, frozenset())
    assert own.cut
    lengths = [len(source) for _, source in own.cells]
    assert max(lengths) == similar.LONGEST_CELL
    assert sum(lengths) == similar.LONGEST_CODE
    found = find_similar([own], [])
    assert any("a submission only: a" in note for note in found.notes)


def test_too_much_work_is_cut_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "MOST_PAIRS", 3)
    found = find_similar([code(name, OWN_BACKWARD) for name in "abcd"], [])
    assert len(found.pairs) == 3
    assert any("the 3 that have most were compared closely" in note for note in found.notes)


def test_progress_is_told() -> None:
    said: list[str] = []
    codes = [code(name, OWN_BACKWARD) for name in "ab"]
    find_similar(codes, [], lambda what, number, total: said.append(what))
    assert set(said) == {"reading code", "comparing"}


WRITTEN = [
    OWN_BACKWARD,
    disguised(OWN_BACKWARD),
    OTHER,
    "def broken(:\n  'é",
    "%magic\n!ls",
    "\x00",
]


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(len(WRITTEN))))
def test_the_order_of_the_submissions_does_not_matter(order: list[int]) -> None:
    codes = [code(f"s{number}", WRITTEN[number]) for number in order]
    assert find_similar(codes, [OTHER]) == find_similar(
        sorted(codes, key=lambda x: x.student), [OTHER]
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=4), st.text(max_size=100))
def test_anything_may_be_compared(texts: list[str], seed: str) -> None:
    """Whatever students write: no Python, half a character, nothing at all."""
    long = "\ud800" + seed + OWN_BACKWARD
    codes = [code("a", *texts, long), code("b", long, *texts), code("c", "", seed)]
    found = find_similar(codes, texts)
    assert set(names(found)) <= {("a", "b")}
    assert ("a", "b") in names(found)
