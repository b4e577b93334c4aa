"""Handwritten digits: 1797 small images that come with the course."""

import gzip
from functools import cache
from importlib import resources

import numpy as np

from course.tensor.tensor import Tensor


def load_digits(
    train_fraction: float = 0.8, flat: bool = False, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """1797 images of handwritten digits, 8 by 8 pixels, in two parts: to train with and to test with.

    Args:
        train_fraction: how much of them is for training.
        flat: whether an image is one row of 64 numbers.
        seed: which images are in which part; the same seed gives the same parts.

    Returns:
        Training images, training labels, test images, test labels. Images are float32 from 0 (paper) to
        1 (ink), of shape (n, 1, 8, 8), or (n, 64) if flat. Labels are int64 from 0 to 9, (n,).

    Raises:
        ValueError: if train_fraction is not between 0 and 1.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (the test part), UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0. The file is the one
    that comes with scikit-learn. Each pixel counts the ink in a square of 4 by 4 pixels, 0 to 16.
    """
    if not 0 < train_fraction < 1:
        raise ValueError(f"train_fraction is between 0 and 1, and is {train_fraction}")
    table = _table()
    images = (table[:, :64] / 16).astype(np.float32).reshape(-1, *((64,) if flat else (1, 8, 8)))
    labels = table[:, 64].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(table))
    n_train = round(train_fraction * len(table))
    train, test = order[:n_train], order[n_train:]
    return (
        Tensor(images[train]),
        Tensor(labels[train]),
        Tensor(images[test]),
        Tensor(labels[test]),
    )


@cache
def _table() -> np.ndarray:
    """(1797, 65): 64 pixels, row by row, and the label."""
    packed = resources.files("course.tensor.data").joinpath("digits.csv.gz").read_bytes()
    numbers = ",".join(gzip.decompress(packed).decode().split())
    return np.fromstring(numbers, np.uint8, sep=",").reshape(-1, 65)
