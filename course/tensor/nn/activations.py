"""Activations as modules, to stand between layers; each calls the tensor's method."""

from course.tensor.nn.module import Module
from course.tensor.tensor import Tensor


class ReLU(Module):
    """The larger of x and 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.relu()


class LeakyReLU(Module):
    """x where x > 0, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.leaky_relu(self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.tanh()


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.sigmoid()


class GELU(Module):
    """The Gaussian error linear unit in its tanh form (PyTorch's GELU(approximate="tanh"))."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.gelu()


class SiLU(Module):
    """x * sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.silu()


class Softmax(Module):
    """Positive numbers that sum to 1 along an axis."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """exp(x) divided by its sum."""
        return x.softmax(self.axis)

    def extra_repr(self) -> str:
        """The axis."""
        return f"axis={self.axis}"
