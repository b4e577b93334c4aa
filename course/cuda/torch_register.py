"""What PyTorch is told of our convolution: as an `autograd.Function`, and as operators in its library."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from course.cuda.torch_ops import (
    Tensor,
    backward,
    conv2d,
    empty_output,
    input_gradient,
    setup_context,
    weight_gradient,
)


def make_function() -> Any:
    """Our convolution as a class of `torch.autograd.Function`: call its `apply(x, weight, stride, padding)`.

    Our kernels leave no trace that PyTorch could follow, so `backward` through the gradients is refused.
    """
    import torch
    from torch.autograd.function import once_differentiable

    class Conv2d(torch.autograd.Function):
        forward = staticmethod(conv2d)
        setup_context = staticmethod(setup_context)
        backward: Any = staticmethod(once_differentiable(backward))

    return Conv2d


def empty_gradient(
    grad: Tensor, other: Tensor, shape: Sequence[int], stride: int, padding: int
) -> Tensor:
    """What `input_gradient` and `weight_gradient` return, with any numbers."""
    return grad.new_empty(tuple(shape))


def register_gradients(library: Any) -> tuple[Any, Any]:
    """Make operators of `input_gradient` and `weight_gradient`, each with a fake.

    Args:
        library: `torch.library`, or a stand-in for it.

    Returns:
        The operators "course::conv2d_input_gradient" and "course::conv2d_weight_gradient".
    """
    schema = "(Tensor grad, Tensor other, SymInt[] shape, int stride, int padding) -> Tensor"
    operators = []
    for function in (input_gradient, weight_gradient):
        name = f"course::conv2d_{function.__name__}"
        operator = library.custom_op(name, function, mutates_args=(), schema=schema)
        operator.register_fake(empty_gradient)
        operators.append(operator)
    return operators[0], operators[1]


def register(library: Any) -> Any:
    """Make an operator of `conv2d`, with a fake and with gradients.

    Its name is "course::conv2d". It changes none of its arguments, and its schema is

        (Tensor x, Tensor weight, int stride, int padding) -> Tensor

    Its `backward` computes with the two operators of `register_gradients`, not with the functions behind
    them: operators have fakes.

    Args:
        library: `torch.library`, or a stand-in for it.

    Returns:
        The operator: called like `conv2d`.
    """
    of_input, of_weight = register_gradients(library)
    schema = "(Tensor x, Tensor weight, int stride, int padding) -> Tensor"
    op = library.custom_op("course::conv2d", conv2d, mutates_args=(), schema=schema)
    op.register_fake(empty_output)
    op.register_autograd(
        partial(backward, of_input=of_input, of_weight=of_weight), setup_context=setup_context
    )
    return op
