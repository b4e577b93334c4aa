"""The layers that most networks have: linear, embedding, dropout, flatten."""

import math

from course.tensor.nn.module import Module
from course.tensor.nn.parameter import Parameter
from course.tensor.tensor import Tensor


class Linear(Module):
    """x @ weight^T + bias: each output is a weighted sum of all inputs.

    Weights and biases start evenly spread between -1/sqrt(in_features) and 1/sqrt(in_features): the
    more products are summed, the smaller each of them.

    Args:
        in_features: how many numbers go in.
        out_features: how many come out.
        bias: whether a bias is added.

    Attributes:
        weight: (out_features, in_features), a Parameter.
        bias: (out_features,), a Parameter, or None.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(Tensor.uniform(out_features, in_features, low=-bound, high=bound))
        self.bias = (
            Parameter(Tensor.uniform(out_features, low=-bound, high=bound)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return x.linear(self.weight, self.bias)

    def extra_repr(self) -> str:
        """The layer's sizes."""
        out_features, in_features = self.weight.shape
        return (
            f"in_features={in_features}, out_features={out_features}, bias={self.bias is not None}"
        )


class Embedding(Module):
    """A table with a row of numbers for each word: integers in, rows out.

    Args:
        num_embeddings: how many rows there are.
        embedding_dim: how many numbers a row has.

    Attributes:
        weight: (num_embeddings, embedding_dim), a Parameter; at first normal with deviation 1.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        self.weight = Parameter(Tensor.randn(num_embeddings, embedding_dim))

    def forward(self, indices: Tensor) -> Tensor:
        """(...) integers to (..., embedding_dim)."""
        return indices.embedding(self.weight)

    def extra_repr(self) -> str:
        """The table's sizes."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class Dropout(Module):
    """In training, zero each number with probability p, and scale up the others; see `Tensor.dropout`.

    Args:
        p: the probability to be zeroed.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"dropout's p is a probability, from 0 to 1, and is {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x itself unless in training."""
        return x.dropout(self.p) if self.training else x

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class Flatten(Module):
    """One axis of those from start_axis to end_axis; by default of all but the first, the batch."""

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis = start_axis
        self.end_axis = end_axis

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) to (n, channels * height * width)."""
        return x.flatten(self.start_axis, self.end_axis)
