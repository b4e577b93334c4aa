"""A training loop for classifiers."""

from collections.abc import Callable

from course.tensor.autograd import no_grad
from course.tensor.data import DataLoader, TensorDataset
from course.tensor.nn import Module, optim
from course.tensor.tensor import Tensor


def fit(
    model: Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 0.01,
    weight_decay: float = 0.01,
    label_smoothing: float = 0.1,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> list[float]:
    """Train a classifier with cross-entropy and AdamW; return the loss of each step.

    Args:
        model: images to scores (n, n_classes). It is left in training mode.
        images: (n, ...).
        labels: (n,), integers.
        epochs: how often to go through the data.
        batch_size: how many examples in a step.
        lr: the learning rate at the start; it falls to 0 along half a cosine.
        weight_decay: the pull towards zero.
        label_smoothing: the share of each target that is spread over all classes, so that the model
            need not be surer than it can be.
        seed: shuffles the batches.
        progress: told after each epoch how it went; `print` will do.
    """
    batches = DataLoader(
        TensorDataset(images, labels), batch_size, shuffle=True, drop_last=True, seed=seed
    )
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = optim.CosineAnnealingLR(optimizer, epochs * len(batches))
    losses: list[float] = []
    model.train()
    for epoch in range(epochs):
        for x, y in batches:
            loss = model(x).cross_entropy(y, label_smoothing=label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if progress is not None:
            mean = sum(losses[-len(batches) :]) / len(batches)
            progress(f"epoch {epoch + 1} of {epochs}: loss {mean:.3f}")
    return losses


def predict(model: Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """The class with the highest score for each image, with the model in evaluation mode.

    Args:
        model: images to scores (n, n_classes).
        images: (n, ...).
        batch_size: how many images at once; the answers do not depend on it.

    Returns:
        (n,), integers.
    """
    model.eval()
    with no_grad():
        parts = [model(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
        return Tensor.cat(parts).argmax(1)


def evaluate(model: Module, images: Tensor, labels: Tensor) -> float:
    """The model's accuracy, between 0.0 and 1.0."""
    return float((predict(model, images) == labels).float().mean().item())
