"""Gradient clipping: a step must not be thrown far off by one odd batch."""

import math
from collections.abc import Iterable

from course.tensor.tensor import Tensor


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm together is at most max_norm.

    The direction stays the same. The norm is that of all gradients, as one long vector:

        norm = sqrt(sum of grad^2 over all elements of all parameters)

    Args:
        parameters: those without a gradient (their `grad` is None) do not count; if none has one, the norm is 0. May be a generator,
            which gives them once.
        max_norm: if the norm is not larger, all gradients stay as they are. Otherwise each becomes

            grad * max_norm / norm

    Returns:
        The norm before, a float. If it is inf or nan, something has gone wrong that no factor can mend. It is returned all the
        same, and no error is raised: whoever calls may look at it.
    """
    tensors = with_grad(parameters)
    norm = math.sqrt(sum((p.grad * p.grad).sum().item() for p in tensors))
    if norm > max_norm:
        for p in tensors:
            p.grad = p.grad * (max_norm / norm)
    return norm


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of every gradient to the range from -clip_value to clip_value."""
    for p in with_grad(parameters):
        p.grad = p.grad.clamp(-clip_value, clip_value)


def with_grad(parameters: Iterable[Tensor]) -> list:
    """A list of those parameters that have a gradient."""
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in tensors:
        if not isinstance(p, Tensor):
            raise TypeError(
                f"clipping takes a list of tensors, and this one has a {type(p).__name__}: "
                "write get_parameters(model)"
            )
    return [p for p in tensors if p.grad is not None]
