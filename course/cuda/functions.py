"""What is done with one element or with two: device functions, from which kernels are made.

They are the only place where the device says what + or tanh is. `elementwise` makes the
kernels, which know about threads and layouts.
"""

import math

from numba import cuda, float32

# ---------------------------------------------------------------- of two elements


@cuda.jit(device=True)
def add(a, b):
    """a + b."""
    return a + b


@cuda.jit(device=True)
def subtract(a, b):
    """a - b."""
    return a - b


@cuda.jit(device=True)
def multiply(a, b):
    """a * b."""
    return a * b


@cuda.jit(device=True)
def divide(a, b):
    """a / b."""
    return a / b


@cuda.jit(device=True)
def power(a, b):
    """a to the power of b."""
    return a**b


@cuda.jit(device=True)
def maximum(a, b):
    """The larger one; a nan stays, as it is unequal to itself."""
    return a if a > b or a != a else b


@cuda.jit(device=True)
def minimum(a, b):
    """The smaller one; a nan stays."""
    return a if a < b or a != a else b


@cuda.jit(device=True)
def is_larger(best, x):
    """Whether x beats the best so far. A nan beats all numbers, as in numpy."""
    return x > best or (x != x and best == best)


@cuda.jit(device=True)
def is_smaller(best, x):
    """Whether x is smaller than the best so far. A nan beats all numbers."""
    return x < best or (x != x and best == best)


@cuda.jit(device=True)
def equal(a, b):
    """a == b."""
    return a == b


@cuda.jit(device=True)
def not_equal(a, b):
    """a != b."""
    return a != b


@cuda.jit(device=True)
def less(a, b):
    """a < b."""
    return a < b


@cuda.jit(device=True)
def less_equal(a, b):
    """a <= b."""
    return a <= b


@cuda.jit(device=True)
def logical_and(a, b):
    """Both."""
    return a and b


@cuda.jit(device=True)
def logical_or(a, b):
    """One of them, or both."""
    return a or b


@cuda.jit(device=True)
def logical_xor(a, b):
    """One of them, not both."""
    return a != b


@cuda.jit(device=True)
def relu_backward(y, grad):
    """The gradient where relu's output y is positive, 0 elsewhere."""
    return grad if y > 0 else grad * float32(0)


# ---------------------------------------------------------------- of one element


@cuda.jit(device=True)
def negative(x):
    """-x."""
    return -x


@cuda.jit(device=True)
def absolute(x):
    """The absolute value."""
    return abs(x)


@cuda.jit(device=True)
def sign(x):
    """1, -1, or x itself where it is 0 or nan."""
    if x > 0:
        return float32(1)
    return float32(-1) if x < 0 else x


@cuda.jit(device=True)
def exp(x):
    """e to the power of x."""
    return math.exp(x)


@cuda.jit(device=True)
def log(x):
    """The natural logarithm."""
    return math.log(x)


@cuda.jit(device=True)
def sqrt(x):
    """The square root."""
    return math.sqrt(x)


@cuda.jit(device=True)
def sin(x):
    """The sine."""
    return math.sin(x)


@cuda.jit(device=True)
def cos(x):
    """The cosine."""
    return math.cos(x)


@cuda.jit(device=True)
def tanh(x):
    """The hyperbolic tangent."""
    return math.tanh(x)


@cuda.jit(device=True)
def sigmoid(x):
    """1 / (1 + exp(-x)), written with tanh, which does not overflow."""
    return float32(0.5) * (math.tanh(float32(0.5) * x) + float32(1))


@cuda.jit(device=True)
def relu(x):
    """The larger of x and 0; a nan stays."""
    return x if x > 0 or x != x else x * 0


@cuda.jit(device=True)
def logical_not(x):
    """Not x."""
    return not x
