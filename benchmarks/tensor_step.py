"""One training step on small images: this course's tensor engine against PyTorch, tinygrad, JAX, autograd.

Three models, each with batches of 64: an MLP 64-128-10 and a convolutional network (two of 3x3, 16
and 32 channels, relu and max pool after each, then linear) on images of 8x8 and of 28x28. A step is:
forget gradients, forward, cross-entropy, backward, AdamW. All engines start from the same weights and
see the same batch; their losses are compared before anything is timed.

Each engine runs in a process of its own, on one thread, in turn with the others; what counts is the
process's CPU time. Printed are median times, and the median over the rounds of each engine's time
divided by PyTorch's in the same round. Peers that are not installed are named and left out:

    uv pip install torch==2.13.0 tinygrad jax autograd
"""

import functools
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from contest import Step, compare, environment, installed, serve

LR, BETAS, EPS, DECAY = 1e-3, (0.9, 0.999), 1e-8, 0.01
MODELS = {"MLP": 8, "CNN 8x8": 8, "CNN 28x28": 28}
ENGINES = {
    "ours, replayed": None,
    "ours, compiled": None,
    "ours, numpy": None,
    "PyTorch": "torch",
    "tinygrad": "tinygrad",
    "JAX": "jax",
    "autograd": "autograd",
}
BASE = "PyTorch"


