"""Operations written as their definitions say, loop in loop: slow, and easy to trust."""

import numpy as np


def convolve(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Lay the weights over each place of an image where they fit, and take the weighted sum there.

        result[i, j] = sum over a, b of image[i + a, j + b] * weight[a, b]

    The weights are not turned round first, as in a mathematician's convolution. (A network learns them,
    so either way does; strictly, this is a cross-correlation.)

    Args:
        image: (height, width).
        weight: (kernel height, kernel width), not larger than the image.

    Returns:
        (height - kernel height + 1, width - kernel width + 1), float64.
    """
    kh, kw = weight.shape
    result = np.zeros((image.shape[0] - kh + 1, image.shape[1] - kw + 1))
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            result[i, j] = (image[i : i + kh, j : j + kw] * weight).sum()
    return result
