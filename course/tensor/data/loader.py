"""Examples, and batches of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from course.tensor import rng
from course.tensor.shapes import Shape
from course.tensor.tensor import Tensor


class Dataset:
    """Examples that are counted with `len` and got by number. A subclass writes these two methods."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__ yet")

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__ yet")


class TensorDataset(Dataset):
    """Tensors side by side: example i is (tensors[0][i], tensors[1][i], ...).

    Args:
        tensors: of the same length on their first axis; arrays and lists become tensors.

    Raises:
        ValueError: if there are none, or their lengths differ.
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(t if isinstance(t, Tensor) else Tensor(t) for t in tensors)
        shapes: list[Shape] = [t.shape for t in self.tensors]
        if not shapes or any(not s or s[0] != shapes[0][0] for s in shapes):
            raise ValueError(
                f"a dataset needs tensors of the same length on axis 0, and got {shapes}"
            )

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """An integer gives one example; a slice or an array of integers gives several at once."""
        return tuple(t[index] for t in self.tensors)


class Subset(Dataset):
    """Some examples of a dataset.

    Args:
        dataset: anything with len and numbers.
        indices: which examples.
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        """As for the dataset, counted among the chosen ones."""
        chosen = self.indices[index]
        return self.dataset[int(chosen) if chosen.ndim == 0 else chosen]


def random_split(dataset: Any, lengths: Sequence[float], seed: int | None = None) -> list[Subset]:
    """Cut a dataset into parts at random, each example in one of them.

    Args:
        dataset: anything with len and numbers.
        lengths: how many examples each part gets; or the parts' fractions, which sum to 1. What
            rounding leaves over goes to the first parts.
        seed: the same seed gives the same parts; None draws from the common generator.

    Raises:
        ValueError: if the lengths do not add up.
    """
    n = len(dataset)
    if any(isinstance(length, float) for length in lengths):
        if min(lengths) < 0 or abs(sum(lengths) - 1) > 1e-6:
            raise ValueError(f"fractions sum to 1, and {list(lengths)} do not")
        counts = [int(n * fraction + 1e-9) for fraction in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(length) for length in lengths]
    if sum(counts) != n or min(counts) < 0:
        raise ValueError(f"parts of {counts} do not add up to the {n} examples there are")
    order = _generator(seed).permutation(n)
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - k : end]) for end, k in zip(ends, counts)]


def collate(examples: Sequence[Any]) -> Any:
    """One batch of several examples: numbers, arrays and tensors are stacked along a new first axis.

    Tuples, lists and dicts of such are batched part by part; what is no number, such as a text, stays a list.
    """
    first = examples[0]
    if isinstance(first, Tensor):
        return Tensor.stack(examples)
    if isinstance(first, dict):
        return {key: collate([example[key] for example in examples]) for key in first}
    if isinstance(first, tuple | list):
        return tuple(collate(column) for column in zip(*examples))
    if isinstance(first, np.ndarray | np.generic):
        return Tensor(np.stack(examples))
    if isinstance(first, bool | int | float):
        return Tensor(examples)
    return list(examples)


class DataLoader:
    """All examples once, some at a time: each `for` loop over it is one epoch.

        for images, labels in DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True): ...

    Args:
        dataset: a Dataset, or a list or an array of examples.
        batch_size: how many examples a batch has; the last one may have fewer.
        shuffle: whether each epoch has a new order.
        drop_last: whether a last batch that is not full is left out.
        seed: the same seed gives the same epochs; None draws from the common generator, which
            `manual_seed` starts.
        collate: makes a batch of a list of examples.

    Raises:
        ValueError: if batch_size is less than 1.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
        collate: Callable[[list], Any] = collate,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is at least 1, and is {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.collate = collate
        self._own_generator = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch."""
        n = len(self.dataset)
        order = np.arange(n)
        if self.shuffle:
            order = (self._own_generator or rng.generator()).permutation(n)
        at_once = self.collate is collate and _takes_arrays(self.dataset)
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            if at_once:
                yield self.dataset[chosen]
            else:
                yield self.collate([self.dataset[int(k)] for k in chosen])


def _takes_arrays(dataset: Any) -> bool:
    """Whether dataset[array of integers] is the batch already, without a look at each example."""
    if isinstance(dataset, Subset):
        return _takes_arrays(dataset.dataset)
    return isinstance(dataset, TensorDataset | Tensor)


def _generator(seed: int | None) -> np.random.Generator:
    return rng.generator() if seed is None else np.random.default_rng(seed)
