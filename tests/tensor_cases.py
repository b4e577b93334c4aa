"""One list of cases for all tests of the tensor engine: an operation, ours and PyTorch's, and inputs.

The gradient checks, the comparison with PyTorch, the stored values and the dtype tests all run
over it, and a test holds that every operation of the engine is in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from course.gpt.fused import operation
from course.tensor import Tensor, where


@dataclass
class Case:
    """An operation on some inputs.

    Attributes:
        name: unique.
        ours: takes Tensors.
        arrays: what they are made of; floats are differentiated.
        torch: takes the module torch and its tensors; None if PyTorch has nothing to compare with.
        smooth: whether a central difference makes sense at these inputs.
    """

    name: str
    ours: Callable[..., Tensor]
    arrays: list[np.ndarray]
    torch: Callable[..., Any] | None
    smooth: bool = True


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers from -2 to 2, none close to 0, where many operations have a corner."""
    x = np.random.default_rng(seed + 7 * len(shape) + sum(shape)).uniform(0.1, 2, shape)
    return x * np.where(np.arange(x.size).reshape(shape) % 3 == 1, -1, 1)


A, B, C = numbers(3, 4), numbers(4, seed=1), numbers(2, 3, 4, seed=2)
SCALAR, EMPTY, COLUMN = numbers(seed=3), numbers(0, 4), numbers(3, 1, seed=4)
STRIDED = numbers(8, 6, seed=5)[::-2, 1::2].T[:, :3].T  # (3, 3) with odd strides
OTHER_STRIDED = numbers(6, 9, seed=12)[::2, ::-3].T
TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [-1.0, -1.0, -5.0]])
POSITIVE = np.abs(A)
PAIRS = {
    "same": (A, numbers(3, 4, seed=13)), "row": (A, B), "column": (A, COLUMN), "both": (COLUMN, B),
    "0-d": (A, SCALAR), "0-d first": (SCALAR, A), "batch": (C, A), "empty": (EMPTY, B),
    "strided": (STRIDED, OTHER_STRIDED),
}  # fmt: skip
SHAPES = {
    "2-d": A,
    "0-d": SCALAR,
    "empty": EMPTY,
    "strided": STRIDED,
    "3-d": C,
    "1 element": numbers(1, 1),
}
IMAGES = numbers(2, 4, 7, 6, seed=6)


def binary() -> list[Case]:
    operations: dict[str, Callable] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
    }
    cases = [
        Case(f"{name} {kind}", f, [a, b], lambda t, a, b, f=f: f(a, b))
        for name, f in operations.items()
        for kind, (a, b) in PAIRS.items()
    ]
    for kind, (a, b) in PAIRS.items():
        cases += [
            Case(f"pow {kind}", lambda a, b: a**b, [np.abs(a), b], lambda t, a, b: a**b),
            Case(f"maximum {kind}", lambda a, b: a.maximum(b), [a, b], lambda t, a, b: t.maximum(a, b)),
            Case(f"minimum {kind}", lambda a, b: a.minimum(b), [a, b], lambda t, a, b: t.minimum(a, b)),
            Case(f"where {kind}", lambda a, b: where(a > b, a * 2, b), [a, b], lambda t, a, b: t.where(a > b, a * 2, b)),
        ]  # fmt: skip
    cases += [
        Case("maximum of ties", lambda a, b: a.maximum(b), [TIES, TIES.T], lambda t, a, b: t.maximum(a, b), smooth=False),
        Case("minimum of ties", lambda a, b: a.minimum(b), [TIES, TIES.T], lambda t, a, b: t.minimum(a, b), smooth=False),
        Case("number - x", lambda a: 2 - a, [A], lambda t, a: 2 - a),
        Case("number / x", lambda a: 2 / a, [A], lambda t, a: 2 / a),
        Case("number ** x", lambda a: 2**a, [A], lambda t, a: 2**a),
        Case("negative ** x", lambda a: a ** Tensor(np.array([2.0, 3.0])).to(a.dtype), [np.array([-2.0, -3.0])], lambda t, a: a ** t.tensor([2.0, 3.0], dtype=a.dtype)),
        Case("negative ** -1", lambda a: a**-1, [np.array([-2.0, -0.0, 0.0])], lambda t, a: a**-1, smooth=False),
        Case("negative ** number", lambda a: a**1.5, [np.array([-2.0, 0.0, 4.0])], lambda t, a: a**1.5, smooth=False),
        Case("0 ** number 0", lambda a: a**0, [np.array([0.0, -1.0, np.inf])], lambda t, a: a**0, smooth=False),
        Case("0 ** number 0.5", lambda a: a**0.5, [np.array([0.0, 4.0])], lambda t, a: a**0.5, smooth=False),
        Case("nan in what where does not choose", lambda a: where(a > 0, a, a.log() * 0 + 1), [np.array([-1.0, 2.0])], lambda t, a: t.where(a > 0, a, a.log() * 0 + 1), smooth=False),
        Case("nan is not chosen", lambda a: where(a > 0, (a * 2).sqrt(), -1.0), [np.array([-1.0, 2.0])], lambda t, a: t.where(a > 0, (a * 2).sqrt(), -1.0), smooth=False),
        Case("0 ** x", lambda a, b: a**b, [np.zeros(3), np.array([0.0, 1.0, 2.0])], lambda t, a, b: a**b, smooth=False),
    ]  # fmt: skip
    for n in (0, 1, 2, 3, -1, 0.5, 2.5, -2):
        x = POSITIVE if n in (0.5, 2.5) else A
        cases.append(Case(f"pow of number {n}", lambda a, n=n: a**n, [x], lambda t, a, n=n: a**n))
    return cases


