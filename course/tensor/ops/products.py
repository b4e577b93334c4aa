"""Matrix products, and the linear layer, which is one with a bias."""

import math
from typing import Any

from course.tensor.autograd import Function
from course.tensor.shapes import Shape, broadcast_shapes


def product_shape(a: Shape, b: Shape) -> Shape:
    """The shape of a @ b, by numpy's rules.

    The last two axes are matrices, and the axes before them a batch, which broadcasts. A vector on
    the left counts as a row, one on the right as a column, and that axis is gone from the result:

        (n, k) @ (k, m)            (n, m)
        (k,)   @ (k, m)            (m,)
        (n, k) @ (k,)              (n,)
        (k,)   @ (k,)              ()
        (b, n, k) @ (k, m)         (b, n, m)
        (b, 1, n, k) @ (c, k, m)   (b, c, n, m)

    Args:
        a: the left one's shape.
        b: the right one's shape.

    Returns:
        A tuple of lengths.

    Raises:
        ValueError: if one of them has no axes, the inner lengths differ, or the batches do not
            broadcast. It names both shapes.
    """
    if not a or not b:
        raise ValueError(f"@ needs vectors or matrices, and got shapes {a} and {b}")
    inner = b[-2:][0]  # the only axis of a vector
    if a[-1] != inner:
        raise ValueError(
            f"@ cannot multiply shapes {a} and {b}: the last axis of the left one "
            f"has length {a[-1]}, and must be as long as the "
            f"{'second last' if len(b) > 1 else 'only'} axis of the right one, {inner}"
        )
    rows = a[-2:-1]  # () of a vector
    columns = b[-1:] if len(b) > 1 else ()
    batch_a, batch_b = a[:-2], b[:-2]
    if not batch_b:  # the most frequent case, which needs no broadcasting
        return batch_a + rows + columns
    try:
        return broadcast_shapes(batch_a, batch_b) + rows + columns
    except ValueError as error:
        raise ValueError(f"@ cannot multiply shapes {a} and {b}: their batches' {error}") from None


class MatMul(Function):
    """a @ b, by numpy's rules: see `product_shape`."""

    symbol = "@"

    def forward(self, a: Any, b: Any) -> Any:
        """The product.

        Raises:
            ValueError: if the shapes do not go together.
        """
        shape = product_shape(a.shape, b.shape)
        self.save(a, b)
        if a.ndim > 2 and b.ndim == 2:  # one large product is faster than a batch of small ones
            rows = self.ops.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
            return self.ops.reshape(self.ops.matmul(rows, b), shape)
        return self.ops.matmul(a, b)

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """The gradients of a and b; a batch that was stretched is summed by the engine."""
        a, b = self.saved
        if a.ndim == 1 or b.ndim == 1:
            return self.vector_gradients(a, b, grad)
        if a.ndim > 2 and b.ndim == 2:
            return self.tall_gradients(a, b, grad)
        return self.matrix_gradients(a, b, grad)

    def matrix_gradients(self, a: Any, b: Any, grad: Any) -> tuple[Any, Any]:
        """The gradients of two matrices, or of two batches of matrices, of which each is for itself.

            d/da = grad @ b^T        d/db = a^T @ grad

        Args:
            a: (..., n, k).
            b: (..., k, m).
            grad: (..., n, m).

        Returns:
            (..., n, k) and (..., k, m); None in place of one that `self.needs_grad` does not want.
        """
        wants_a, wants_b = self.needs_grad
        da = self.ops.matmul(grad, b.mT) if wants_a else None
        db = self.ops.matmul(a.mT, grad) if wants_b else None
        return da, db

    def vector_gradients(self, a: Any, b: Any, grad: Any) -> tuple[Any, Any]:
        """The gradients if a, b or both are vectors.

        A vector is made a matrix, with an axis of length 1, and the gradient gets back the axis that
        the result has lost. Then `matrix_gradients` knows what to do; of a vector's gradient, the
        axis is taken off again.

        Args:
            a: (k,) or (..., n, k).
            b: (k,) or (..., k, m).
            grad: of the product's shape.

        Returns:
            (..., k) of a vector, (..., n, k) and (..., k, m) of a matrix, with the batch in front that
            the product has; None in place of one that is not wanted.
        """
        ops = self.ops
        is_row, is_column = a.ndim == 1, b.ndim == 1
        if is_column:  # first: the gradient of two vectors has no axis yet to put another before
            b, grad = ops.expand_dims(b, -1), ops.expand_dims(grad, -1)
        if is_row:
            a, grad = ops.expand_dims(a, 0), ops.expand_dims(grad, -2)
        da, db = self.matrix_gradients(a, b, grad)
        if is_row and da is not None:
            da = ops.reshape(da, (*da.shape[:-2], da.shape[-1]))
        if is_column and db is not None:
            db = ops.reshape(db, db.shape[:-1])
        return da, db

    def tall_gradients(self, a: Any, b: Any, grad: Any) -> tuple[Any, Any]:
        """The gradients if a is a batch of matrices and b is one matrix.

        All rows of the batch, one below the other, are one tall matrix. The product with it sums over
        the batch, and makes no array with a gradient of b for each example.

        Args:
            a: (..., n, k).
            b: (k, m).
            grad: (..., n, m).

        Returns:
            (..., n, k) and (k, m); None in place of one that is not wanted.
        """
        ops = self.ops
        n_rows = math.prod(a.shape[:-1])  # not -1: an empty array fits any length
        rows = ops.reshape(a, (n_rows, a.shape[-1]))
        grad_rows = ops.reshape(grad, (n_rows, b.shape[-1]))
        da, db = self.matrix_gradients(rows, b, grad_rows)
        if da is not None:
            da = ops.reshape(da, a.shape)
        return da, db


