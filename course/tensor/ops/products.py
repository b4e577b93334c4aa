"""Matrix products, and the linear layer, which is one with a bias."""

from typing import Any

from course.tensor.autograd import Function


class MatMul(Function):
    """a @ b, by numpy's rules.

    The last two axes are matrices, all axes before them are a batch, which broadcasts. A vector
    on the left is a row, one on the right a column, and that axis is gone from the result:

        (n, k) @ (k, m)        (n, m)
        (k,)   @ (k, m)        (m,)
        (n, k) @ (k,)          (n,)
        (k,)   @ (k,)          ()
        (b, n, k) @ (k, m)     (b, n, m)
        (b, 1, n, k) @ (c, k, m)   (b, c, n, m)
    """

    symbol = "@"

    def forward(self, a: Any, b: Any) -> Any:
        """The product.

        Raises:
            ValueError: if an input has no axes, or the inner lengths differ.
        """
        if a.ndim == 0 or b.ndim == 0:
            raise ValueError(f"@ needs vectors or matrices, and got shapes {a.shape} and {b.shape}")
        inner_b = b.shape[-2] if b.ndim > 1 else b.shape[0]
        if a.shape[-1] != inner_b:
            raise ValueError(
                f"@ cannot multiply shapes {a.shape} and {b.shape}: the last axis of the left one "
                f"has length {a.shape[-1]}, and must be as long as the "
                f"{'second last' if b.ndim > 1 else 'only'} axis of the right one, {inner_b}"
            )
        self.save(a, b)
        if a.ndim > 2 and b.ndim == 2:  # one large product is faster than a batch of small ones
            rows = self.ops.reshape(a, (_size(a.shape[:-1]), a.shape[-1]))
            return self.ops.reshape(self.ops.matmul(rows, b), (*a.shape[:-1], b.shape[-1]))
        return self.ops.matmul(a, b)

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """d/da = grad @ b^T and d/db = a^T @ grad; a batch that was stretched is summed by the engine.

        A vector becomes a matrix for this, and so does the axis of the gradient that went with it.
        """
        a, b = self.saved
        a_shape, b_shape = a.shape, b.shape
        ops = self.ops
        if len(a_shape) > 2 and len(b_shape) == 2:
            a = ops.reshape(a, (_size(a_shape[:-1]), a_shape[-1]))
            grad = ops.reshape(grad, (a.shape[0], b_shape[-1]))
        if len(b_shape) == 1:
            b = ops.expand_dims(b, -1)
            grad = ops.expand_dims(grad, -1)
        if len(a_shape) == 1:
            a = ops.expand_dims(a, 0)
            grad = ops.expand_dims(grad, -2)
        wants_a, wants_b = self.needs_grad
        da: Any = ops.matmul(grad, b.mT) if wants_a else None
        db: Any = ops.matmul(a.mT, grad) if wants_b else None
        if wants_a and len(a_shape) == 1:
            da = ops.reshape(da, (*da.shape[:-2], da.shape[-1]))
        elif wants_a and da.ndim < len(a_shape):
            da = ops.reshape(da, a_shape)
        if wants_b and len(b_shape) == 1:
            db = ops.reshape(db, db.shape[:-1])
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
            ValueError: if x has not n_inputs columns.
        """
        n_outputs, n_inputs = weight.shape
        if x.ndim == 0 or x.shape[-1] != n_inputs:
            raise ValueError(
                f"this linear layer takes inputs of shape (..., {n_inputs}), and got {x.shape}"
            )
        self.save(x, weight)
        rows = x if x.ndim == 2 else self.ops.reshape(x, (_size(x.shape[:-1]), n_inputs))
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
            rows = ops.reshape(x, (_size(x.shape[:-1]), n_inputs))
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


def _size(shape: tuple[int, ...]) -> int:
    """How many elements a shape has; for an empty array, a reshape to -1 is not defined."""
    size = 1
    for length in shape:
        size *= length
    return size
