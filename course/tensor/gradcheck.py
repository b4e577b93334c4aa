"""Is a gradient right? Ask the definition of the derivative, for every element."""

from collections.abc import Callable

import numpy as np

from course.tensor.dtypes import float64
from course.tensor.tensor import Tensor


def gradcheck(
    f: Callable[..., Tensor], *inputs: Tensor, step: float = 1e-6, tolerance: float = 1e-6
) -> bool:
    """Compare backward with the central difference, for each element of each input.

    A result of many numbers is weighted, each by a number of its own, and summed: a gradient that
    ends up at the wrong element is found too.

    Args:
        f: takes as many tensors as there are inputs, returns a tensor of real numbers.
        inputs: in float64; those that require a gradient are varied. (In float32, rounding is larger
            than the differences that are looked for.)
        step: how far each element is moved, to both sides.
        tolerance: how far the two may be apart, relative to 1 + |central difference|.

    Returns:
        True.

    Raises:
        AssertionError: naming the input and the element, with both derivatives.
        TypeError: if an input that is varied is not in float64.
    """
    for i, x in enumerate(inputs):
        if x.requires_grad and x.dtype != float64:
            raise TypeError(f"gradcheck needs float64, and input {i} has {x.dtype}: x.double()")
    leaves = [Tensor(x.numpy(), requires_grad=x.requires_grad) for x in inputs]
    result = f(*leaves)
    weights = np.linspace(0.5, 1.5, result.numel()).reshape(result.shape)
    result.backward(Tensor(weights))
    for i, leaf in enumerate(leaves):
        if not leaf.requires_grad:
            continue
        if leaf.grad is None:
            raise AssertionError(f"input {i} of shape {leaf.shape} got no gradient")
        gradient = leaf.grad.numpy()
        if gradient.shape != leaf.shape:
            raise AssertionError(f"input {i} of shape {leaf.shape} got one of {gradient.shape}")
        for index in np.ndindex(leaf.shape):
            sides = []
            for distance in (step, -step):
                moved = [Tensor(x.numpy()) for x in leaves]
                moved[i].data[index] += distance
                sides.append((f(*moved).numpy() * weights).sum())
            expected = (sides[0] - sides[1]) / (2 * step)
            if not abs(gradient[index] - expected) <= tolerance * (1 + abs(expected)):
                raise AssertionError(
                    f"input {i}, element {index}: backward gives {gradient[index]:.9g}, "
                    f"the central difference is {expected:.9g}"
                )
    return True
