"""Rows of a table, and the normalisation of rows: what language models need beside products."""

import math
from typing import Any

from course.tensor.autograd import Function


class Embedding(Function):
    """table[indices]: a row of the table for each index."""

    symbol = "embedding"

    def forward(self, table: Any, indices: Any) -> Any:
        """The rows.

        Args:
            table: (n_rows, width).
            indices: integers from 0 to n_rows - 1, any shape.

        Returns:
            (..., width).
        """
        self.n_rows, self.width = table.shape
        self.save(indices)
        return self.ops.getitem(table, indices)

    def backward(self, grad: Any) -> tuple[Any, None]:
        """Each row of the table gets the sum of the gradients of its uses."""
        (indices,) = self.saved
        n = math.prod(indices.shape)
        flat = self.ops.reshape(indices, (n,))
        grad = self.ops.reshape(grad, (n, self.width))
        return self.ops.embedding_backward(self.n_rows, flat, grad), None


class LayerNorm(Function):
    """Mean 0 and variance 1 for each row, then weight and bias for each column."""

    symbol = "layer norm"

    def forward(self, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        """weight * (x - mean) / sqrt(variance + eps) + bias, over the last axis.

        Args:
            x: (..., width).
            weight: (width,).
            bias: (width,).
            eps: added to the variance.
        """
        self.rows = (math.prod(x.shape[:-1]), x.shape[-1])
        y, normalised, scale = self.ops.layer_norm(
            self.ops.reshape(x, self.rows), weight, bias, eps
        )
        self.save(normalised, scale, weight)
        self.shape = x.shape
        return self.ops.reshape(y, x.shape)

    def backward(self, grad: Any) -> tuple[Any, Any, Any]:
        """See `layer_norm_backward` in the table of array functions."""
        normalised, scale, weight = self.saved
        grad = self.ops.reshape(grad, self.rows)
        dx, dw, db = self.ops.layer_norm_backward(normalised, scale, weight, grad)
        return self.ops.reshape(dx, self.shape), dw, db
