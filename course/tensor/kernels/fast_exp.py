"""The exponential function for loops in float32, from operations that a processor does on many numbers at once."""

import math

import numpy as np

from course.tensor.kernels.compiling import part

f32 = np.float32


@part
def fast_exp(x: np.float32) -> np.float32:
    """exp(x) in float32, right to 1e-7 of its size: 0 below -87, and as at 88 above.

        exp(x) = 2^n * exp(r),   n = round(x / log 2),   r = x - n * log 2

    r is at most log(2) / 2 in size, where a polynomial is exact enough; and 2^n has the bits of n + 127 where a float keeps its
    exponent. Source: the Cephes library, expf; log 2 is subtracted in two parts, so that r keeps its digits.
    """
    n = math.floor(min(max(x, f32(-87)), f32(88)) * f32(1.44269504) + f32(0.5))
    r = min(max(x, f32(-87)), f32(88)) - n * f32(0.693359375) - n * f32(-2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    p = p * r * r + r + f32(1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return f32(0) if x < f32(-87) else p * power
