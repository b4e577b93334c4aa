"""Is the gradient right? Ask the definition of the derivative."""

from collections.abc import Callable

from course.micrograd.engine import Value


def numerical_derivative(f: Callable[[float], float], x: float, h: float = 1e-5) -> float:
    """The slope of f at x, from two values of f close to x (the central difference).

        f'(x) ~ (f(x + h) - f(x - h)) / (2 h)

    Args:
        f: takes a float, returns a float.
        x: where the slope is wanted.
        h: half the distance between the two points.

    Returns:
        A float. The error shrinks with h**2, until rounding takes over at very small h.
    """
    return (f(x + h) - f(x - h)) / (2 * h)


def gradcheck(f: Callable[..., Value], *xs: float, tolerance: float = 1e-6) -> bool:
    """Whether backward agrees with the numerical derivative, for every input of f.

    Args:
        f: takes as many Values as there are xs, returns a Value.
        xs: the numbers at which to compare.
        tolerance: how far the two may be apart, relative to 1 + |numerical derivative|.

    Returns:
        True if all gradients agree. False if any does not, or is nan.
    """
    values = [Value(x) for x in xs]
    f(*values).backward()
    for i, value in enumerate(values):

        def along_input_i(x: float, i: int = i) -> float:
            return f(*[Value(x) if j == i else Value(xs[j]) for j in range(len(xs))]).data

        expected = numerical_derivative(along_input_i, xs[i])
        if not abs(value.grad - expected) <= tolerance * (1 + abs(expected)):
            return False
    return True
