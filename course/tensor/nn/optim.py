"""Optimisers: they change parameters against their gradients, in place.

optimizer = optim.Adam(get_parameters(model), lr=0.01)
for x, y in batches:
    loss = model(x).cross_entropy(y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from course.tensor.nn.clipping import clip_grad_norm_, clip_grad_value_
from course.tensor.nn.module import Module
from course.tensor.nn.parameter import Parameter
from course.tensor.nn.schedules import CosineAnnealingLR, LambdaLR, StepLR, warmup_cosine
from course.tensor.nn.state import fill
from course.tensor.tensor import Tensor

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LambdaLR",
    "Optimizer",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "warmup_cosine",
]


class Optimizer:
    """What all optimisers have in common: the parameters, in groups, and what is kept for each.

    Args:
        params: a list of parameters, or a list of groups, dicts such as {"params": [...], "lr": 0.1}.
        defaults: the options of groups that do not say otherwise.

    Attributes:
        param_groups: dicts with "params" and the options. You may change an option between steps.
        state: parameter -> what is kept for it from step to step.

    Raises:
        TypeError: if these are no tensors, such as a model itself.
        ValueError: if there are none, one comes twice, or one cannot be trained.
    """

    def __init__(self, params: Any, **defaults: Any) -> None:
        self.param_groups = [
            {**defaults, **group} for group in _as_groups(params, type(self).__name__, defaults)
        ]
        self.state: dict[Tensor, dict[str, Any]] = {}
        for group in self.param_groups:
            self._check_options(group)

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient, in place."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad._data, group)
                    p._mark_changed()

    def _update(self, p: Tensor, grad: Any, group: dict[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not say how it updates")

    def _check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay"):
            if group[name] < 0:
                raise ValueError(f"{name} is 0 or more, and is {group[name]}")

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later: options, and what is kept for each parameter (copied).

        Parameters are named by their number; their own values are the model's to save.
        """
        numbers = {p: i for i, p in enumerate(self._parameters())}
        groups = [
            {**group, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        state = {numbers[p]: _copied(p, kept) for p, kept in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on where another optimiser of the same parameters stood when it was saved.

        Raises:
            ValueError: if it had other groups, or arrays of other shapes.
        """
        sizes = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in saved["param_groups"]]
        if sizes != theirs:
            raise ValueError(
                f"this optimiser has groups of {sizes} parameters, the saved one of {theirs}"
            )
        parameters = self._parameters()
        new = {
            parameters[i]: _restored(parameters[i], i, kept) for i, kept in saved["state"].items()
        }
        for group, other in zip(self.param_groups, saved["param_groups"]):
            group.update({name: x for name, x in other.items() if name != "params"})
        self.state = new

    def __repr__(self) -> str:
        options = {name: x for name, x in self.param_groups[0].items() if name != "params"}
        text = ", ".join(f"{name}={x}" for name, x in options.items())
        return f"{type(self).__name__}({len(self._parameters())} parameters, {text})"


class SGD(Optimizer):
    """Stochastic gradient descent; see `sgd_update` in the table of array functions.

    Args:
        params: as for Optimizer.
        lr: the learning rate.
        momentum: how much of the last step's velocity stays.
        nesterov: whether to look ahead along the velocity.
        weight_decay: pulls parameters towards 0.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )

    def _check_options(self, group: dict[str, Any]) -> None:
        super()._check_options(group)
        if group["momentum"] < 0:
            raise ValueError(f"momentum is 0 or more, and is {group['momentum']}")
        if group["nesterov"] and not group["momentum"]:
            raise ValueError(
                "nesterov looks ahead along the velocity, and needs a momentum above 0"
            )

    def _update(self, p: Tensor, grad: Any, group: dict[str, Any]) -> None:
        ops, momentum, velocity = p.device.ops, group["momentum"], None
        if momentum:
            kept = self.state.get(p)
            if kept is None:
                kept = self.state[p] = {"velocity": ops.zeros(p.shape, p.dtype)}
            velocity = kept["velocity"]
        ops.sgd_update(
            p._data, grad, velocity, group["lr"], momentum, group["nesterov"], group["weight_decay"]
        )


class Adam(Optimizer):
    """Adam: steps of about lr, whatever the size of the gradients; see `adam_update`.

    Args:
        params: as for Optimizer.
        lr: the learning rate.
        betas: how much of the running means of gradient and squared gradient stays at each step.
        eps: keeps the quotient finite.
        weight_decay: pulls parameters towards 0, as part of the gradient.
    """

    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _check_options(self, group: dict[str, Any]) -> None:
        super()._check_options(group)
        if not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"betas are from 0 to below 1, and are {group['betas']}")

    def _update(self, p: Tensor, grad: Any, group: dict[str, Any]) -> None:
        ops = p.device.ops
        kept = self.state.get(p)
        if kept is None:
            m, v = ops.zeros(p.shape, p.dtype), ops.zeros(p.shape, p.dtype)
            kept = self.state[p] = {"step": ops.counter(0, p.dtype), "m": m, "v": v}
        kept["step"] += 1
        ops.adam_update(
            p._data,
            grad,
            kept["m"],
            kept["v"],
            kept["step"],
            group["lr"],
            *group["betas"],
            group["eps"],
            group["weight_decay"],
            self.decoupled,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: it shrinks the parameter itself, past the running means.

    Args:
        params: as for Optimizer.
        lr: the learning rate.
        betas: as for Adam.
        eps: as for Adam.
        weight_decay: each step takes lr * weight_decay of the parameter away.
    """

    decoupled: ClassVar[bool] = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


def _as_groups(params: Any, name: str, options: Iterable[str]) -> list[dict[str, Any]]:
    """Groups with lists of parameters, each of which can be trained."""
    advice = f"write optim.{name}(get_parameters(model), ...)"
    if isinstance(params, Module) or not isinstance(params, Iterable):
        raise TypeError(
            f"{name} takes a list of tensors, and got a {type(params).__name__}: {advice}"
        )
    if isinstance(params, Tensor):
        raise TypeError(f"{name} takes a list of tensors, and got one tensor: put it in a list")
    if isinstance(params, dict):
        raise TypeError(f"{name} takes a list of tensors, and got a dict: {advice}")
    items = list(params)
    if not items:
        raise ValueError(
            f"{name} got no parameters: has the model any, or was a generator used up?"
        )
    if not any(isinstance(item, dict) for item in items):
        items = [{"params": items}]
    groups, seen = [], set()
    for group in items:
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{name}: a group is a dict with params, and this is {group!r:.60}")
        unknown = [key for key in group if key != "params" and key not in options]
        if unknown:
            raise TypeError(f"{name} has no option {unknown[0]!r}; it has {', '.join(options)}")
        tensors = group["params"]
        tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        for i, p in enumerate(tensors):
            _check_parameter(p, i, name, advice)
            if p in seen:
                raise ValueError(f"{name}: parameter {i} of shape {p.shape} comes twice")
            seen.add(p)
        groups.append({**group, "params": tensors})
    return groups


def _check_parameter(p: Any, i: int, name: str, advice: str) -> None:
    if not isinstance(p, Tensor):
        raise TypeError(
            f"{name} takes a list of tensors, and item {i} is a {type(p).__name__}: {advice}"
        )
    if not p.is_leaf:
        raise ValueError(
            f"{name}: tensor {i} of shape {p.shape} was computed ({p.op}); only leaves can be "
            "trained. Make it with Parameter(...), or detach it and then ask for a gradient."
        )
    if not p.requires_grad and not isinstance(p, Parameter):
        raise ValueError(
            f"{name}: tensor {i} of shape {p.shape} does not require a gradient. "
            "Make it a Parameter, or call requires_grad_() on it."
        )


def _copied(p: Tensor, kept: dict[str, Any]) -> dict[str, Any]:
    to_numpy = p.device.ops.to_numpy
    return {name: int(x) if name == "step" else Tensor(to_numpy(x)) for name, x in kept.items()}


def _restored(p: Tensor, number: int, kept: dict[str, Any]) -> dict[str, Any]:
    restored: dict[str, Any] = {}
    for name, x in kept.items():
        if name == "step":
            restored[name] = p.device.ops.counter(x, p.dtype)
            continue
        if tuple(x.shape) != p.shape:
            raise ValueError(
                f"{name} of parameter {number} has shape {tuple(x.shape)}, the parameter {p.shape}"
            )
        array = Tensor(p._like(p.device.ops.zeros(p.shape, p.dtype)))
        fill(array, np.asarray(x))
        restored[name] = array._data
    return restored
