"""A model for going on with texts: the same numbers as a GPT's, on arrays, with nothing around them.

For one more token a small model has little to calculate. Most of the time goes into what surrounds it: tensors, the
question whether gradients are wanted, checks of shapes. Here the array functions are called directly.

    generate(Decoder(model), tokens, 128)
"""

import math
from collections.abc import Sequence

import numpy as np

from course.gpt.attention import hidden
from course.gpt.block import Block
from course.gpt.config import GPTConfig
from course.gpt.model import GPT
from course.tensor import Tensor
from course.tensor.nn import LayerNorm, Linear

Array = np.ndarray


class ArrayCache:
    """Room for the keys and values of all tokens that a block can see.

    Attributes:
        room: (2, n, heads, block_size, width of a head), keys and values; made when the first come.
        used: for how many tokens it is filled.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self.room = np.empty(0)
        self.used = 0

    def __len__(self) -> int:
        return self.used

    def extend(self, pair: Array) -> Array:
        """Put new ones behind those that are there; returns all: (2, n, heads, tokens, width), views."""
        _, n, heads, t, width = pair.shape
        if not self.used:
            self.room = np.empty((2, n, heads, self.block_size, width), pair.dtype)
        self.room[:, :, :, self.used : self.used + t] = pair
        self.used += t
        return self.room[:, :, :, : self.used]


class Decoder:
    """What `course.gpt.sampling` asks of a model, without gradients and without dropout.

    The weights are the model's own arrays: make another one after training has gone on.
    """

    training = False

    def __init__(self, model: GPT) -> None:
        """Make a decoder.

        Raises:
            ValueError: if the model is not on the processor.
        """
        if model.lm_head.weight.device.name != "cpu":
            raise ValueError(f"a decoder works on the processor, and this model is on {model.lm_head.weight.device}: model.cpu()")  # fmt: skip
        self.model = model
        self.config: GPTConfig = model.config
        self.lm_head = model.lm_head
        self.ops = model.lm_head.weight.device.ops

    def new_caches(self) -> list[ArrayCache]:
        """Empty caches, one for each block."""
        return [ArrayCache(self.config.block_size) for _ in range(self.config.n_layer)]

    def __call__(
        self, tokens: Tensor, caches: Sequence[ArrayCache] | None = None
    ) -> tuple[Tensor, None]:
        """The logits, as `GPT.forward` gives them: (n, t) to (n, t, vocab_size).

        Raises:
            ValueError: if there are more tokens than the model sees.
        """
        transformer = self.model.transformer
        caches = self.new_caches() if caches is None else caches
        before, t = len(caches[0]), tokens.shape[1]
        if before + t > self.config.block_size:
            raise ValueError(
                f"{before + t} tokens are more than this model sees: {self.config.block_size}"
            )
        x = transformer.wte.weight.data[tokens.data]
        x += transformer.wpe.weight.data[before : before + t]
        for block, cache in zip(transformer.h, caches):
            x = self._block(block, x, cache)
        return Tensor(self._linear(self.lm_head, self._norm(transformer.ln_f, x))), None

    def _block(self, block: Block, x: Array, cache: ArrayCache) -> Array:
        n, t, width = x.shape
        n_head = self.config.n_head
        qkv = self._linear(block.attn.c_attn, self._norm(block.ln_1, x))
        q, *pair = qkv.reshape(n, t, 3, n_head, width // n_head).transpose(2, 0, 3, 1, 4)
        k, v = cache.extend(np.stack(pair))
        scores = q @ k.mT
        scores *= 1 / math.sqrt(width // n_head)
        if t > 1:
            scores[..., hidden(t, len(cache))] = -np.inf
        out = self.ops.softmax(scores, 3) @ v
        x = x + self._linear(block.attn.c_proj, out.transpose(0, 2, 1, 3).reshape(n, t, width))
        wide = self._linear(block.mlp.c_fc, self._norm(block.ln_2, x))
        x += self._linear(block.mlp.c_proj, self.ops.gelu(wide)[0])
        return x

    def _norm(self, layer: LayerNorm, x: Array) -> Array:
        rows = x.reshape(-1, x.shape[-1])
        return self.ops.layer_norm(rows, layer.weight.data, layer.bias.data, layer.eps)[0].reshape(
            x.shape
        )

    def _linear(self, layer: Linear, x: Array) -> Array:
        y = x @ layer.weight.data.mT
        if layer.bias is not None:
            y += layer.bias.data
        return y
