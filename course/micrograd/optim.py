"""Stochastic gradient descent, and a learning rate that goes down."""

from course.micrograd.engine import Value
from course.start import lerp


class SGD:
    """Gradient descent: each step moves every parameter against its gradient.

        p = p - lr * (p.grad + weight_decay * p)

    The second term pulls parameters towards zero. It is the gradient of the L2 penalty
    `weight_decay / 2 * (sum of p**2)`, without that penalty's nodes in the graph.

    Args:
        parameters: the Values to change.
        lr: the learning rate. You may change `optimizer.lr` between steps.
        weight_decay: how strong the pull towards zero is.
    """

    def __init__(self, parameters: list[Value], lr: float, weight_decay: float = 0.0) -> None:
        self.parameters = list(parameters)
        self.lr = lr
        self.weight_decay = weight_decay

    def zero_grad(self) -> None:
        """Forget the gradients of the last step: set every parameter's grad to 0.0."""
        for p in self.parameters:
            p.grad = 0.0

    def step(self) -> None:
        """Move every parameter once, in place."""
        for p in self.parameters:
            p.data -= self.lr * (p.grad + self.weight_decay * p.data)


def linear_decay(start: float, end: float, step: int, steps: int) -> float:
    """The learning rate at a step, going down in a straight line from start to end.

    Args:
        start: the learning rate at step 0.
        end: the learning rate at step `steps`, and from there on.
        step: the current step, counted from 0.
        steps: how many steps the way down takes.
    """
    return lerp(start, end, min(step / steps, 1.0))
