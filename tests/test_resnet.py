"""Convolutions from their definition to a small ResNet: what lesson 2.4 asks for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from course.tensor import Tensor, manual_seed, nn
from course.tensor.naive import convolve
from course.tensor.ops.images import window_counts
from course.tensor.resnet import ResidualBlock, ResNet
from course.tensor.training import evaluate, fit, predict
from course.viz import draw_images, draw_window

RNG = np.random.default_rng(0)


def test_the_definition_on_numbers_done_by_hand():
    image = np.array([[1, 2, 0, 1], [0, 1, 3, 2], [2, 0, 1, 1]])
    assert convolve(image, np.array([[1, 0], [2, -1]])).tolist() == [[0, 1, 4], [4, 0, 4]]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv2d_is_the_definition_for_each_pair_of_channels(groups):
    x, weight, bias = RNG.normal(size=(2, 4, 5, 6)), RNG.normal(size=(8, 4 // groups, 2, 3)), RNG.normal(size=8)  # fmt: skip
    expected = np.zeros((2, 8, 4, 4))
    for n, out in np.ndindex(2, 8):
        first = out // (8 // groups) * (4 // groups)  # the group's first channel
        for c in range(4 // groups):
            expected[n, out] += convolve(x[n, first + c], weight[out, c])
        expected[n, out] += bias[out]
    y = Tensor(x).conv2d(Tensor(weight), Tensor(bias), groups=groups)
    assert_allclose(y.numpy(), expected)


def test_grouped_gradients_are_those_of_the_groups_side_by_side():
    x = Tensor(RNG.normal(size=(2, 4, 5, 5)), requires_grad=True)
    weight = Tensor(RNG.normal(size=(6, 2, 3, 3)), requires_grad=True)
    bias = Tensor(RNG.normal(size=6), requires_grad=True)
    options = {"stride": (2, 1), "padding": (1, 0)}
    y = x.conv2d(weight, bias, groups=2, **options)
    gradient = Tensor(RNG.normal(size=y.shape))
    y.backward(gradient)
    grads = [t.grad.numpy() for t in (x, weight, bias)]
    for t in (x, weight, bias):
        t.grad = None
    halves = [
        x[:, 2 * g : 2 * g + 2].conv2d(
            weight[3 * g : 3 * g + 3], bias[3 * g : 3 * g + 3], **options
        )
        for g in range(2)
    ]
    Tensor.cat(halves, 1).backward(gradient)
    for t, grad in zip((x, weight, bias), grads):
        assert_allclose(t.grad.numpy(), grad)


def test_window_counts():
    assert window_counts((2, 3, 8, 7), (3, 2), (2, 1), (1, 0)) == (4, 6)


def test_a_block_adds_to_its_input():
    manual_seed(0)
    block = ResidualBlock(3)
    x = Tensor.randn(4, 3, 5, 5)
    branch = block.norm2(block.conv2(block.norm1(block.conv1(x)).relu()))
    assert_allclose(block(x).numpy(), np.maximum(x.numpy() + branch.numpy(), 0), rtol=1e-6)
    block.norm2.weight.data = np.zeros(3)
    assert_allclose(block(x).numpy(), np.maximum(x.numpy(), 0), atol=1e-6)


def test_resnet_halves_the_image_and_doubles_the_channels():
    text = nn.summary(ResNet(4, n_classes=3, in_channels=2), (5, 2, 8, 8))
    assert "(5, 4, 8, 8)" in text and "(5, 8, 4, 4)" in text and "out: (5, 3)" in text


def striped(n):
    """Images with a level or an upright bar somewhere, and which of the two it is."""
    images, labels = np.zeros((n, 1, 8, 8), np.float32), np.arange(n) % 2
    for image, label, place in zip(images, labels, RNG.integers(1, 7, n)):
        image[0, place, :] = 1
        image[0] = image[0].T if label else image[0]
    return Tensor(images), Tensor(labels)


def test_fit_learns_and_says_how_it_goes():
    images, labels = striped(64)
    manual_seed(0)
    model, told = ResNet(4, n_classes=2), []
    optimizer = nn.optim.AdamW(model.parameters(), lr=0.01)
    cosine = nn.optim.CosineAnnealingLR
    losses = fit(
        model,
        optimizer,
        images,
        labels,
        epochs=20,
        batch_size=16,
        schedule=cosine,
        progress=told.append,
    )
    assert optimizer.lr < 1e-6
    assert len(losses) == 80 and len(told) == 20 and told[-1].startswith("epoch 20 of 20: loss 0.")
    assert losses[-1] < 0.5 * losses[0]
    assert evaluate(model, *striped(40)) >= 0.95


def test_fit_is_the_same_with_the_same_seed():
    images, labels = striped(32)
    runs = []
    for _ in range(2):
        manual_seed(3)
        model = ResNet(2, n_classes=2)
        optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
        runs.append(fit(model, optimizer, images, labels, epochs=1, batch_size=8, seed=5))
    assert runs[0] == runs[1]


def test_predict_does_not_depend_on_the_batches():
    images, _ = striped(10)
    model = ResNet(2)
    model(images)  # running averages move
    whole = predict(model, images).tolist()
    assert not model.training
    assert predict(model, images, batch_size=3).tolist() == whole


def test_pictures_say_what_they_show():
    window = draw_window(np.arange(1, 10).reshape(3, 3), (2, 2), (0, 1), padding=1)
    assert "are a column: 0, 0, 1, 2" in window.alt and "padding included" in window.alt
    pair = draw_images([np.eye(2), -np.eye(2)], ["a one", "a minus"], title="Two", signed=True)
    assert pair.alt.startswith("Two: 2 images") and "a minus (-1 to 0)" in pair.alt
    assert pair.image is not None and pair.image.startswith(b"\x89PNG")


def test_pictures_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="is not on an image"):
        draw_window(np.zeros((3, 3)), (2, 2), (2, 0))
    with pytest.raises(ValueError, match="expected \\(height, width\\)"):
        draw_images([np.zeros(3)])
    with pytest.raises(ValueError, match="1 images and 2 captions"):
        draw_images([np.zeros((2, 2))], ["a", "b"])
