"""course.gpt's sampling, trainer and projects."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course.gpt.choosing import keep_top_k, keep_top_p, pick, softmax
from course.gpt.config import GPTConfig
from course.gpt.cost import pass_flops
from course.gpt.model import GPT, logits_of
from course.gpt.projects import Adding, Sorting, Text, trigram_loss
from course.gpt.sampling import (
    cached_logits,
    draw,
    generate,
    last_logits,
    probabilities,
    stream,
)
from course.gpt.trainer import Trainer, TrainerConfig, decay_groups
from course.tensor import manual_seed

LOGITS = np.log(np.array([[0.1, 0.4, 0.2, 0.3]]))


def small(dropout: float = 0.0, seed: int = 0, **sizes: int) -> GPT:
    """A model for three tokens."""
    manual_seed(seed)
    sizes = {"vocab_size": 3, "block_size": 11, "n_layer": 1, "n_head": 2, "n_embd": 16} | sizes
    return GPT(GPTConfig(**sizes, embd_pdrop=dropout, resid_pdrop=dropout, attn_pdrop=dropout))  # type: ignore[arg-type]


# ---------------------------------------------------------------- sampling


def test_probabilities_by_hand() -> None:
    assert probabilities(LOGITS)[0] == pytest.approx([0.1, 0.4, 0.2, 0.3])
    assert probabilities(LOGITS, temperature=0.5)[0] == pytest.approx(
        np.array([0.01, 0.16, 0.04, 0.09]) / 0.3
    )
    assert probabilities(LOGITS, top_k=2)[0] == pytest.approx([0, 4 / 7, 0, 3 / 7])
    assert probabilities(LOGITS, top_k=9)[0] == pytest.approx([0.1, 0.4, 0.2, 0.3])
    assert probabilities(LOGITS, top_p=0.4)[0] == pytest.approx([0, 1, 0, 0])
    assert probabilities(LOGITS, top_p=0.41)[0] == pytest.approx([0, 4 / 7, 0, 3 / 7])
    assert probabilities(LOGITS, top_p=1.0)[0] == pytest.approx([0.1, 0.4, 0.2, 0.3])
    assert probabilities(LOGITS, top_k=3, top_p=0.5)[0] == pytest.approx([0, 4 / 7, 0, 3 / 7])
    assert probabilities(np.zeros((1, 4)), top_k=2)[0].tolist() == [0.5, 0.5, 0, 0]


EIGHTHS = st.integers(-640, 640).map(lambda n: n / 8)  # so that none are equal but for rounding


@given(
    hnp.arrays(np.float32, (2, 6), elements=EIGHTHS),
    st.floats(0.1, 10),
    st.none() | st.integers(1, 8),
    st.none() | st.floats(0.01, 1.0),
)
def test_probabilities_are_some(logits, temperature, k, p) -> None:  # type: ignore[no-untyped-def]
    out = probabilities(logits, temperature, k, p)
    np.testing.assert_allclose(out.sum(-1), 1)
    assert (out >= 0).all()
    assert (out[np.arange(2), logits.argmax(-1)] > 0).all()  # the likeliest may always be chosen
    if k:
        assert ((out > 0).sum(-1) <= k).all()


def test_draws_follow_the_probabilities() -> None:
    drawn = draw(np.tile([0.0, 0.4, 0.0, 0.6], (20_000, 1)), np.random.default_rng(0))
    assert set(drawn) == {1, 3}
    assert (drawn == 1).mean() == pytest.approx(0.4, abs=0.02)


ROWS = hnp.arrays(np.float64, (3, 7), elements=st.integers(0, 6).map(lambda x: x / 8)).map(
    lambda x: x + 1 / 8
)  # many of them equal


@given(ROWS, st.integers(1, 9))
def test_the_k_largest_stay_and_of_equals_the_first(rows: np.ndarray, k: int) -> None:
    for row, kept in zip(rows, keep_top_k(rows, k)):
        wanted = sorted(range(7), key=lambda i: -row[i])[:k]
        assert [*np.flatnonzero(np.isfinite(kept))] == sorted(wanted)
        assert (kept[wanted] == row[wanted]).all()


@given(ROWS, st.floats(0.01, 1.0))
def test_as_few_as_have_the_share_stay(rows: np.ndarray, p: float) -> None:
    chances = rows / rows.sum(-1, keepdims=True)
    for row, kept in zip(chances, keep_top_p(chances, p)):
        order = sorted(range(7), key=lambda i: -row[i])
        n = int((kept > 0).sum())
        assert sorted(order[:n]) == [*np.flatnonzero(kept)]
        assert row[order[: n - 1]].sum() < p + 1e-12
        assert row[order[:n]].sum() > p - 1e-12
        np.testing.assert_allclose(kept[order[:n]], row[order[:n]] / row[order[:n]].sum())


@given(ROWS, st.floats(0.05, 20))
def test_a_temperature_is_a_power(rows: np.ndarray, temperature: float) -> None:
    powers = rows ** (1 / temperature)
    np.testing.assert_allclose(
        softmax(np.log(rows), temperature), powers / powers.sum(-1, keepdims=True)
    )


@given(ROWS, hnp.arrays(np.float64, 3, elements=st.floats(0, 1, exclude_max=True)))
def test_what_has_no_probability_is_never_picked(rows: np.ndarray, numbers: np.ndarray) -> None:
    rows = np.where(rows > 0.4, rows, 0)
    rows[:, 3] = 1e-9
    for row, number, token in zip(rows, numbers, pick(rows, numbers)):
        assert row[token] > 0
        ends = np.cumsum(row)
        assert ends[token] - row[token] <= number * ends[-1] + 1e-12
        assert number * ends[-1] < ends[token]


def test_each_row_is_drawn_by_itself() -> None:
    generator = np.random.default_rng(0)
    first, second = (draw(np.full((50, 4), 0.25), generator).tolist() for _ in range(2))
    assert len(set(first)) == 4
    assert first != second


@pytest.mark.parametrize("block_size", [3, 5, 11])
def test_cached_logits_are_those_of_the_window(block_size: int) -> None:
    model = small(block_size=block_size, n_layer=2)
    texts = np.random.default_rng(0).integers(0, 3, (2, 8))
    caches = model.new_caches()
    for t in (2, 3, 5, 6, 8):
        ours = cached_logits(model, texts[:, :t], caches)
        wanted = logits_of(model, texts[:, max(0, t - block_size) : t])[:, -1]
        np.testing.assert_allclose(ours, wanted, atol=2e-6)
        np.testing.assert_allclose(last_logits(model, texts[:, :t]), wanted, atol=2e-6)


def test_a_model_stays_in_its_mode_between_tokens() -> None:
    for mode in (True, False):
        model = small(dropout=0.5).train(mode)
        for _ in stream(model, [[0]], 3, seed=0):
            assert model.training is mode


def test_the_cost_of_a_pass() -> None:
    config = GPTConfig.preset("gpt-nano", 65, 32)
    for t in (1, 7, 32):
        assert pass_flops(config, t) == GPT(config).count_flops(t)
    assert (
        pass_flops(config, 1, 20) - pass_flops(config, 1, 19) == 4 * config.n_embd * config.n_layer
    )


@pytest.mark.parametrize("options", [{"greedy": True}, {"temperature": 1.5}, {"top_k": 2}, {"top_p": 0.7}])  # fmt: skip
def test_a_cache_changes_nothing(options: dict) -> None:
    model = small()
    start = np.array([[0, 2, 1], [1, 1, 0]])
    cached = generate(model, start, 14, seed=1, **options)  # longer than the model sees
    plain = generate(model, start, 14, seed=1, use_cache=False, **options)
    assert cached.tolist() == plain.tolist()
    assert cached.shape == (2, 17)
    assert cached[:, :3].tolist() == start.tolist()


def test_seeds_and_streams() -> None:
    model = small(dropout=0.5)
    model.train()
    start = [[0]]
    first = generate(model, start, 30, seed=1)
    assert generate(model, start, 30, seed=1).tolist() == first.tolist()
    assert generate(model, start, 30, seed=2).tolist() != first.tolist()
    assert model.training  # and dropout was off all the same
    some = stream(model, start, 30, seed=1)
    assert [int(next(some)[0]) for _ in range(5)] == first[0, 1:6].tolist()


def test_what_cannot_be_sampled() -> None:
    for options, what in (({"temperature": 0}, "be greedy"), ({"top_k": 0}, "top_k"), ({"top_p": 1.5}, "top_p")):  # fmt: skip
        with pytest.raises(ValueError, match=what):
            generate(small(), [[0]], 1, **options)
    with pytest.raises(ValueError, match=r"\(n, t\)"):
        generate(small(), [0, 1], 1)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="at least one"):
        generate(small(), np.zeros((1, 0), int), 1)


# ---------------------------------------------------------------- the trainer


def test_what_decays() -> None:
    model = small()
    decays, others = decay_groups(model, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    block = "transformer.h.0"
    assert {names[id(p)] for p in decays["params"]} == {
        "lm_head.weight",
        *(f"{block}.{x}.weight" for x in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
    }
    assert len(decays["params"]) + len(others["params"]) == len(names)
    assert (decays["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    tied = GPT(GPTConfig(3, 4, 1, 1, 4, tie_weights=True))
    assert all(p is not tied.lm_head.weight for p in decay_groups(tied, 0.1)[0]["params"])


def test_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    config = TrainerConfig(steps=12, batch_size=4, lr=1e-2, warmup=3, eval_every=4, eval_batches=2)
    whole = Trainer(config, small(dropout=0.2), Sorting(), Sorting(validation=True))
    whole.run()
    half = Trainer(config, small(dropout=0.2), Sorting(), Sorting(validation=True))
    half.run(5)
    half.save(tmp_path / "half.safetensors")
    rest = Trainer(config, small(dropout=0.2, seed=9), Sorting(), Sorting(validation=True))
    rest.load(tmp_path / "half.safetensors")
    assert rest.step == 5
    rest.run()
    assert rest.losses == whole.losses
    assert rest.evaluations == whole.evaluations
    assert [step for step, _ in whole.evaluations] == [4, 8, 12]
    for ours, theirs in zip(rest.model.parameters(), whole.model.parameters()):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    whole.run()  # there is nothing left to do
    assert len(whole.losses) == 12
    with pytest.raises(KeyError, match="transformer"):
        Trainer(config, small(n_layer=2), Sorting()).load(tmp_path / "half.safetensors")
    from course.tensor.nn.safetensors import safe_save

    safe_save({"x": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"not written by Trainer\.save"):
        rest.load(tmp_path / "other.safetensors")


class Twice:
    """A batch of Sorting's in two halves, or at once."""

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.calls = 0

    def batch(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, y = Sorting().batch(8, np.random.default_rng(0))
        part = self.calls % self.parts
        self.calls += 1
        return x[part * n : (part + 1) * n], y[part * n : (part + 1) * n]


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    losses = []
    for parts in (1, 2):
        config = TrainerConfig(steps=5, batch_size=8 // parts, accumulate=parts, lr=1e-2)
        losses.append(Trainer(config, small(), Twice(parts)).run())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_who_looks_on_is_told() -> None:
    trainer = Trainer(TrainerConfig(steps=3, batch_size=2, eval_every=3, eval_batches=1), small(), Sorting(), Sorting(validation=True))  # fmt: skip
    seen: list[tuple] = []
    trainer.on_step.append(lambda t: seen.append(("step", t.step, len(t.losses))))
    trainer.on_evaluation.append(lambda t: seen.append(("evaluation", t.evaluations[-1][0])))
    trainer.run()
    assert seen == [("step", 1, 1), ("step", 2, 2), ("step", 3, 3), ("evaluation", 3)]


def test_the_rate_goes_up_and_down() -> None:
    trainer = Trainer(TrainerConfig(steps=20, batch_size=1, lr=1.0, warmup=4), small(), Sorting())
    rates: list[float] = []
    trainer.on_step.append(lambda trainer: rates.append(trainer.optimizer.lr))
    rates.append(trainer.optimizer.lr)
    trainer.run()
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates == sorted(rates[:5]) + sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)


# ---------------------------------------------------------------- projects


def test_sorting() -> None:
    tokens, targets = Sorting().batch(50, np.random.default_rng(0))
    assert tokens.shape == targets.shape == (50, 11)
    assert (targets[:, :5] == -1).all()
    assert (targets[:, 5:] == np.sort(tokens[:, :6], 1)).all()
    assert (tokens[:, 6:] == targets[:, 5:-1]).all()
    generator = np.random.default_rng(1)
    parts = [{tuple(x) for x in Sorting(v).questions(9000, generator).tolist()} for v in (0, 1)]  # type: ignore[arg-type]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == 3**6
    assert len(parts[1]) / 3**6 == pytest.approx(0.25, abs=0.06)


def test_adding() -> None:
    adding = Adding()
    assert adding.tokens(np.array([8550])).tolist() == [[8, 5, 5, 0, 5, 3, 1]]
    tokens, targets = adding.batch(20, np.random.default_rng(0))
    assert tokens.shape == targets.shape == (20, 6)
    assert (targets[:, :3] == -1).all()
    a, b = tokens[:, 0] * 10 + tokens[:, 1], tokens[:, 2] * 10 + tokens[:, 3]
    assert (targets[:, 3] + 10 * targets[:, 4] + 100 * targets[:, 5] == a + b).all()
    unseen = Adding(validation=True)
    assert len(unseen.sums) == 500
    assert not set(unseen.sums) & set(adding.sums)
    assert len(adding.sums) == 9500


def test_text() -> None:
    tokens, targets = Text(np.arange(20), 5).batch(300, np.random.default_rng(0))
    assert (targets == tokens + 1).all()
    assert set(tokens[:, 0]) == set(range(15))
    with pytest.raises(ValueError, match="5 tokens is too short"):
        Text([1, 2, 3, 4, 5], 5)


def naive_trigram(train: list[int], test: list[int], n_tokens: int) -> float:
    """The formula, as it stands in the docstring."""

    def p(c: int, before: tuple[int, ...]) -> float:
        lower = p(c, before[1:]) if before else 1 / n_tokens
        if not before:
            after = train
        else:
            k = len(before)
            after = [
                train[i + k] for i in range(len(train) - k) if tuple(train[i : i + k]) == before
            ]
        if not after:
            return lower
        kinds = len(set(after))
        return (after.count(c) + kinds * lower) / (len(after) + kinds)

    return -sum(math.log(p(test[i], (test[i - 2], test[i - 1]))) for i in range(2, len(test))) / (
        len(test) - 2
    )


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=3, max_size=30),
    st.lists(st.integers(0, 4), min_size=3, max_size=12),
)
def test_trigrams_are_counted_as_the_formula_says(train: list[int], test: list[int]) -> None:
    assert trigram_loss(train, test, 5) == pytest.approx(naive_trigram(train, test, 5))


def test_it_learns_to_sort() -> None:
    trainer = Trainer(TrainerConfig(steps=200, batch_size=32, lr=5e-3, warmup=10), small(n_embd=32), Sorting())  # fmt: skip
    losses = trainer.run()
    assert losses[0] > 0.9
    questions = Sorting(validation=True).questions(100, np.random.default_rng(0))
    answers = generate(trainer.model, questions, 6, greedy=True)[:, 6:]
    assert (answers == np.sort(questions, 1)).all(1).mean() > 0.8
