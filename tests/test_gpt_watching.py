"""Looking on at a training, what there is to learn from, and the small model that is followed by hand."""

import sys

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nbclient import NotebookClient

from course.gpt.characters import CharTokenizer
from course.gpt.probe import Dealt, Probe
from course.gpt.projects import Adding, Sorting, next_tokens
from course.gpt.texts import LANGUAGES, documentation, names
from course.gpt.trainer import Trainer, TrainerConfig
from course.gpt.watching import ProgressBar, live
from course.tensor import Tensor, no_grad
from course.viz.training import arrows, training_curve


def probing(steps: int = 4, **options: int) -> Trainer:
    return Trainer(TrainerConfig(steps=steps, **options), Probe(1.0), Dealt([1.0]), Dealt([2.0]))  # type: ignore[arg-type]


# ---------------------------------------------------------------- what to learn from


@given(hnp.arrays(int, st.tuples(st.integers(1, 4), st.integers(2, 7)), elements=st.integers(0, 9)), st.data())  # fmt: skip
def test_targets_are_the_tokens_behind_those_that_are_given(
    rows: np.ndarray, data: st.DataObject
) -> None:
    n_given = data.draw(st.integers(1, rows.shape[1]))
    before = rows.copy()
    tokens, targets = next_tokens(rows, n_given)
    targets[:] = targets  # may be written into
    assert (rows == before).all()
    assert tokens.shape == targets.shape == (len(rows), rows.shape[1] - 1)
    assert (tokens == rows[:, :-1]).all()
    assert (targets[:, : n_given - 1] == -1).all()
    assert (targets[:, n_given - 1 :] == rows[:, n_given:]).all()


def test_every_sequence_is_in_one_part() -> None:
    parts = [Sorting(validation).every().tolist() for validation in (False, True)]
    assert sorted(parts[0] + parts[1]) == [list(x) for x in np.ndindex(*[3] * 6)]
    drawn = Sorting(True, 3, 2).questions(200, np.random.default_rng(0)).tolist()
    assert sorted(map(list, set(map(tuple, drawn)))) == Sorting(True, 3, 2).every().tolist()
    assert len(Adding(n_digits=1).sums) == 95


def test_the_documentation_is_plain() -> None:
    text = documentation()
    assert text.isascii()
    assert len(text) > 300_000
    assert len(CharTokenizer(text)) < 100
    assert 'The "assert" statement' in text


@pytest.mark.parametrize(
    ("language", "some", "letters"),
    [("english", {"Alice", "Zoe"}, (0x41, 0x7A)), ("arabic", {"ليلى", "يوسف"}, (0x621, 0x64A))],
)
def test_names(language: str, some: set[str], letters: tuple[int, int]) -> None:
    known = names(language)
    assert known == sorted(set(known))
    assert len(known) > 300
    assert some <= set(known)
    assert all(letters[0] <= ord(x) <= letters[1] for name in known for x in name)


def test_names_of_another_language() -> None:
    assert len(LANGUAGES) == 2
    with pytest.raises(ValueError, match="english and arabic, and none in 'latin'"):
        names("latin")


# ---------------------------------------------------------------- looking on


def test_a_bar_counts_and_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    trainer, bar = probing(), ProgressBar()
    trainer.on_step.append(bar)
    trainer.run(3)
    assert (bar.bar.n, bar.bar.total) == (3, 4)
    trainer.run()
    assert bar.bar is None
    assert "4/4" in capsys.readouterr().out
    later = probing()
    later.run(2)
    later.on_step.append(bar)
    later.run(1)
    assert (bar.bar.initial, bar.bar.n) == (2, 3)
    bar.bar.close()


CELL = """
from course.gpt.probe import Dealt, Probe
from course.gpt.trainer import Trainer, TrainerConfig
from course.gpt.watching import ProgressBar, live
from course.viz.training import training_curve
config = TrainerConfig(steps=6, eval_every=2, eval_batches=1)
trainer = Trainer(config, Probe(1.0), Dealt([1.0]), Dealt([2.0]))
trainer.on_step.append(ProgressBar())
trainer.on_evaluation.append(live(lambda t: training_curve(t.losses, t.evaluations)))
trainer.run();
"""


@pytest.mark.nbgrader
def test_a_notebook_keeps_one_picture() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    pictures = [x for x in notebook.cells[0].outputs if "<img" in x.get("data", {}).get("text/html", "")]  # fmt: skip
    assert len(pictures) == 1
    assert "6 steps" in pictures[0].data["text/html"]


def test_live_outside_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = probing(eval_every=2, eval_batches=1)
    trainer.on_evaluation.append(live(lambda trainer: f"after {trainer.step} steps"))
    trainer.run()
    assert capsys.readouterr().out.count("after") == 2


# ---------------------------------------------------------------- pictures


def test_a_training_curve_says_what_it_shows() -> None:
    picture = training_curve([3.0, 2.0, 1.5], [(2, 1.75)], lines={"trigrams": 1.7}, steps=9)
    assert picture.alt == (
        "Training: loss by step. 3 steps, the last with loss 1.5. Measured: 1.75 at 2. trigrams: 1.7."
    )
    assert picture.image is not None
    many = training_curve([1.0] * 8, [(i, i / 4) for i in range(1, 8)], lines={"a": 1, "b": 2})
    assert "Measured: ..., 0.75 at 3, 1 at 4," in many.alt
    with pytest.raises(ValueError, match="losses are empty"):
        training_curve([])


def test_arrows_say_what_they_show() -> None:
    alt = arrows({"a": (3, 4), "b": (0, 1)}, 2, title="Two").alt
    assert alt == (
        "Two: a is 5 long, at 53.13 degrees; b is 1 long, at 90 degrees; the circle has radius 2."
    )
    assert "circle" not in arrows({"a": (3, 4)}).alt


# ---------------------------------------------------------------- by hand


def test_a_probe_is_followed_by_hand() -> None:
    probe = Probe(5.0)
    _, loss = probe(Tensor([[8.0], [4.0]]), Tensor([[0], [0]]))
    loss.backward()
    assert (loss.item(), probe.lm_head.weight.grad.item()) == (30.0, 6.0)
    probe.eval()
    with no_grad():
        probe(Tensor([[8.0]]), Tensor([[0]]))
    probe.training = True  # its layer is still in evaluation mode
    probe(Tensor([[8.0]]), Tensor([[0]]))
    assert probe.calls == [(True, True), (False, False), (False, True)]
    dealt = Dealt([1.0, -2.0])
    generator = np.random.default_rng(0)
    assert [dealt.batch(2, generator)[0].tolist() for _ in range(3)] == [[[1.0]] * 2, [[-2.0]] * 2, [[1.0]] * 2]  # fmt: skip
    assert dealt.sizes == [2, 2, 2]
    assert dealt.drawn == np.random.default_rng(0).random(3).tolist()


def test_nothing_heavy_is_imported_with_the_trainer() -> None:
    """A notebook's first cell should not wait for what it may not use."""
    import subprocess

    code = (
        "import sys, course.gpt.trainer; print({'matplotlib', 'tqdm', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr
