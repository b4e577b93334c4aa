"""Causal attention of all heads, as one operation."""

import math
from typing import Any

from course.tensor.autograd import Function


def split_heads(ops: Any, x: Any, n_head: int, n_parts: int) -> list[Any]:
    """What lies side by side as one array for each part; on the CPU they are views.

    Args:
        ops: the array functions of x's device.
        x: (n, t, n_parts * n_head * d).
        n_head: how many heads.
        n_parts: how many parts.

    Returns:
        n_parts arrays (n, n_head, t, d).
    """
    n, t, width = x.shape
    x = ops.reshape(x, (n, t, n_parts, n_head, width // (n_parts * n_head)))
    x = ops.transpose(x, (2, 0, 3, 1, 4))
    return [ops.getitem(x, i) for i in range(n_parts)]


def join_heads(ops: Any, parts: list[Any]) -> Any:
    """The reverse: arrays (n, n_head, t, d) as one, (n, t, parts * n_head * d)."""
    n, n_head, t, d = parts[0].shape
    turned = [ops.expand_dims(ops.transpose(x, (0, 2, 1, 3)), 2) for x in parts]
    joined = ops.concatenate(turned, axis=2)
    return ops.reshape(joined, (n, t, len(parts) * n_head * d))


class CausalAttention(Function):
    """Attention, from queries, keys and values that lie side by side.

        weights = softmax(q @ k^T / sqrt(d)), 0 for the keys that come after a query
        output  = weights @ v

    Composed, it is a dozen operations, each with an array for its result and another for its gradient; several have the size
    of the scores. As one operation it keeps what its gradient is made of: the three parts, the weights and the output.
    """

    symbol = "attention"

    def forward(self, qkv: Any, n_head: int) -> Any:
        """The heads' outputs, side by side.

        Args:
            qkv: (n, t, 3 * n_head * d): for each token its queries, then its keys, then its values, each of all heads.
            n_head: how many heads there are.

        Returns:
            (n, t, n_head * d).

        For backward it keeps n_head, as an attribute, and saves q, k, v, the weights and the output, each of all heads, in this
        order.
        """
        self.n_head = n_head
        q, k, v = split_heads(self.ops, qkv, n_head, 3)
        scores = self.ops.matmul(q, k.mT)
        weights = self.ops.causal_softmax(scores, 1 / math.sqrt(q.shape[-1]))
        out = self.ops.matmul(weights, v)
        self.save(q, k, v, weights, out)
        return join_heads(self.ops, [out])

    def backward(self, grad: Any) -> Any:
        """The gradient by qkv, of its shape.

            dv = weights^T @ grad,   dweights = grad @ v^T
            dscores = weights * (dweights - sum(weights * dweights)) / sqrt(d),   the sum over each row
            dq = dscores @ k,        dk = dscores^T @ q

        The sum over a row of weights * dweights is that of grad * output: d numbers instead of t.
        """
        q, k, v, weights, out = self.saved
        ops = self.ops
        (grad,) = split_heads(ops, grad, self.n_head, 1)
        means = ops.sum(grad * out, axis=-1)
        dscores = ops.score_gradients(
            weights, ops.matmul(grad, v.mT), means, 1 / math.sqrt(q.shape[-1])
        )
        dq, dk = ops.matmul(dscores, k), ops.matmul(dscores.mT, q)
        dv = ops.matmul(weights.mT, grad)
        return join_heads(ops, [dq, dk, dv])
