"""Lazy arrays: they look like numpy's, and only note what is to be done.

numpy itself sends work here. If one of its functions meets an array of another kind, it asks that
array (`__array_ufunc__`, `__array_function__`). So the engine's functions that are written with numpy,
such as softmax or Adam's step, work on lazy arrays as they are.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from course.lazy import ir
from course.lazy.codegen import TEMPLATES
from course.lazy.ir import Node
from course.lazy.run import Launch, realise, start
from course.tensor.ops.products import product_shape
from course.tensor.shapes import Shape, broadcast_shapes, fill_in_shape, normalise_axes

# Arrays that had numbers and were changed in place, such as weights: they are computed with whatever is
# computed next, or what is to be done to them would grow from step to step. By their id, as == of arrays
# compares elements.
_changed: "dict[int, weakref.ref[LazyArray]]" = {}


class LazyArray(NDArrayOperatorsMixin):
    """An array that may not have been computed yet.

    Operators and numpy's functions give further lazy arrays. `numpy()` computes the numbers.

    Args:
        node: what is to be computed.
    """

    __slots__ = ("__weakref__", "_node")
    __hash__ = object.__hash__

    def __init__(self, node: Node) -> None:
        self._node = node
        for capture in captures:
            capture.makes(self)

    @property
    def node(self) -> Node:
        """What is to be computed, or has been."""
        for capture in captures:
            capture.sees(self)
        return self._node

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return self._node.shape

    @property
    def dtype(self) -> np.dtype:
        """The kind of numbers."""
        return self._node.dtype

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self._node.shape)

    @property
    def size(self) -> int:
        """How many elements there are."""
        return self._node.size

    @property
    def nbytes(self) -> int:
        """How much memory the numbers take, or will take."""
        return self._node.size * self._node.dtype.itemsize

    @property
    def is_computed(self) -> bool:
        """Whether the numbers are there already."""
        return self._node.data is not None

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        if self.is_computed:
            return f"LazyArray({self.numpy()})"
        return f"LazyArray(shape={self.shape}, dtype={self.dtype}, to do: {self._node.op})"

    # ------------------------------------------------------------ computing

    def compute(self) -> "LazyArray":
        """Compute the numbers now, and whatever was changed in place; give this array back."""
        compute(self)
        return self

    def numpy(self) -> np.ndarray:
        """The numbers, as a numpy array of its own."""
        compute(self)
        assert self._node.data is not None
        return self._node.data.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.numpy(), dtype)

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    # ------------------------------------------------------------ what numpy asks

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        targets = options.pop("out", None)
        if method == "reduce" and ufunc in _REDUCTIONS:
            result = reduce(_REDUCTIONS[ufunc], inputs[0], **options)
        elif method == "__call__" and ufunc is np.matmul and not options:
            result = matmul(*map(as_lazy, inputs))
        elif method == "__call__" and ufunc.__name__ in TEMPLATES and not options:
            result = elementwise(ufunc, *inputs)
        else:
            result = call_at_once(getattr(ufunc, method), *inputs, **options)
        if targets is None:
            return result
        (target,) = targets
        if not np.can_cast(result.dtype, target.dtype, "same_kind"):
            raise TypeError(f"an array of {target.dtype} cannot become {result.dtype} in place")
        if isinstance(target, LazyArray):
            return target.assign(result)
        np.copyto(target, result.numpy())
        return target

    def __array_function__(
        self, function: Callable, types: Any, args: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](*args, **options)
        return call_at_once(function, *args, **options)

    # ------------------------------------------------------------ views, as methods of numpy's arrays

    def reshape(self, *shape: Any) -> "LazyArray":
        """The same elements in another shape; one length may be -1."""
        lengths = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        return LazyArray(ir.reshape(self.node, fill_in_shape(tuple(lengths), self.size)))

    def transpose(self, *order: Any) -> "LazyArray":
        """The axes in another order; without one, the other way round."""
        if len(order) == 1 and (order[0] is None or isinstance(order[0], Sequence)):
            order = tuple(order[0]) if order[0] is not None else ()
        axes = tuple(axis % self.ndim for axis in order) or tuple(reversed(range(self.ndim)))
        return LazyArray(ir.permute(self.node, axes))

    @property
    def T(self) -> "LazyArray":
        """The axes the other way round."""
        return self.transpose()

    @property
    def mT(self) -> "LazyArray":
        """Each matrix transposed: the last two axes exchanged."""
        return self.transpose((*range(self.ndim - 2), self.ndim - 1, self.ndim - 2))

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not all(p is None or p is Ellipsis or type(p) in (int, slice) for p in parts):
            return call_at_once(np.ndarray.__getitem__, self, key)
        n_named = sum(part is not None and part is not Ellipsis for part in parts)
        if n_named > self.ndim:
            raise IndexError(f"{n_named} indices for an array of {self.ndim} axes")
        if Ellipsis not in parts:
            parts = (*parts, Ellipsis)
        dots = parts.index(Ellipsis)
        rest = (slice(None),) * (self.ndim - n_named)
        node, shape, axis = self.node, [], 0
        for part in (*parts[:dots], *rest, *parts[dots + 1 :]):
            if part is None:
                shape.append(1)
                continue
            if isinstance(part, int):
                if not -node.shape[axis] <= part < node.shape[axis]:
                    raise IndexError(
                        f"index {part} is outside of axis {axis}, {node.shape[axis]} long"
                    )
                first = part % node.shape[axis]
                node = ir.cut(node, axis, slice(first, first + 1))
            else:
                node = ir.cut(node, axis, part)
                shape.append(node.shape[axis])
            axis += 1
        return LazyArray(ir.reshape(node, tuple(shape)))

    def astype(self, dtype: Any, copy: bool = True) -> "LazyArray":
        """The same numbers in another dtype."""
        return LazyArray(_cast(self.node, np.dtype(dtype)))

    def copy(self) -> "LazyArray":
        """Another array of the same numbers. No numbers are copied: none are ever overwritten."""
        return LazyArray(self.node)

    def assign(self, value: Any) -> "LazyArray":
        """Become other numbers, in place: whoever holds this array has the new ones.

        Whatever was computed from the old numbers stays as it is, also if it is still to be computed.

        Raises:
            ValueError: if the value does not stretch to this array's shape.
        """
        node = as_lazy(value).node
        if broadcast_shapes(node.shape, self.shape) != self.shape:
            raise ValueError(f"shape {node.shape} does not fit an array of shape {self.shape}")
        node = ir.expand(_cast(node, self.dtype), self.shape)
        for capture in captures:
            capture.changes(self)
        had_numbers = self._node.data is not None or ir.is_const(self._node)
        self._node = node
        if had_numbers:
            _changed[id(self)] = weakref.ref(self)
        return self

    def sum(self, axis: Any = None, keepdims: bool = False, **options: Any) -> "LazyArray":
        """The sum over some axes, or all."""
        return reduce("sum", self, axis, keepdims=keepdims, **options)

    def mean(self, axis: Any = None, keepdims: bool = False) -> "LazyArray":
        """The mean over some axes, or all."""
        total = reduce("sum", self, axis, keepdims=keepdims)
        return total / total.dtype.type(self.size // max(total.size, 1))

    def max(self, axis: Any = None, keepdims: bool = False, **options: Any) -> "LazyArray":
        """The largest element over some axes, or all."""
        return reduce("max", self, axis, keepdims=keepdims, **options)

    def min(self, axis: Any = None, keepdims: bool = False, **options: Any) -> "LazyArray":
        """The smallest element over some axes, or all."""
        return reduce("min", self, axis, keepdims=keepdims, **options)


captures: list[Any] = []  # those who watch which arrays are used (see course.lazy.jit)


def compute(*arrays: LazyArray) -> None:
    """Compute these arrays, and all that were changed in place, together."""
    changed = [array for ref in _changed.values() if (array := ref()) is not None]
    _changed.clear()
    realise([array.node for array in (*arrays, *changed)])


def as_lazy(x: Any, dtype: Any = None) -> LazyArray:
    """A lazy array of numbers that are there."""
    if isinstance(x, LazyArray):
        return x if dtype is None else x.astype(dtype)
    return LazyArray(ir.buffer(np.asarray(x, dtype)))


def full(shape: Sequence[int], value: Any, dtype: Any) -> LazyArray:
    """One number in each element; it takes no memory."""
    return LazyArray(ir.const(value, np.dtype(dtype), tuple(shape)))


def arange(shape: Sequence[int], axis: int) -> LazyArray:
    """Each element's own position along an axis; it takes no memory."""
    return LazyArray(ir.index(tuple(shape), axis))


