"""Lazy tensors: first note what is to be done, then do it in as few kernels as possible."""

from course.lazy.array import LazyArray, as_lazy, compute
from course.lazy.jit import JitError, jit
from course.lazy.run import Work, count, fusion, uncompiled

__all__ = [
    "JitError",
    "LazyArray",
    "Work",
    "as_lazy",
    "compute",
    "count",
    "fusion",
    "jit",
    "uncompiled",
]
