"""How large a GPT is."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT.

    Attributes:
        vocab_size: how many tokens there are.
        block_size: how many tokens it sees at most.
        n_layer: how many blocks are stacked.
        n_head: how many heads attention has in each.
        n_embd: how many numbers stand for a token.
        embd_pdrop, resid_pdrop, attn_pdrop: dropout of the embeddings, of what each part of a block adds, of attention's weights.
        tie_weights: whether the table of embeddings also makes the logits, as in GPT-2.
    """

    vocab_size: int
    block_size: int
    n_layer: int = 3
    n_head: int = 3
    n_embd: int = 48
    embd_pdrop: float = 0.1
    resid_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    tie_weights: bool = False

    def __post_init__(self) -> None:
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, and is {getattr(self, name)}")
        if self.n_embd % self.n_head:
            raise ValueError(
                f"the heads share the numbers evenly: n_embd = {self.n_embd} is no multiple of n_head = {self.n_head}"
            )

    @classmethod
    def preset(cls, name: str, vocab_size: int, block_size: int, **changes: Any) -> "GPTConfig":
        """A size that has a name, such as "gpt-nano" or "gpt2".

        Args:
            name: one of PRESETS.
            vocab_size: how many tokens there are; GPT-2 has 50257.
            block_size: how many tokens it sees; GPT-2 sees 1024.
            changes: other attributes, such as resid_pdrop=0.

        Raises:
            ValueError: if there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
        n_layer, n_head, n_embd = PRESETS[name]
        return replace(cls(vocab_size, block_size, n_layer, n_head, n_embd), **changes)


PRESETS = {
    "gpt-nano": (3, 3, 48),
    "gpt-micro": (4, 4, 128),
    "gpt-mini": (6, 6, 192),
    "gopher-44m": (8, 16, 512),
    "openai-gpt": (12, 12, 768),
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}
"""name -> (n_layer, n_head, n_embd). The first three are for a laptop; see minGPT for where they come from."""
