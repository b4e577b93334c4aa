"""Scalars that remember how they were made, and pass gradients back: reverse-mode differentiation.

A `Value` is one node of a computation graph. It stores the nodes it was computed from (`inputs`)
and, for each of them, the derivative of this node by that input (`local_grads`). That is all that
the chain rule needs, so one `backward` serves every operation.
"""

import math
from operator import mul


class Value:
    """A number that remembers how it was made.

    Attributes:
        data: the number itself, a float.
        grad: d(result) / d(self), filled in by `result.backward()`; 0.0 until then.
        inputs: the Values this one was computed from, in order; empty for a leaf.
        local_grads: d(self) / d(input) for each of the inputs, as floats.
        op: the name of the operation, for pictures; empty for a leaf.
    """

    __slots__ = ("data", "grad", "inputs", "local_grads", "op")

    def __init__(
        self,
        data: float,
        inputs: tuple["Value", ...] = (),
        local_grads: tuple[float, ...] = (),
        op: str = "",
    ) -> None:
        self.data = float(data)
        self.grad = 0.0
        self.inputs = inputs
        self.local_grads = local_grads
        self.op = op

    def __repr__(self) -> str:
        return f"Value(data={self.data:.6g}, grad={self.grad:.6g})"

    def __add__(self, other: "Value | float") -> "Value":
        """self + other: a new Value that remembers both, in this order, and both derivatives.

            d(a + b)/da = 1,   d(a + b)/db = 1

        Args:
            other: a Value or a number; a number becomes a Value first.
        """
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0), "+")

    def __mul__(self, other: "Value | float") -> "Value":
        """self * other: a new Value that remembers both, in this order, and both derivatives.

            d(a * b)/da = b,   d(a * b)/db = a

        Args:
            other: a Value or a number; a number becomes a Value first.
        """
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data), "*")

    def __pow__(self, exponent: "Value | float") -> "Value":
        """self ** exponent.

            d(a ** n)/da = n * a ** (n - 1),   and 0 where n = 0
            d(a ** n)/dn = a ** n * log(a),    for a > 0 only, nan otherwise

        Args:
            exponent: a number, which is a constant: then self is the only input. Or a Value,
                which is an input too.

        Raises:
            ValueError: where the power or its derivative does not exist (`math.pow` says so): 0 to
                a power below 1, other than 0, or a negative number to a fractional power.
        """
        base = self.data
        n = exponent.data if isinstance(exponent, Value) else float(exponent)
        data = math.pow(base, n)
        slope = n * math.pow(base, n - 1) if n != 0 else 0.0
        if not isinstance(exponent, Value):
            return Value(data, (self,), (slope,), f"**{n:g}")
        slope_n = data * math.log(base) if base > 0 else math.nan
        return Value(data, (self, exponent), (slope, slope_n), "**")

    def exp(self) -> "Value":
        """e to the power of self; d exp(a)/da = exp(a), the result itself."""
        data = math.exp(self.data)
        return Value(data, (self,), (data,), "exp")

    def log(self) -> "Value":
        """The natural logarithm of self; d log(a)/da = 1 / a.

        Raises:
            ValueError: if self is not positive.
        """
        return Value(math.log(self.data), (self,), (1.0 / self.data,), "log")

    def tanh(self) -> "Value":
        """The hyperbolic tangent of self, between -1 and 1; d tanh(a)/da = 1 - tanh(a)**2."""
        data = math.tanh(self.data)
        return Value(data, (self,), (1.0 - data * data,), "tanh")

    def relu(self) -> "Value":
        """The larger of self and 0; its derivative is 1 where self > 0, and 0 elsewhere."""
        if self.data > 0:
            return Value(self.data, (self,), (1.0,), "relu")
        return Value(0.0, (self,), (0.0,), "relu")

    def backward(self) -> None:
        """Compute d(self)/d(node) for every node that self was computed from.

        The chain rule, from the result back to the leaves: a node hands each of its inputs
        `local_grad * node.grad`, and an input that is used several times adds up what it gets.

        The gradients of leaves accumulate: a second backward adds to them (set `.grad = 0.0`
        to start afresh). The gradients of computed nodes belong to the latest call alone.
        """
        order = topological_order(self)
        for node in order:
            if node.inputs:
                node.grad = 0.0
        self.grad += 1.0
        for node in reversed(order):
            grad = node.grad
            for input, local_grad in zip(node.inputs, node.local_grads):
                input.grad += local_grad * grad

    def __neg__(self) -> "Value":
        """-self."""
        return self * -1.0

    def __sub__(self, other: "Value | float") -> "Value":
        """self - other."""
        return self + (-other)

    def __truediv__(self, other: "Value | float") -> "Value":
        """self / other."""
        return self * other**-1.0

    def __radd__(self, other: float) -> "Value":
        """other + self, for a number on the left: Python calls this when `1.0 + a` is not known."""
        return self + other

    def __rsub__(self, other: float) -> "Value":
        """other - self, for a number on the left."""
        return -self + other

    def __rmul__(self, other: float) -> "Value":
        """other * self, for a number on the left."""
        return self * other

    def __rtruediv__(self, other: float) -> "Value":
        """other / self, for a number on the left."""
        return self**-1.0 * other

    def __rpow__(self, other: float) -> "Value":
        """other ** self, for a number on the left."""
        return Value(other) ** self


def topological_order(root: Value) -> list[Value]:
    """Every node that root was computed from, and root itself, each node once.

    Each node comes after all of its inputs, so root comes last. The graph may be deeper than
    Python can recurse: what still has to be visited is kept on a list, not on the call stack.
    """
    order: list[Value] = []
    seen: set[Value] = set()
    stack = [(root, False)]
    while stack:
        node, inputs_are_placed = stack.pop()
        if inputs_are_placed:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))  # to come back to, once everything pushed next is placed
            for input in node.inputs:
                if input not in seen:
                    stack.append((input, False))
    return order


def dot(weights: list[Value], inputs: list[Value], bias: Value) -> Value:
    """bias + sum of weights[i] * inputs[i], as one node instead of two for each product.

        d/d weights[i] = inputs[i],   d/d inputs[i] = weights[i],   d/d bias = 1

    Args:
        weights: n Values.
        inputs: n Values.
        bias: a Value.

    Raises:
        ValueError: if there are not as many weights as inputs.
    """
    if len(weights) != len(inputs):
        raise ValueError(f"{len(weights)} weights, but {len(inputs)} inputs")
    w = [weight.data for weight in weights]
    x = [input.data for input in inputs]
    data = sum(map(mul, w, x), bias.data)
    return Value(data, (*weights, *inputs, bias), (*x, *w, 1.0), "dot")
