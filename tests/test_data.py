"""Datasets, batches, digits and points in the plane."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.tensor import Tensor, manual_seed
from course.tensor.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    collate,
    load_digits,
    make_blobs,
    make_moons,
    make_spirals,
    make_xor,
    random_split,
)


class Squares(Dataset):
    """Numbers with their squares."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        assert isinstance(index, int)
        return float(index), index * index


def test_one_epoch_has_every_example_once_with_its_label():
    for dataset in (TensorDataset(np.arange(10.0), np.arange(10) ** 2), Squares(10)):
        batches = list(DataLoader(dataset, batch_size=4, shuffle=True, seed=0))
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        assert all((x.numpy() ** 2 == y.numpy()).all() for x, y in batches)
        numbers = [n for x, _ in batches for n in x.tolist()]
        assert sorted(numbers) == list(range(10)) and numbers != sorted(numbers)


@given(n=st.integers(1, 20), size=st.integers(1, 8), drop=st.booleans())
def test_length_is_the_number_of_batches(n, size, drop):
    loader = DataLoader(TensorDataset(np.arange(n)), size, drop_last=drop)
    batches = [x.tolist() for (x,) in loader]
    assert len(loader) == len(batches)
    whole = [i for batch in batches for i in batch]
    assert whole == list(range(n - n % size if drop else n))


def test_seeds_repeat_epochs():
    dataset = TensorDataset(np.arange(30))

    def epochs(**options):
        loader = DataLoader(dataset, 30, shuffle=True, **options)
        return [next(iter(loader))[0].tolist() for _ in range(2)]

    assert epochs(seed=1) == epochs(seed=1) != epochs(seed=2)
    assert epochs(seed=1)[0] != epochs(seed=1)[1]
    manual_seed(5)
    first = epochs()
    manual_seed(5)
    assert epochs() == first


def test_a_seed_of_its_own_leaves_the_common_numbers_alone():
    manual_seed(0)
    list(DataLoader(TensorDataset(np.arange(5)), shuffle=True, seed=3))
    after = Tensor.rand(2).tolist()
    manual_seed(0)
    assert Tensor.rand(2).tolist() == after


def test_lists_and_arrays_are_datasets_too():
    pairs = [([1.0, 2.0], 0), ([3.0, 4.0], 1)]
    points, labels = next(iter(DataLoader([(np.array(p), y) for p, y in pairs], 2)))
    assert points.tolist() == [[1, 2], [3, 4]] and labels.tolist() == [0, 1]
    assert next(iter(DataLoader(np.arange(6).reshape(3, 2), 2))).tolist() == [[0, 1], [2, 3]]
    assert next(iter(DataLoader(Tensor([5, 6, 7]), 2))).tolist() == [5, 6]
    assert list(DataLoader([1, 2, 3], 2, collate=sum)) == [3, 3]


def test_collate():
    batch = collate([{"x": Tensor([1.0]), "name": "a"}, {"x": Tensor([2.0]), "name": "b"}])
    assert batch["x"].tolist() == [[1], [2]] and batch["name"] == ["a", "b"]
    assert collate([True, False]).dtype == bool
    assert collate([np.float32(1)]).dtype == np.float32


def test_what_is_no_dataset():
    with pytest.raises(ValueError, match=r"\[\(2,\), \(3,\)\]"):
        TensorDataset([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="batch_size"):
        DataLoader([1], 0)
    with pytest.raises(NotImplementedError, match="Dataset has no __len__"):
        DataLoader(Dataset()).__len__()
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]


