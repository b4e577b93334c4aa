"""What it costs to go on with a text, in additions and multiplications."""

from course.gpt.config import GPTConfig


def pass_flops(config: GPTConfig, n_new: int, n_known: int = 0) -> int:
    """Additions and multiplications when new tokens go through a model that has others in its caches.

    The matrices have 12 * n_embd^2 weights in each block, and n_embd * vocab_size for the logits. Each weight costs
    2 for each new token. In each block, attention costs 4 * n_embd for each pair of a query and a key: 2 for
    the score, and 2 for adding up the values. Only new tokens have queries; all tokens have keys.

    Norms, softmax and gelu are left out, as they are few. Pairs that are hidden count too: they are computed.

    Args:
        config: the model's sizes.
        n_new: how many tokens go through the model.
        n_known: how many are in the caches.
    """
    weights = 12 * config.n_embd**2 * config.n_layer + config.n_embd * config.vocab_size
    pairs = n_new * (n_known + n_new)
    return 2 * n_new * weights + config.n_layer * 4 * config.n_embd * pairs
