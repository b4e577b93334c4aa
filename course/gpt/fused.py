"""The same GPT with fewer, larger operations: attention as one."""

import importlib
from typing import Any

from course.gpt.attention import Cache, CausalSelfAttention
from course.gpt.model import GPT
from course.tensor import Function, Tensor
from course.tensor.ops.attention import CausalAttention


class FusedSelfAttention(CausalSelfAttention):
    """Causal self-attention whose heads are one operation.

    It has the weights of the layer that it stands for. What one operation cannot do is left to that layer: to go on from
    a cache, to keep the weights for a picture, to drop some of them while training.
    """

    def __init__(self, plain: CausalSelfAttention) -> None:
        vars(self).update(vars(plain))

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """(n, tokens, n_embd); the shape stays as it is."""
        drops = self.training and self.attn_dropout.p > 0
        if cache is not None or self.keep_weights or drops:
            return super().forward(x, cache)
        out = operation(x).apply(self.c_attn(x), n_head=self.n_head)
        return self.resid_dropout(self.c_proj(out))


def operation(x: Tensor) -> type[Function]:
    """Attention as one operation on x's device: on "cuda" it is flash attention."""
    if x.device.name != "cuda":
        return CausalAttention
    module: Any = importlib.import_module("course.cuda.attention_node")
    return module.FlashAttention


def fuse(model: GPT) -> GPT:
    """Let a model's blocks attend in one operation each; it keeps its weights, and is returned."""
    for block in model.transformer.h:
        block.attn = FusedSelfAttention(block.attn)
    return model
