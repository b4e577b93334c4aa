"""One training step of MLP(2, [16, 16, 1]) on 100 moons: micrograd against this course's engine.

Three ways: micrograd itself; our engine with single additions and products; and with `dot`, one
node for each weighted sum. The same points, the same initial weights, the same hinge loss with L2,
the same full-batch step; the losses are compared before anything is timed.

Each engine runs in a process of its own, in turn with the others, and pays for the garbage collection
that its own graphs cause: most of micrograd's time goes there, as its nodes are reference cycles.
"""

import functools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from course.micrograd import MLP, SGD, dot, hinge_loss, make_moons, train_step
from course.micrograd.nn import weighted_sum

try:
    from micrograd.engine import Value as PeerValue
    from micrograd.nn import MLP as PeerMLP
except ImportError:
    sys.exit("This benchmark needs its peer: uv pip install micrograd==0.1.0")

ROUNDS, STEPS, LR, L2 = 5, 8, 0.1, 1e-4


def ours(combine: Callable, weights: list[float]) -> Callable[[], float]:
    """A training step of this course's engine."""
    points, labels = make_moons(100, noise=0.1, seed=0)
    model = MLP(2, [16, 16, 1], combine=combine)
    for p, weight in zip(model.parameters(), weights, strict=True):
        p.data = weight
    optimizer = SGD(model.parameters(), lr=LR, weight_decay=2 * L2)
    return lambda: train_step(model, points, labels, hinge_loss, optimizer)


def peer(weights: list[float]) -> Callable[[], float]:
    """The same step of micrograd, written as its own demo writes it."""
    points, labels = make_moons(100, noise=0.1, seed=0)
    model = PeerMLP(2, [16, 16, 1])
    for p, weight in zip(model.parameters(), weights, strict=True):
        p.data = weight

    def step() -> float:
        inputs = [list(map(PeerValue, point)) for point in points]
        scores = [model(x) for x in inputs]
        losses = [(1 + -y * s).relu() for y, s in zip(labels, scores)]
        data_loss = sum(losses) * (1.0 / len(losses))
        total = data_loss + L2 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= LR * p.grad
        return data_loss.data

    return step


ENGINES = {
    "micrograd": peer,
    "single": functools.partial(ours, weighted_sum),
    "dot": functools.partial(ours, dot),
}
TITLES = {"micrograd": "micrograd", "single": "ours, single operations", "dot": "ours, dot nodes"}


def measure(engine: str) -> None:
    """In a process of its own: print the first losses, and the CPU seconds of one step."""
    rng = random.Random(0)
    weights = [rng.uniform(-1, 1) for _ in MLP(2, [16, 16, 1]).parameters()]
    step = ENGINES[engine](weights)
    losses = [step(), step()]
    start = time.process_time()
    for _ in range(STEPS):
        step()
    print(json.dumps({"losses": losses, "seconds": (time.process_time() - start) / STEPS}))


def main() -> None:
    """Measure all engines in turn, and print."""
    rounds: list[dict[str, float]] = []
    first: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        rounds.append({})
        for engine in ENGINES:
            command = [sys.executable, __file__, engine]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            result = json.loads(done.stdout)
            rounds[-1][engine] = result["seconds"]
            first[engine] = result["losses"]
    for engine, losses in first.items():
        if max(abs(a - b) for a, b in zip(losses, first["micrograd"])) > 1e-9:
            sys.exit(f"{engine} does not compute what micrograd computes: {first}")

    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores")
    print(f"one step on 100 moons, CPU time of {STEPS} steps, median of {ROUNDS} rounds in turn")
    for engine in ENGINES:
        median = statistics.median(row[engine] for row in rounds)
        ratio = statistics.median(row["micrograd"] / row[engine] for row in rounds)
        print(f"{TITLES[engine]:26} {1000 * median:8.1f} ms   {ratio:6.1f} x micrograd")


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