class Linear(Function):
    """x @ weight^T + bias, as one operation.

    The same can be had from a product and a sum. As one operation it makes one array less, and
    a batch of any number of axes is one matrix product.
    """

    symbol = "linear"

    def forward(self, x: Any, weight: Any, bias: Any = None) -> Any:
        """The layer's output.

        Args:
            x: (..., n_inputs).
            weight: (n_outputs, n_inputs).
            bias: (n_outputs,).

        Returns:
            (..., n_outputs).

        Raises:
            ValueError: if the shapes do not fit.
        """
        if weight.ndim != 2:
            raise ValueError(
                f"linear needs weights of shape (n_outputs, n_inputs), and got {weight.shape}"
            )
        n_outputs, n_inputs = weight.shape
        if x.ndim == 0 or x.shape[-1] != n_inputs:
            raise ValueError(
                f"this linear layer takes inputs of shape (..., {n_inputs}), and got {x.shape}"
            )
        if bias is not None and bias.shape != (n_outputs,):
            raise ValueError(
                f"this linear layer needs a bias of shape ({n_outputs},), and got {bias.shape}"
            )
        self.save(x, weight)
        rows = x if x.ndim == 2 else self.ops.reshape(x, (math.prod(x.shape[:-1]), n_inputs))
        y = self.ops.matmul(rows, weight.mT)
        if bias is not None:
            y += bias
        return y if x.ndim == 2 else self.ops.reshape(y, (*x.shape[:-1], n_outputs))

    def backward(self, grad: Any) -> tuple[Any, ...]:
        """d/dx = grad @ weight, d/dweight = grad^T @ x, d/dbias = the sum of grad over the batch."""
        x, weight = self.saved
        ops = self.ops
        dx: Any = None
        dw: Any = None
        db: Any = None
        n_outputs, n_inputs = weight.shape
        rows = x
        if x.ndim != 2:
            rows = ops.reshape(x, (math.prod(x.shape[:-1]), n_inputs))
            grad = ops.reshape(grad, (rows.shape[0], n_outputs))
        if self.needs_grad[0]:
            dx = ops.reshape(ops.matmul(grad, weight), x.shape)
        if self.needs_grad[1]:
            dw = ops.matmul(grad.mT, rows)
        if len(self.inputs) == 2:
            return dx, dw
        if self.needs_grad[2]:
            db = ops.sum(grad, axis=0)
        return dx, dw, db
