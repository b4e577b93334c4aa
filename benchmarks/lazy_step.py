"""A training step of an MLP on digits: eager, lazy, and replayed, against PyTorch.

The MLP is 64-128-10, with batches of 64; a step is forward, cross-entropy, backward and SGD with
momentum. All start from the same weights and see the same batches; their losses are compared before
anything is timed. They take turns on one thread; what counts is the process's CPU time. Printed are
median times, and the median over the rounds of each one's time divided by that of the eager engine in the
same round. Without PyTorch, that line is left out:

    uv pip install torch==2.13.0
"""

# ruff: noqa: E402  (threads are set before numpy is imported)

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

from course.lazy import count, fusion, jit
from course.tensor import Tensor, manual_seed, use_kernels
from course.tensor.nn import Linear, ReLU, Sequential, optim

ROUNDS, STEPS, LR, MOMENTUM = 15, 50, 0.1, 0.9
COMPILED = "eager, compiled"
Step = Callable[[], float]


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels, the same for all."""
    rng = np.random.default_rng(0)
    return rng.random((64, 64), np.float32), rng.integers(0, 10, 64)


def ours(device: str, replay: bool = False) -> Step:
    """A step of this course's engine."""
    manual_seed(0)
    model = Sequential(Linear(64, 128), ReLU(), Linear(128, 10)).to(device)
    optimizer = optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    x, y = (Tensor(array, device=device) for array in batch())

    def train(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model(x).cross_entropy(y)
        loss.backward()
        optimizer.step()
        return loss

    run: Any = jit(train) if replay else train
    return lambda: run(x, y).item()


def pytorch() -> Step | None:
    """A step of PyTorch's, or None without it."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    manual_seed(0)
    reference = Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    with torch.no_grad():
        for theirs, mine in zip(model.parameters(), reference.parameters()):
            theirs.copy_(torch.from_numpy(mine.numpy()))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    x, y = map(torch.from_numpy, batch())

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    """Compare the losses, then the times."""
    steps = {
        "eager": ours("cpu"),
        COMPILED: ours("cpu"),
        "lazy": ours("lazy"),
        "lazy, replayed": ours("lazy", replay=True),
    }
    peer = pytorch()
    if peer is None:
        print("PyTorch is not installed: left out")
    else:
        steps["PyTorch"] = peer
    losses = {}
    for name, step in steps.items():
        use_kernels(name == COMPILED)
        losses[name] = [step() for _ in range(10)]
    for name, values in losses.items():
        assert np.allclose(values, losses["eager"], rtol=1e-4), (name, values, losses["eager"])

    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.processor()}")
    for fused in (True, False):
        with fusion(fused), count() as work:
            steps["lazy"]()
        print(f"{'fused' if fused else 'not fused':10} {work.kernels:3} kernels, {work.bytes:9,} B")

    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            use_kernels(name == COMPILED)
            start = time.process_time()
            for _ in range(STEPS):
                step()
            times[name].append((time.process_time() - start) / STEPS)
    use_kernels(False)
    print(f"{'':16} {'ms a step':>10} {'of eager':>9}")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times["eager"]))
        print(f"{name:16} {statistics.median(seconds) * 1e3:10.3f} {ratio:9.2f}")


if __name__ == "__main__":
    main()
