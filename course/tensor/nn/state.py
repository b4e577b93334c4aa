"""What a model knows, by name: collecting its tensors, and putting saved ones back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from course.tensor.nn.parameter import Parameter, is_parameter
from course.tensor.nn.safetensors import safe_load, safe_metadata, safe_save
from course.tensor.nn.walk import walk
from course.tensor.tensor import Tensor

__all__ = [
    "Unmatched",
    "get_parameters",
    "get_state_dict",
    "load_state_dict",
    "safe_load",
    "safe_metadata",
    "safe_save",
]


class Unmatched(NamedTuple):
    """The names that did not find a counterpart when a state was loaded with strict=False."""

    missing: list[str]  # the model has them, the state has not
    unexpected: list[str]  # the state has them, the model has not


def get_state_dict(obj: Any) -> dict[str, Tensor]:
    """All tensors in an object, by name: parameters, and buffers such as running statistics.

    Args:
        obj: a model, a list or dict of models, any object with tensors in it.

    Returns:
        name -> the tensor itself, not a copy. A tensor that stands in two places has two names. Tensors
        that were computed from parameters, such as a kept output, are results and no state.
    """
    return {
        name: part
        for name, part in walk(obj)
        if isinstance(part, Tensor) and (part.is_leaf or isinstance(part, Parameter))
    }


def get_parameters(obj: Any) -> list[Tensor]:
    """The parameters in an object: the tensors themselves, in the order in which they are found.

    Args:
        obj: as for `get_state_dict`.

    Returns:
        A list with each parameter once, even if it stands in several places.
    """
    unique = dict.fromkeys(get_state_dict(obj).values())
    return [tensor for tensor in unique if is_parameter(tensor)]


def load_state_dict(
    obj: Any, state: Mapping[str, Tensor | np.ndarray], strict: bool = True
) -> Unmatched:
    """Copy saved numbers into an object's tensors, in place: optimisers keep working on them.

    Args:
        obj: as for `get_state_dict`.
        state: name -> numbers, as from `get_state_dict` or `safe_load`. They take on the dtype of the
            object's tensor.
        strict: whether the names must be the same on both sides; if not, others are left alone.

    Returns:
        The names that had no counterpart.

    Raises:
        KeyError: if names differ and strict is on. It lists them.
        ValueError: if shapes differ. Nothing has been changed then.
    """
    own = get_state_dict(obj)
    unmatched = Unmatched(
        missing=[name for name in own if name not in state],
        unexpected=[name for name in state if name not in own],
    )
    if strict:
        check_names(unmatched, type(obj).__name__)
    common = {name: tensor for name, tensor in own.items() if name in state}
    check_shapes(common, state)
    for name, tensor in common.items():
        fill(tensor, np.asarray(state[name]))
    return unmatched


def check_names(unmatched: Unmatched, kind: str) -> None:
    """Raise a KeyError that lists the names without a counterpart, if there are any.

    Args:
        unmatched: these names.
        kind: what the state is loaded into, such as "Linear".
    """
    if unmatched.missing or unmatched.unexpected:
        raise KeyError(
            f"the state does not fit the {kind}. "
            f"Missing in the state: {_listed(unmatched.missing)}. "
            f"Not in the {kind}: {_listed(unmatched.unexpected)}. "
            "strict=False loads what both have."
        )


def check_shapes(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor | np.ndarray]) -> None:
    """Raise a ValueError that names the tensors whose shape differs in the state, if there are any."""
    wrong = [
        f"{name} is {tensor.shape} and the state has {tuple(state[name].shape)}"
        for name, tensor in tensors.items()
        if tensor.shape != tuple(state[name].shape)
    ]
    if wrong:
        raise ValueError(f"shapes differ: {'; '.join(wrong)}")


def fill(tensor: Tensor, numbers: np.ndarray) -> None:
    """Overwrite a tensor's numbers in place, outside of any graph; they take on its dtype."""
    ops = tensor.device.ops
    ops.assign(tensor._data, ..., ops.asarray(numbers.astype(tensor.dtype)))
    tensor._mark_changed()


def _listed(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
