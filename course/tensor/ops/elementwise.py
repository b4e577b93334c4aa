"""Operations on each element by itself."""

from typing import Any

from course.tensor.autograd import Function


class Add(Function):
    """a + b."""

    symbol = "+"

    def forward(self, a: Any, b: Any) -> Any:
        """The sum, with broadcasting."""
        return a + b

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """Both derivatives are 1: the gradient goes to both, unchanged."""
        return grad, grad


class Sub(Function):
    """a - b."""

    symbol = "-"

    def forward(self, a: Any, b: Any) -> Any:
        """The difference, with broadcasting."""
        return a - b

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """d(a - b)/da = 1 and d(a - b)/db = -1."""
        return grad, -grad if self.needs_grad[1] else None


class Mul(Function):
    """a * b."""

    symbol = "*"

    def forward(self, a: Any, b: Any) -> Any:
        """The product, element by element, with broadcasting."""
        self.save(a, b)
        return a * b

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """d(a b)/da = b and d(a b)/db = a."""
        a, b = self.saved
        wants_a, wants_b = self.needs_grad
        return grad * b if wants_a else None, grad * a if wants_b else None


class Div(Function):
    """a / b."""

    symbol = "/"

    def forward(self, a: Any, b: Any) -> Any:
        """The quotient, element by element, with broadcasting."""
        self.save(a, b)
        return a / b

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """d(a/b)/da = 1 / b and d(a/b)/db = -a / b^2."""
        a, b = self.saved
        da = grad / b
        return da, -da * (a / b) if self.needs_grad[1] else None


class Neg(Function):
    """-x."""

    symbol = "neg"

    def forward(self, x: Any) -> Any:
        """Minus each element."""
        return -x

    def backward(self, grad: Any) -> Any:
        """The derivative is -1."""
        return -grad


class PowScalar(Function):
    """x ** n for a number n."""

    symbol = "**"

    def forward(self, x: Any, n: float) -> Any:
        """The power, element by element."""
        self.save(x)
        self.n = n
        return self._power(x, n)

    def backward(self, grad: Any) -> Any:
        """d(x^n)/dx = n x^(n - 1), and 0 where n = 0."""
        (x,) = self.saved
        if self.n == 0:
            return self.ops.zeros(x.shape, x.dtype)
        return grad * (self.n * self._power(x, self.n - 1))

    def _power(self, x: Any, n: float) -> Any:
        if n == 1:
            return x * 1
        if n == 2:
            return x * x
        if n == 3:
            return x * x * x  # two products take a hundredth of the time of the general power
        return self.ops.power(x, n)

    def label(self) -> str:
        """With the power: "**2"."""
        return f"**{self.n:g}"


class Pow(Function):
    """a ** b for tensors."""

    symbol = "**"

    def forward(self, a: Any, b: Any) -> Any:
        """The power, element by element, with broadcasting."""
        y = self.ops.power(a, b)
        self.save(a, b, y)
        return y

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """d(a^b)/da = b a^(b - 1), 0 where b = 0; d(a^b)/db = a^b log(a), 0 where a = 0 and b >= 0."""
        a, b, y = self.saved
        where = self.ops.where
        da: Any = None
        db: Any = None
        if self.needs_grad[0]:
            da = grad * where(b == 0, 0, b * self.ops.power(a, where(b == 0, 1, b - 1)))
        if self.needs_grad[1]:
            is_zero = (a == 0) & (b >= 0)
            db = grad * where(is_zero, 0, y * self.ops.log(where(is_zero, 1, a)))
        return da, db


