"""A GPT-2 that fits on a page, with random weights, and the logits that Hugging Face's code gives for it."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent


class TinyGPT2(NamedTuple):
    """A model of GPT-2's form to compare with.

    Attributes:
        sizes: by the names that GPTConfig has for them.
        weights: the safetensors file, as transformers writes it.
        tokens: (n, t), integers.
        logits: (n, t, vocab_size), of these tokens.
    """

    sizes: dict[str, int]
    weights: Path
    tokens: np.ndarray
    logits: np.ndarray


def load_tiny_gpt2() -> TinyGPT2:
    """The model; its weights and logits were made by transformers' GPT2LMHeadModel, and stored."""
    stored = json.loads((FOLDER / "tiny_gpt2_logits.json").read_text())
    sizes = {"vocab_size": 13, "block_size": 10, "n_layer": 2, "n_head": 3, "n_embd": 12}
    weights = FOLDER / "tiny_gpt2.safetensors"
    return TinyGPT2(sizes, weights, np.array(stored["tokens"]), np.array(stored["logits"]))
