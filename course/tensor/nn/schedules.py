"""Learning rates that change from step to step: large steps at first, small ones at the end."""

import math
from collections.abc import Callable
from typing import Any


class LambdaLR:
    """Multiplies each group's learning rate with function(step).

        schedule = LambdaLR(optimizer, lambda step: 0.99**step)
        ...
        optimizer.step()
        schedule.step()

    Args:
        optimizer: its groups' learning rates at this moment are what is multiplied.
        function: takes the number of steps so far, 0 at first; returns a factor.

    Attributes:
        steps: how many steps there were so far.
    """

    def __init__(self, optimizer: Any, function: Callable[[int], float]) -> None:
        self.optimizer = optimizer
        self.function = function
        self.base = [group["lr"] for group in optimizer.param_groups]
        self.steps = 0
        self._set()

    def step(self) -> None:
        """Go on to the next learning rate; call it once after each step (or epoch)."""
        self.go_to(self.steps + 1)

    def go_to(self, steps: int) -> None:
        """Take the learning rate of after so many steps, to go on with a saved training."""
        self.steps = steps
        self._set()

    def _set(self) -> None:
        factor = self.function(self.steps)
        for group, lr in zip(self.optimizer.param_groups, self.base):
            group["lr"] = lr * factor


class StepLR(LambdaLR):
    """Multiplies the learning rate with gamma after every step_size steps."""

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer, lambda step: gamma ** (step // step_size))


class CosineAnnealingLR(LambdaLR):
    """From the learning rate down to eta_min in T_max steps, along half a cosine.

    lr(t) = eta_min + (lr - eta_min) * (1 + cos(pi * t / T_max)) / 2, and eta_min from then on.
    """

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0) -> None:
        self.eta_min = eta_min
        super().__init__(
            optimizer, lambda step: (1 + math.cos(math.pi * min(step, T_max) / T_max)) / 2
        )

    def _set(self) -> None:
        factor = self.function(self.steps)
        for group, lr in zip(self.optimizer.param_groups, self.base):
            group["lr"] = self.eta_min + (lr - self.eta_min) * factor


def warmup_cosine(warmup: int, steps: int, floor: float = 0.0) -> Callable[[int], float]:
    """A function for LambdaLR: from almost 0 up in a straight line, then down along half a cosine.

        step < warmup:            (step + 1) / (warmup + 1)
        warmup <= step < steps:   floor + (1 - floor) * (1 + cos(pi * done)) / 2
        steps <= step:            floor

    where done is how much of the way down lies behind: 0 at step = warmup, and 1 at step = steps.

    Args:
        warmup: how many steps the way up takes; 0 or more, at most steps. If it is steps, there is no way down.
        steps: the step at which the way down ends.
        floor: the factor at the end. The way up may begin below it.

    Returns:
        A function from the number of a step, 0 at first, to the factor.
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if step >= steps:
            return floor
        done = (step - warmup) / (steps - warmup)
        return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2

    return factor
