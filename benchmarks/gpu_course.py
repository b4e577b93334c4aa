"""The kernels of `course.cuda` on a GPU: what part of the hardware's speed they reach.

`benchmarks/gpu.py --only course` runs this. Peers are measured in the same run: a copy of the same
size for kernels that move memory, cuBLAS for the matrix product, and PyTorch's own float32 attention
without fused kernels. The last two need PyTorch with CUDA; without it they are left out, with a note.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numba import cuda

BANDWIDTH, CUBLAS = 0.85, 0.60
"""Goals: of a copy's bandwidth, of cuBLAS's float32 speed."""

ROWS, WIDTH, CLASSES = 8192, 4096, 4096
Seconds = Callable[[Callable[[], Any]], float]


@dataclass
class Measured:
    """One comparison.

    Attributes:
        what: the kernel, and on what.
        speed: in words, with the unit.
        share: of the peer's speed; above 1 is faster.
        peer: what it is compared with.
        goal: the share that is wanted; 0 for none.
    """

    what: str
    speed: str
    share: float
    peer: str
    goal: float = 0.0


def array(*shape: int) -> Any:
    """Random numbers on the device."""
    return cuda.to_device(np.random.default_rng(0).standard_normal(shape, np.float32))


def memory_bound() -> Iterator[tuple[str, Callable[[], Any], int]]:
    """Kernels whose speed is memory's: (name, launch, the fewest bytes that it must move)."""
    from course.cuda.adamw import adamw
    from course.cuda.block import THREADS
    from course.cuda.cross_entropy import cross_entropy
    from course.cuda.embedding import embedding
    from course.cuda.gelu import bias_gelu
    from course.cuda.layernorm import layer_norm, layer_norm_backward
    from course.cuda.softmax import softmax_backward, softmax_online, softmax_three_pass
    from course.cuda.transpose import transpose_padded

    x, y, out = array(ROWS, WIDTH), array(ROWS, WIDTH), array(ROWS, WIDTH)
    turned = cuda.device_array((WIDTH, ROWS), np.float32)
    weight, bias, scale, losses = array(WIDTH), array(WIDTH), array(ROWS), array(ROWS)
    indices = cuda.to_device(np.random.default_rng(0).integers(0, ROWS, ROWS))
    flat = [a.reshape(ROWS * WIDTH) for a in (x, y, out, array(ROWS, WIDTH))]
    n = x.nbytes
    each = (-(-ROWS * WIDTH // 256), 256)  # a thread for each element
    rates = (1e-3, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001)

    def go(kernel: Any, grid: Any, block: Any, *arguments: Any) -> Callable[[], Any]:
        return lambda: kernel[grid, block](*arguments)

    tiles = (-(-WIDTH // 32), -(-ROWS // 32))
    rows = (ROWS, THREADS)
    yield "transpose, padded", go(transpose_padded, tiles, (32, 8), x, turned), 2 * n
    yield "softmax, three passes", go(softmax_three_pass, *rows, x, out), 2 * n
    yield "softmax, online", go(softmax_online, *rows, x, out), 2 * n
    yield "softmax, backward", go(softmax_backward, *rows, x, y, out), 3 * n
    yield (
        "layer norm, with what backward needs",
        go(layer_norm, *rows, x, weight, bias, 1e-5, out, y, scale),
        3 * n,
    )
    yield (
        "layer norm, backward by x",
        go(layer_norm_backward, *rows, y, scale, weight, x, out),
        3 * n,
    )
    yield "bias and GELU", go(bias_gelu, *each, x, bias, out), 2 * n
    yield (
        "cross-entropy, with probabilities",
        go(cross_entropy, *rows, x, indices, -100, 0.0, losses, out),
        2 * n,
    )
    yield "embedding", go(embedding, *each, x, indices, out), 2 * n
    yield "AdamW", go(adamw, *each, *flat, *rates), 7 * n


def bandwidths(seconds: Seconds) -> Iterator[Measured]:
    """Each kernel's share of the bandwidth of a copy of as many bytes."""
    for name, launch, nbytes in memory_bound():
        one = cuda.device_array(nbytes // 8, np.float32)
        took = seconds(launch)
        copied = seconds(partial(cuda.device_array_like(one).copy_to_device, one))
        yield Measured(
            f"{name}, ({ROWS}, {WIDTH})",
            f"{nbytes / took / 1e9:,.0f} GB/s",
            copied / took,
            "a copy",
            BANDWIDTH,
        )


def products(seconds: Seconds, torch: Any) -> Iterator[Measured]:
    """The register-blocked product against cuBLAS in float32, without tensor cores."""
    from course.cuda.matmul import blocked_launch, matmul_blocked

    torch.backends.cuda.matmul.allow_tf32 = False
    for n in (1024, 2048, 4096):
        a, b, out = array(n, n), array(n, n), array(n, n)
        ours, theirs = torch.as_tensor(a, device="cuda"), torch.as_tensor(b, device="cuda")
        took = seconds(partial(matmul_blocked[blocked_launch(n, n)], a, b, out))
        peer = seconds(partial(torch.matmul, ours, theirs))
        speed = f"{2 * n**3 / took / 1e12:.2f} Tflop/s"
        yield Measured(f"matmul_blocked, {n} x {n}", speed, peer / took, "cuBLAS float32", CUBLAS)


def attentions(seconds: Seconds, torch: Any) -> Iterator[Measured]:
    """Flash attention against PyTorch's "math" attention, both in float32 and causal."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from course.cuda.flash import flash

    heads, width = 32, 64
    for t in (512, 2048, 4096):
        q, k, v = array(heads, t, width), array(heads, t, width), array(heads, t, width)
        theirs = [torch.as_tensor(x, device="cuda") for x in (q, k, v)]

        attention = torch.nn.functional.scaled_dot_product_attention
        with sdpa_kernel(SDPBackend.MATH):
            peer = seconds(partial(attention, *theirs, is_causal=True))
        took = seconds(partial(flash, q, k, v))
        speed = f"{took * 1e3:.2f} ms"
        yield Measured(f"flash attention, ({heads}, {t}, {width})", speed, peer / took, "math", 1.0)


def course(seconds: Seconds) -> tuple[list[Measured], list[str]]:
    """All comparisons, and notes on what is left out."""
    found, notes = list(bandwidths(seconds)), []
    try:
        import torch

        usable = torch.cuda.is_available()
    except ImportError:
        usable = False
    if usable:
        found += [*products(seconds, torch), *attentions(seconds, torch)]
    else:
        notes.append("Left out: cuBLAS and attention, as PyTorch with CUDA is not installed.")
    return found, notes
