"""Losses: how wrong a network is, as one Value to make small."""

from course.micrograd.engine import Value


def mse_loss(predictions: list[Value], targets: list[float]) -> Value:
    """Mean squared error: the mean of (prediction - target)**2.

    Args:
        predictions: n Values.
        targets: n numbers.

    Raises:
        ValueError: if the lengths differ.
    """
    squares = [(p - t) ** 2 for p, t in zip(predictions, targets, strict=True)]
    return sum(squares, Value(0.0)) / len(squares)


def hinge_loss(scores: list[Value], targets: list[float]) -> Value:
    """Mean of max(0, 1 - target * score), for targets -1 and +1.

    A score on the right side of 0, and at least 1 away from it, costs nothing.

    Args:
        scores: n Values.
        targets: n numbers, each -1 or +1.

    Raises:
        ValueError: if the lengths differ.
    """
    margins = [(1 - s * t).relu() for s, t in zip(scores, targets, strict=True)]
    return sum(margins, Value(0.0)) / len(margins)


def accuracy(scores: list[Value], targets: list[float]) -> float:
    """The share of scores that have their target's sign, between 0.0 and 1.0."""
    right = [(s.data > 0) == (t > 0) for s, t in zip(scores, targets, strict=True)]
    return sum(right) / len(right)
