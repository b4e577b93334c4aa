"""Training a GPT: batches in, steps out, with whoever wants to look on."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from course.gpt import checkpoint
from course.gpt.model import GPT
from course.tensor import Tensor, no_grad
from course.tensor.nn import Embedding, Linear, Module, optim

Array = np.ndarray


class Examples(Protocol):
    """What a model learns from."""

    def batch(self, n: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """n examples at random: tokens (n, t), and for each place the token that comes next, or -1."""


@dataclass(frozen=True)
class TrainerConfig:
    """How to train.

    Attributes:
        steps: how many steps in all.
        batch_size: how many examples for each pass through the model.
        accumulate: how many passes for a step: their gradients are averaged, as if the batch were so many times as large.
        lr: the largest learning rate.
        warmup: how many steps it takes to get there, from almost 0.
        floor: what is left of it at the end of the cosine, as a share.
        betas: as for Adam.
        weight_decay: of the matrices of linear layers, and of nothing else.
        clip: the largest norm of all gradients together.
        eval_every: how often to look at the loss on examples that are not learned from; 0 is never.
        eval_batches: on how many batches.
        seed: which examples, in which order; the same seed gives the same training.
    """

    steps: int
    batch_size: int = 64
    accumulate: int = 1
    lr: float = 5e-4
    warmup: int = 0
    floor: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    eval_every: int = 0
    eval_batches: int = 8
    seed: int = 0


def decay_groups(model: Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups, for an optimiser: those that decay, and those that do not.

    What decays are the weights of `Linear` layers. All else does not: biases, norms, tables of embeddings, and any other parameter, of
    whatever shape. A weight that is a linear layer's and at the same time an `Embedding`'s (`tie_weights`) is a table, and does not decay.

    Args:
        model: any module.
        weight_decay: of the first group; that of the second is 0.0.

    Returns:
        A list of two dicts with "params", a list, and "weight_decay". Each parameter of the model is in one of them, once, even if
        several layers share it.
    """
    modules = model.modules()
    matrices = {id(m.weight) for m in modules if isinstance(m, Linear)}
    matrices -= {id(m.weight) for m in modules if isinstance(m, Embedding)}
    decays = [p for p in model.parameters() if id(p) in matrices]
    others = [p for p in model.parameters() if id(p) not in matrices]
    return [
        {"params": decays, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


class Trainer:
    """Trains a model, and lets others look on.

        trainer = Trainer(config, model, examples, validation)
        trainer.on_step.append(lambda trainer: print(trainer.losses[-1]))
        trainer.run()

    Attributes:
        clip: clips the gradients of parameters to a norm, as `optim.clip_grad_norm_` does.
        step: how many steps are done.
        losses: of each step.
        evaluations: pairs (step, loss on the validation examples).
        on_step, on_evaluation: functions that are called with the trainer after each step and each evaluation.
    """

    def __init__(
        self,
        config: TrainerConfig,
        model: GPT,
        examples: Examples,
        validation: Examples | None = None,
    ) -> None:
        self.config = config
        self.model = model
        self.examples = examples
        self.validation = validation
        groups = decay_groups(model, config.weight_decay)
        self.optimizer = optim.AdamW(groups, lr=config.lr, betas=config.betas)
        factor = optim.warmup_cosine(config.warmup, config.steps, config.floor)
        self.schedule = optim.LambdaLR(self.optimizer, factor)
        self.clip: Callable[[list[Tensor], float], float] = optim.clip_grad_norm_
        self.step = 0
        self.losses: list[float] = []
        self.evaluations: list[tuple[int, float]] = []
        self.on_step: list[Callable[[Trainer], Any]] = []
        self.on_evaluation: list[Callable[[Trainer], Any]] = []

    def run(self, steps: int | None = None) -> list[float]:
        """Train until config.steps steps are done in all; or for so many more steps, but never beyond config.steps.

        After each step its loss is put behind the others in `losses`, `step` goes up by one, and then each function in `on_step` is
        called with the trainer. If there are validation examples and config.eval_every is not 0, then after each step whose number is a
        multiple of it the pair (step, loss on the validation examples) is put into `evaluations`, and each function in
        `on_evaluation` is called with the trainer.

        Args:
            steps: how many more steps, 0 or more; None for all that are left.

        Returns:
            `losses`: of all steps so far, also of earlier runs.
        """
        last = self.config.steps if steps is None else min(self.step + steps, self.config.steps)
        every = self.config.eval_every
        while self.step < last:
            self.losses.append(self.train_step())
            self.step += 1
            for function in self.on_step:
                function(self)
            if self.validation is not None and every and self.step % every == 0:
                self.evaluations.append((self.step, self.evaluate(self.validation)))
                for function in self.on_evaluation:
                    function(self)
        return self.losses

    def train_step(self) -> float:
        """One step of the optimiser, with the model in training mode.

        From config.accumulate batches of `examples` comes the gradient of the mean of their losses; what stood in the gradients before
        does not count. It is clipped once, to config.clip, with self.clip; then the optimiser makes its step, and the schedule goes on.

        The step draws its batches, one after the other, from a generator of its own, np.random.default_rng([config.seed, step]), so that
        whoever goes on later gets the same batches. It does not count the step; `run` does.

        Returns:
            The mean of the losses, before the step, as a number.
        """
        config = self.config
        generator = np.random.default_rng([config.seed, self.step])
        self.model.train()
        self.optimizer.zero_grad()
        total = 0.0
        for _ in range(config.accumulate):
            loss = self.loss_on(self.examples, generator) * (1 / config.accumulate)
            loss.backward()
            total += loss.item()
        self.clip(self.model.parameters(), config.clip)
        self.optimizer.step()
        self.schedule.step()
        return total

    def evaluate(self, examples: Examples) -> float:
        """The mean of the losses on config.eval_batches batches of these examples, as a number.

        It is measured with the model in evaluation mode, and so without dropout in any of its modules, and without recording
        anything. Afterwards the model is in training mode again.

        The batches, of config.batch_size examples, are drawn one after the other from one new generator,
        np.random.default_rng(config.seed): so they are the same each time, whatever the step.
        """
        generator = np.random.default_rng(self.config.seed)
        losses = []
        self.model.eval()
        with no_grad():
            for _ in range(self.config.eval_batches):
                losses.append(self.loss_on(examples, generator).item())
        self.model.train()
        return float(np.mean(losses))

    def loss_on(self, examples: Examples, generator: np.random.Generator) -> Tensor:
        """The model's loss on the next batch of these examples, drawn with this generator."""
        tokens, targets = examples.batch(self.config.batch_size, generator)
        device = self.model.lm_head.weight.device
        _, loss = self.model(Tensor(tokens, device=device), Tensor(targets, device=device))
        assert loss is not None
        return loss

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that is needed to go on as if nothing had happened: a safetensors file; see `checkpoint.save`."""
        checkpoint.save(self, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on where another trainer of the same configuration was when it was saved; see `checkpoint.load`."""
        checkpoint.load(self, path)
