"""Gradient clipping: a step must not be thrown far off by one odd batch."""

from collections.abc import Iterable

from course.tensor.tensor import Tensor


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm together is at most max_norm.

    The direction stays the same. The norm is that of all gradients, as one long vector:

        norm = sqrt(sum of grad^2 over all elements of all parameters)

    Args:
        parameters: those without a gradient do not count.
        max_norm: gradients with a smaller norm stay as they are.

    Returns:
        The norm before. If it is inf or nan, so are the gradients afterwards: check it.
    """
    tensors = _with_grad(parameters)
    norm = sum((float((p.grad * p.grad).sum().item()) for p in tensors), 0.0) ** 0.5
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1:
        for p in tensors:
            p.grad = p.grad * scale
    return norm


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of every gradient to the range from -clip_value to clip_value."""
    for p in _with_grad(parameters):
        p.grad = p.grad.clamp(-clip_value, clip_value)


def _with_grad(parameters: Iterable[Tensor]) -> list:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in tensors:
        if not isinstance(p, Tensor):
            raise TypeError(
                f"clipping takes a list of tensors, and this one has a {type(p).__name__}: "
                "write get_parameters(model)"
            )
    return [p for p in tensors if p.grad is not None]
