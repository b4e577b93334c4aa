"""`Module`: a piece of a network, which finds its parameters by looking at itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from course.tensor.autograd import no_grad
from course.tensor.nn.parameter import is_parameter
from course.tensor.nn.state import Unmatched, get_parameters, get_state_dict, load_state_dict
from course.tensor.nn.walk import parts_of, walk
from course.tensor.tensor import Tensor


class Module:
    """A layer, or a network of layers. A subclass makes its parts in `__init__`, and computes in `forward`.

        class Net(Module):
            def __init__(self):
                self.hidden = Linear(2, 8)
                self.out = Linear(8, 1)

            def forward(self, x):
                return self.out(self.hidden(x).tanh())

    What it holds is found in its attributes, and in lists, tuples and dicts of these, however deep. The
    *parameters* are its Parameters, and other leaves that require a gradient; its *buffers* are
    the tensors besides.

    Attributes:
        training: whether layers such as Dropout and BatchNorm2d behave as in training. Set it with
            `train()` and `eval()`.
    """

    training: bool = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output. `module(x)` calls it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward yet")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The output: `module(x)` is `module.forward(x)`."""
        return self.forward(*inputs, **options)

    # ------------------------------------------------------------ what it holds

    def parameters(self) -> list[Tensor]:
        """The tensors that training changes, each once."""
        return get_parameters(self)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """The parameters with their names, such as "0.weight"; a shared one with its first name."""
        return _first_names(self, is_parameter)

    def buffers(self) -> list[Tensor]:
        """The tensors that belong to the state, though no gradient changes them; each once."""
        return [tensor for _, tensor in self.named_buffers()]

    def named_buffers(self) -> list[tuple[str, Tensor]]:
        """The buffers with their names, such as "1.running_mean"."""
        return _first_names(self, lambda tensor: not is_parameter(tensor))

    def named_modules(self) -> list[tuple[str, "Module"]]:
        """This module, with the name "", and all modules in it, each once."""
        named: dict[int, tuple[str, Module]] = {}
        for name, part in walk(self):
            if isinstance(part, Module):
                named.setdefault(id(part), (name, part))
        return list(named.values())

    def modules(self) -> list["Module"]:
        """This module and all modules in it, each once."""
        return [module for _, module in self.named_modules()]

    def named_children(self) -> list[tuple[str, "Module"]]:
        """The modules that this one holds itself, also in lists and dicts, but not those in these."""
        return list(_nearest_modules(self, ""))

    def children(self) -> list["Module"]:
        """The modules that this one holds itself."""
        return [module for _, module in self.named_children()]

    # ------------------------------------------------------------ changing all of it

    def apply(self, function: Callable[["Module"], Any]) -> "Module":
        """Call function with every module in this one, inner ones first, and with this one."""
        for module in reversed(self.modules()):
            function(module)
        return self

    def train(self, mode: bool = True) -> "Module":
        """Let this module, and all in it, behave as in training: dropout drops, batch norm looks.

        Args:
            mode: what `training` becomes, in this module and in every module in it.

        Returns:
            This module.
        """
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Let this module, and all in it, behave as in use. What spares gradients is `no_grad`."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Freeze the parameters (False), or let training change them again (True)."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def to(self, target: Any) -> "Module":
        """Move all tensors to a device, or those of real numbers to a dtype, in place.

        Make optimisers afterwards: their arrays do not move along. Gradients are forgotten.

        Args:
            target: a device, such as "cpu", or a dtype, such as "float64".
        """
        with no_grad():
            for tensor in dict.fromkeys(get_state_dict(self).values()):
                moved = tensor.to(target)
                if moved.device is tensor.device and tensor.dtype.kind != "f":
                    continue  # counters stay integers
                if moved is not tensor:
                    tensor.device, tensor.data, tensor.grad = moved.device, moved._data, None
        return self

    # ------------------------------------------------------------ saving and loading

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers by name: training on does not change them."""
        return {
            name: Tensor(tensor.numpy(), device=tensor.device)
            for name, tensor in get_state_dict(self).items()
        }

    def load_state_dict(
        self, state: Mapping[str, Tensor | np.ndarray], strict: bool = True
    ) -> Unmatched:
        """Copy saved numbers in, in place; see `course.tensor.nn.state.load_state_dict`."""
        return load_state_dict(self, state, strict)

    # ------------------------------------------------------------ printing

    def extra_repr(self) -> str:
        """What stands in the brackets when the module is printed."""
        return ""

    def _printed_parts(self) -> list[tuple[str, str]]:
        return [(name, repr(child)) for name, child in self.named_children()]

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        parts = [f"({key}): {text}" for key, text in self._printed_parts()]
        if not parts:
            return f"{name}({extra})"
        lines = [extra, *parts] if extra else parts
        return "\n".join([f"{name}(", *["  " + line.replace("\n", "\n  ") for line in lines], ")"])


class ModuleList(Module, list):
    """A list of layers; their names are their places."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a module is itself, though lists compare

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        list.__init__(self, layers)

    def _printed_parts(self) -> list[tuple[str, str]]:
        return [
            (str(i), repr(part) if isinstance(part, Module) else getattr(part, "__name__", "?"))
            for i, part in enumerate(self)
        ]


class Sequential(ModuleList):
    """Layers in a row: the output of one is the input of the next.

        Sequential(Linear(2, 8), Tensor.tanh, Linear(8, 1))

    Args:
        layers: modules, or functions of a tensor; or one list of these.
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__(*layers)
        for i, layer in enumerate(self):
            if not callable(layer):
                raise TypeError(
                    f"layer {i} of a Sequential is a module or a function, not {layer!r:.40}"
                )

    def forward(self, x: Any) -> Any:
        """Send x through all layers."""
        for layer in self:
            x = layer(x)
        return x


def _first_names(module: Module, condition: Callable[[Tensor], bool]) -> list[tuple[str, Tensor]]:
    named: dict[Tensor, str] = {}
    for name, tensor in get_state_dict(module).items():
        if condition(tensor):
            named.setdefault(tensor, name)
    return [(name, tensor) for tensor, name in named.items()]


def _nearest_modules(thing: Any, name: str) -> Iterator[tuple[str, Module]]:
    for key, part in parts_of(thing):
        path = f"{name}.{key}" if name else key
        if isinstance(part, Module):
            yield path, part
        elif isinstance(part, list | tuple | dict):
            yield from _nearest_modules(part, path)
