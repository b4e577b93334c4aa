"""course.gpt's model: GPT-2's logits, caches, causality, initial numbers, gradients."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.gpt.attention import hidden, merge_heads, split_heads
from course.gpt.config import PRESETS, GPTConfig
from course.gpt.data.tiny_gpt2 import load_tiny_gpt2
from course.gpt.model import GPT, logits_of
from course.gpt.weights import load_gpt2_weights
from course.tensor import Tensor, manual_seed, no_grad
from course.tensor.nn import optim
from course.tensor.nn.state import fill

STORED = load_tiny_gpt2()
TINY = GPTConfig(**STORED.sizes, tie_weights=True)


@pytest.fixture
def model() -> GPT:
    """A small model without dropout, whose numbers are not small."""
    manual_seed(0)
    model = GPT(GPTConfig(11, 12, 2, 2, 8, 0.0, 0.0, 0.0))
    for parameter in model.parameters():
        fill(parameter, parameter.numpy() + 0.3 * Tensor.randn(*parameter.shape).numpy())
    return model


TOKENS = np.random.default_rng(0).integers(0, 11, (2, 12))


def test_stored_logits() -> None:
    """Of Hugging Face's GPT-2, with random weights; made by transformers."""
    model = GPT(TINY)
    load_gpt2_weights(model, STORED.weights)
    assert np.abs(logits_of(model, STORED.tokens) - STORED.logits).max() < 1e-5


def test_hugging_faces_logits(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(3)
    config = transformers.GPT2Config(
        vocab_size=31, n_positions=16, n_embd=24, n_layer=3, n_head=4, initializer_range=0.3
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = GPT(GPTConfig(31, 16, 3, 4, 24, tie_weights=True))
    load_gpt2_weights(ours, tmp_path / "model.safetensors")
    tokens = np.random.default_rng(0).integers(0, 31, (3, 16))
    with torch.no_grad():
        wanted = theirs(torch.tensor(tokens)).logits.numpy()
    assert np.abs(logits_of(ours, tokens) - wanted).max() < 1e-5


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="wte"):
        load_gpt2_weights(GPT(GPTConfig(14, 10, 2, 3, 12, tie_weights=True)), STORED.weights)


def test_the_state_has_mingpts_names() -> None:
    model = GPT(GPTConfig(5, 4, 1, 1, 2))
    block = "transformer.h.0"
    assert set(model.state_dict()) == {
        "transformer.wte.weight",
        "transformer.wpe.weight",
        *(f"{block}.{x}.{y}" for x in ("ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj") for y in ("weight", "bias")),
        "transformer.ln_f.weight",
        "transformer.ln_f.bias",
        "lm_head.weight",
    }  # fmt: skip


def test_which_keys_are_hidden() -> None:
    assert hidden(3, 3).tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert hidden(2, 4).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]
    assert hidden(1, 4).tolist() == [[0, 0, 0, 0]]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_heads_are_split_and_merged(n: int, t: int, n_head: int, width: int) -> None:
    qkv = np.arange(n * t * 3 * n_head * width).reshape(n, t, -1)
    parts = split_heads(Tensor(qkv), n_head)
    for third, part in zip(np.split(qkv, 3, 2), parts, strict=True):
        assert part.shape == (n, n_head, t, width)
        for head in range(n_head):
            mine = third[:, :, head * width : (head + 1) * width]
            np.testing.assert_array_equal(part.numpy()[:, head], mine)
        np.testing.assert_array_equal(merge_heads(part).numpy(), third)


@given(st.integers(1, 6), st.integers(0, 6))
def test_each_query_sees_up_to_its_own_place(n_queries: int, before: int) -> None:
    mask = hidden(n_queries, before + n_queries)
    assert [row.tolist().count(False) for row in mask] == [before + i + 1 for i in range(n_queries)]
    assert (np.diff(mask.astype(int), axis=1) >= 0).all()


def test_nobody_sees_what_comes_later(model: GPT) -> None:
    before = logits_of(model, TOKENS)
    changed = TOKENS.copy()
    changed[:, 7:] = (changed[:, 7:] + 1) % 11
    after = logits_of(model, changed)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert (np.abs(before[:, 7:] - after[:, 7:]).max(2) > 1e-4).all()


@pytest.mark.parametrize("cuts", [[0, 12], [0, 1, 2, 12], [0, 5, 6, 7, 12], [*range(13)]])
def test_caches_change_nothing(model: GPT, cuts: list[int]) -> None:
    caches = model.new_caches()
    with no_grad():
        parts = [
            model(Tensor(TOKENS[:, a:b]), caches=caches)[0].numpy()
            for a, b in itertools.pairwise(cuts)
        ]
    np.testing.assert_allclose(np.concatenate(parts, 1), logits_of(model, TOKENS), atol=2e-6)
    assert [len(cache) for cache in caches] == [12, 12]
    with pytest.raises(ValueError, match="13 tokens are more than this model sees: 12"):
        model(Tensor(TOKENS[:, :1]), caches=caches)


