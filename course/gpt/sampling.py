"""From scores to text: choose the next token, put it behind the others, ask again."""

from collections.abc import Iterator, Sequence

import numpy as np

from course.gpt.model import GPT
from course.tensor import Tensor, no_grad

Array = np.ndarray


def probabilities(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    """How likely each token is to be chosen.

    Args:
        logits: (..., n_tokens).
        temperature: logits are divided by it. Below 1, likely tokens become more likely; above 1, less.
        top_k: only the k most likely may be chosen. Of equals, the first.
        top_p: only the most likely may be chosen, as few as make up this share together.

    Returns:
        (..., n_tokens), float64; sums to 1 along the last axis.

    Raises:
        ValueError: for a temperature of 0 or less (greedy is an option of `generate`), or a top_k or top_p out of range.
    """
    if temperature <= 0:
        raise ValueError(
            f"temperature is above 0, and is {temperature}; for the likeliest token, be greedy"
        )
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is at least 1, and is {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is above 0 and at most 1, and is {top_p}")
    scaled = logits.astype(np.float64) / temperature
    order = np.argsort(-scaled, axis=-1, kind="stable")  # the likeliest first
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    rows = np.take_along_axis(powers, order, -1)
    if top_k is not None:
        rows[..., top_k:] = 0
    if top_p is not None:
        before = np.cumsum(rows, -1) - rows  # what the likelier ones make up
        rows[before >= top_p * rows.sum(-1, keepdims=True)] = 0
    out = np.zeros_like(rows)
    np.put_along_axis(out, order, rows / rows.sum(-1, keepdims=True), -1)
    return out


def draw(probabilities: Array, generator: np.random.Generator) -> Array:
    """A token for each row of probabilities, drawn at random: (n, n_tokens) to (n,)."""
    total = np.cumsum(probabilities, -1)
    at = generator.random((len(total), 1)) * total[:, -1:]
    return (total <= at).sum(-1)


def stream(
    model: GPT,
    tokens: Sequence[Sequence[int]] | Array,
    n_new: int,
    *,
    greedy: bool = False,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    use_cache: bool = True,
) -> Iterator[Array]:
    """Go on with texts, a token for each at a time; each is handed over as soon as it is there.

    A model sees `block_size` tokens. When there are more, it goes on with the last ones. Their places are then others than
    before, so what is in caches is of no use, and all is computed anew.

    Args:
        model: left in the mode, training or not, in which it is.
        tokens: (n, t), at least one; what the texts begin with.
        n_new: how many tokens to add.
        greedy: always take the likeliest token.
        temperature: see `probabilities`.
        top_k: see `probabilities`.
        top_p: see `probabilities`.
        seed: the same seed gives the same tokens; None draws others each time.
        use_cache: keep keys and values, instead of computing those of all tokens for each new one.

    Yields:
        (n,), the next token of each text.
    """
    so_far = np.asarray(tokens)
    if so_far.ndim != 2 or not so_far.size:
        raise ValueError(
            f"tokens are (n, t), with at least one for each text, and have shape {so_far.shape}"
        )
    generator = np.random.default_rng(seed)
    device, size = model.lm_head.weight.device, model.config.block_size
    caches = model.new_caches() if use_cache else None
    training = model.training
    for _ in range(n_new):
        if caches is not None and so_far.shape[1] > size:
            caches = None
        known = len(caches[0]) if caches is not None else 0
        model.eval()
        with no_grad():
            new = so_far[:, known:] if caches is not None else so_far[:, -size:]
            logits = model(Tensor(new, device=device), caches=caches)[0].numpy()[:, -1]
        model.train(training)
        if greedy:
            chosen = logits.argmax(-1)
        else:
            chosen = draw(probabilities(logits, temperature, top_k, top_p), generator)
        so_far = np.concatenate([so_far, chosen[:, None]], 1)
        yield chosen


def generate(
    model: GPT, tokens: Sequence[Sequence[int]] | Array, n_new: int, **options: object
) -> Array:
    """Go on with texts; see `stream`, whose options it takes. Returns (n, t + n_new), with what was there."""
    new = list(stream(model, tokens, n_new, **options))  # type: ignore[arg-type]
    return np.concatenate([np.asarray(tokens), *(x[:, None] for x in new)], 1)
