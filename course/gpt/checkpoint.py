"""A training in a file, to go on later as if nothing had happened."""

import json
import os
from typing import TYPE_CHECKING, Any

from course.tensor import rng
from course.tensor.nn.safetensors import safe_load, safe_metadata, safe_save

if TYPE_CHECKING:
    from course.gpt.trainer import Trainer


def save(trainer: "Trainer", path: str | os.PathLike[str]) -> None:
    """Write a trainer's model, what its optimiser keeps, and how far it is: a safetensors file."""
    arrays = {f"model.{name}": tensor for name, tensor in trainer.model.state_dict().items()}
    counts: dict[str, int] = {}
    for number, kept in trainer.optimizer.state_dict()["state"].items():
        for name, value in kept.items():
            if name == "step":
                counts[str(number)] = value
            else:
                arrays[f"optimizer.{number}.{name}"] = value
    about = {
        "step": trainer.step,
        "losses": trainer.losses,
        "evaluations": trainer.evaluations,
        "optimizer_steps": counts,
        "dropout": rng.generator().bit_generator.state,
    }
    safe_save(arrays, path, {"trainer": json.dumps(about)})


def load(trainer: "Trainer", path: str | os.PathLike[str]) -> None:
    """Put a trainer where another one, of the same configuration, was when it was saved.

    Raises:
        ValueError: if the file is none that `save` wrote, or an array has another shape.
        KeyError: if it is of a model with other parts; it lists them.
    """
    about = json.loads(safe_metadata(path).get("trainer", "null"))
    if about is None:
        raise ValueError(f"{os.fspath(path)} was not written by Trainer.save")
    tensors = safe_load(path)
    prefix = "model."
    trainer.model.load_state_dict(
        {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}
    )
    state: dict[int, dict[str, Any]] = {
        int(number): {"step": steps} for number, steps in about["optimizer_steps"].items()
    }
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, what = name.split(".")
            state[int(number)][what] = tensor
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    trainer.schedule.go_to(about["step"])
    trainer.step = about["step"]
    trainer.losses = about["losses"]
    trainer.evaluations = [(step, loss) for step, loss in about["evaluations"]]
    rng.generator().bit_generator.state = about["dropout"]