class Exp(Function):
    """e ** x."""

    symbol = "exp"

    def forward(self, x: Any) -> Any:
        """The exponential, element by element."""
        y = self.ops.exp(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """d exp(x)/dx = exp(x), the output itself."""
        (y,) = self.saved
        return grad * y


class Log(Function):
    """The natural logarithm."""

    symbol = "log"

    def forward(self, x: Any) -> Any:
        """The logarithm, element by element; -inf at 0, nan below."""
        self.save(x)
        return self.ops.log(x)

    def backward(self, grad: Any) -> Any:
        """d log(x)/dx = 1 / x."""
        (x,) = self.saved
        return grad / x


class Sqrt(Function):
    """The square root."""

    symbol = "sqrt"

    def forward(self, x: Any) -> Any:
        """The square root, element by element; nan below 0."""
        y = self.ops.sqrt(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """d sqrt(x)/dx = 1 / (2 sqrt(x))."""
        (y,) = self.saved
        return grad * 0.5 / y


class Sin(Function):
    """The sine."""

    symbol = "sin"

    def forward(self, x: Any) -> Any:
        """The sine, element by element, of angles in radians."""
        self.save(x)
        return self.ops.sin(x)

    def backward(self, grad: Any) -> Any:
        """d sin(x)/dx = cos(x)."""
        (x,) = self.saved
        return grad * self.ops.cos(x)


class Cos(Function):
    """The cosine."""

    symbol = "cos"

    def forward(self, x: Any) -> Any:
        """The cosine, element by element, of angles in radians."""
        self.save(x)
        return self.ops.cos(x)

    def backward(self, grad: Any) -> Any:
        """d cos(x)/dx = -sin(x)."""
        (x,) = self.saved
        return -grad * self.ops.sin(x)


class Abs(Function):
    """The absolute value."""

    symbol = "abs"

    def forward(self, x: Any) -> Any:
        """The absolute value, element by element."""
        self.save(x)
        return self.ops.abs(x)

    def backward(self, grad: Any) -> Any:
        """The derivative is the sign of x, and 0 at 0."""
        (x,) = self.saved
        return grad * self.ops.sign(x)


class Maximum(Function):
    """The larger of a and b."""

    symbol = "maximum"

    def forward(self, a: Any, b: Any) -> Any:
        """The larger one, element by element, with broadcasting."""
        self.save(a, b)
        return self.ops.maximum(a, b)

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """The gradient goes to the larger one; where both are equal, each gets half."""
        a, b = self.saved
        share = self._share(a, b)
        return grad * share, grad * (1 - share)

    def _share(self, a: Any, b: Any) -> Any:
        one = self.ops.where(a > b, a.dtype.type(1), a.dtype.type(0))
        return self.ops.where(a == b, a.dtype.type(0.5), one)


class Minimum(Maximum):
    """The smaller of a and b."""

    symbol = "minimum"

    def forward(self, a: Any, b: Any) -> Any:
        """The smaller one, element by element, with broadcasting."""
        self.save(a, b)
        return self.ops.minimum(a, b)

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """The gradient goes to the smaller one; where both are equal, each gets half."""
        a, b = self.saved
        share = self._share(b, a)
        return grad * share, grad * (1 - share)


class Clamp(Function):
    """x, kept between two numbers."""

    symbol = "clamp"

    def forward(self, x: Any, low: float | None, high: float | None) -> Any:
        """Elements below low become low, those above high become high; None is no limit."""
        inside = x == x
        y = x
        if low is not None:
            inside = inside & (x >= low)
            y = self.ops.maximum(y, low)
        if high is not None:
            inside = inside & (x <= high)
            y = self.ops.minimum(y, high)
        self.save(inside)
        return y

    def backward(self, grad: Any) -> Any:
        """The gradient passes where x was between the limits, these included."""
        (inside,) = self.saved
        return grad * inside


class Where(Function):
    """a where a condition holds, b elsewhere."""

    symbol = "where"

    def forward(self, condition: Any, a: Any, b: Any) -> Any:
        """Choose element by element, with broadcasting."""
        self.save(condition)
        return self.ops.where(condition, a, b)

    def backward(self, grad: Any) -> tuple[None, Any, Any]:
        """The gradient goes to the one that was chosen; the other gets 0."""
        (condition,) = self.saved
        zero = grad.dtype.type(0)
        return None, self.ops.where(condition, grad, zero), self.ops.where(condition, zero, grad)


class Cast(Function):
    """The same numbers in another dtype."""

    symbol = "cast"

    def forward(self, x: Any, dtype: Any) -> Any:
        """Convert each element."""
        return self.ops.cast(x, dtype)

    def backward(self, grad: Any) -> Any:
        """The gradient passes; the engine converts it back to the input's dtype."""
        return grad


class Sigmoid(Function):
    """1 / (1 + exp(-x))."""

    symbol = "sigmoid"

    def forward(self, x: Any) -> Any:
        """The sigmoid, element by element; far out it is 0 or 1, and nothing overflows."""
        y = self.ops.sigmoid(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """d sigmoid(x)/dx = y (1 - y), with the output y."""
        (y,) = self.saved
        return grad * (y * (1 - y))


class Tanh(Function):
    """The hyperbolic tangent."""

    symbol = "tanh"

    def forward(self, x: Any) -> Any:
        """The hyperbolic tangent, element by element."""
        y = self.ops.tanh(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """d tanh(x)/dx = 1 - y^2, with the output y."""
        (y,) = self.saved
        return grad * (1 - y * y)


class Relu(Function):
    """The larger of x and 0."""

    symbol = "relu"

    def forward(self, x: Any) -> Any:
        """Keep what is positive; the rest becomes 0."""
        y = self.ops.relu(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        """The gradient passes where the output is positive, and is 0 elsewhere, also at 0."""
        (y,) = self.saved
        return self.ops.relu_backward(y, grad)


class LeakyRelu(Function):
    """x where it is positive, a small part of it elsewhere."""

    symbol = "leaky relu"

    def forward(self, x: Any, slope: float) -> Any:
        """x where x > 0, slope * x elsewhere."""
        self.save(x > 0)
        self.slope = slope
        return self.ops.where(x > 0, x, slope * x)

    def backward(self, grad: Any) -> Any:
        """The derivative is 1 where x > 0, and slope elsewhere."""
        (positive,) = self.saved
        return self.ops.where(positive, grad, self.slope * grad)


class Gelu(Function):
    """The Gaussian error linear unit, in the tanh form of GPT-2."""

    symbol = "gelu"

    def forward(self, x: Any) -> Any:
        """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), element by element."""
        y, slope = self.ops.gelu(x)
        self.save(slope)
        return y

    def backward(self, grad: Any) -> Any:
        """The slope was computed with the output, as both share the tanh."""
        (slope,) = self.saved
        return self.ops.gelu_backward(slope, grad)