def unary() -> list[Case]:
    def same(name: str) -> tuple[Callable, Callable]:
        return (lambda a: getattr(a, name)()), (lambda t, a: getattr(a, name)())

    functional = {
        "gelu": lambda t, a: t.nn.functional.gelu(a, approximate="tanh"),
        "silu": lambda t, a: t.nn.functional.silu(a),
        "leaky_relu": lambda t, a: t.nn.functional.leaky_relu(a),
        "softplus": lambda t, a: t.nn.functional.softplus(a),
    }
    cases = []
    for kind, x in SHAPES.items():
        for name in ("exp", "abs", "sin", "cos", "sigmoid", "tanh", "relu", "neg", "square"):
            cases.append(Case(f"{name} {kind}", same(name)[0], [x], same(name)[1]))
        for name in ("log", "sqrt"):
            cases.append(Case(f"{name} {kind}", same(name)[0], [np.abs(x)], same(name)[1]))
        for name, theirs in functional.items():
            cases.append(Case(f"{name} {kind}", same(name)[0], [x], theirs))
        cases.append(Case(f"clamp {kind}", lambda a: a.clamp(-0.7, 1.1), [x], lambda t, a: a.clamp(-0.7, 1.1)))  # fmt: skip
        cases.append(Case(f"clone {kind}", lambda a: a.clone(), [x], lambda t, a: a.clone()))
    corners = np.array([-2.0, -0.0, 0.0, 2.0])
    for name in ("relu", "abs"):
        cases.append(Case(f"{name} at 0", same(name)[0], [corners], same(name)[1], smooth=False))
    far = np.array([-1000.0, -80.0, 80.0, 1000.0])
    for name in ("sigmoid", "tanh", "gelu", "silu", "softplus"):
        theirs = functional.get(name, same(name)[1])
        cases.append(Case(f"{name} far out", same(name)[0], [far], theirs, smooth=False))
    cases += [
        Case("clamp below", lambda a: a.clamp(min=0.5), [A], lambda t, a: a.clamp(min=0.5)),
        Case("clamp above", lambda a: a.clamp(max=0.5), [A], lambda t, a: a.clamp(max=0.5)),
        Case("clamp of infinity and nan", lambda a: a.clamp(-1.0, 1.0), [np.array([-np.inf, np.inf, np.nan])], lambda t, a: a.clamp(-1.0, 1.0), smooth=False),
        Case("log and sqrt at 0", lambda a: a.log() + a.sqrt(), [np.array([0.0, 1.0])], lambda t, a: a.log() + a.sqrt(), smooth=False),
        Case("clamp at its limits", lambda a: a.clamp(-2.0, 2.0), [corners], lambda t, a: a.clamp(-2.0, 2.0), smooth=False),
        Case("leaky relu slope", lambda a: a.leaky_relu(0.3), [A], lambda t, a: t.nn.functional.leaky_relu(a, 0.3)),
        Case("masked fill", lambda a: a.masked_fill(a > 0, 7.0), [A], lambda t, a: a.masked_fill(a > 0, 7.0)),
    ]  # fmt: skip
    return cases


