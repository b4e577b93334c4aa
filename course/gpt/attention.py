"""Causal self-attention: each token takes something from those before it, and from itself."""

import math
from collections.abc import Callable

import numpy as np

from course.gpt.config import GPTConfig
from course.tensor import Tensor
from course.tensor.nn import Dropout, Linear, Module

Attend = Callable[[Tensor, Tensor, Tensor, Dropout], tuple[Tensor, Tensor | None]]
"""Queries, keys, values and a dropout to the output and, if there are any, the weights."""


class Cache:
    """The keys and values of the tokens that a layer has seen, so that they are computed once.

    Attributes:
        keys, values: (n, heads, tokens so far, width of a head); None before the first.
    """

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put new keys and values behind those that are there, if there are any.

        Args:
            keys: of the new tokens, (n, heads, new tokens, width of a head).
            values: of the new tokens, in the same form.

        Returns:
            All keys and all values, old ones first. From now on they are `self.keys` and `self.values`.
        """
        if self.keys is not None and self.values is not None:
            keys, values = Tensor.cat([self.keys, keys], 2), Tensor.cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values


def hidden(n_queries: int, n_keys: int) -> np.ndarray:
    """Which keys a query must not see: (n_queries, n_keys), true for those that come after it.

    The queries are the last of the keys' tokens: query i stands at place n_keys - n_queries + i.
    """
    places = np.arange(n_keys - n_queries, n_keys)
    return np.arange(n_keys) > places[:, None]


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: Dropout) -> tuple[Tensor, Tensor]:
    """Attention of each head by itself.

        weights = softmax(q @ k^T / sqrt(width)), 0 for the keys that come after a query
        output = dropout(weights) @ v

    Args:
        q: the queries, (n, heads, queries, width of a head): of the last of the keys' tokens.
        k: the keys, (n, heads, keys, width).
        v: the values, as k.
        dropout: of the weights.

    Returns:
        The output, as q, and the weights, (n, heads, queries, keys), before dropout.
    """
    scores = (q @ k.transpose()) * (1 / math.sqrt(q.shape[-1]))
    mask = Tensor(hidden(q.shape[2], k.shape[2]), device=q.device)
    weights = scores.masked_fill(mask, -math.inf).softmax()
    return dropout(weights) @ v, weights


class CausalSelfAttention(Module):
    """Several heads of attention, side by side, and a layer that mixes what they have found.

    Attributes:
        c_attn: makes queries, keys and values of all heads: (n_embd) to (3 * n_embd), in this order.
        c_proj: mixes the heads' outputs: (n_embd) to (n_embd).
        attend: how a head attends: `attend`, or something faster that gives the same.
        weights: of the last call, (n, heads, queries, keys), if `keep_weights` is set: for pictures.

    Source: Vaswani and others, 2017, arXiv 1706.03762; names as in GPT-2.
    """

    def __init__(self, config: GPTConfig) -> None:
        self.n_head = config.n_head
        self.c_attn = Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = Linear(config.n_embd, config.n_embd)
        self.attn_dropout = Dropout(config.attn_pdrop)
        self.resid_dropout = Dropout(config.resid_pdrop)
        self.attend: Attend = attend
        self.keep_weights = False
        self._weights: np.ndarray | None = None

    @property
    def weights(self) -> np.ndarray | None:
        """The weights of the last call, if they were kept."""
        return self._weights

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """(n, tokens, n_embd); the shape stays as it is.

        Args:
            x: the new tokens.
            cache: of the tokens before them, if there are any. It is extended by the new keys and values, and gives all.
        """
        n, t, width = x.shape
        qkv = self.c_attn(x).reshape(n, t, 3, self.n_head, width // self.n_head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (n, heads, tokens, width of a head)
        if cache is not None:
            k, v = cache.extend(k, v)
        out, weights = self.attend(q, k, v, self.attn_dropout)
        self.keep(weights)
        return self.resid_dropout(self.c_proj(out.transpose(1, 2).reshape(n, t, width)))

    def keep(self, weights: Tensor | None) -> None:
        """Keep the weights for a picture, if that is wanted and there are any."""
        if self.keep_weights:
            self._weights = None if weights is None else weights.numpy()
