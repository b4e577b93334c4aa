"""Data to learn from: datasets, batches, handwritten digits and points in the plane."""

from course.tensor.data.digits import load_digits
from course.tensor.data.loader import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    collate,
    random_split,
)
from course.tensor.data.synthetic import make_blobs, make_moons, make_spirals, make_xor

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "collate",
    "load_digits",
    "make_blobs",
    "make_moons",
    "make_spirals",
    "make_xor",
    "random_split",
]
