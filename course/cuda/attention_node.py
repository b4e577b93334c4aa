"""Flash attention as an operation of the tensor engine, on the device "cuda"."""

from typing import Any

from course.cuda.array import CudaArray
from course.cuda.flash import flash_forward, launch_shape, scale_for
from course.cuda.flash_backward import flash_backward_dk_dv, flash_backward_dq
from course.cuda.flash_terms import row_dots
from course.cuda.record import launch
from course.tensor.autograd import Function


def split_on_device(x: CudaArray, n_head: int, n_parts: int) -> CudaArray:
    """(n, t, n_parts * n_head * d), side by side, as (n_parts, n * n_head, t, d), dense: one copy."""
    n, t, width = x.shape
    d = width // (n_parts * n_head)
    turned = x.reshape(n, t, n_parts, n_head, d).transpose((2, 0, 3, 1, 4))
    return turned.dense(n_parts, n * n_head, t, d)


def join_on_device(x: CudaArray, n_head: int) -> CudaArray:
    """The reverse: (n_parts, n * n_head, t, d) as (n, t, n_parts * n_head * d), dense: one copy."""
    n_parts, batch, t, d = x.shape
    n = batch // n_head
    turned = x.reshape(n_parts, n, n_head, t, d).transpose((1, 3, 0, 2, 4))
    return turned.dense(n, t, n_parts * n_head * d)


class FlashAttention(Function):
    """Causal attention of all heads by the flash kernels: nothing of the size t * t is ever in memory.

    Input and output are those of `course.tensor.ops.attention.CausalAttention`.
    """

    symbol = "flash attention"

    def forward(self, qkv: CudaArray, n_head: int) -> CudaArray:
        """The heads' outputs, side by side: (n, t, n_head * d), of (n, t, 3 * n_head * d).

        Kept for backward: the three parts in one array, the output, (batch, t, d), and the logarithm of each query's sum of exponentials,
        (batch, t). The batch are all heads of all texts.
        """
        self.n_head = n_head
        parts = split_on_device(qkv, n_head, 3)
        _, batch, t, d = parts.shape
        out, logsumexp = qkv.new((batch, t, d), qkv.dtype), qkv.new((batch, t), qkv.dtype)
        grid, rows = launch_shape(batch, t, d)
        launch(flash_forward(d, rows), grid, rows, *each(parts), scale_for(d), True, out, logsumexp)
        self.save(parts, out, logsumexp)
        return join_on_device(out.expand_dims(0), n_head)

    def backward(self, grad: CudaArray) -> CudaArray:
        """The gradient by qkv, of its shape: three launches, and a copy before and after.

        First `row_dots` makes delta, (batch, t), of the gradient and the output. The gradients of the three parts are written into
        one array, so that they are joined by one copy.
        """
        parts, out, logsumexp = self.saved
        _, batch, t, d = parts.shape
        (grad,) = each(split_on_device(grad, self.n_head, 1))
        delta, dparts = out.new((batch, t), out.dtype), out.new(parts.shape, out.dtype)
        n = batch * t
        launch(row_dots, -(-n // 64), 64, grad.reshape(n, d), out.reshape(n, d), delta.reshape(n))
        grid, rows = launch_shape(batch, t, d)
        given = (*each(parts), grad, logsumexp, delta, scale_for(d), True)
        dq, dk, dv = each(dparts)
        launch(flash_backward_dq(d, rows), grid, rows, *given, dq)
        launch(flash_backward_dk_dv(d, rows), grid, rows, *given, dk, dv)
        return join_on_device(dparts, self.n_head)


def each(parts: CudaArray) -> list[Any]:
    """The parts of a dense array along its first axis, each dense: views."""
    return [parts.cut((i,)) for i in range(parts.shape[0])]
