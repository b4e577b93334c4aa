"""A small deep-learning library on arrays: `from course.tensor import Tensor`."""

from course.tensor.autograd import Function, no_grad
from course.tensor.devices import get_device
from course.tensor.dtypes import bool_, float32, float64, int32, int64
from course.tensor.kernels import use_kernels
from course.tensor.rng import manual_seed
from course.tensor.tensor import Tensor, where

__all__ = [
    "Function",
    "Tensor",
    "bool_",
    "float32",
    "float64",
    "get_device",
    "int32",
    "int64",
    "manual_seed",
    "no_grad",
    "use_kernels",
    "where",
]
