"""What named GPUs can do, and what that predicts for a kernel.

    report = lab.check(kernel[grid, block], ...)
    print(lab.predict(report, "T4"))

A prediction is a lower bound for the time: each part of the chip works as fast as its data sheet
says, and all at the same time. Nothing here has been measured on the GPU it speaks of.
"""

from dataclasses import dataclass

from course.kernellab.hardware import SECTOR
from course.kernellab.records import WARP, Report


@dataclass(frozen=True)
class Gpu:
    """A GPU's numbers, from its data sheet and its generation's tuning guide.

    Attributes:
        name: what it is called.
        flops: float32 operations a second (an fma counts two), without tensor cores.
        bandwidth: of its memory, in bytes a second.
        l2_bandwidth: of its L2 cache, in bytes a second; about, from published measurements.
        processors: multiprocessors (SMs).
        clock: cycles a second, at boost.
        threads: most threads on a multiprocessor at a time.
        blocks: most blocks.
        registers: of 32 bits, on a multiprocessor.
        shared: bytes of shared memory on a multiprocessor.
    """

    name: str
    flops: float
    bandwidth: float
    l2_bandwidth: float
    processors: int
    clock: float
    threads: int
    blocks: int
    registers: int
    shared: int

    @property
    def ridge(self) -> float:
        """Operations for each byte of memory above which arithmetic is the limit."""
        return self.flops / self.bandwidth


GPUS = {
    "T4": Gpu("T4", 8.1e12, 320e9, 1.3e12, 40, 1.59e9, 1024, 16, 65536, 64 * 1024),
    "A100": Gpu("A100", 19.5e12, 1555e9, 4.5e12, 108, 1.41e9, 2048, 32, 65536, 164 * 1024),
    "H100": Gpu("H100", 66.9e12, 3350e9, 5.5e12, 132, 1.83e9, 2048, 32, 65536, 228 * 1024),
}
"""Those that students meet: in Colab, in data centres."""


def gpu(name: str | Gpu) -> Gpu:
    """A GPU by its name.

    Raises:
        ValueError: if there are no numbers for it; make a `Gpu` then.
    """
    if isinstance(name, Gpu):
        return name
    if name not in GPUS:
        raise ValueError(f"no numbers for the GPU {name!r}: choose from {', '.join(GPUS)}.")
    return GPUS[name]


@dataclass(frozen=True)
class Occupancy:
    """How many of a multiprocessor's places for threads a launch can fill.

    Attributes:
        fraction: from 0 to 1.
        blocks: on a multiprocessor at a time.
        limit: what keeps it from more: "threads", "blocks", "registers" or "shared memory".
        registers: a thread's, as assumed.
    """

    fraction: float
    blocks: int
    limit: str
    registers: int

    def __str__(self) -> str:
        return (
            f"{self.fraction:.0%} of the places for threads, {self.blocks} blocks on a "
            f"multiprocessor, limited by {self.limit} (at {self.registers} registers a thread)"
        )


def occupancy(
    threads: int, shared_bytes: int = 0, registers: int = 32, on: str | Gpu = "T4"
) -> Occupancy:
    """How full a multiprocessor gets.

    Args:
        threads: of a block.
        shared_bytes: of a block.
        registers: of a thread; `lab.asm(...).registers` knows. 32 is a usual number.
        on: the GPU.
    """
    chip = gpu(on)
    warps = -(-threads // WARP)
    # Registers are given to a warp in portions of 256.
    for_warp = -(-registers * WARP // 256) * 256
    limits = {
        "threads": chip.threads // (warps * WARP),
        "blocks": chip.blocks,
        "registers": chip.registers // (for_warp * warps),
        "shared memory": chip.shared // shared_bytes if shared_bytes else chip.blocks,
    }
    limit = min(limits, key=lambda name: limits[name])
    blocks = limits[limit]
    return Occupancy(min(1.0, blocks * warps * WARP / chip.threads), blocks, limit, registers)


@dataclass(frozen=True)
class Prediction:
    """The time that a launch takes at least, by the parts of the chip it uses.

    Attributes:
        kernel: its name.
        gpu: where.
        seconds: {part: time}: "arithmetic", "memory", "L2 cache", "shared memory".
        intensity: operations for each byte that memory must move.
        flops: operations.
    """

    kernel: str
    gpu: Gpu
    seconds: dict[str, float]
    intensity: float
    flops: int

    @property
    def time(self) -> float:
        """The time of the slowest part, in seconds."""
        return max(self.seconds.values())

    @property
    def bound(self) -> str:
        """The slowest part."""
        return max(self.seconds, key=lambda part: self.seconds[part])

    @property
    def achieved(self) -> float:
        """Operations a second that come out, at best."""
        return self.flops / self.time if self.time else 0.0

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {s * 1e6:.2f}" for part, s in self.seconds.items())
        share = self.achieved / self.gpu.flops
        return (
            f"prediction for {self.kernel} on a {self.gpu.name}: at least {self.time * 1e6:.2f} "
            f"microseconds, bound by {self.bound} ({parts}); {self.intensity:.2f} operations a byte "
            f"(ridge {self.gpu.ridge:.1f}), {share:.1%} of peak arithmetic. Not measured."
        )


def predict(report: Report, on: str | Gpu = "T4") -> Prediction:
    """The least time a launch can take on a GPU, from what the checker counted.

    Raises:
        ValueError: if the launch was not followed, or the GPU is unknown.
    """
    chip, cost = gpu(on), report.cost
    if not cost.followed:
        raise ValueError("this launch was not followed: no GPU would have started it.")
    moved = cost.unique_sectors * SECTOR
    seconds = {
        "arithmetic": cost.flops / chip.flops,
        "memory": moved / chip.bandwidth,
        "L2 cache": cost.sectors * SECTOR / chip.l2_bandwidth,
        "shared memory": cost.wavefronts / (chip.processors * chip.clock),
    }
    return Prediction(
        report.kernel, chip, seconds, cost.flops / moved if moved else 0.0, cost.flops
    )
