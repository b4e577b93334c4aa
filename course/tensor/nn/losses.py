"""Losses as modules; each calls the tensor's method."""

from typing import Any

from course.tensor.nn.module import Module
from course.tensor.tensor import Reduction, Tensor


class CrossEntropyLoss(Module):
    """How surprised softmax is by the right classes; see `Tensor.cross_entropy`."""

    def __init__(
        self,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Any) -> Tensor:
        """Logits (n, n_classes) and targets (n,), integers."""
        return logits.cross_entropy(
            targets, self.ignore_index, self.label_smoothing, self.reduction
        )


class MSELoss(Module):
    """The mean squared difference; see `Tensor.mse_loss`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = reduction

    def forward(self, predictions: Tensor, targets: Any) -> Tensor:
        """Two tensors of one shape."""
        return predictions.mse_loss(targets, self.reduction)


class BCEWithLogitsLoss(Module):
    """How surprised sigmoid is by yes or no; see `Tensor.binary_cross_entropy_with_logits`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Any) -> Tensor:
        """Two tensors of one shape, targets from 0 to 1."""
        return logits.binary_cross_entropy_with_logits(targets, self.reduction)