def reductions() -> list[Case]:
    cases = []
    for kind, x in {"2-d": A, "3-d": C, "strided": STRIDED, "0-d": SCALAR, "ties": TIES}.items():
        axes: list = [None, *range(-x.ndim, x.ndim)]
        axes += [(0, -1)] if x.ndim > 1 else []
        for axis in axes:
            theirs = tuple(range(x.ndim)) if axis is None else axis
            for keepdims in (False, True):
                where_ = f"{kind} {axis} {keepdims}"
                for name in ("sum", "mean", "logsumexp"):
                    cases.append(
                        Case(
                            f"{name} {where_}",
                            lambda a, n=name, i=axis, k=keepdims: getattr(a, n)(i, keepdims=k),
                            [x],
                            lambda t, a, n=name, i=theirs, k=keepdims: getattr(a, n)(
                                dim=i, keepdim=k
                            ),
                        )
                    )
                for name in ("max", "min"):
                    cases.append(
                        Case(
                            f"{name} {where_}",
                            lambda a, n=name, i=axis, k=keepdims: getattr(a, n)(i, keepdims=k),
                            [x],
                            lambda t, a, n=name, i=theirs, k=keepdims: getattr(a, f"a{n}")(
                                dim=i, keepdim=k
                            ),
                            smooth=kind != "ties",
                        )
                    )
                for name in ("var", "std") if kind in ("2-d", "3-d") else ():
                    for correction in (0, 1):
                        cases.append(
                            Case(
                                f"{name} {where_} {correction}",
                                lambda a, n=name, i=axis, k=keepdims, c=correction: getattr(a, n)(
                                    i, k, c
                                ),
                                [x],
                                lambda t, a, n=name, i=theirs, k=keepdims, c=correction: getattr(
                                    a, n
                                )(dim=i, keepdim=k, correction=c),
                            )
                        )
    large = np.array([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4]])
    infinite = np.array([[-np.inf, 1.0, 2.0], [-np.inf, -np.inf, 3.0]])
    for axis in (0, 1, -1):
        for name in ("softmax", "log_softmax"):
            for kind, x in {"2-d": A, "strided": STRIDED, "large": large, "-inf": infinite}.items():
                if kind == "-inf" and axis == 0:
                    continue  # a column of -inf has no softmax
                cases.append(
                    Case(
                        f"{name} {kind} {axis}",
                        lambda a, n=name, i=axis: getattr(a, n)(i),
                        [x],
                        lambda t, a, n=name, i=axis: getattr(a, n)(i),
                        smooth=kind in ("2-d", "strided"),
                    )
                )
    cases += [
        Case("sum of nothing", lambda a: a.sum(), [EMPTY], lambda t, a: a.sum()),
        Case("sum of empty columns", lambda a: a.sum(0), [EMPTY], lambda t, a: a.sum(0)),
        Case("softmax of no columns", lambda a: a.softmax(1), [EMPTY.T], lambda t, a: a.softmax(1)),
        Case("log_softmax of no columns", lambda a: a.log_softmax(1), [EMPTY.T], lambda t, a: a.log_softmax(1)),
        Case("logsumexp of no rows", lambda a: a.logsumexp(1), [EMPTY], lambda t, a: a.logsumexp(1)),
        Case("max of no rows", lambda a: a.max(1), [EMPTY], lambda t, a: a.amax(1)),
        Case("mean of nothing", lambda a: a.mean(), [EMPTY], lambda t, a: a.mean(), smooth=False),
        Case("logsumexp inf", lambda a: a.logsumexp(1), [np.array([[np.inf, 1.0], [np.inf, -np.inf], [-np.inf, -np.inf]])], lambda t, a: a.logsumexp(1), smooth=False),
        Case("logsumexp large", lambda a: a.logsumexp(1), [large], lambda t, a: a.logsumexp(1), smooth=False),
        Case("std of equal numbers", lambda a: a.std(1), [np.array([[3.0, 3.0], [1.0, 2.0]])], lambda t, a: a.std(1), smooth=False),
        Case("normalise equal numbers", lambda a: a.normalise(1), [np.ones((2, 3))], lambda t, a: t.nn.functional.layer_norm(a, (3,)), smooth=False),
        Case("logsumexp -inf", lambda a: a.logsumexp(1), [infinite], lambda t, a: a.logsumexp(1), smooth=False),
        Case("normalise", lambda a: a.normalise((0, 2)), [C], lambda t, a: (a - a.mean((0, 2), keepdim=True)) / (a.var((0, 2), keepdim=True, correction=0) + 1e-5) ** 0.5),
    ]  # fmt: skip
    return cases