def test_the_loss(model: GPT) -> None:
    targets = (TOKENS + 3) % 11
    targets[0, :5] = -1
    logits, loss = model(Tensor(TOKENS), Tensor(targets))
    x = logits.numpy().astype(float)
    log_p = x - np.log(np.exp(x).sum(2, keepdims=True))
    picked = np.take_along_axis(log_p, np.maximum(targets, 0)[..., None], 2)[..., 0]
    assert loss is not None
    assert loss.item() == pytest.approx(-picked[targets >= 0].mean(), rel=1e-5)
    assert model(Tensor(TOKENS))[1] is None


def test_a_fresh_model_knows_nothing() -> None:
    manual_seed(0)
    model = GPT(GPTConfig.preset("gpt-nano", 65, 32))
    model.eval()
    tokens = np.random.default_rng(0).integers(0, 65, (4, 33))
    _, loss = model(Tensor(tokens[:, :-1]), Tensor(tokens[:, 1:]))
    assert loss is not None
    assert loss.item() == pytest.approx(math.log(65), abs=0.1)
    state = model.state_dict()
    spread = {name: tensor.numpy().std() for name, tensor in state.items()}
    assert spread["transformer.h.1.attn.c_attn.weight"] == pytest.approx(0.02, rel=0.05)
    assert spread["transformer.h.1.mlp.c_proj.weight"] == pytest.approx(0.02 / 6**0.5, rel=0.05)
    assert state["transformer.h.0.ln_1.weight"].numpy().tolist() == [1] * 48
    assert not state["transformer.h.0.mlp.c_fc.bias"].numpy().any()


def test_gradients(model: GPT) -> None:
    """The slope along a random direction, in float64."""
    model.to("float64")
    tokens, targets = Tensor(TOKENS[:, :6]), Tensor((TOKENS[:, :6] + 1) % 11)
    _, loss = model(tokens, targets)
    assert loss is not None
    loss.backward()
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=p.shape) for p in model.parameters()]
    gradients = [p.grad.numpy() for p in model.parameters() if p.grad is not None]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    start = [p.numpy() for p in model.parameters()]
    values = []
    for step in (1e-5, -1e-5):
        for p, x, d in zip(model.parameters(), start, directions):
            fill(p, x + step * d)
        moved = model(tokens, targets)[1]
        assert moved is not None
        values.append(moved.item())
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-6)


def test_tied_weights_are_one_parameter() -> None:
    tied, untied = GPT(TINY), GPT(GPTConfig(13, 10, 2, 3, 12))
    assert untied.count_parameters() - tied.count_parameters() == 13 * 12
    assert tied.lm_head.weight is tied.transformer.wte.weight


@pytest.mark.parametrize(
    ("name", "millions"), [("gpt-nano", 0.09), ("gpt-micro", 0.8), ("gpt-mini", 2.7)]
)
def test_sizes_of_presets(name: str, millions: float) -> None:
    """minGPT's own numbers; it leaves out lm_head."""
    model = GPT(GPTConfig.preset(name, 48, 6))
    ours = model.count_parameters() - model.lm_head.weight.numel()
    assert ours / 1e6 == pytest.approx(millions, abs=0.05)
    assert (
        model.count_parameters(embeddings=False) == model.count_parameters() - 6 * PRESETS[name][2]
    )


def test_gpt2_has_124_million_parameters() -> None:
    config = GPTConfig.preset("gpt2", 50257, 1024, tie_weights=True)
    width, n_layer = config.n_embd, config.n_layer
    blocks = n_layer * (12 * width**2 + 13 * width)
    assert blocks + (50257 + 1024) * width + 2 * width == 124_439_808


def test_flops_are_mostly_two_for_each_weight() -> None:
    model = GPT(GPTConfig.preset("gpt-micro", 65, 128))
    weights = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "wpe" not in name and "wte" not in name)  # fmt: skip
    assert model.count_flops(1) == pytest.approx(2 * weights, rel=0.01)
    assert model.count_flops(128) == 2 * 128 * weights + 4 * 4 * 128**2 * 128


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="n_embd = 10 is no multiple of n_head = 3"):
        GPTConfig(5, 5, n_head=3, n_embd=10)
    with pytest.raises(ValueError, match="block_size is at least 1"):
        GPTConfig(5, 0)
    with pytest.raises(ValueError, match="gpt-nano, gpt-micro"):
        GPTConfig.preset("gpt-huge", 5, 5)


def test_it_learns() -> None:
    manual_seed(0)
    model = GPT(GPTConfig(5, 8, 1, 2, 16, 0.0, 0.0, 0.0))
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    tokens = np.tile(np.arange(5), 4)[None, :9].repeat(4, 0)
    for _ in range(60):
        _, loss = model(Tensor(tokens[:, :-1]), Tensor(tokens[:, 1:]))
        assert loss is not None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_weights_can_be_kept() -> None:
    manual_seed(0)
    model = GPT(TINY)
    attention = model.transformer.h[0].attn
    logits_of(model, TOKENS[:1, :4])
    assert attention.weights is None
    attention.keep_weights = True
    logits_of(model, TOKENS[:1, :4])
    weights = attention.weights
    assert weights is not None
    assert weights.shape == (1, 3, 4, 4)
    np.testing.assert_allclose(weights.sum(3), 1, rtol=1e-6)
    assert not np.triu(weights, 1).any()
