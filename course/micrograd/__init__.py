"""Unit 1: reverse-mode differentiation of scalars, and the networks built on it."""

from course.micrograd.data import make_moons, minibatches
from course.micrograd.engine import Value, dot, topological_order
from course.micrograd.gradcheck import gradcheck, numerical_derivative
from course.micrograd.losses import accuracy, hinge_loss, mse_loss
from course.micrograd.nn import MLP, Layer, Neuron, weighted_sum
from course.micrograd.optim import SGD, linear_decay
from course.micrograd.training import evaluate, train, train_step

__all__ = [
    "MLP",
    "SGD",
    "Layer",
    "Neuron",
    "Value",
    "accuracy",
    "dot",
    "evaluate",
    "gradcheck",
    "hinge_loss",
    "linear_decay",
    "make_moons",
    "minibatches",
    "mse_loss",
    "numerical_derivative",
    "topological_order",
    "train",
    "train_step",
    "weighted_sum",
]
