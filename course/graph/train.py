"""Training as part of the graph: a node that computes gradients and changes the variables."""

from typing import Any

import numpy as np

from course.graph.gradients import gradients
from course.graph.nodes import Node, Variable
from course.graph.ops import assign, group
from course.graph.session import needed_nodes


def variables_of(loss: Node) -> list[Variable]:
    """The variables that a node depends on, in the order in which they were made."""
    found = [node for node in needed_nodes([loss], {}) if isinstance(node, Variable)]
    return sorted(found, key=loss.graph.nodes.index)


class GradientDescentOptimizer:
    """Gradient descent: variable = variable - learning_rate * gradient.

    Args:
        learning_rate: a number, or a node, such as a placeholder for one that changes.
    """

    def __init__(self, learning_rate: Any) -> None:
        self.learning_rate = learning_rate

    def minimize(self, loss: Node) -> Node:
        """A node that makes one step each time it runs. Making it computes nothing.

        All gradients are computed from the variables as they were; then all are changed.

        Args:
            loss: a node with one number, made from variables.

        Raises:
            ValueError: if it was not made from any variable.
        """
        variables = variables_of(loss)
        if not variables:
            raise ValueError(f"{loss.name!r} depends on no variable: there is nothing to train")
        with loss.graph.as_default():
            steps: list[Node] = []
            for variable, grad in zip(variables, gradients(loss, variables)):
                steps += self.updates(variable, grad)
            return group(steps, name="train")

    def updates(self, variable: Variable, grad: Node) -> list[Node]:
        """The nodes that change one variable."""
        return [assign(variable, variable - self.learning_rate * grad)]


class MomentumOptimizer(GradientDescentOptimizer):
    """Gradient descent with momentum: velocity = momentum * velocity + gradient; step along velocity.

    Args:
        learning_rate: as for gradient descent.
        momentum: how much of the velocity stays at each step.
    """

    def __init__(self, learning_rate: Any, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        self.momentum = momentum

    def updates(self, variable: Variable, grad: Node) -> list[Node]:
        """The nodes that change one variable, and its velocity, a variable that belongs to it."""
        zeros = np.zeros_like(variable.attributes["value"])
        velocity = Variable(zeros, name=f"{variable.name}_velocity")
        new = self.momentum * velocity + grad
        return [assign(velocity, new), assign(variable, variable - self.learning_rate * new)]