def products() -> list[Case]:
    shapes = {
        "matrices": ((3, 4), (4, 2)), "matrix vector": ((3, 4), (4,)), "vector matrix": ((4,), (4, 2)),
        "vectors": ((4,), (4,)), "batch": ((2, 3, 4), (2, 4, 5)), "batch and matrix": ((2, 3, 4), (4, 5)),
        "matrix and batch": ((3, 4), (2, 4, 5)), "vector and batch": ((4,), (2, 4, 5)),
        "batch and vector": ((2, 3, 4), (4,)), "broadcast batch": ((2, 1, 3, 4), (5, 4, 2)),
        "no rows": ((0, 4), (4, 2)), "nothing inside": ((3, 0), (0, 2)), "empty batch": ((0, 3, 4), (4, 2)),
    }  # fmt: skip
    cases = [
        Case(f"matmul {kind}", lambda a, b: a @ b, [numbers(*m), numbers(*n, seed=1)], lambda t, a, b: a @ b)
        for kind, (m, n) in shapes.items()
    ]  # fmt: skip
    cases += [
        Case("matmul strided", lambda a, b: a @ b.T, [STRIDED, STRIDED.T], lambda t, a, b: a @ b.T),
        Case("x @ x", lambda a: a @ a, [STRIDED], lambda t, a: a @ a),
    ]
    cases.append(Case("linear strided", lambda x, w, b: x.linear(w, b), [numbers(8, 6)[::-2, ::2], numbers(3, 5)[:, ::-1].T[::2], numbers(6)[::-2]], lambda t, x, w, b: t.nn.functional.linear(x, w, b)))  # fmt: skip
    weight, bias = numbers(5, 4, seed=8), numbers(5, seed=9)
    for kind, x in {"1-d": B, "2-d": A, "3-d": C, "empty": EMPTY}.items():
        cases += [
            Case(f"linear {kind}", lambda x, w, b: x.linear(w, b), [x, weight, bias], lambda t, x, w, b: t.nn.functional.linear(x, w, b)),
            Case(f"linear without bias {kind}", lambda x, w: x.linear(w), [x, weight], lambda t, x, w: t.nn.functional.linear(x, w)),
        ]  # fmt: skip
    return cases


