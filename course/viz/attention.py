"""Attention maps: which token looks at which, head by head."""

from collections.abc import Sequence

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from course.viz.palette import INK, MUTED
from course.viz.picture import Picture
from course.viz.words import clip

Floats = NDArray[np.float64]


def attention_maps(
    weights: ArrayLike,
    tokens: Sequence[str],
    *,
    title: str = "Attention",
    captions: Sequence[str] | None = None,
    queries: Sequence[int] | None = None,
    columns: int = 4,
) -> Picture:
    """Draw how much each token looks at each other, a map for each head: black is 1, white is 0.

    A row is a token that looks (a query), a column one that is looked at (a key). Maps of up to 12 tokens have their
    numbers in them, in hundredths.

    Args:
        weights: (heads, queries, keys), from 0 to 1; each row sums to 1. The queries are the last of the keys' tokens.
        tokens: a few letters for each key, in order.
        title: stands above the picture.
        captions: a few words above each map; by default "head 0", "head 1" ...
        queries: which rows to show; by default all.
        columns: how many maps stand in a row.

    Returns:
        The picture. Its `alt` says for each head and token at which one it looks most, and how much.

    Raises:
        ValueError: if the shapes do not fit each other.
    """
    maps = np.asarray(weights, dtype=np.float64)
    if maps.ndim != 3 or not maps.size:
        raise ValueError(f"weights have shape {maps.shape}, expected (heads, queries, keys)")
    n_heads, n_queries, n_keys = maps.shape
    if len(tokens) != n_keys or n_queries > n_keys:
        raise ValueError(
            f"got {len(tokens)} tokens for {n_queries} queries and {n_keys} keys: one for each key, "
            "and queries are the last of them"
        )
    words = [f"head {i}" for i in range(n_heads)] if captions is None else list(captions)
    if len(words) != n_heads:
        raise ValueError(f"got {len(words)} captions for {n_heads} maps")
    rows = range(n_queries) if queries is None else queries
    keys = [_visible(token) for token in tokens]
    asking = [keys[n_keys - n_queries + row] for row in rows]
    maps = maps[:, list(rows)]

    across = min(columns, n_heads)
    down = -(-n_heads // across)
    cell = 0.36 if n_keys <= 12 else max(0.16, 4.5 / n_keys)
    size = (across * (cell * n_keys + 0.9), down * (cell * len(asking) + 1.0) + 0.3)
    with style.context("default"):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
        for i, (word, one) in enumerate(zip(words, maps)):
            axes = figure.add_subplot(down, across, i + 1)
            _map(axes, one, keys, asking)
            axes.set_title(word, loc="left", color=INK, fontsize=9)
        said = " ".join(
            f"{word}: {_describe(one, keys, asking)}." for word, one in zip(words, maps)
        )
        alt = (
            f"{title}: {n_heads} map{'s' * (n_heads > 1)} of {len(asking)} queries by {n_keys} keys. "
            f"{said}"
        )
        return Picture.from_figure(figure, alt)


def _visible(token: str) -> str:
    """A token in a few letters that can be seen, spaces too."""
    return clip(token.replace(" ", "␣").replace("\n", "⏎"), 10) or "∅"


def _map(axes: Axes, weights: Floats, keys: list[str], queries: list[str]) -> None:
    axes.imshow(weights, cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(range(len(keys)), keys, rotation=90 * any(len(key) > 2 for key in keys))
    axes.set_yticks(range(len(queries)), queries)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    axes.spines[:].set_color(MUTED)
    axes.set_xlabel("looks at", color=INK, fontsize=8)
    axes.set_ylabel("token", color=INK, fontsize=8)
    if len(keys) <= 12:
        for (row, column), weight in np.ndenumerate(weights):
            if round(100 * weight):
                color = "white" if weight > 0.5 else INK
                axes.text(
                    column,
                    row,
                    f"{100 * weight:.0f}",
                    ha="center",
                    va="center",
                    color=color,
                    fontsize=7,
                )


def _describe(weights: Floats, keys: list[str], queries: list[str]) -> str:
    most = weights.argmax(1)
    return ", ".join(
        f"{query} at {keys[key]} ({100 * row[key]:.0f} %)"
        for query, key, row in zip(queries, most, weights)
    )
