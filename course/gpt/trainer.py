"""Training a GPT: batches in, steps out, with whoever wants to look on."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from course.gpt.model import GPT
from course.tensor import Tensor, no_grad, rng
from course.tensor.nn import Embedding, Linear, Module, optim
from course.tensor.nn.safetensors import safe_load, safe_metadata, safe_save

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
    """The parameters in two groups: those that decay, the matrices of linear layers, and those that do not.

    Biases and norms should be free to be what they are, and a row of a table of embeddings gets a gradient only when its token
    occurs. A matrix that is both a table and a linear layer (`tie_weights`) is a table.
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
        evaluations: (step, loss on the validation examples), whenever that was asked for.
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
        """Train until the configured number of steps is done, or for so many steps; returns the losses so far."""
        last = self.config.steps if steps is None else min(self.step + steps, self.config.steps)
        while self.step < last:
            self.losses.append(self.train_step())
            self.step += 1
            for function in self.on_step:
                function(self)
            every = self.config.eval_every
            if self.validation is not None and every and self.step % every == 0:
                self.evaluations.append((self.step, self.evaluate(self.validation)))
                for function in self.on_evaluation:
                    function(self)
        return self.losses

    def train_step(self) -> float:
        """One step: a batch or several, their gradients averaged and clipped, the parameters changed. Returns the loss."""
        config = self.config
        self.model.train()
        self.optimizer.zero_grad()
        total = 0.0
        # Each step has a generator of its own, so that one who goes on later gets the same batches.
        generator = np.random.default_rng([config.seed, self.step])
        for _ in range(config.accumulate):
            loss = self._loss(self.examples, generator) * (1 / config.accumulate)
            loss.backward()
            total += loss.item()
        self.clip(self.model.parameters(), config.clip)
        self.optimizer.step()
        self.schedule.step()
        return total

    def evaluate(self, examples: Examples) -> float:
        """The mean loss on some batches, always the same ones, without dropout."""
        self.model.eval()
        generator = np.random.default_rng(self.config.seed)
        with no_grad():
            losses = [
                self._loss(examples, generator).item() for _ in range(self.config.eval_batches)
            ]
        self.model.train()
        return float(np.mean(losses))

    def _loss(self, examples: Examples, generator: np.random.Generator) -> Tensor:
        device = self.model.lm_head.weight.device
        tokens, targets = examples.batch(self.config.batch_size, generator)
        _, loss = self.model(Tensor(tokens, device=device), Tensor(targets, device=device))
        assert loss is not None
        return loss

    # ------------------------------------------------------------ to go on later

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that is needed to go on as if nothing had happened: a safetensors file."""
        saved = self.optimizer.state_dict()
        arrays = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        counts: dict[str, int] = {}
        for number, kept in saved["state"].items():
            for name, value in kept.items():
                if name == "step":
                    counts[str(number)] = value
                else:
                    arrays[f"optimizer.{number}.{name}"] = value
        about = {
            "step": self.step,
            "losses": self.losses,
            "evaluations": self.evaluations,
            "optimizer_steps": counts,
            "dropout": rng.generator().bit_generator.state,
        }
        safe_save(arrays, path, {"trainer": json.dumps(about)})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on where another trainer of the same configuration was when it was saved.

        Raises:
            ValueError: if the file is none that `save` wrote, or an array has another shape.
            KeyError: if it is of a model with other parts; it lists them.
        """
        about = json.loads(safe_metadata(path).get("trainer", "null"))
        if about is None:
            raise ValueError(f"{os.fspath(path)} was not written by Trainer.save")
        tensors = safe_load(path)
        prefix = "model."
        self.model.load_state_dict(
            {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}
        )
        state: dict[int, dict[str, Any]] = {
            int(number): {"step": steps} for number, steps in about["optimizer_steps"].items()
        }
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, what = name.split(".")
                state[int(number)][what] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step = self.schedule.steps = about["step"]
        self.schedule._set()
        self.losses = about["losses"]
        self.evaluations = [(step, loss) for step, loss in about["evaluations"]]
        rng.generator().bit_generator.state = about["dropout"]
