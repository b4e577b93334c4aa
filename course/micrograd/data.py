"""Two moons to tell apart, and minibatches to learn them from."""

import math
import random
from collections.abc import Iterator


def make_moons(
    n: int = 100, noise: float = 0.1, seed: int = 0
) -> tuple[list[list[float]], list[int]]:
    """Points on two interlocking half circles, a standard test for classifiers.

    Args:
        n: how many points; half of them on each moon.
        noise: the standard deviation of the normal noise added to each coordinate.
        seed: the same seed gives the same points.

    Returns:
        points: n lists [x, y].
        labels: n ints, +1 on the upper moon and -1 on the lower one.
    """
    rng = random.Random(seed)
    points, labels = [], []
    for i in range(n):
        angle = math.pi * rng.random()
        x, y = math.cos(angle), math.sin(angle)
        label = 1 if i % 2 == 0 else -1
        if label == -1:
            x, y = 1 - x, 0.5 - y
        points.append([x + rng.gauss(0, noise), y + rng.gauss(0, noise)])
        labels.append(label)
    return points, labels


def minibatches(
    points: list, labels: list, batch_size: int, rng: random.Random
) -> Iterator[tuple[list, list]]:
    """All the data once, in random order, a few at a time: one epoch.

    Args:
        points: n examples.
        labels: their n labels.
        batch_size: how many in a batch; the last one may be smaller.
        rng: shuffles the order; the same state gives the same batches.

    Yields:
        Pairs (points, labels) of lists. Points stay with their labels, and the lists that
        came in are not changed.
    """
    order = list(range(len(points)))
    rng.shuffle(order)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        yield [points[i] for i in batch], [labels[i] for i in batch]
