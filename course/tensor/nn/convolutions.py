"""Layers for images, in the layout (n, channels, height, width)."""

import math

from course.tensor.nn.module import Module
from course.tensor.nn.parameter import Parameter
from course.tensor.tensor import Pairable, Tensor


class Conv2d(Module):
    """Slide a window of weights over an image; see `Tensor.conv2d`.

    Weights and biases start evenly spread between +-1/sqrt(fan_in), where fan_in is how many
    products an output is the sum of.

    Args:
        in_channels: of the images that go in.
        out_channels: of those that come out.
        kernel_size: of the window; a number, or height and width.
        stride: how far the window moves.
        padding: zeros around the image.
        groups: the channels are cut into so many groups, each with its own weights.
        bias: whether each out channel has a bias.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel height, kernel width), a Parameter.
        bias: (out_channels,), a Parameter, or None.

    Raises:
        ValueError: if the channels cannot be cut into the groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pairable,
        stride: Pairable = 1,
        padding: Pairable = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{in_channels} channels in and {out_channels} out cannot be cut into {groups} groups"
            )
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        shape = (out_channels, in_channels // groups, height, width)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(Tensor.uniform(shape, low=-bound, high=bound))
        self.bias = (
            Parameter(Tensor.uniform(out_channels, low=-bound, high=bound)) if bias else None
        )
        self.stride, self.padding, self.groups = stride, padding, groups

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, height, width) to (n, out_channels, out height, out width)."""
        return x.conv2d(self.weight, self.bias, self.stride, self.padding, self.groups)

    def extra_repr(self) -> str:
        """Channels and geometry."""
        out_channels, in_channels, *kernel = self.weight.shape
        text = f"{in_channels * self.groups}, {out_channels}, kernel_size={tuple(kernel)}"
        text += f", stride={self.stride}, padding={self.padding}"
        text += f", groups={self.groups}" if self.groups > 1 else ""
        return text + ("" if self.bias is not None else ", bias=False")


class MaxPool2d(Module):
    """The largest number in each window; see `Tensor.max_pool2d`."""

    def __init__(
        self, kernel_size: Pairable, stride: Pairable | None = None, padding: Pairable = 0
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) to (n, channels, out height, out width)."""
        return x.max_pool2d(self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        """The window's geometry."""
        stride = self.kernel_size if self.stride is None else self.stride
        return f"kernel_size={self.kernel_size}, stride={stride}, padding={self.padding}"


class AvgPool2d(MaxPool2d):
    """The mean of each window; see `Tensor.avg_pool2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) to (n, channels, out height, out width)."""
        return x.avg_pool2d(self.kernel_size, self.stride, self.padding)
