"""Layers that keep numbers at mean 0 and variance 1, so that deep networks train well."""

from typing import ClassVar

from course.tensor.autograd import no_grad
from course.tensor.nn.module import Module
from course.tensor.nn.parameter import Parameter
from course.tensor.ops.reductions import Normalise
from course.tensor.tensor import Tensor


class BatchNorm(Module):
    """Mean 0 and variance 1 for each channel, then times weight, plus bias.

    In training, mean and variance are the batch's, and running averages of them are kept:

        running = (1 - momentum) * running + momentum * batch

    In use, the running averages serve instead: a result does not depend on what else is in the batch. It
    trains if both its own `training` and `Tensor.training` are on.

    Args:
        num_features: how many channels there are.
        eps: added to the variance.
        momentum: how much each batch counts in the running averages.
        affine: whether there are weight and bias.

    Attributes:
        weight: (num_features,), a Parameter, at first ones; or None.
        bias: (num_features,), a Parameter, at first zeros; or None.
        running_mean: (num_features,), a buffer.
        running_var: (num_features,), a buffer. It estimates the variance of all data from batches of
            n numbers: these are divided by n - 1.
        num_batches_tracked: (), a buffer: how many batches it has seen in training.

    Source: arXiv 1502.03167.
    """

    axes: ClassVar[dict[int, str]] = {}

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(Tensor.ones(num_features)) if affine else None
        self.bias = Parameter(Tensor.zeros(num_features)) if affine else None
        self.running_mean = Tensor.zeros(num_features)
        self.running_var = Tensor.ones(num_features)
        self.num_batches_tracked = Tensor(0)

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays as it is; channels are on axis 1.

        Raises:
            ValueError: for another number of axes or channels, or in training for one number a channel.
        """
        self._check(x)
        if self.training and Tensor.training:
            y, mean, variance = self._normalise(x)
            self.update_running(mean, variance, x.numel() // x.shape[1])
            return self._affine(y, self.weight, self.bias)
        # as (x - mean) / sqrt(variance + eps) * weight + bias, but with two operations on x, not four
        scale = (self.running_var + self.eps) ** -0.5
        if self.weight is None or self.bias is None:
            return self._affine(x, scale, -self.running_mean * scale)
        scale = scale * self.weight
        return self._affine(x, scale, self.bias - self.running_mean * scale)

    @no_grad()
    def update_running(self, mean: Tensor, variance: Tensor, n: int) -> None:
        """Move the running averages towards a batch's statistics, in place, and count the batch.

            running = (1 - momentum) * running + momentum * batch

        Args:
            mean: (num_features,), of the batch.
            variance: (num_features,), of the batch: the mean squared distance from the mean. The
                running variance takes n / (n - 1) times as much, as the batch's own mean is a little
                closer to its numbers than the mean of all data is.
            n: how many numbers each channel has in the batch.
        """
        m = self.momentum
        self.running_mean[:] = (1 - m) * self.running_mean + m * mean
        self.running_var[:] = (1 - m) * self.running_var + m * variance * (n / (n - 1))
        self.num_batches_tracked.data = self.num_batches_tracked.data + 1

    def _normalise(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x with mean 0 and variance 1 in each channel; and each channel's mean and variance."""
        axes = (0, *range(2, x.ndim))  # all but the channels
        y = x.normalise(axes, self.eps)
        with no_grad():
            if isinstance(y.grad_fn, Normalise):  # it has computed them already
                mean = x._like(y.grad_fn.mean).reshape(-1)
                return y, mean, x._like(y.grad_fn.variance).reshape(-1)
            return y, x.mean(axes), x.var(axes, correction=0)

    def _affine(self, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        """x * scale + shift, one number of each for a channel; None changes nothing."""
        if scale is None or shift is None:
            return x
        column = (-1,) + (1,) * (x.ndim - 2)  # so that one number a channel broadcasts
        return x * scale.reshape(column) + shift.reshape(column)

    def _check(self, x: Tensor) -> None:
        n_features = self.running_mean.shape[0]
        if x.ndim not in self.axes or x.shape[1] != n_features:
            shapes = " or ".join(f"({axes})" for axes in self.axes.values())
            raise ValueError(
                f"{type(self).__name__}({n_features}) takes inputs of shape "
                f"{shapes.replace('channels', str(n_features))}, and got {x.shape}"
            )
        if self.training and Tensor.training and x.numel() <= n_features:
            raise ValueError(
                f"{type(self).__name__} in training needs several numbers for each channel, to take a "
                f"variance of, and got {x.shape}; a larger batch has them, or call eval()"
            )

    def extra_repr(self) -> str:
        """The channels and the constants."""
        return (
            f"{self.running_mean.shape[0]}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.weight is not None}"
        )


class BatchNorm1d(BatchNorm):
    """Batch norm of (n, channels), or of (n, channels, length); see `BatchNorm`."""

    axes: ClassVar[dict[int, str]] = {2: "n, channels", 3: "n, channels, length"}


class BatchNorm2d(BatchNorm):
    """Batch norm of images, (n, channels, height, width); see `BatchNorm`."""

    axes: ClassVar[dict[int, str]] = {4: "n, channels, height, width"}


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last axis, for each example by itself; then weight and bias.

    Args:
        normalized_shape: the length of the last axis.
        eps: added to the variance.

    Attributes:
        weight: (normalized_shape,), a Parameter, at first ones.
        bias: (normalized_shape,), a Parameter, at first zeros.

    Source: arXiv 1607.06450.
    """

    def __init__(self, normalized_shape: int, eps: float = 1e-5) -> None:
        self.weight = Parameter(Tensor.ones(normalized_shape))
        self.bias = Parameter(Tensor.zeros(normalized_shape))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., normalized_shape); the shape stays as it is."""
        return x.layer_norm(self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The width and eps."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis: layer norm without the mean.

    Args:
        normalized_shape: the length of the last axis.
        eps: added to the mean square.

    Attributes:
        weight: (normalized_shape,), a Parameter, at first ones.

    Source: arXiv 1910.07467.
    """

    def __init__(self, normalized_shape: int, eps: float = 1e-6) -> None:
        self.weight = Parameter(Tensor.ones(normalized_shape))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., normalized_shape); the shape stays as it is.

        Raises:
            ValueError: if the last axis has another length.
        """
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(
                f"this RMS norm takes inputs of shape (..., {self.weight.shape[0]}), and got {x.shape}"
            )
        mean_square = (x * x).mean(-1, keepdims=True)
        return x * (mean_square + self.eps) ** -0.5 * self.weight

    def extra_repr(self) -> str:
        """The width and eps."""
        return f"{self.weight.shape[0]}, eps={self.eps}"
