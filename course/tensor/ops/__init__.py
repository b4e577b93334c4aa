"""The differentiable operations, each with its forward beside its backward."""
