"""CUDA kernels, and the device that plugs them into Tensor.

The kernels are `numba.cuda`'s. On a machine without a GPU the kernel lab runs them.
"""

import course.kernellab  # noqa: F401  (from here on, kernels run without a GPU too)
