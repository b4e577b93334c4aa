"""A model at a glance: its layers, what comes out of each, and how many parameters each has."""

from collections.abc import Sequence
from typing import Any

from course.tensor.autograd import no_grad
from course.tensor.nn.module import Module
from course.tensor.nn.parameter import is_parameter
from course.tensor.nn.state import get_parameters
from course.tensor.nn.walk import parts_of
from course.tensor.tensor import Tensor


def summary(model: Module, inputs: Sequence[int] | Tensor) -> str:
    """A table of the model's layers, made by sending something through it; print it.

    Neither parameters nor running statistics change.

    Args:
        model: a Module.
        inputs: the shape of what goes in, with the batch, such as (1, 64): zeros are sent through. For
            a model that takes other than float32, a tensor.

    Returns:
        A text: for each module that computes, in order of use, its name, its class, the shape that came
        out, and the parameters that it holds itself; below these, how many there are in all.
    """
    x = inputs if isinstance(inputs, Tensor) else Tensor.zeros(tuple(inputs))
    rows: list[tuple[str, str, str, str]] = []
    watched = [(name, module) for name, module in model.named_modules() if not module.children()]
    for name, module in watched:
        _watch(name, module, rows)
    try:
        with no_grad(), Tensor.train(False):
            out = model(x)
    finally:
        for _, module in watched:
            vars(module).pop("forward", None)
    parameters = get_parameters(model)
    n_parameters = sum(p.numel() for p in parameters)
    n_trainable = sum(p.numel() for p in parameters if p.requires_grad)
    n_bytes = sum(p.nbytes for p in parameters)
    head = ("name", "layer", "output shape", "parameters")
    lines = _table([head, *rows])
    lines += [
        f"in: {x.shape}, out: {_shape(out)}",
        f"parameters: {n_parameters:,} ({n_bytes:,} bytes), of these {n_trainable:,} in training",
    ]
    return "\n".join(lines)


def _watch(name: str, module: Module, rows: list[tuple[str, str, str, str]]) -> None:
    """Let module note what comes out of it; an attribute of the object goes before the class's."""
    forward = module.forward

    def noting(*inputs: Any, **options: Any) -> Any:
        out = forward(*inputs, **options)
        rows.append(
            (name or "(model)", type(module).__name__, _shape(out), f"{_own_size(module):,}")
        )
        return out

    vars(module)["forward"] = noting


def _own_size(module: Module) -> int:
    own = {part for _, part in parts_of(module) if isinstance(part, Tensor) and is_parameter(part)}
    return sum(tensor.numel() for tensor in own)


def _shape(out: Any) -> str:
    return str(out.shape) if isinstance(out, Tensor) else type(out).__name__


def _table(rows: list[tuple[str, str, str, str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join([*(text.ljust(n) for text, n in zip(row[:3], widths)), row[3].rjust(widths[3])])
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:], rule]
