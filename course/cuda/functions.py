"""What is done with one element or with two: device functions, from which kernels are made.

They are the only place where the device says what + or tanh is. `elementwise` makes the
kernels, which know about threads and layouts.
"""

import math

from numba import cuda, float32

# ---------------------------------------------------------------- of two elements


@cuda.jit(device=True)
def add(a, b):
    return a + b


@cuda.jit(device=True)
def subtract(a, b):
    return a - b


@cuda.jit(device=True)
def multiply(a, b):
    return a * b


@cuda.jit(device=True)
def divide(a, b):
    return a / b


@cuda.jit(device=True)
def power(a, b):
    return a**b


@cuda.jit(device=True)
def maximum(a, b):
    return a if a > b or a != a else b  # a nan is unequal to itself, and stays


@cuda.jit(device=True)
def minimum(a, b):
    return a if a < b or a != a else b


@cuda.jit(device=True)
def is_larger(best, x):
    return x > best or (x != x and best == best)


@cuda.jit(device=True)
def is_smaller(best, x):
    return x < best or (x != x and best == best)


@cuda.jit(device=True)
def equal(a, b):
    return a == b


@cuda.jit(device=True)
def not_equal(a, b):
    return a != b


@cuda.jit(device=True)
def less(a, b):
    return a < b


@cuda.jit(device=True)
def less_equal(a, b):
    return a <= b


@cuda.jit(device=True)
def logical_and(a, b):
    return a and b


@cuda.jit(device=True)
def logical_or(a, b):
    return a or b


@cuda.jit(device=True)
def logical_xor(a, b):
    return a != b


@cuda.jit(device=True)
def relu_backward(y, grad):
    return grad if y > 0 else grad * float32(0)


# ---------------------------------------------------------------- of one element


@cuda.jit(device=True)
def negative(x):
    return -x


@cuda.jit(device=True)
def absolute(x):
    return abs(x)


@cuda.jit(device=True)
def sign(x):
    if x > 0:
        return float32(1)
    return float32(-1) if x < 0 else x


@cuda.jit(device=True)
def exp(x):
    return math.exp(x)


@cuda.jit(device=True)
def log(x):
    return math.log(x)


@cuda.jit(device=True)
def sqrt(x):
    return math.sqrt(x)


@cuda.jit(device=True)
def sin(x):
    return math.sin(x)


@cuda.jit(device=True)
def cos(x):
    return math.cos(x)


@cuda.jit(device=True)
def tanh(x):
    return math.tanh(x)


@cuda.jit(device=True)
def sigmoid(x):
    return float32(0.5) * (math.tanh(float32(0.5) * x) + float32(1))


@cuda.jit(device=True)
def relu(x):
    return x if x > 0 or x != x else x * 0


@cuda.jit(device=True)
def logical_not(x):
    return not x