def movement() -> list[Case]:
    mask = A > 0
    picks = np.array([0, 2, 2, 1, 0])
    both: dict[str, tuple[Callable, np.ndarray]] = {
        "reshape": (lambda a: a.reshape(2, 6), A), "reshape -1": (lambda a: a.reshape(4, -1), A),
        "reshape strided": (lambda a: a.T.reshape(9), STRIDED), "view": (lambda a: a.view(12), A),
        "reshape empty": (lambda a: a.reshape(2, 0, 3), EMPTY), "reshape 0-d": (lambda a: a.reshape(1, 1), SCALAR),
        "flatten": (lambda a: a.flatten(1), C), "flatten middle": (lambda a: a.flatten(0, 1), C),
        "permute": (lambda a: a.permute(2, 0, 1), C), "transpose": (lambda a: a.transpose(0, 2), C),
        "T": (lambda a: a.T, A), "unsqueeze": (lambda a: a.unsqueeze(1), A), "unsqueeze -1": (lambda a: a.unsqueeze(-1), A),
        "squeeze": (lambda a: a.squeeze(1), COLUMN), "squeeze all": (lambda a: a.squeeze(), COLUMN), "squeeze none": (lambda a: a.squeeze(0), COLUMN),
        "expand": (lambda a: a.expand(2, 3, 5), COLUMN), "expand -1": (lambda a: a.expand(-1, 5), COLUMN), "expand 0-d": (lambda a: a.expand(2, 2), SCALAR),
        "repeat": (lambda a: a.repeat(2, 1, 3), A), "tril": (lambda a: a.tril(1), A), "triu": (lambda a: a.triu(-1), C),
        "split": (lambda a: a.split(3, 1)[1] * 2, A), "split list": (lambda a: a.split([1, 3], 1)[0] * 2, A), "chunk": (lambda a: a.chunk(3, 1)[-1] * 2, A),
        "getitem int": (lambda a: a[1], C), "getitem -1": (lambda a: a[..., -1], C), "getitem slice": (lambda a: a[:, 1:3, ::2], C),
        "getitem None": (lambda a: a[:, None, 1], A), "getitem tuple": (lambda a: a[0, 1, 2], C), "getitem all": (lambda a: a[()], SCALAR),
        "getitem list": (lambda a: a[[0, 0, 2]], A), "getitem empty list": (lambda a: a[[]], A), "getitem lists": (lambda a: a[[0, 1, 1], [2, 2, 2]], A),
        "getitem list and slice": (lambda a: a[:, [1, 1], 1:], C), "getitem negative": (lambda a: a[[-1, -3], -1], A),
    }  # fmt: skip
    cases = [Case(name, f, [x], lambda t, a, f=f: f(a)) for name, (f, x) in both.items()]
    cases += [
        Case("getitem mask", lambda a: a[Tensor(mask)], [A], lambda t, a: a[t.tensor(mask)]),
        Case("getitem tensor", lambda a: a[Tensor(picks)], [A], lambda t, a: a[t.tensor(picks)]),
        Case("flip", lambda a: a.flip(1), [A], lambda t, a: a.flip(1)),
        Case("flip all", lambda a: a.flip(), [C], lambda t, a: a.flip((0, 1, 2))),
        Case("pad", lambda a: a.pad(((1, 0), (2, 1)), 3.0), [A], lambda t, a: t.nn.functional.pad(a, (2, 1, 1, 0), value=3.0)),
        Case("cat", lambda a, b: Tensor.cat([a, b, a], 1), [A, COLUMN], lambda t, a, b: t.cat([a, b, a], 1)),
        Case("cat empty", lambda a, b: Tensor.cat([a, b]), [A, EMPTY], lambda t, a, b: t.cat([a, b])),
        Case("stack", lambda a, b: Tensor.stack([a, b], -1), [A, A * 2], lambda t, a, b: t.stack([a, b], -1)),
    ]  # fmt: skip
    return cases


