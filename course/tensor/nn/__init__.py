"""Networks: modules, layers, optimisers, saving and loading."""

from course.tensor.nn import init, optim, state
from course.tensor.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from course.tensor.nn.convolutions import AvgPool2d, Conv2d, MaxPool2d
from course.tensor.nn.layers import Dropout, Embedding, Flatten, Linear
from course.tensor.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from course.tensor.nn.module import Module, ModuleList, Sequential
from course.tensor.nn.norms import BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm
from course.tensor.nn.parameter import Parameter
from course.tensor.nn.state import get_parameters, get_state_dict, load_state_dict
from course.tensor.nn.summary import summary

__all__ = [
    "GELU",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "get_parameters",
    "get_state_dict",
    "init",
    "load_state_dict",
    "optim",
    "state",
    "summary",
]
