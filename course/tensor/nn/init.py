"""Initial weights: filling tensors with random numbers of the right size, in place.

A layer adds up fan_in products for each output. If the weights were too large, numbers would grow
from layer to layer, and gradients on the way back; if too small, both would fade away.
"""

import math

import numpy as np

from course.tensor import rng
from course.tensor.nn.state import fill
from course.tensor.tensor import Tensor

GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
}


def gain(nonlinearity: str) -> float:
    """How much larger the weights must be for what the activation takes away.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu" or "leaky_relu" (with slope 0.01).
    """
    if nonlinearity not in GAINS:
        raise ValueError(f"no gain is known for {nonlinearity!r}; there are {', '.join(GAINS)}")
    return GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output is summed from, and how many outputs an input goes to.

    Args:
        tensor: weights (n_outputs, n_inputs), or (out channels, in channels, height, width).

    Raises:
        ValueError: if it has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"weights have at least two axes, and this tensor has {tensor.shape}")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Random numbers, evenly spread from low to high."""
    fill(tensor, low + (high - low) * rng.generator().random(tensor.shape))
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Random numbers from the normal distribution."""
    fill(tensor, mean + std * rng.generator().standard_normal(tensor.shape))
    return tensor


def constant_(tensor: Tensor, value: float) -> Tensor:
    """The same number everywhere."""
    fill(tensor, np.full(tensor.shape, value))
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Even between +-gain * sqrt(6 / (fan_in + fan_out)): made for tanh and sigmoid.

    Source: Glorot and Bengio, 2010, formula 16.
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal, with standard deviation gain * sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))))


def kaiming_uniform_(tensor: Tensor, nonlinearity: str = "relu") -> Tensor:
    """Even between +-gain * sqrt(3 / fan_in): made for relu, which throws half of its input away.

    Source: arXiv 1502.01852, section 2.2.
    """
    bound = gain(nonlinearity) * math.sqrt(3 / fans(tensor)[0])
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, nonlinearity: str = "relu") -> Tensor:
    """Normal, with standard deviation gain / sqrt(fan_in)."""
    return normal_(tensor, 0.0, gain(nonlinearity) / math.sqrt(fans(tensor)[0]))
