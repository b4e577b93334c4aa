"""Engines against each other: each in a process of its own, in turn, on one thread, by CPU time.

A script has a dict of engines. Called with an engine's name and a task's, it serves that engine: it says first what the engine
computed, so that all can be compared, and then the CPU seconds of a step whenever it is asked.
"""

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ROUNDS, RESULTS = 7, 5

Step = Callable[[], float | Callable[[], float]]


def serve(step: Step, seconds: float = 0.4) -> None:
    """In a process of its own: say the first results, then the CPU seconds of a step whenever asked."""

    def result() -> float:
        said = step()
        return said() if callable(said) else said

    print(json.dumps([result() for _ in range(RESULTS)]), flush=True)
    for _ in range(3):
        step()
    start = time.process_time()
    step()
    times = max(1, int(seconds / max(time.process_time() - start, 1e-5)))
    for _ in sys.stdin:
        start = time.process_time()
        for _ in range(times):
            step()
        print((time.process_time() - start) / times, flush=True)


def start(script: str, engine: str, task: str) -> subprocess.Popen:
    """A process that serves an engine."""
    return subprocess.Popen(
        [sys.executable, script, engine, task],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, **THREADS},
    )  # fmt: skip


def compare(
    script: str, task: str, engines: list[str], base: str, ours: str
) -> Iterator[tuple[str, float, float]]:
    """Each engine's median CPU seconds, and its median ratio to the base's.

    Args:
        script: its file.
        task: what each engine is to do.
        engines: their names.
        base: the one that all are compared with.
        ours: the one whose results count if the base does not run.
    """
    servers = {}
    for engine in engines:
        process = start(script, engine, task)
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            error = process.stderr.read().strip().splitlines() if process.stderr else []
            print(f"  {engine}: does not run here ({error[-1][:90] if error else 'no message'})")
            continue
        servers[engine] = (process, json.loads(line))
    reference = servers[base if base in servers else ours][1]
    for engine, (_, results) in servers.items():
        difference = max(abs(a - b) for a, b in zip(results, reference))
        if difference > 1e-3:
            print(f"  {engine}: its results differ by {difference:.1e}: not the same work")
    seconds: dict[str, list[float]] = {engine: [] for engine in servers}
    for _ in range(ROUNDS):
        for engine, (process, _) in servers.items():
            assert process.stdin and process.stdout
            process.stdin.write("go\n")
            process.stdin.flush()
            seconds[engine].append(float(process.stdout.readline()))
    for process, _ in servers.values():
        process.stdin.close()
        process.wait()
    for engine, own in seconds.items():
        of_base = seconds.get(base)
        ratio = statistics.median(a / b for a, b in zip(own, of_base)) if of_base else float("nan")
        yield engine, statistics.median(own), ratio


def installed(engines: Mapping[str, str | None]) -> list[str]:
    """Those engines whose module is there; the others are named.

    Args:
        engines: the module that each needs, or None.
    """
    found = []
    for engine, module in engines.items():
        if module and not importlib.util.find_spec(module):
            print(f"{engine}: not installed, left out")
        else:
            found.append(engine)
    return found


def environment() -> str:
    """What the numbers depend on."""
    import numpy as np

    return (
        f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__}\n"
        f"one thread, CPU time, median of {ROUNDS} rounds; other load: {os.getloadavg()[0]:.1f}"
    )
