"""Operations that make one number of many: sums, means, maxima, and softmax, which contains a sum."""

from typing import Any

from course.tensor.autograd import Function

Axes = tuple[int, ...]


class Sum(Function):
    """The sum over some axes."""

    symbol = "sum"

    def forward(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        """Sum over the axes, which vanish, or stay with length 1 if keepdims."""
        self.axes, self.shape, self.keepdims = axes, x.shape, keepdims
        return self.ops.sum(x, axis=axes, keepdims=keepdims)

    def backward(self, grad: Any) -> Any:
        """Every element that was summed gets the sum's gradient: it is stretched back."""
        if not self.keepdims:
            grad = self.ops.expand_dims(grad, self.axes)
        return self.ops.broadcast_to(grad, self.shape)


class Mean(Function):
    """The mean over some axes."""

    symbol = "mean"

    def forward(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        """The sum over the axes, divided by how many elements were summed."""
        self.axes, self.shape, self.keepdims = axes, x.shape, keepdims
        self.count = 1
        for axis in axes:
            self.count *= x.shape[axis]
        total = self.ops.sum(x, axis=axes, keepdims=keepdims)
        return total / total.dtype.type(self.count)

    def backward(self, grad: Any) -> Any:
        """As for the sum, divided by the count."""
        if not self.keepdims:
            grad = self.ops.expand_dims(grad, self.axes)
        return self.ops.broadcast_to(grad / grad.dtype.type(self.count), self.shape)


class Max(Function):
    """The largest element over some axes."""

    symbol = "max"

    def forward(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        """The largest element over the axes, which vanish, or stay with length 1 if keepdims."""
        y = self._extreme(x, axes, keepdims)
        self.axes, self.keepdims = axes, keepdims
        self.save(x, y)
        return y

    def backward(self, grad: Any) -> Any:
        """The gradient goes to the largest element; if several are equal, they share it equally."""
        x, y = self.saved
        if not self.keepdims:
            y, grad = self.ops.expand_dims(y, self.axes), self.ops.expand_dims(grad, self.axes)
        winners = self.ops.cast(x == y, x.dtype)
        return winners * (grad / self.ops.sum(winners, axis=self.axes, keepdims=True))

    def _extreme(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        return self.ops.max(x, axis=axes, keepdims=keepdims)


class Min(Max):
    """The smallest element over some axes; everything else is as for the largest."""

    symbol = "min"

    def _extreme(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        return self.ops.min(x, axis=axes, keepdims=keepdims)


class Softmax(Function):
    """exp(x) divided by its sum, along one axis."""

    symbol = "softmax"

    def forward(self, x: Any, axis: int) -> Any:
        """Positive numbers that sum to 1 along the axis; large x do not overflow."""
        y = self.ops.softmax(x, axis)
        self.axis = axis
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """y * (grad - sum(grad * y)), with the output y."""
        (y,) = self.saved
        return self.ops.softmax_backward(y, grad, self.axis)


class LogSoftmax(Function):
    """The logarithm of softmax, along one axis."""

    symbol = "log softmax"

    def forward(self, x: Any, axis: int) -> Any:
        """x - log(sum(exp(x))) along the axis; large x do not overflow, small ones stay finite."""
        y = self.ops.log_softmax(x, axis)
        self.axis = axis
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """Grad - softmax(x) * sum(grad)."""
        (y,) = self.saved
        return self.ops.log_softmax_backward(y, grad, self.axis)


class LogSumExp(Function):
    """log(sum(exp(x))) over some axes: a smooth maximum."""

    symbol = "logsumexp"

    def forward(self, x: Any, axes: Axes, keepdims: bool) -> Any:
        """The largest element is taken out first, so that nothing overflows."""
        ops = self.ops
        largest = ops.max(x, axis=axes, keepdims=True)
        # exp(inf - inf) would be nan; an infinite maximum is the result already
        shift = ops.where(ops.abs(largest) == float("inf"), largest.dtype.type(0), largest)
        y = ops.log(ops.sum(ops.exp(x - shift), axis=axes, keepdims=True)) + shift
        if not keepdims:
            y = ops.reshape(y, tuple(n for i, n in enumerate(x.shape) if i not in axes))
        self.save(x, y)
        self.axes, self.keepdims = axes, keepdims
        return y

    def backward(self, grad: Any) -> Any:
        """grad * softmax(x), which is exp(x - y)."""
        x, y = self.saved
        if not self.keepdims:
            y, grad = self.ops.expand_dims(y, self.axes), self.ops.expand_dims(grad, self.axes)
        return grad * self.ops.exp(x - y)


class Normalise(Function):
    """Mean 0 and variance 1 over some axes: what batch norm and layer norm have in common."""

    symbol = "normalise"

    def forward(self, x: Any, axes: Axes, eps: float) -> Any:
        """(x - mean) / sqrt(variance + eps), with mean and variance over the axes."""
        y, self.mean, self.variance, scale = self.ops.normalise(x, axes, eps)
        self.axes = axes
        self.save(y, scale)
        return y

    def backward(self, grad: Any) -> Any:
        """scale * (grad - mean(grad) - y * mean(grad * y))."""
        y, scale = self.saved
        return self.ops.normalise_backward(y, scale, grad, self.axes)
