"""The training loop."""

import random
from collections.abc import Callable

from course.micrograd.data import minibatches
from course.micrograd.engine import Value
from course.micrograd.losses import accuracy, hinge_loss
from course.micrograd.nn import MLP
from course.micrograd.optim import SGD, linear_decay


def train_step(
    model: Callable, points: list, labels: list, loss_function: Callable, optimizer: SGD
) -> float:
    """One step of training: forward, loss, zero the gradients, backward, step.

    Args:
        model: takes a point, returns a Value.
        points: the batch.
        labels: its labels.
        loss_function: takes the model's outputs and the labels, returns a Value.
        optimizer: has zero_grad() and step().

    Returns:
        The loss before the step, as a float.
    """
    scores = [model(point) for point in points]
    loss = loss_function(scores, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.data


def train(
    model: MLP,
    points: list,
    labels: list,
    *,
    epochs: int = 40,
    batch_size: int = 10,
    lr: tuple[float, float] = (0.5, 0.01),
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> list[float]:
    """Train a classifier with the hinge loss and SGD; return the mean loss of each epoch.

    Args:
        model: an MLP with one output.
        points: n examples.
        labels: n labels, -1 or +1.
        epochs: how often to go through the data.
        batch_size: how many examples in a step.
        lr: the learning rate at the start and at the end; in between it falls linearly.
        weight_decay: the pull towards zero, as in SGD.
        seed: shuffles the minibatches.
    """
    rng = random.Random(seed)
    optimizer = SGD(model.parameters(), lr=lr[0], weight_decay=weight_decay)
    history = []
    for epoch in range(epochs):
        optimizer.lr = linear_decay(lr[0], lr[1], epoch, epochs)
        losses = [
            train_step(model, xs, ys, hinge_loss, optimizer)
            for xs, ys in minibatches(points, labels, batch_size, rng)
        ]
        history.append(sum(losses) / len(losses))
    return history


def evaluate(model: MLP, points: list, labels: list) -> float:
    """The model's accuracy on the points, between 0.0 and 1.0."""
    scores: list[Value] = [model(point) for point in points]
    return accuracy(scores, labels)