def test_random_split():
    dataset = TensorDataset(np.arange(10))
    parts = random_split(dataset, [7, 3], seed=0)
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(i for part in parts for i in part[:][0].tolist()) == list(range(10))
    assert parts[0][0][0].item() == parts[0].indices[0]
    assert isinstance(parts[0], Subset)
    batches = list(DataLoader(parts[1], 2))
    assert [len(x) for (x,) in batches] == [2, 1]
    again = random_split(dataset, [0.7, 0.3], seed=0)
    assert again[0].indices.tolist() == parts[0].indices.tolist()
    assert [len(part) for part in random_split(dataset, [1 / 3] * 3, seed=0)] == [4, 3, 3]
    with pytest.raises(ValueError, match=r"\[7, 4\] do not add up to the 10"):
        random_split(dataset, [7, 4])
    with pytest.raises(ValueError, match="fractions sum to 1"):
        random_split(dataset, [0.5, 0.4])
    nested = Subset(parts[0], [0, 2])
    assert [x.item() for (x,) in (nested[0], nested[1])] == parts[0].indices[[0, 2]].tolist()


def test_digits():
    images, labels, test_images, test_labels = load_digits()
    assert images.shape == (1438, 1, 8, 8) and test_images.shape == (359, 1, 8, 8)
    assert images.dtype == np.float32 and labels.dtype == np.int64 and labels.shape == (1438,)
    assert images.numpy().min() == 0 and images.numpy().max() == 1
    everything = np.concatenate([labels.numpy(), test_labels.numpy()])
    # the counts that the data's description gives for its test part
    assert np.bincount(everything).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    flat, _, _, _ = load_digits(flat=True)
    assert (flat.numpy() == images.numpy().reshape(-1, 64)).all()
    again, others = load_digits()[0], load_digits(seed=1)[0]
    assert (again.numpy() == images.numpy()).all() and (others.numpy() != images.numpy()).any()
    assert load_digits(0.5)[0].shape[0] in (898, 899)
    with pytest.raises(ValueError, match="train_fraction"):
        load_digits(1.0)


def test_digits_are_as_stored():
    from course.tensor.data.digits import _table

    table = _table()
    assert table.shape == (1797, 65)
    assert table[0, :8].tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and table[0, 64] == 0
    assert table[-1, 64] == 8 and table[:, :64].sum() == 561718


def test_what_comes_out_is_nobody_elses():
    images = load_digits()[0]
    images[:] = 0.5
    assert load_digits()[0].numpy().max() == 1.0


@pytest.mark.parametrize("make", [make_moons, make_spirals, make_blobs])
def test_points_come_from_their_seed(make):
    points, labels = make(30, seed=3)
    assert points.shape == (30, 2) and points.dtype == np.float32
    assert labels.shape == (30,) and labels.dtype == np.int64
    assert make(30, seed=3)[0].tolist() == points.tolist() != make(30, seed=4)[0].tolist()
    counts = np.bincount(labels.numpy())
    assert counts.max() - counts.min() <= 1 and len(counts) == (2 if make is make_moons else 3)


def test_shapes_of_the_point_sets():
    points, labels = make_moons(100, noise=0.0)
    upper = points.numpy()[labels.numpy() == 0]
    assert np.allclose((upper**2).sum(1), 1) and (upper[:, 1] >= 0).all()
    lower = points.numpy()[labels.numpy() == 1]
    assert np.allclose(((lower - [1, 0.5]) ** 2).sum(1), 1) and (lower[:, 1] <= 0.5).all()
    points, labels = make_blobs(90, spread=0.0)
    assert np.allclose(points.numpy()[labels.numpy() == 0], [1, 0])
    points, _ = make_spirals(90, noise=0.0)
    assert (np.linalg.norm(points.numpy(), axis=1) <= 1.0001).all()
    points, labels = make_xor()
    assert points.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] and labels.tolist() == [0, 1, 1, 0]
    assert make_xor(10, noise=0.1)[0].shape == (10, 2)


def test_the_digits_are_in_the_wheel(tmp_path, monkeypatch):
    builder = pytest.importorskip("hatchling.build")
    from course.learn.workspace import ROOT  # the repository

    monkeypatch.chdir(ROOT)
    wheel = tmp_path / builder.build_wheel(str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        assert "course/tensor/data/digits.csv.gz" in archive.namelist()
