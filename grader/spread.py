"""Spreading submissions over workers: threads of this process, or a Dask cluster.

Outcomes come back in the order in which they are ready. Only a few submissions are under way at a time, so
that memory does not grow with the number of submissions.
"""

import concurrent.futures
import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any

from grader.errors import GraderError
from grader.fork_server import stopped
from grader.outcome import Outcome
from grader.pack import Pack
from grader.worker import How, Job, grade_submission

AHEAD = 2  # submissions for each worker that are under way or wait

Load = Callable[[], Job]  # reads a submission when its turn comes


def default_workers() -> int:
    """All cores; one less where somebody sits at the machine."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, cores - 1 if sys.stdout.isatty() else cores)


def spread_local(
    loads: Iterable[Load], packs: dict[str, Pack], how: How, workers: int
) -> Generator[tuple[Job, Outcome]]:
    """Grade in so many threads; each has a fork server of its own.

    Args:
        loads: what gives the submissions.
        packs: by lesson.
        how: how to run them.
        workers: how many run at a time.
    """
    pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="worker")

    def start(load: Load) -> "concurrent.futures.Future[tuple[Job, Outcome]]":
        def work() -> tuple[Job, Outcome]:
            job = load()
            return job, grade_submission(job, packs[job.lesson], how)

        return pool.submit(work)

    try:
        yield from _in_turn(loads, start, AHEAD * workers, concurrent.futures.wait)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        with stopped():  # what still runs, if this is left early, ends with its fork server
            pool.shutdown()


def spread_cluster(
    loads: Iterable[Load], packs: dict[str, Pack], how: How, address: str
) -> Generator[tuple[Job, Outcome]]:
    """Grade on a Dask cluster, whose workers have this course installed.

    Args:
        loads: what gives the submissions.
        packs: by lesson; each travels once.
        how: how to run them.
        address: of the scheduler, such as "tcp://127.0.0.1:8786".

    Raises:
        GraderError: if there is no such cluster.
    """
    try:
        import distributed
    except ImportError:
        raise GraderError(
            "--cluster needs the package `distributed`, here and on the workers: "
            "install the extra `cluster` of this course"
        ) from None
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise GraderError(
            f"no Dask scheduler answers at {address} ({type(error).__name__}): start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS`"
        ) from None
    with client:
        workers = client.nthreads()
        if not workers:
            raise GraderError(f"the cluster at {address} has no workers: `dask worker {address}`")
        there = {name: client.scatter(pack, broadcast=True) for name, pack in packs.items()}

        def start(load: Load) -> Any:
            job = load()
            # Not pure: the same bytes may have to run again, after a worker was lost.
            work = client.submit(_grade_there, job, there[job.lesson], how, pure=False, retries=2)
            return work

        def wait(futures: Iterable[Any], return_when: str) -> Any:
            return distributed.wait(list(futures), return_when=return_when)

        yield from _in_turn(loads, start, AHEAD * sum(workers.values()), wait)


def _grade_there(job: Job, pack: Pack, how: How) -> tuple[Job, Outcome]:
    return job, grade_submission(job, pack, how)


def _in_turn(
    loads: Iterable[Load], start: Callable[[Load], Any], room: int, wait: Callable[..., Any]
) -> Generator[tuple[Job, Outcome]]:
    """Keep so many under way; yield what is done."""
    waiting = iter(loads)
    under_way: set[Any] = set()
    while True:
        with contextlib.suppress(StopIteration):
            while len(under_way) < room:
                under_way.add(start(next(waiting)))
        if not under_way:
            return
        done, _ = wait(under_way, return_when="FIRST_COMPLETED")
        for future in done:
            under_way.discard(future)
            yield future.result()