def task(model: str) -> tuple[list[Any], Any, Any]:
    """The same weights, images and labels for everybody, as numpy arrays."""
    import numpy as np

    rng = np.random.default_rng(0)
    size = MODELS[model]
    x = rng.random((64, 1, size, size), np.float32)
    y = rng.integers(0, 10, 64)

    def weights(*shape: int) -> Any:
        return (rng.standard_normal(shape) * np.prod(shape[1:]) ** -0.5).astype(np.float32)

    def zeros(n: int) -> Any:
        return np.zeros(n, np.float32)

    if model == "MLP":
        return [weights(128, 64), zeros(128), weights(10, 128), zeros(10)], x.reshape(64, 64), y
    n = 32 * (size // 4) ** 2
    conv = [weights(16, 1, 3, 3), zeros(16), weights(32, 16, 3, 3), zeros(32)]
    return [*conv, weights(10, n), zeros(10)], x, y


def ours(model: str, compiled: bool, replayed: bool = False) -> Step:
    """A step of this course's engine, as the lessons write it; or replayed, on lazy arrays."""
    from course.lazy import jit
    from course.tensor import Tensor, use_kernels
    from course.tensor.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, optim

    use_kernels(compiled)
    weights, x, y = task(model)
    if model == "MLP":
        net = Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
    else:
        net = Sequential(
            Conv2d(1, 16, 3, padding=1), ReLU(), MaxPool2d(2),
            Conv2d(16, 32, 3, padding=1), ReLU(), MaxPool2d(2),
            Flatten(), Linear(weights[-2].shape[1], 10),
        )  # fmt: skip
    for p, w in zip(net.parameters(), weights, strict=True):
        p.data[...] = w
    device = "lazy" if replayed else "cpu"
    net = net.to(device)
    optimiser = optim.AdamW(net.parameters(), LR, BETAS, EPS, DECAY)
    x, y = Tensor(x, device=device), Tensor(y, device=device)

    def train(x: Tensor, y: Tensor) -> Tensor:
        optimiser.zero_grad()
        loss = net(x).cross_entropy(y)
        loss.backward()
        optimiser.step()
        return loss

    run: Any = jit(train) if replayed else train
    return lambda: run(x, y).item


def pytorch(model: str) -> Step:
    """The same in PyTorch, eager, with its fused AdamW, which is its fastest."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    weights, x, y = task(model)
    if model == "MLP":
        net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    else:
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(weights[-2].shape[1], 10),
        )  # fmt: skip
    with torch.no_grad():
        for p, w in zip(net.parameters(), weights, strict=True):
            p.copy_(torch.tensor(w))
    optimiser = torch.optim.AdamW(net.parameters(), LR, BETAS, EPS, DECAY, fused=True)
    x, y = torch.tensor(x), torch.tensor(y)

    def step() -> Callable[[], float]:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimiser.step()
        return loss.item

    return step


def tinygrad(model: str) -> Step:
    """The same in tinygrad, with its TinyJit, which replays the kernels of a step."""
    os.environ.setdefault("DEV", "CPU")
    from tinygrad import Tensor, TinyJit
    from tinygrad.nn.optim import AdamW

    weights, x, y = task(model)
    params = [Tensor(w).realize() for w in weights]
    for p in params:
        p.requires_grad = True
    optimiser = AdamW(params, LR, *BETAS, EPS, DECAY)
    x, y = Tensor(x).realize(), Tensor(y.astype("int32")).realize()

    def forward() -> Any:
        if model == "MLP":
            w1, b1, w2, b2 = params
            return (x.linear(w1.T, b1).relu()).linear(w2.T, b2)
        w1, b1, w2, b2, w3, b3 = params
        h = x.conv2d(w1, b1, padding=1).relu().max_pool2d(2)
        h = h.conv2d(w2, b2, padding=1).relu().max_pool2d(2)
        return h.flatten(1).linear(w3.T, b3)

    @TinyJit
    def train() -> Any:
        optimiser.zero_grad()
        loss = forward().sparse_categorical_crossentropy(y)
        loss.backward()
        return loss.realize(*optimiser.schedule_step())

    def step() -> float:
        with _tinygrad_training():
            return train().item()

    return step


def _tinygrad_training() -> Any:
    """Tinygrad's switch for training, which has moved between versions."""
    from tinygrad import Tensor

    if hasattr(Tensor, "train"):
        return Tensor.train()
    from tinygrad.helpers import Context

    return Context(TRAINING=1)


def jax(model: str) -> Step:
    """The same in JAX, with the whole step compiled."""
    import jax as module
    import jax.numpy as jnp

    module.config.update("jax_platforms", "cpu")
    weights, x, y = task(model)
    x, y = jnp.asarray(x), jnp.asarray(y)

    def loss_of(params: list[Any]) -> Any:
        h = x
        if model == "MLP":
            h = module.nn.relu(h @ params[0].T + params[1])
        else:
            for w, b in (params[:2], params[2:4]):
                h = module.lax.conv(h, w, (1, 1), "SAME") + b[:, None, None]
                window = ((1, 1, 2, 2), (1, 1, 2, 2), "VALID")
                h = module.lax.reduce_window(module.nn.relu(h), -jnp.inf, module.lax.max, *window)
            h = h.reshape(64, -1)
        log_p = module.nn.log_softmax(h @ params[-2].T + params[-1])
        return -log_p[jnp.arange(64), y].mean()

    @module.jit
    def train(params: Any, ms: Any, vs: Any, t: Any) -> Any:
        loss, grads = module.value_and_grad(loss_of)(params)
        return loss, *adamw(jnp, params, grads, ms, vs, t)

    state = [jnp.asarray(w) for w in weights]
    zeros = [jnp.zeros_like(w) for w in state]
    return functools.partial(_next, train, [state, zeros, zeros], [0])


def autograd(model: str) -> Step:
    """The same in HIPS autograd: numpy, with im2col for the convolutions."""
    import autograd.numpy as anp
    import numpy as np
    from autograd import value_and_grad

    weights, x, y = task(model)
    x = x.astype(np.float32)
    rows = np.arange(64)

    def conv(h: Any, w: Any, b: Any) -> Any:
        n, c, height, width = h.shape
        padded = anp.pad(h, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
        views = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        columns = anp.stack(views, axis=2).reshape(n, c * 9, height * width)
        y = anp.matmul(w.reshape(w.shape[0], -1), columns) + b[:, None]
        return y.reshape(n, -1, height, width)

    def pool(h: Any) -> Any:
        n, c, height, width = h.shape
        return h.reshape(n, c, height // 2, 2, width // 2, 2).max(axis=5).max(axis=3)

    def loss_of(params: list[Any]) -> Any:
        h = x
        if model == "MLP":
            h = anp.maximum(anp.dot(h, params[0].T) + params[1], 0)
        else:
            for w, b in (params[:2], params[2:4]):
                h = pool(anp.maximum(conv(h, w, b), 0))
            h = h.reshape(64, -1)
        z = anp.dot(h, params[-2].T) + params[-1]
        z = z - anp.max(z, axis=1, keepdims=True)
        log_p = z - anp.log(anp.sum(anp.exp(z), axis=1, keepdims=True))
        return -anp.mean(log_p[rows, y])

    gradient = value_and_grad(loss_of)

    def train(params: Any, ms: Any, vs: Any, t: Any) -> Any:
        loss, grads = gradient(params)
        return loss, *adamw(np, params, grads, ms, vs, t)

    zeros = [np.zeros_like(w) for w in weights]
    return functools.partial(_next, train, [weights, zeros, zeros], [0])


def adamw(np: Any, params: Any, grads: Any, ms: Any, vs: Any, t: Any) -> Any:
    """AdamW for engines that bring none."""
    b1, b2 = BETAS
    ms = [b1 * m + (1 - b1) * g for m, g in zip(ms, grads)]
    vs = [b2 * v + (1 - b2) * g * g for v, g in zip(vs, grads)]
    new = [
        p * (1 - LR * DECAY) - LR * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + EPS)
        for p, m, v in zip(params, ms, vs)
    ]
    return new, ms, vs


def _next(train: Callable, state: list[Any], count: list[int]) -> float:
    count[0] += 1
    loss, *state[:] = train(*state, float(count[0]))
    return float(loss)


STEPS: dict[str, Callable[[str], Step]] = {
    "ours, replayed": functools.partial(ours, compiled=True, replayed=True),
    "ours, compiled": functools.partial(ours, compiled=True),
    "ours, numpy": functools.partial(ours, compiled=False),
    "PyTorch": pytorch,
    "tinygrad": tinygrad,
    "JAX": jax,
    "autograd": autograd,
}


def import_seconds(module: str) -> float:
    """CPU seconds to import a module in a fresh process, the median of five."""
    code = f"import time; s = time.process_time(); import {module}; print(time.process_time() - s)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(5)]  # fmt: skip
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    """Print the table."""
    engines = installed(ENGINES)
    print(environment())
    numpy_s, ours_s = import_seconds("numpy"), import_seconds("course.tensor.nn")
    print(f"import: numpy {numpy_s:.2f} s, course.tensor.nn {ours_s - numpy_s:.2f} s more")
    for model in MODELS:
        print(model)
        for engine, each, ratio in compare(__file__, model, engines, BASE, "ours, compiled"):
            print(f"  {engine:16s} {each * 1e3:8.3f} ms   {ratio:6.2f} x the time of {BASE}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(STEPS[sys.argv[1]](sys.argv[2]))
    else:
        main()