def layers() -> list[Case]:
    targets = np.array([0, 3, 2])
    cases = [
        Case("layer norm", lambda x, w, b: x.layer_norm(w, b), [C, B, B + 1], lambda t, x, w, b: t.nn.functional.layer_norm(x, (4,), w, b)),
        Case("embedding", lambda w, i: i.embedding(w), [A, np.array([[0, 2], [2, 2]])], lambda t, w, i: t.nn.functional.embedding(i, w)),
        Case("mse", lambda a, b: a.mse_loss(b), [A, A[::-1]], lambda t, a, b: t.nn.functional.mse_loss(a, b)),
        Case("bce", lambda a, b: a.binary_cross_entropy_with_logits(b), [A, POSITIVE / 2], lambda t, a, b: t.nn.functional.binary_cross_entropy_with_logits(a, b)),
        Case("bce far out", lambda a, b: a.binary_cross_entropy_with_logits(b), [A * 1000, POSITIVE / 2], lambda t, a, b: t.nn.functional.binary_cross_entropy_with_logits(a, b), smooth=False),
        Case("cross entropy of one", lambda a, i: a.cross_entropy(i), [B, np.array(2)], lambda t, a, i: t.nn.functional.cross_entropy(a, i)),
        Case("cross entropy far out", lambda a, i: a.cross_entropy(i), [A * 1e4, targets], lambda t, a, i: t.nn.functional.cross_entropy(a, i), smooth=False),
        Case("cross entropy all ignored", lambda a, i: a.cross_entropy(i, ignore_index=0), [A, targets * 0], lambda t, a, i: t.nn.functional.cross_entropy(a, i, ignore_index=0), smooth=False),
    ]  # fmt: skip
    for kind, qkv in {
        "": numbers(2, 3, 12),
        " of one token": numbers(2, 1, 12),
        " strided": numbers(12, 5, 4).T[::-1, ::2],
    }.items():
        cases.append(Case(f"causal attention{kind}", lambda x: operation(x).apply(x, n_head=2), [qkv], attend))  # fmt: skip
    no_images = np.zeros((0, 4, 7, 6))
    cases += [
        Case("layer norm of no rows", lambda x, w, b: x.layer_norm(w, b), [EMPTY, B, B + 1], lambda t, x, w, b: t.nn.functional.layer_norm(x, (4,), w, b)),
        Case("layer norm strided", lambda x, w, b: x.layer_norm(w, b), [STRIDED, STRIDED[::-1, 1], STRIDED[1]], lambda t, x, w, b: t.nn.functional.layer_norm(x, (3,), w, b)),
        Case("layer norm of 1-d", lambda x, w, b: x.layer_norm(w, b), [A[0], B, B + 1], lambda t, x, w, b: t.nn.functional.layer_norm(x, (4,), w, b)),
        Case("embedding of nothing", lambda w, i: i.embedding(w), [A, np.zeros((2, 0), np.int64)], lambda t, w, i: t.nn.functional.embedding(i, w)),
        Case("embedding of one", lambda w, i: i.embedding(w), [STRIDED, np.array(2)], lambda t, w, i: t.nn.functional.embedding(i, w)),
        Case("cross entropy of no rows", lambda a, i: a.cross_entropy(i, reduction="sum"), [EMPTY, np.zeros(0, np.int64)], lambda t, a, i: t.nn.functional.cross_entropy(a, i, reduction="sum")),
        Case("cross entropy strided", lambda a, i: a.cross_entropy(i), [STRIDED, np.arange(6)[::-2] // 2], lambda t, a, i: t.nn.functional.cross_entropy(a, i)),
        Case("bce none", lambda a, b: a.binary_cross_entropy_with_logits(b, "none"), [STRIDED, STRIDED.T / 4 + 0.5], lambda t, a, b: t.nn.functional.binary_cross_entropy_with_logits(a, b, reduction="none")),
        Case("conv2d of no images", lambda x, w: x.conv2d(w), [no_images, numbers(6, 4, 3, 2)], lambda t, x, w: t.nn.functional.conv2d(x, w)),
        Case("conv2d of no images in groups", lambda x, w: x.conv2d(w, groups=2), [no_images, numbers(6, 2, 3, 2)], lambda t, x, w: t.nn.functional.conv2d(x, w, groups=2)),
        Case("conv2d for each channel", lambda x, w: x.conv2d(w, groups=4), [IMAGES, numbers(8, 1, 3, 2)], lambda t, x, w: t.nn.functional.conv2d(x, w, groups=4)),
        Case("conv2d strided", lambda x, w: x.conv2d(w, stride=3, padding=1), [IMAGES.T[::-1, ::2], numbers(2, 3, 4, 5).T], lambda t, x, w: t.nn.functional.conv2d(x, w, stride=3, padding=1)),
        Case("max pool strided", lambda x: x.max_pool2d(2, 1), [IMAGES.T[::-1, ::2]], lambda t, x: t.nn.functional.max_pool2d(x, 2, 1)),
    ]  # fmt: skip
    for ignored in (-100, 2):
        for smoothing in (0.0, 0.1):
            for reduction in ("mean", "sum", "none"):
                options = {
                    "ignore_index": ignored,
                    "label_smoothing": smoothing,
                    "reduction": reduction,
                }
                cases.append(
                    Case(
                        f"cross entropy {ignored} {smoothing} {reduction}",
                        lambda a, i, o=options: a.cross_entropy(i, **o),
                        [A, targets],
                        lambda t, a, i, o=options: t.nn.functional.cross_entropy(a, i, **o),
                    )
                )
    for stride in (1, 2, (2, 1)):
        for padding in (0, (1, 2)):
            for groups in (1, 2):
                options = {"stride": stride, "padding": padding, "groups": groups}
                weight, bias = numbers(6, 4 // groups, 3, 2, seed=10), numbers(6, seed=11)
                cases.append(
                    Case(
                        f"conv2d {stride} {padding} {groups}",
                        lambda x, w, b, o=options: x.conv2d(w, b, **o),
                        [IMAGES, weight, bias],
                        lambda t, x, w, b, o=options: t.nn.functional.conv2d(x, w, b, **o),
                    )
                )
    cases.append(Case("conv2d without bias", lambda x, w: x.conv2d(w), [IMAGES, numbers(3, 4, 1, 1)], lambda t, x, w: t.nn.functional.conv2d(x, w)))  # fmt: skip
    ties = np.round(IMAGES)
    for window in ((2, None, 0), (3, 2, 1), ((2, 3), 1, (1, 0)), (3, 1, 0)):
        for kind, x in {"": IMAGES, " ties": ties}.items():
            cases.append(Case(f"max pool {window}{kind}", lambda x, w=window: x.max_pool2d(*w), [x], lambda t, x, w=window: t.nn.functional.max_pool2d(x, *w), smooth=not kind))  # fmt: skip
        cases.append(Case(f"avg pool {window}", lambda x, w=window: x.avg_pool2d(*w), [IMAGES], lambda t, x, w=window: t.nn.functional.avg_pool2d(x, *w)))  # fmt: skip
    return cases


def attend(t: Any, qkv: Any) -> Any:
    """PyTorch's attention of two heads, whose queries, keys and values lie side by side."""
    n, tokens, width = qkv.shape
    q, k, v = (part.reshape(n, tokens, 2, -1).transpose(1, 2) for part in qkv.chunk(3, -1))
    heads = t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return heads.transpose(1, 2).reshape(n, tokens, width // 3)


def reuse() -> list[Case]:
    def diamonds(x: Any) -> Any:
        for _ in range(5):
            x = x * x * 0.3 - x * 0.5
        return x

    both: dict[str, Callable] = {
        "x * x": lambda x: x * x,
        "x + x": lambda x: x + x,
        "x / x": lambda x: x / x,
        "five diamonds": diamonds,
        "view and itself": lambda x: x * x.T.reshape(3, 3) + x[0],
        "sum of itself": lambda x: x * x.sum() + x.mean(0),
    }
    return [Case(name, f, [STRIDED], lambda t, a, f=f: f(a)) for name, f in both.items()]


CASES = [*binary(), *unary(), *reductions(), *products(), *movement(), *layers(), *reuse()]
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES), "two cases have the same name"


def run(case: Case, dtype: Any = np.float64) -> tuple[Tensor, list[Tensor]]:
    """The case's result after backward, with weights for its elements, and the inputs."""
    inputs = [
        Tensor(x.astype(dtype), requires_grad=True) if x.dtype.kind == "f" else Tensor(x)
        for x in case.arrays
    ]
    with np.errstate(all="ignore"):
        result = case.ours(*inputs)
        result.backward(Tensor(weights(result.shape), dtype=result.dtype))
    return result, inputs


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that backward starts from: another number for each element."""
    size = int(np.prod(shape))
    return np.linspace(0.5, 1.5, size).reshape(shape)
