"""A model and examples so small that a trainer's step can be worked out by hand."""

from collections.abc import Sequence

import numpy as np

from course.tensor import Tensor
from course.tensor.nn import Linear, Module
from course.tensor.nn.state import fill

Array = np.ndarray


class Probe(Module):
    """A model with one weight. Its loss is the weight times the mean of the tokens; so its gradient is the mean of the tokens.

    Attributes:
        lm_head: holds the weight.
        calls: for each call, whether the layer in the model was in training mode (a dropout there would drop), and whether the loss
            remembers what it was made from.
    """

    def __init__(self, weight: float) -> None:
        self.lm_head = Linear(1, 1, bias=False)
        self.calls: list[tuple[bool, bool]] = []
        fill(self.lm_head.weight, np.array([[weight]]))

    @property
    def weight(self) -> float:
        """The weight, as a number."""
        return self.lm_head.weight.item()

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens, and the loss."""
        loss = (self.lm_head.weight * tokens.numpy().mean().item()).sum()
        self.calls.append((self.lm_head.training and Tensor.training, loss.requires_grad))
        return tokens, loss


class Dealt:
    """Batches from a list of numbers: all tokens of the first are the first number, and so on. After the last comes the first again.

    Attributes:
        sizes: for each batch, how many examples were asked for.
        drawn: for each batch, a number that was drawn with the generator: it tells which generator that was.
    """

    def __init__(self, numbers: Sequence[float]) -> None:
        self.numbers = list(numbers)
        self.sizes: list[int] = []
        self.drawn: list[float] = []

    def batch(self, n: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """n examples of one token; the targets do not matter."""
        number = self.numbers[len(self.sizes) % len(self.numbers)]
        self.sizes.append(n)
        self.drawn.append(generator.random())
        return np.full((n, 1), number), np.zeros((n, 1), int)
