"""Static graphs: describe a computation first, run it afterwards. A small TensorFlow, version 1.

from course.graph import Session, gradients, matmul, placeholder, Variable
"""

from course.graph.gradients import gradients, register_gradient
from course.graph.nodes import Graph, Node, Variable, constant, default_graph, placeholder
from course.graph.ops import (
    add,
    assign,
    divide,
    exp,
    group,
    log,
    log_softmax,
    matmul,
    multiply,
    negative,
    reduce_mean,
    reduce_sum,
    relu,
    reshape,
    sigmoid,
    softmax,
    subtract,
    tanh,
    transpose,
)
from course.graph.session import Session
from course.graph.train import GradientDescentOptimizer, MomentumOptimizer

__all__ = [
    "GradientDescentOptimizer",
    "Graph",
    "MomentumOptimizer",
    "Node",
    "Session",
    "Variable",
    "add",
    "assign",
    "constant",
    "default_graph",
    "divide",
    "exp",
    "gradients",
    "group",
    "log",
    "log_softmax",
    "matmul",
    "multiply",
    "negative",
    "placeholder",
    "reduce_mean",
    "reduce_sum",
    "register_gradient",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "subtract",
    "tanh",
    "transpose",
]