def elementwise(ufunc: np.ufunc, *inputs: Any) -> LazyArray:
    """One of numpy's functions, element by element: note it, with what stretching and converting it needs.

    Args:
        ufunc: numpy's function; it says of which dtypes inputs and result are.
        inputs: lazy arrays, numpy arrays, numbers.
    """
    kinds = [_kind(x) for x in inputs]
    *in_dtypes, out_dtype = ufunc.resolve_dtypes((*kinds, None))
    return operation(ufunc.__name__, inputs, in_dtypes, out_dtype)


def where(condition: Any, a: Any, b: Any) -> LazyArray:
    """a where the condition holds, b elsewhere."""
    dtype = np.result_type(*[x.dtype if hasattr(x, "dtype") else x for x in (a, b)])
    return operation("where", (condition, a, b), [np.dtype(bool), dtype, dtype], dtype)


def operation(
    op: str, inputs: Sequence[Any], in_dtypes: Sequence[np.dtype], dtype: np.dtype
) -> LazyArray:
    """Note an operation element by element; compute nothing.

    All inputs of the node have the shape that they have together, by the rule of broadcasting.

    Args:
        op: its name, such as "add".
        inputs: lazy arrays, numpy arrays or numbers.
        in_dtypes: the dtype in which each input is used.
        dtype: the dtype of the result.

    Raises:
        ValueError: if the shapes do not go together.
    """
    shape = broadcast_shapes(*[getattr(x, "shape", ()) for x in inputs])
    nodes = tuple(input_node(x, dt, shape) for x, dt in zip(inputs, in_dtypes))
    return LazyArray(Node(op, nodes, shape, dtype))


