"""Gradient descent by hand: what an optimiser's loop comes down to."""

from collections.abc import Callable, Sequence

from course.tensor.autograd import no_grad
from course.tensor.tensor import Tensor


def gradient_descent(
    loss_of: Callable[[], Tensor], parameters: Sequence[Tensor], lr: float, steps: int
) -> list[float]:
    """Go downhill: in each step, every parameter moves against its gradient.

        p <- p - lr * d(loss) / dp

    Args:
        loss_of: computes the loss from the parameters as they are now; a single number.
        parameters: leaves that require a gradient. They are changed in place, and their gradients of
            before do not count. One that the loss does not depend on stays as it is.
        lr: the learning rate, how far to go.
        steps: how often.

    Returns:
        The loss before each of the steps.
    """
    losses = []
    for _ in range(steps):
        loss = loss_of()
        for p in parameters:
            p.grad = None
        loss.backward()
        with no_grad():
            for p in parameters:
                if p.grad is not None:
                    p -= lr * p.grad  # in place: the tensor stays the same, its numbers change
        losses.append(loss.item())
    return losses
