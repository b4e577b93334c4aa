"""Kernels on tensors of PyTorch: the tensors' own memory goes in, nothing is copied."""

import math
from typing import Any

from numba import cuda

from course.cuda.record import THREADS


def view(tensor: Any) -> Any:
    """A tensor's memory as what a kernel takes. Nothing is copied: who writes to the view changes the tensor.

    Args:
        tensor: of PyTorch's, on the processor or on a GPU; whether it requires gradients does not matter here.

    Returns:
        A numpy array for a tensor on the processor, a device array for one on a GPU (`tensor.is_cuda`).
    """
    tensor = tensor.detach()
    return cuda.as_cuda_array(tensor) if tensor.is_cuda else tensor.numpy()


def stream_of(tensor: Any) -> Any:
    """The queue of launches that PyTorch uses on the tensor's GPU; 0 for a tensor on the processor.

    Kernels in one queue run one after the other. In a queue of its own, ours might start
    before PyTorch's kernels have written what it reads.
    """
    if not tensor.is_cuda:
        return 0
    import torch

    return cuda.external_stream(torch.cuda.current_stream(tensor.device).cuda_stream)


def launch_into(out: Any, kernel: Any, *arguments: Any) -> Any:
    """Launch a kernel with a thread for each number of `out`, and return `out`.

    Of a tensor whose numbers do not lie in reading order, or are stretched with strides of 0 as the gradient of a
    sum is, the kernel gets a copy in which they do.

    Args:
        out: a new tensor; the kernel takes it last.
        kernel: of numba.cuda's.
        arguments: what the kernel takes before it: tensors, and integers.
    """
    tensors = [x.contiguous() if hasattr(x, "contiguous") else x for x in arguments]
    views = [view(x) if hasattr(x, "detach") else x for x in (*tensors, out)]
    n_blocks = math.ceil(math.prod(out.shape) / THREADS)
    if n_blocks:
        kernel[n_blocks, THREADS, stream_of(out)](*views)
    return out
