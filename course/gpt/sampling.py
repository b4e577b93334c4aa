"""From a model to text: ask for the next token, put it behind the others, ask again."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from course.gpt.attention import Cache
from course.gpt.choosing import draw, probabilities
from course.gpt.model import GPT
from course.tensor import Tensor, no_grad

Array = np.ndarray

__all__ = [
    "as_texts",
    "cached_logits",
    "draw",
    "generate",
    "last_logits",
    "probabilities",
    "stream",
]


def as_texts(tokens: Sequence[Sequence[int]] | Array) -> Array:
    """Tokens as an array, (n, t).

    Raises:
        ValueError: if they have another shape, or there are none.
    """
    array = np.asarray(tokens)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"tokens are (n, t), with at least one for each text, and have shape {array.shape}"
        )
    return array


def last_logits(model: GPT, tokens: Array, caches: Sequence[Cache] | None = None) -> Array:
    """The scores for the token that comes next, after some texts.

    A model sees `model.config.block_size` tokens at most. Of longer texts it gets the last ones.

    Args:
        model: asked without dropout (`model.eval()`) and without gradients (`no_grad`). Afterwards it is in the mode,
            training or not, in which it was.
        tokens: (n, t), integers. They go to the device of `model.lm_head.weight`.
        caches: handed on to the model.

    Returns:
        (n, vocab_size): the logits of the last place.
    """
    training = model.training
    if training:  # to look through a whole model takes longer than a token
        model.eval()
    window = Tensor(tokens[:, -model.config.block_size :], device=model.lm_head.weight.device)
    with no_grad():
        logits, _ = model(window, caches=caches)
    if training:
        model.train()
    return logits.numpy()[:, -1]


def cached_logits(model: GPT, tokens: Array, caches: Sequence[Cache]) -> Array:
    """The same as `last_logits(model, tokens)`, with less work: only tokens that are not in the caches go through the model.

    Texts of more than `model.config.block_size` tokens move through a window. The places of all tokens in it change with
    each step, so what is in the caches is of no use: then it is `last_logits(model, tokens)`, without caches.

    Args:
        model: see `last_logits`.
        tokens: (n, t), integers: the texts so far, from the beginning.
        caches: one for each block. They know the first `len(caches[0])` tokens, perhaps none, and get to know the others.

    Returns:
        (n, vocab_size).
    """
    if tokens.shape[1] > model.config.block_size:
        return last_logits(model, tokens)
    return last_logits(model, tokens[:, len(caches[0]) :], caches)


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
    """Go on with texts, one token at a time for each; it is handed over as soon as it is there.

    Args:
        model: left in the mode, training or not, in which it is; also between two tokens.
        tokens: (n, t), at least one; what the texts begin with. See `as_texts`.
        n_new: how many tokens to add to each.
        greedy: always take the token with the largest logit; of equals, the first.
        temperature: see `probabilities`.
        top_k: see `probabilities`.
        top_p: see `probabilities`.
        seed: of the generator, np.random.default_rng(seed), that all tokens are drawn with. The same seed gives the same
            tokens; None draws others each time.
        use_cache: whether `cached_logits` are asked for, with the caches that `model.new_caches()` gives; otherwise
            `last_logits`.

    Yields:
        (n,), the next token of each text.
    """
    so_far = as_texts(tokens)
    generator = np.random.default_rng(seed)
    caches = model.new_caches() if use_cache else None
    for _ in range(n_new):
        if caches is None:
            logits = last_logits(model, so_far)
        else:
            logits = cached_logits(model, so_far, caches)
        if greedy:
            chosen = logits.argmax(-1)
        else:
            chosen = draw(probabilities(logits, temperature, top_k, top_p), generator)
        so_far = np.concatenate([so_far, chosen[:, None]], 1)
        yield chosen


def generate(
    model: GPT, tokens: Sequence[Sequence[int]] | Array, n_new: int, **options: Any
) -> Array:
    """Go on with texts; see `stream`, whose options it takes. Returns (n, t + n_new), with what was there."""
    new = list(stream(model, tokens, n_new, **options))
    return np.concatenate([np.asarray(tokens), *(x[:, None] for x in new)], 1)