def input_node(x: Any, dtype: np.dtype, shape: Shape) -> Node:
    """The node of an input, converted to a dtype and stretched to a shape."""
    if isinstance(x, LazyArray):
        return ir.expand(_cast(x.node, dtype), shape)
    if np.ndim(x) == 0:
        return ir.const(x, dtype, shape)
    return ir.expand(ir.buffer(np.asarray(x, dtype)), shape)


def _kind(x: Any) -> Any:
    """What decides the result's dtype: an array's dtype, or for a bare number its Python type."""
    if isinstance(x, bool):
        return np.dtype(bool)
    return type(x) if type(x) in (int, float) else x.dtype


def _cast(node: Node, dtype: np.dtype) -> Node:
    return node if node.dtype == dtype else Node("cast", (node,), node.shape, dtype)


def reduce(
    op: str,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
) -> LazyArray:
    """A sum, a maximum or a minimum over some axes; of no axes, x itself.

    Args:
        op: one of REDUCTIONS.
        x: an array.
        axis: one axis, several, or None for all.
        dtype: in which to add or compare; None for numpy's choice.
        keepdims: whether the axes stay, with length 1.
        initial: one more number that takes part, also where there is no other.

    Raises:
        ValueError: if it is the maximum or minimum of nothing.
    """
    node = as_lazy(x).node
    axes = tuple(
        sorted(normalise_axes(tuple(axis) if isinstance(axis, list) else axis, len(node.shape)))
    )
    if op != "sum" and initial is None and 0 in [node.shape[a] for a in axes]:
        raise ValueError(f"the {op} of no numbers: shape {node.shape}, axes {axes}")
    if dtype is not None:
        node = _cast(node, np.dtype(dtype))
    elif op == "sum" and node.dtype.kind in "bi":
        node = _cast(node, np.dtype(np.int64))
    kept = tuple(1 if a in axes else n for a, n in enumerate(node.shape))
    result = Node(op, (node,), kept, node.dtype, axes) if axes else node
    if not keepdims:
        result = ir.reshape(result, tuple(n for a, n in enumerate(node.shape) if a not in axes))
    array = LazyArray(result)
    is_neutral = initial is None or (op == "max" and initial == -np.inf)
    return array if is_neutral else elementwise(_UFUNCS[op], array, initial)


