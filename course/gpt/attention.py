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
    """Which keys a query must not see: those of tokens that come after its own.

    The queries are the last of the keys' tokens: query i stands at place n_keys - n_queries + i.

    Args:
        n_queries: how many queries there are; at most n_keys.
        n_keys: how many keys; key j stands at place j.

    Returns:
        (n_queries, n_keys), of dtype bool: true where the key's place is greater than the query's.
    """
    places = np.arange(n_keys - n_queries, n_keys)
    return np.arange(n_keys) > places[:, None]


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: Dropout) -> tuple[Tensor, Tensor]:
    """Attention of each head by itself.

        scores = q @ k^T / sqrt(width of a head), -inf where the key is hidden from the query
        weights = softmax(scores), over the keys
        output = dropout(weights) @ v

    Args:
        q: the queries, (n, heads, queries, width of a head): of the last of the keys' tokens.
        k: the keys, (n, heads, keys, width of a head).
        v: the values, as k.
        dropout: of the weights; a module, to be called with them.

    Returns:
        The output, of q's shape, and the weights, (n, heads, queries, keys), before dropout.
    """
    scores = (q @ k.transpose()) * (1 / math.sqrt(q.shape[-1]))
    mask = Tensor(hidden(q.shape[2], k.shape[2]), device=q.device)
    weights = scores.masked_fill(mask, -math.inf).softmax()
    return dropout(weights) @ v, weights


def split_heads(qkv: Tensor, n_head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of each head, from one row of numbers for each token.

    A row has three thirds: all queries, all keys, all values. In each third the heads stand side by side,
    each with the same number of neighbouring numbers.

    Args:
        qkv: (n, tokens, 3 * n_embd); gradients flow back to it.
        n_head: how many heads there are.

    Returns:
        q, k and v, each (n, heads, tokens, n_embd / n_head).
    """
    n, t, width = qkv.shape
    q, k, v = qkv.reshape(n, t, 3, n_head, width // (3 * n_head)).permute(2, 0, 3, 1, 4)
    return q, k, v


def merge_heads(x: Tensor) -> Tensor:
    """The heads' outputs side by side again, in one row for each token.

    Args:
        x: (n, heads, tokens, width of a head); gradients flow back to it.

    Returns:
        (n, tokens, heads * width of a head): in each row first the numbers of head 0, then those of head 1, ...
    """
    n, n_head, t, width = x.shape
    return x.transpose(1, 2).reshape(n, t, n_head * width)


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
        """What each token takes from the others.

        In this order: c_attn, split into heads, extend the cache if there is one, self.attend with attn_dropout, self.keep
        the weights, merge the heads, c_proj, resid_dropout.

        Args:
            x: the new tokens, (n, tokens, n_embd).
            cache: of the tokens before them, if there are any. It is extended by the new keys and values, and gives all.

        Returns:
            (n, tokens, n_embd).
        """
        q, k, v = split_heads(self.c_attn(x), self.n_head)
        if cache is not None:
            k, v = cache.extend(k, v)
        out, weights = self.attend(q, k, v, self.attn_dropout)
        self.keep(weights)
        return self.resid_dropout(self.c_proj(merge_heads(out)))

    def keep(self, weights: Tensor | None) -> None:
        """Keep the weights for a picture, if that is wanted and there are any."""
        if self.keep_weights:
            self._weights = None if weights is None else weights.numpy()
