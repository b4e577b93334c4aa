"""A training loop for classifiers."""

from collections.abc import Callable
from typing import Any

from course.tensor.autograd import no_grad
from course.tensor.data import DataLoader, TensorDataset
from course.tensor.nn import Module, optim
from course.tensor.tensor import Tensor


def fit(
    model: Module,
    optimizer: optim.Optimizer,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int,
    batch_size: int = 32,
    label_smoothing: float = 0.0,
    schedule: Callable[[optim.Optimizer, int], Any] | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> list[float]:
    """Train a classifier with cross-entropy; return the loss of each step.

    Args:
        model: inputs to logits (n, n_classes). It is left in training mode.
        optimizer: changes the model's parameters.
        x: (n, ...).
        y: (n,), integers.
        epochs: how often to go through the data.
        batch_size: how many examples in a step. A last batch that is not full is left out.
        label_smoothing: the share of each target that is spread over all classes.
        schedule: makes, of the optimizer and the number of steps, an object whose `step` changes the
            learning rate, such as `optim.CosineAnnealingLR`.
        seed: shuffles the batches.
        progress: told after each epoch how it went; `print` will do.
    """
    batches = DataLoader(TensorDataset(x, y), batch_size, shuffle=True, drop_last=True, seed=seed)
    rate = schedule(optimizer, epochs * len(batches)) if schedule else None
    losses: list[float] = []
    model.train()
    for epoch in range(epochs):
        for inputs, targets in batches:
            loss = model(inputs).cross_entropy(targets, label_smoothing=label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if rate:
                rate.step()
            losses.append(loss.item())
        if progress:
            mean = sum(losses[-len(batches) :]) / len(batches)
            progress(f"epoch {epoch + 1} of {epochs}: loss {mean:.3f}")
    return losses


def predict(model: Module, x: Tensor, batch_size: int = 256) -> Tensor:
    """The class with the largest logit for each example. The model is left in evaluation mode.

    Args:
        model: inputs to logits (n, n_classes).
        x: (n, ...).
        batch_size: how many examples at once; the answers do not depend on it.

    Returns:
        (n,), integers.
    """
    model.eval()
    with no_grad():
        parts = [model(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        return Tensor.cat(parts).argmax(1)


def evaluate(model: Module, x: Tensor, y: Tensor) -> float:
    """The model's accuracy: the share of examples that it gets right, from 0.0 to 1.0."""
    return (predict(model, x) == y).float().mean().item()
