"""GPT-2's weights, from a safetensors file in the form in which Hugging Face keeps them."""

import os

from course.gpt.model import GPT
from course.tensor import Tensor
from course.tensor.nn.state import safe_load

TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
"""Their matrices go from input to output, ours, as in `Linear`, from output to input."""

NOT_LEARNED = (".attn.bias", ".attn.masked_bias")
"""The causal mask, which some files have."""


def load_gpt2_weights(model: GPT, path: str | os.PathLike[str]) -> None:
    """Copy GPT-2's weights into a model of the same sizes.

    Args:
        model: with `tie_weights`, as GPT-2's table of embeddings also makes its logits.
        path: model.safetensors, of GPT-2 or of any model of its form.

    Raises:
        ValueError: if the file is broken, or an array has another shape.
        KeyError: if it is of a model with more or fewer blocks; it lists them.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in safe_load(path).items():
        if name.endswith(NOT_LEARNED):
            continue
        name = name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"
        state[name] = tensor.transpose() if name.endswith(TRANSPOSED) else tensor
    state.setdefault("lm_head.weight", state.get("transformer.wte.weight", Tensor([])))
    model.load_state_dict(state)
