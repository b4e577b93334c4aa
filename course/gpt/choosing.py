"""From scores to a token: make probabilities of them, leave out the unlikely, draw."""

import numpy as np

Array = np.ndarray


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Probabilities of scores that are divided by a temperature.

        p_i = exp(z_i / temperature) / (exp(z_0 / temperature) + exp(z_1 / temperature) + ...)

    Args:
        logits: z, (..., n_tokens): each row, along the last axis, is for itself. They may be large, and some may be -inf.
            They stay as they are.
        temperature: above 0. Below 1, likely tokens become more likely; above 1, less.

    Returns:
        (..., n_tokens), float64, whatever the logits are; sums to 1 along the last axis.
    """
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    powers = np.exp(shifted / temperature)
    return powers / powers.sum(-1, keepdims=True)


def keep_top_k(logits: Array, k: int) -> Array:
    """Leave only the k largest scores of each row.

    Args:
        logits: (..., n_tokens), floats; they stay as they are.
        k: at least 1. If there are no more than k tokens, all are kept.

    Returns:
        A new array, (..., n_tokens): the k largest as they were, -inf elsewhere. Of equals, the first are kept.
    """
    order = np.argsort(-logits, axis=-1, kind="stable")  # stable: of equals, the first comes first
    out = logits.copy()
    np.put_along_axis(out, order[..., k:], -np.inf, -1)
    return out


def keep_top_p(probabilities: Array, p: float) -> Array:
    """Leave only the most likely tokens of each row, as few as have the share p together.

    A token is kept if those that are likelier have less than p together. So the one that reaches p is kept too, and there
    is always at least one.

    Args:
        probabilities: (..., n_tokens), float64; sum to 1 along the last axis. They stay as they are.
        p: above 0, at most 1.

    Returns:
        A new array, (..., n_tokens): 0 for what is left out. The others are scaled, so that they sum to 1 again. Of equals,
        the first count as likelier.

    Source: nucleus sampling; Holtzman and others, 2019, arXiv 1904.09751.
    """
    order = np.argsort(-probabilities, axis=-1, kind="stable")  # the likeliest first
    rows = np.take_along_axis(probabilities, order, -1)
    likelier = np.cumsum(rows, -1) - rows  # what those before it have together
    rows[likelier >= p] = 0
    out = np.zeros_like(rows)
    np.put_along_axis(out, order, rows, -1)  # back to their places
    return out / out.sum(-1, keepdims=True)


def probabilities(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    """How likely each token is to be chosen.

    Args:
        logits: (..., n_tokens), floats.
        temperature: see `softmax`.
        top_k: see `keep_top_k`; None keeps all.
        top_p: see `keep_top_p`; it counts what is left after top_k. None keeps all.

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
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    chances = softmax(logits, temperature)
    return chances if top_p is None else keep_top_p(chances, top_p)


def pick(probabilities: Array, numbers: Array) -> Array:
    """The tokens that numbers between 0 and 1 fall on.

    The line from 0 to 1 is cut into a piece for each token, in their order, as long as its probability. A piece
    includes its left end, and not its right end. So no number falls on a token whose probability is 0.

    Args:
        probabilities: (n, n_tokens). If a row does not quite sum to 1, the line goes from 0 to its sum, and the
            number is a share of that.
        numbers: (n,), one for each row, from 0 up to 1, without 1.

    Returns:
        (n,), integers.
    """
    ends = np.cumsum(probabilities, -1)  # where each token's piece ends
    at = numbers[:, None] * ends[:, -1:]
    return (ends <= at).sum(-1)


def draw(probabilities: Array, generator: np.random.Generator) -> Array:
    """A token for each row of probabilities, drawn at random, each by itself: (n, n_tokens) to (n,), integers.

    Args:
        probabilities: see `pick`.
        generator: where random numbers come from; `generator.random(n)` gives n numbers from 0 up to 1.
    """
    return pick(probabilities, generator.random(len(probabilities)))
