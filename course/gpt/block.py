"""A transformer block: attention, then a small network for each token, each added to what is there."""

from course.gpt.attention import Cache, CausalSelfAttention
from course.gpt.config import GPTConfig
from course.tensor import Tensor
from course.tensor.nn import Dropout, LayerNorm, Linear, Module


class MLP(Module):
    """A network that each token goes through by itself: four times as wide in the middle.

    dropout(c_proj(gelu(c_fc(x))))
    """

    def __init__(self, config: GPTConfig) -> None:
        self.c_fc = Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = Linear(4 * config.n_embd, config.n_embd)
        self.dropout = Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, n_embd); the shape stays as it is."""
        return self.dropout(self.c_proj(self.c_fc(x).gelu()))


class Block(Module):
    """Attention, then the MLP. Each reads a norm of what is there, and adds to it.

        x = x + attn(ln_1(x)), then x + mlp(ln_2(x))

    What was there goes on unchanged, so gradients reach the first block as easily as the last.
    """

    def __init__(self, config: GPTConfig) -> None:
        self.ln_1 = LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """One round of both.

        Args:
            x: the residual stream, (n, tokens, n_embd). Its own numbers stay as they are.
            cache: for attention, or None.

        Returns:
            The stream with what both parts have added, (n, tokens, n_embd).
        """
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))
