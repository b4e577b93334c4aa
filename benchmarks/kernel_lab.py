"""kernellab against OpenBLAS and against numba's simulator; what a launch and a check cost.

    python3 start.py python benchmarks/kernel_lab.py [--size 128]

The simulator runs in a process of its own: it is chosen when numba is imported. At 256 x 256 it
takes minutes, so that it gets the smaller size; the lab is timed at both.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numba import cuda, float32

SIMULATOR = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
if not SIMULATOR:
    from course import kernellab as lab

TILE = 16
ROUNDS = 9


@cuda.jit
def tiled(a, b, c):
    """A tiled matrix product, as students write it."""
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    column, row = cuda.grid(2)
    x = cuda.threadIdx.x
    y = cuda.threadIdx.y
    total = float32(0)
    for start in range(0, a.shape[1], TILE):
        left[y, x] = 0
        right[y, x] = 0
        if row < a.shape[0] and start + x < a.shape[1]:
            left[y, x] = a[row, start + x]
        if column < b.shape[1] and start + y < b.shape[0]:
            right[y, x] = b[start + y, column]
        cuda.syncthreads()
        for k in range(TILE):
            total += left[y, k] * right[k, x]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total


@cuda.jit
def empty():
    """Nothing."""


@cuda.jit
def add(a, b, c):
    """A sum, element by element."""
    i = cuda.grid(1)
    if i < c.size:
        c[i] = a[i] + b[i]


def median(run: Callable[[], object], rounds: int = ROUNDS, inner: int = 1) -> float:
    """The median CPU time of a run, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(inner):
            run()
        times.append((time.process_time() - start) / inner)
    return statistics.median(times)


def product(size: int) -> Callable[[], object]:
    """A launch of the tiled product."""
    a, b = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
    c = np.zeros((size, size), np.float32)
    blocks = -(-size // TILE)
    launch = tiled[(blocks, blocks), (TILE, TILE)]
    launch(a, b, c)
    assert np.allclose(c, a @ b, atol=1e-3)
    return lambda: launch(a, b, c)


def simulator_seconds(size: int) -> float:
    """The simulator's CPU time for one product, measured in another process."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, __file__, "--simulator", str(size)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def compare_products(size: int) -> None:
    """The tiled product against OpenBLAS and the simulator."""
    ours = product(256)
    a, b = np.random.default_rng(0).standard_normal((2, 256, 256)).astype(np.float32)
    ours()
    # In turn, so that a noisy moment hits both.
    pairs = [(median(ours, 3, 5), median(lambda: a @ b, 3, 5)) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(side) for side in zip(*pairs))
    share = statistics.median(theirs / mine for mine, theirs in pairs)
    print(f"tiled product 256 x 256: {mine * 1e3:.3f} ms, {2 * 256**3 / mine / 1e9:.0f} GFLOP/s")
    print(f"  OpenBLAS, one thread:  {theirs * 1e3:.3f} ms; ours has {share:.0%} of its speed")
    small = product(size)
    small()
    fast, slow = median(small, inner=20), simulator_seconds(size)
    print(f"tiled product {size} x {size}: {fast * 1e3:.4f} ms")
    print(f"  numba's simulator:     {slow:.2f} s; ours is {slow / fast:,.0f} times as fast")


def launches() -> None:
    """What a launch costs, once all is compiled."""
    arrays = [np.zeros(64, np.float32) for _ in range(3)]
    for label, run in (
        ("no argument", lambda: empty[1, 1]()),
        ("three arrays", lambda: add[1, 64](*arrays)),
    ):
        for _ in range(3):
            run()
        print(f"launch, {label}: {median(run, inner=2000) * 1e6:.1f} microseconds")


def checks() -> None:
    """What the checker costs for an access."""
    a, b = np.random.default_rng(0).standard_normal((2, 64, 64)).astype(np.float32)
    c = np.zeros((64, 64), np.float32)
    launch = tiled[(4, 4), (TILE, TILE)]
    report = lab.check(launch, a, b, c, blocks="all", orders=("forward",))
    accesses = sum(t.accesses for t in report.traffic.values())
    seconds = median(lambda: lab.check(launch, a, b, c, blocks="all", orders=("forward",)), 3)
    print(f"checker: {seconds / accesses * 1e6:.2f} microseconds an access ({accesses:,} of them)")


def one_thread() -> None:
    """Start this program again with one thread for OpenBLAS, which reads its setting only once."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)


def main() -> None:
    """Print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="of the product in the simulator")
    parser.add_argument("--simulator", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.simulator:
        print(median(product_in_simulator(chosen.simulator), 1))
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"one thread, CPU time, medians; other load: {os.getloadavg()[0]:.1f}")
    compare_products(chosen.size)
    launches()
    checks()


def product_in_simulator(size: int) -> Callable[[], object]:
    """One launch, without a first one: nothing is compiled there."""
    a, b = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
    c = np.zeros((size, size), np.float32)
    blocks = -(-size // TILE)
    return lambda: tiled[(blocks, blocks), (TILE, TILE)](a, b, c)


if __name__ == "__main__":
    one_thread()
    main()
