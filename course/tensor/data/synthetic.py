"""Points in the plane to tell apart, made from a seed."""

import numpy as np

from course.micrograd.data import make_moons as scalar_moons
from course.tensor.tensor import Tensor


def make_moons(n: int = 200, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two interlocking half circles: the moons of `course.micrograd`, as tensors.

    Args:
        n: how many points; every second one is on the lower moon.
        noise: the standard deviation of what is added to each coordinate.
        seed: the same seed gives the same points.

    Returns:
        Points (n, 2), float32, and labels (n,), int64: 0 on the upper moon, 1 on the lower one.
    """
    points, signs = scalar_moons(n, noise, seed)
    return Tensor(points), (Tensor(signs) < 0).long()


def make_spirals(
    n: int = 300, n_classes: int = 3, noise: float = 0.05, turns: float = 0.75, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Spiral arms that start near the middle, one for each class.

    Args:
        n: how many points, dealt out to the arms in turn.
        n_classes: how many arms.
        noise: the standard deviation of what is added to each coordinate.
        turns: how often an arm goes round.
        seed: the same seed gives the same points.

    Returns:
        Points (n, 2), float32, and labels (n,), int64.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    radius = 0.05 + 0.95 * rng.random(n)
    angle = 2 * np.pi * (labels / n_classes + turns * radius)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _with_noise(points, labels, noise, rng)


def make_blobs(
    n: int = 200, n_classes: int = 3, spread: float = 0.3, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Round clouds, their middles evenly spread on a circle of radius 1.

    Args:
        n: how many points, dealt out to the clouds in turn.
        n_classes: how many clouds.
        spread: the standard deviation of a cloud.
        seed: the same seed gives the same points.

    Returns:
        Points (n, 2), float32, and labels (n,), int64.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    angle = 2 * np.pi * labels / n_classes
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _with_noise(points, labels, spread, rng)


def make_xor(n: int = 4, noise: float = 0.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The corners of the unit square: 1 where exactly one of the coordinates is 1.

    Args:
        n: how many points, dealt out to the corners (0, 0), (0, 1), (1, 0), (1, 1) in turn.
        noise: the standard deviation of what is added to each coordinate.
        seed: the same seed gives the same points.

    Returns:
        Points (n, 2), float32, and labels (n,), int64.
    """
    corners = np.arange(n) % 4
    points = np.stack([corners // 2, corners % 2], axis=1).astype(float)
    return _with_noise(points, (corners == 1) | (corners == 2), noise, np.random.default_rng(seed))


def _with_noise(
    points: np.ndarray, labels: np.ndarray, noise: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    points = points + noise * rng.standard_normal(points.shape)
    return Tensor(points, dtype="float32"), Tensor(labels, dtype="int64")
