"""A small residual network for images of 8 by 8 pixels."""

from course.tensor import nn
from course.tensor.tensor import Tensor


class ResidualBlock(nn.Module):
    """Two convolutions that work out what to *add* to their input.

        result = relu(x + norm2(conv2(relu(norm1(conv1(x))))))

    Args:
        channels: as many come out as go in, or the two could not be added.

    Attributes:
        conv1: windows of 3 by 3 with padding 1, so that height and width stay as they are. It has no
            bias, as the norm after it subtracts the mean again.
        norm1: batch norm of what conv1 gives.
        conv2: like conv1.
        norm2: batch norm of what conv2 gives.

    Source: arXiv 1512.03385, figure 2.
    """

    def __init__(self, channels: int) -> None:
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width); the shape stays as it is."""
        y = self.norm1(self.conv1(x)).relu()
        y = self.norm2(self.conv2(y))
        return (x + y).relu()


class ResNet(nn.Module):
    """Convolutions and residual blocks, first on all pixels, then on a quarter of them; then scores.

    Args:
        channels: of the first half; the second half has twice as many.
        n_classes: how many scores come out.
        in_channels: of the images.
    """

    def __init__(self, channels: int = 8, n_classes: int = 10, in_channels: int = 1) -> None:
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.block1 = ResidualBlock(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * channels)
        self.block2 = ResidualBlock(2 * channels)
        self.head = nn.Linear(2 * channels, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, in_channels, height, width) to scores (n, n_classes)."""
        x = self.norm1(self.conv1(x)).relu()  # (n, channels, height, width)
        x = self.block1(x).max_pool2d(2)  # (n, channels, height / 2, width / 2)
        x = self.norm2(self.conv2(x)).relu()  # (n, 2 * channels, height / 2, width / 2)
        x = self.block2(x).mean((2, 3))  # (n, 2 * channels)
        return self.head(x)
