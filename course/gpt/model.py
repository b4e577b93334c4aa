"""The GPT: a table of tokens, a table of places, a stack of blocks, and a score for each token that may come next."""

import math
from collections.abc import Sequence

import numpy as np

from course.gpt.attention import Cache
from course.gpt.block import Block
from course.gpt.config import GPTConfig
from course.tensor import Tensor, no_grad
from course.tensor.nn import Dropout, Embedding, LayerNorm, Linear, Module, ModuleList, init


class Transformer(Module):
    """Tokens to vectors: embeddings of tokens and places, the blocks, a last norm."""

    def __init__(self, config: GPTConfig) -> None:
        self.wte = Embedding(config.vocab_size, config.n_embd)
        self.wpe = Embedding(config.block_size, config.n_embd)
        self.drop = Dropout(config.embd_pdrop)
        self.h = ModuleList([Block(config) for _ in range(config.n_layer)])
        self.ln_f = LayerNorm(config.n_embd)

    def forward(self, tokens: Tensor, caches: Sequence[Cache | None]) -> Tensor:
        """Each token's vector, after all blocks.

        Tokens and places are looked up and added, then come drop, the blocks with their caches, and ln_f.

        Args:
            tokens: (n, t), integers.
            caches: one for each block: a Cache of the tokens before these, or None. With a cache that knows m tokens, these
                are at the places m, m + 1, ..., and without at 0, 1, ...

        Returns:
            (n, t, n_embd).
        """
        before = len(caches[0]) if caches[0] is not None else 0
        places = Tensor(np.arange(before, before + tokens.shape[1]), device=tokens.device)
        x = self.drop(self.wte(tokens) + self.wpe(places))
        for block, cache in zip(self.h, caches):
            x = block(x, cache)
        return self.ln_f(x)


class GPT(Module):
    """Scores for the next token, after each of the tokens so far.

    Names in its state are those of minGPT and of GPT-2 ("transformer.h.0.attn.c_attn.weight").

    Attributes:
        config: its sizes.
        transformer: tokens to vectors.
        lm_head: vectors to a logit for each token. With `tie_weights` its weight is the table of embeddings.
    """

    def __init__(self, config: GPTConfig) -> None:
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        self.initialise()
        if config.tie_weights:
            self.lm_head.weight = self.transformer.wte.weight

    def initialise(self) -> None:
        """Overwrite all parameters with GPT-2's initial numbers.

            weights of linear layers and tables   normal, with deviation 0.02 (lm_head included)
            those of every c_proj                 normal, with deviation 0.02 / sqrt(2 * n_layer)
            biases                                0; the weights of norms stay 1

        Each block adds to the stream twice, by the c_proj of attention and that of the MLP. These begin smaller, so that the stream does not grow with depth.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(parameter)
            elif name.endswith("c_proj.weight"):
                init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.n_layer))
            elif parameter.ndim == 2:
                init.normal_(parameter, std=0.02)

    def forward(
        self,
        tokens: Tensor,
        targets: Tensor | None = None,
        caches: Sequence[Cache] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The logits, and the loss if targets are given.

        Args:
            tokens: (n, t), integers; t and what is in the caches together are at most config.block_size.
            targets: (n, t), for each place the token that comes next; -1 where that does not count. They are shifted already.
            caches: of the tokens before, one for each block; see `new_caches`. The transformer gets them, or without them
                a None for each block.

        Returns:
            Logits, (n, t, vocab_size), and the mean cross-entropy over the places that count, or None without targets.

        Raises:
            ValueError: if there are more tokens than the model sees, those in the caches counted.
        """
        before = len(caches[0]) if caches else 0
        if before + tokens.shape[1] > self.config.block_size:
            raise ValueError(
                f"{before + tokens.shape[1]} tokens are more than this model sees: {self.config.block_size}"
            )
        x = self.transformer(tokens, caches or [None] * self.config.n_layer)
        logits = self.lm_head(x)
        if targets is None:
            return logits, None
        flat = logits.reshape(-1, self.config.vocab_size)
        return logits, flat.cross_entropy(targets.reshape(-1), ignore_index=-1)

    def new_caches(self) -> list[Cache]:
        """Empty caches, one for each block."""
        return [Cache() for _ in range(self.config.n_layer)]

    def count_parameters(self, embeddings: bool = True) -> int:
        """How many numbers training changes, each counted once.

        Args:
            embeddings: False leaves out the table of places, as is usual when sizes are compared. The table of tokens counts:
                with `tie_weights` it is the head, too.
        """
        total = sum(parameter.numel() for parameter in self.parameters())
        return total if embeddings else total - self.transformer.wpe.weight.numel()

    def count_flops(self, t: int) -> int:
        """How many additions and multiplications a forward pass over t tokens takes.

        The product of an (a, b) and a (b, c) matrix takes 2abc. What counts are the products with the matrices of linear
        layers, lm_head included, and in each block the two of attention: queries with keys, weights with values, each
        2 * t * t * n_embd for all heads together, hidden ones included. Looking up in tables is no arithmetic; biases,
        norms, softmax and gelu are few, and left out.

        Args:
            t: how many tokens.
        """
        config = self.config
        matrices = 12 * config.n_embd**2 * config.n_layer + config.n_embd * config.vocab_size
        return 2 * t * matrices + config.n_layer * 4 * t * t * config.n_embd


def logits_of(model: GPT, tokens: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """The model's logits for some tokens, without gradients or dropout: (n, t, vocab_size)."""
    training = model.training
    model.eval()
    device = model.lm_head.weight.device
    with no_grad():
        logits, _ = model(Tensor(np.asarray(tokens), device=device))
    model.train(training)
    return logits.numpy()
