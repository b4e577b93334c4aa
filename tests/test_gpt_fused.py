"""Attention as one operation: the composed layer's results and gradients, on every device."""

import numpy as np
import pytest

from course.gpt.config import GPTConfig
from course.gpt.decoder import Decoder
from course.gpt.fused import FusedSelfAttention, fuse, operation
from course.gpt.model import GPT, logits_of
from course.gpt.projects import Sorting
from course.gpt.sampling import generate
from course.gpt.trainer import Trainer, TrainerConfig
from course.tensor import Tensor, manual_seed, use_kernels

TOKENS = np.random.default_rng(0).integers(0, 7, (2, 9))


def some(fused: bool, dropout: float = 0.0) -> GPT:
    manual_seed(3)
    model = GPT(GPTConfig(7, 11, 2, 3, 12, dropout, dropout, dropout))
    for parameter in model.parameters():
        parameter.data[...] += 0.3 * Tensor.randn(*parameter.shape).numpy()
    return fuse(model) if fused else model


def gradients(model: GPT, device: str = "cpu") -> dict[str, np.ndarray]:
    model.to(device)
    tokens = Tensor(TOKENS, device=device)
    _, loss = model(tokens, Tensor((TOKENS + 1) % 7, device=device))
    assert loss is not None
    loss.backward()
    return {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(params=[False, True], ids=["numpy", "compiled"])
def compiled(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    use_kernels(request.param)
    yield
    use_kernels(False)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_it_is_the_composed_layer(compiled: None, device: str) -> None:
    plain, fused = some(False), some(True)
    assert isinstance(fused.transformer.h[1].attn, FusedSelfAttention)
    assert plain.state_dict().keys() == fused.state_dict().keys()
    expected, got = gradients(plain), gradients(fused, device)
    np.testing.assert_allclose(logits_of(fused, TOKENS), logits_of(plain, TOKENS), atol=1e-5)
    assert expected.keys() == got.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(got[name], gradient, atol=3e-6, err_msg=name)


def test_what_one_operation_cannot_do_is_left_to_the_layer() -> None:
    plain, fused = some(False, 0.5), some(True, 0.5)
    manual_seed(1)
    expected = gradients(plain)
    manual_seed(1)
    got = gradients(fused)
    np.testing.assert_array_equal(got["lm_head.weight"], expected["lm_head.weight"])
    a, b = (generate(model, TOKENS[:, :2], 6, seed=0) for model in (plain, fused))
    np.testing.assert_array_equal(a, b)
    fused.transformer.h[0].attn.keep_weights = True
    logits_of(fused, TOKENS)
    weights = fused.transformer.h[0].attn.weights
    assert weights is not None and weights.shape == (2, 3, 9, 9)


def test_training_is_the_same_on_the_students_kernels() -> None:
    """The same loss for each step: composed on the processor, and flash attention on kernels."""
    losses = []
    for device in ("cpu", "cuda"):
        manual_seed(0)
        config = GPTConfig(3, 11, 1, 2, 16, 0.0, 0.0, 0.0)
        model = GPT(config).to(device)
        model = fuse(model) if device == "cuda" else model
        losses.append(Trainer(TrainerConfig(12, 8, lr=3e-3), model, Sorting()).run())
    np.testing.assert_allclose(*losses, atol=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_a_decoder_gives_the_models_logits() -> None:
    """Text by text, token by token, past the window, and with several tokens at once."""
    model = some(False).eval()
    decoder = Decoder(model)
    np.testing.assert_allclose(logits_of(model, TOKENS), decoder(Tensor(TOKENS))[0].numpy(), atol=1e-5)  # fmt: skip
    caches, parts = decoder.new_caches(), []
    for a, b in ((0, 4), (4, 5), (5, 9)):
        parts.append(decoder(Tensor(TOKENS[:, a:b]), caches)[0].numpy())
    np.testing.assert_allclose(np.concatenate(parts, 1), logits_of(model, TOKENS), atol=1e-5)
    for options in ({"greedy": True}, {"seed": 1, "top_k": 4}, {"seed": 2, "use_cache": False}):
        ours, theirs = (generate(m, TOKENS[:, :3], 20, **options) for m in (decoder, model))  # type: ignore[arg-type]
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="12 tokens are more than this model sees: 11"):
        decoder(Tensor(np.zeros((1, 12), int)))
    with pytest.raises(ValueError, match=r"this model is on cuda"):
        Decoder(model.to("cuda"))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_view_that_was_saved_is_not_changed_unnoticed(device: str) -> None:
    """Queries, keys and values are views of the input on the CPU; with one token, on the device too."""
    qkv = Tensor(np.ones((1, 1, 6), np.float32), device=device, requires_grad=True)
    out = operation(qkv).apply(qkv, n_head=1)
    qkv.data += 1.0
    with pytest.raises(RuntimeError, match=r"an input of shape \(1, 1, 6\) .* changed in place"):
        out.backward(Tensor(np.ones((1, 1, 2), np.float32), device=device))