def matmul(a: LazyArray, b: LazyArray) -> LazyArray:
    """a @ b, which numpy's library computes: a kernel of ours would be many times slower."""
    shape = product_shape(a.shape, b.shape)
    dtype = np.result_type(a.dtype, b.dtype)
    return LazyArray(Node("call", (a.node, b.node), shape, dtype, np.matmul))


def call_at_once(function: Callable, *args: Any, **options: Any) -> Any:
    """Let numpy do now what cannot be put off; the result is lazy again.

    Args:
        function: takes numpy arrays.
        args: what it takes; lazy arrays among them, also in lists, are computed first.
        options: what else it takes.

    Returns:
        A lazy array for each array that the function returns.
    """
    lazy = [x for x in _flat(args) if isinstance(x, LazyArray)]
    nodes = [x.node for x in lazy]
    compute(*lazy)

    def run(*arrays: np.ndarray) -> Any:
        remaining = iter(arrays)
        return function(*_filled(args, remaining), **options)

    run.__name__ = getattr(function, "__name__", "call")
    launch = Launch(run, [], [(node.data, ()) for node in nodes if node.data is not None], [])
    start(launch)
    results = [LazyArray(ir.buffer(array)) for array in launch.outputs]
    return results[0] if len(results) == 1 else tuple(results)


def _flat(args: Any) -> list[Any]:
    flat = []
    for x in args:
        flat += _flat(x) if isinstance(x, tuple | list) else [x]
    return flat


def _filled(args: Any, arrays: Any) -> list[Any]:
    """The arguments again, with the next of the arrays in place of each lazy one."""
    filled = []
    for x in args:
        if isinstance(x, tuple | list):
            filled.append(type(x)(_filled(x, arrays)))
        else:
            filled.append(next(arrays) if isinstance(x, LazyArray) else x)
    return filled


def broadcast_to(x: LazyArray, shape: Shape) -> LazyArray:
    """Stretched to a shape, without a copy."""
    if broadcast_shapes(x.shape, tuple(shape)) != tuple(shape):
        raise ValueError(f"shape {x.shape} cannot be stretched to {tuple(shape)}")
    return LazyArray(ir.expand(x.node, tuple(shape)))


def expand_dims(x: LazyArray, axis: Any) -> LazyArray:
    """Axes of length 1 put in: as numpy's, the axes are counted in the result."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = normalise_axes(axes, x.ndim + len(axes))
    lengths = iter(x.shape)
    n_axes = x.ndim + len(axes)
    return x.reshape(tuple(1 if i in axes else next(lengths) for i in range(n_axes)))


def flip(x: LazyArray, axis: Any = None) -> LazyArray:
    """The elements in reverse order along some axes."""
    node = x.node
    for a in normalise_axes(axis, x.ndim):
        node = ir.cut(node, a, slice(None, None, -1))
    return LazyArray(node)


_REDUCTIONS = {np.add: "sum", np.maximum: "max", np.minimum: "min"}
_UFUNCS = {op: ufunc for ufunc, op in _REDUCTIONS.items()}
_FUNCTIONS: dict[Callable, Callable] = {
    np.where: where,
    np.expand_dims: expand_dims,
    np.broadcast_to: broadcast_to,
    np.flip: flip,
    np.transpose: lambda x, axes=None: x.transpose(axes),
    np.reshape: lambda x, shape: x.reshape(shape),
    np.sum: lambda x, axis=None, keepdims=False: x.sum(axis, keepdims),
    np.mean: lambda x, axis=None, keepdims=False: x.mean(axis, keepdims),
    np.max: lambda x, axis=None, keepdims=False: x.max(axis, keepdims),
    np.min: lambda x, axis=None, keepdims=False: x.min(axis, keepdims),
    np.zeros_like: lambda x, dtype=None: full(x.shape, 0, dtype or x.dtype),
    np.ones_like: lambda x, dtype=None: full(x.shape, 1, dtype or x.dtype),
    np.copy: lambda x: x.copy(),
}
