"""A transformer block: attention, then a small network for each token, each added to what is there."""

from course.gpt.attention import Cache, CausalSelfAttention
from course.gpt.config import GPTConfig
from course.tensor import Tensor
from course.tensor.nn import Dropout, LayerNorm, Linear, Module


class MLP(Module):
    """A network that each token goes through by itself: four times as wide in the middle."""

    def __init__(self, config: GPTConfig) -> None:
        self.c_fc = Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = Linear(4 * config.n_embd, config.n_embd)
        self.dropout = Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, n_embd); the shape stays as it is."""
        return self.dropout(self.c_proj(self.c_fc(x).gelu()))


class Block(Module):
    """x + attention(norm(x)), then x + mlp(norm(x)).

    What is added goes past both parts unchanged, so gradients reach the first block as easily as the last. The norm
    stands before each part, not after it, as in GPT-2.
    """

    def __init__(self, config: GPTConfig) -> None:
        self.ln_1 = LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """(n, tokens, n_embd); the shape stays as it is."""
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))
