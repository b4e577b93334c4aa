"""Convolution as an operator of PyTorch: what runs, what shape it has, what it remembers, its gradients.

The functions here take tensors. They import no PyTorch, and so they also work on stand-ins for its tensors
(see `stand_in`). What PyTorch needs to know of them is told in `torch_register`.
"""

from collections.abc import Sequence
from typing import Any

from course.cuda.conv2d import conv2d_backward_input, conv2d_backward_weight, conv2d_forward
from course.cuda.torch_launch import launch_into

Tensor = Any
"""A `torch.Tensor`, or a stand-in for one."""


def empty_output(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """A new tensor with the shape, dtype and device of the convolution's output, and any numbers.

    Along each axis there are (length + 2 * padding - window) // stride + 1 positions of the window.
    Only shapes are looked at. So this also works on tensors that have none but a shape.

    Args:
        x: images, (n, channels, height, width).
        weight: windows, (out channels, channels, window height, window width).
        stride: how far the window moves, in pixels.
        padding: how many zeros are around the image.

    Returns:
        (n, out channels, out height, out width), made by `x.new_empty(shape)`.

    Raises:
        ValueError: if images and windows differ in their number of channels; it says both numbers.
    """
    n, channels, *size = x.shape
    if channels != weight.shape[1]:
        raise ValueError(
            f"the images have {channels} channels, the windows are for {weight.shape[1]}"
        )
    counts = [(a + 2 * padding - b) // stride + 1 for a, b in zip(size, weight.shape[2:])]
    return x.new_empty((n, weight.shape[0], *counts))


def conv2d(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Slide windows of weights over images, by our kernel.

    Args:
        x: (n, channels, height, width).
        weight: (out channels, channels, window height, window width).
        stride: how far the window moves, in pixels.
        padding: how many zeros are around the image.

    Returns:
        (n, out channels, out height, out width).
    """
    out = empty_output(x, weight, stride, padding)
    return launch_into(out, conv2d_forward, x, weight, stride, padding)


def input_gradient(
    grad: Tensor, weight: Tensor, shape: Sequence[int], stride: int, padding: int
) -> Tensor:
    """The gradient with respect to images of this shape, by our kernel."""
    dx = grad.new_empty(tuple(shape))
    return launch_into(dx, conv2d_backward_input, grad, weight, stride, padding)


def weight_gradient(
    grad: Tensor, x: Tensor, shape: Sequence[int], stride: int, padding: int
) -> Tensor:
    """The gradient with respect to weights of this shape, by our kernel."""
    dw = grad.new_empty(tuple(shape))
    return launch_into(dw, conv2d_backward_weight, grad, x, stride, padding)


def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    """Keep what `backward` will need.

    Tensors go to `ctx.save_for_backward`, all in one call. PyTorch then sees if somebody changes one before
    `backward`, and frees them afterwards. Numbers become attributes of ctx: `ctx.stride`, `ctx.padding`.

    Args:
        ctx: what PyTorch keeps for this call of the operator.
        inputs: x, weight, stride, padding, as they were passed.
        output: what the operator returned.
    """
    x, weight, ctx.stride, ctx.padding = inputs
    ctx.save_for_backward(x, weight)


def backward(
    ctx: Any, grad: Tensor, of_input: Any = input_gradient, of_weight: Any = weight_gradient
) -> tuple:
    """The gradients with respect to what the operator took, in the same order.

    Args:
        ctx: as `setup_context` left it: `ctx.saved_tensors`, `ctx.stride`, `ctx.padding`. Also
            `ctx.needs_input_grad`: for each input, whether anybody wants its gradient.
        grad: the gradient with respect to the output.
        of_input: what computes the images' gradient: called as of_input(grad, weight, x.shape, stride, padding).
        of_weight: what computes the weights' gradient: called as of_weight(grad, x, weight.shape, stride, padding).

    Returns:
        One entry for each of x, weight, stride, padding. It is None where nobody wants a gradient, and for
        numbers, which have none.
    """
    x, weight = ctx.saved_tensors
    dx = dw = None
    if ctx.needs_input_grad[0]:
        dx = of_input(grad, weight, x.shape, ctx.stride, ctx.padding)
    if ctx.needs_input_grad[1]:
        dw = of_weight(grad, x, weight.shape, ctx.stride, ctx.padding)
    return dx, dw, None, None
