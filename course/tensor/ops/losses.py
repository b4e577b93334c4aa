"""The loss of classifiers, and of yes-or-no questions."""

from typing import Any

from course.tensor.autograd import Function


class CrossEntropy(Function):
    """-log of the probability that softmax gives to the right class, for each row."""

    symbol = "cross entropy"

    def forward(
        self,
        logits: Any,
        targets: Any,
        ignore_index: int,
        smoothing: float,
        reduction: str,
        counted: int,
    ) -> Any:
        """The mean or the sum of the rows' losses, or one loss for each row.

        Args:
            logits: (n, n_classes).
            targets: (n,), integers.
            ignore_index: rows with this target do not count.
            smoothing: how much of the target is spread evenly over all classes.
            reduction: "mean", "sum" or "none".
            counted: how many rows count.

        Returns:
            (), or (n,) for "none".
        """
        losses, probabilities = self.ops.cross_entropy(logits, targets, ignore_index, smoothing)
        self.save(probabilities, targets)
        self.options = (ignore_index, smoothing)
        self.scale = 1.0
        if reduction == "none":
            return losses
        if reduction == "mean":
            self.scale = 1 / counted if counted else float("nan")  # the mean of nothing
        return self.ops.sum(losses) * self.scale

    def backward(self, grad: Any) -> tuple[Any, None]:
        """Probability minus target, for each row times the gradient of its loss."""
        probabilities, targets = self.saved
        grad = grad * self.scale
        return self.ops.cross_entropy_backward(probabilities, targets, grad, *self.options), None


class BinaryCrossEntropy(Function):
    """-log of the probability that sigmoid gives to the right answer, for each element."""

    symbol = "binary cross entropy"

    def forward(self, logits: Any, targets: Any) -> Any:
        """max(z, 0) - z t + log(1 + exp(-|z|)), which neither overflows nor becomes log(0).

        Args:
            logits: any shape.
            targets: the same shape, from 0 (no) to 1 (yes).
        """
        self.save(logits, targets)
        ops = self.ops
        tail = ops.log(1 + ops.exp(-ops.abs(logits)))
        return ops.maximum(logits, 0) - logits * targets + tail

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """d/dz = sigmoid(z) - t, and d/dt = -z."""
        logits, targets = self.saved
        return grad * (self.ops.sigmoid(logits) - targets), -grad * logits
