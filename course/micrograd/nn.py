"""Networks of scalars: a neuron, a layer of neurons, and layers in a row."""

import random
from collections.abc import Callable
from typing import Any

from course.micrograd.engine import Value


def weighted_sum(weights: list[Value], inputs: list[Value], bias: Value) -> Value:
    """bias + weights[0] * inputs[0] + weights[1] * inputs[1] + ..., one operation at a time.

    Args:
        weights: n Values.
        inputs: n Values.
        bias: a Value.

    Raises:
        ValueError: if there are not as many weights as inputs.
    """
    total = bias
    for weight, input in zip(weights, inputs, strict=True):
        total = total + weight * input
    return total


class Neuron:
    """activation(bias + sum of weights[i] * inputs[i]).

    Args:
        n_inputs: how many inputs it takes.
        activation: "relu", "tanh", or "linear" for none.
        combine: adds up weights, inputs and bias; `weighted_sum`, or `dot` from the engine.
        rng: where the random weights come from, between -1 and 1. The bias starts at 0.
    """

    def __init__(
        self,
        n_inputs: int,
        activation: str = "relu",
        combine: Callable = weighted_sum,
        rng: random.Random | None = None,
    ) -> None:
        uniform = (rng or random).uniform
        self.weights = [Value(uniform(-1, 1)) for _ in range(n_inputs)]
        self.bias = Value(0.0)
        self.activation = activation
        self.combine = combine

    def __call__(self, inputs: list[Value]) -> Value:
        """The neuron's output for n_inputs Values."""
        total = self.combine(self.weights, inputs, self.bias)
        if self.activation == "relu":
            return total.relu()
        if self.activation == "tanh":
            return total.tanh()
        return total

    def parameters(self) -> list[Value]:
        """What training may change: the weights, then the bias."""
        return [*self.weights, self.bias]

    def __repr__(self) -> str:
        return f"Neuron({len(self.weights)}, {self.activation})"


class Layer:
    """Neurons side by side: all get the same inputs, each gives one output.

    Args:
        n_inputs: how many inputs each neuron takes.
        n_outputs: how many neurons there are.
        options: activation, combine and rng, as for Neuron.
    """

    def __init__(self, n_inputs: int, n_outputs: int, **options: Any) -> None:
        self.neurons = [Neuron(n_inputs, **options) for _ in range(n_outputs)]

    def __call__(self, inputs: list[Value]) -> list[Value]:
        """n_outputs Values, one from each neuron, in order."""
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        """The parameters of the first neuron, then of the second, and so on."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of {len(self.neurons)} x {self.neurons[0]}"


class MLP:
    """A multi-layer perceptron: each layer's outputs are the next layer's inputs.

    Args:
        n_inputs: how many numbers go in.
        sizes: the number of neurons of each layer, for example [16, 16, 1].
        activation: of every layer but the last, which is linear.
        options: combine and rng, as for Neuron.

    Attributes:
        layers: the Layers, first one first.
    """

    def __init__(
        self, n_inputs: int, sizes: list[int], activation: str = "relu", **options: Any
    ) -> None:
        widths = [n_inputs, *sizes]
        self.layers = []
        for i in range(len(sizes)):
            last = i == len(sizes) - 1
            kind = "linear" if last else activation
            self.layers.append(Layer(widths[i], widths[i + 1], activation=kind, **options))

    def __call__(self, inputs: list) -> Any:
        """The last layer's outputs: a list of Values, or the Value itself if there is just one.

        The inputs may be Values or numbers; numbers become Values once, here.
        """
        inputs = [x if isinstance(x, Value) else Value(x) for x in inputs]
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs[0] if len(inputs) == 1 else inputs

    def parameters(self) -> list[Value]:
        """The parameters of all layers, first layer first."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return "MLP of [" + ", ".join(map(repr, self.layers)) + "]"
