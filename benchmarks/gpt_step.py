"""The GPT of this course against PyTorch, tinygrad and JAX: a training step, and 128 tokens of text.

gpt-nano with 32 texts of 64 tokens, gpt-micro with 16 of 128; 65 tokens, no dropout. A step is: forget gradients,
forward, cross-entropy, backward, AdamW. All engines start from the same weights and see the same batch; their losses are
compared before anything is timed. Then each goes on greedily with one token, 128 times, in a window of 128.

"PyTorch, composed" is written as minGPT is: attention and gelu from single operations. "PyTorch, fused" has
scaled_dot_product_attention, PyTorch's own gelu and its fused AdamW, which is the fastest form that runs eagerly.

    uv pip install torch==2.13.0 tinygrad jax
"""

import functools
import math
import os
import sys
from collections.abc import Callable
from typing import Any

from contest import Step, compare, environment, installed, serve

LR, BETAS, EPS, DECAY = 5e-4, (0.9, 0.95), 1e-8, 0.1
N_TOKENS, N_NEW, WINDOW = 65, 128, 128
SIZES = {"gpt-nano": (3, 3, 48, 32, 64), "gpt-micro": (4, 4, 128, 16, 128)}
"""Blocks, heads, width; batch, tokens."""
BASE = "PyTorch, composed"


def weights(model: str, window: int) -> dict[str, Any]:
    """The same for everybody, as numpy arrays, with minGPT's names."""
    import numpy as np

    from course.gpt.config import GPTConfig
    from course.gpt.model import GPT
    from course.tensor import manual_seed

    manual_seed(0)
    state = GPT(GPTConfig.preset(model, N_TOKENS, window)).state_dict()
    return {name: np.array(tensor.numpy()) for name, tensor in state.items()}


def batch(model: str) -> tuple[Any, Any]:
    """Tokens and the tokens that come next."""
    import numpy as np

    _, _, _, n, t = SIZES[model]
    tokens = np.random.default_rng(0).integers(0, N_TOKENS, (n, t + 1))
    return tokens[:, :-1], tokens[:, 1:]


# ---------------------------------------------------------------- ours


def our_model(model: str, window: int) -> Any:
    """This course's GPT without dropout."""
    from course.gpt.config import GPTConfig
    from course.gpt.model import GPT
    from course.tensor import Tensor

    none = dict.fromkeys(("embd_pdrop", "resid_pdrop", "attn_pdrop"), 0.0)
    ours = GPT(GPTConfig.preset(model, N_TOKENS, window, **none))
    ours.load_state_dict({name: Tensor(x) for name, x in weights(model, window).items()})
    return ours


def our_step(model: str, fused: bool, compiled: bool) -> Step:
    """A training step."""
    from course.gpt.fused import fuse
    from course.tensor import Tensor, use_kernels
    from course.tensor.nn import optim

    use_kernels(compiled)
    ours = our_model(model, SIZES[model][4])
    if fused:
        fuse(ours)
    optimizer = optim.AdamW(ours.parameters(), LR, BETAS, EPS, DECAY)
    x, y = map(Tensor, batch(model))

    def step() -> Callable[[], float]:
        optimizer.zero_grad()
        _, loss = ours(x, y)
        loss.backward()
        optimizer.step()
        return loss.item

    return step


def our_text(model: str, use_cache: bool, arrays: bool = False) -> Step:
    """128 tokens."""
    from course.gpt.decoder import Decoder
    from course.gpt.sampling import generate
    from course.tensor import use_kernels

    use_kernels()
    ours = our_model(model, WINDOW).eval()
    ours = Decoder(ours) if arrays else ours
    return lambda: float(
        generate(ours, [[1]], N_NEW, greedy=True, use_cache=use_cache)[0, 1:9].sum()
    )


# ---------------------------------------------------------------- PyTorch


def torch_model(model: str, window: int, fused: bool) -> Any:
    """The same in PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(1)
    n_layer, n_head, width, *_ = SIZES[model]

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            seen = torch.tril(torch.ones(window, window)).view(1, 1, window, window)
            self.register_buffer("seen", seen, persistent=False)

        def forward(self, x: Any) -> Any:
            n, t, _ = x.shape
            parts = self.c_attn(x).split(width, dim=2)
            q, k, v = (p.view(n, t, n_head, width // n_head).transpose(1, 2) for p in parts)
            if fused:
                y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                scores = (q @ k.transpose(-2, -1)) * (1 / math.sqrt(k.size(-1)))
                scores = scores.masked_fill(self.seen[:, :, :t, :t] == 0, -math.inf)
                y = functional.softmax(scores, dim=-1) @ v
            return self.c_proj(y.transpose(1, 2).contiguous().view(n, t, width))

    class Gelu(nn.Module):
        def forward(self, x: Any) -> Any:
            if fused:
                return functional.gelu(x, approximate="tanh")
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))
            return 0.5 * x * (1 + torch.tanh(inner))

    class Mlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.act = Gelu()

        def forward(self, x: Any) -> Any:
            return self.c_proj(self.act(self.c_fc(x)))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attn, self.mlp = Attention(), Mlp()

        def forward(self, x: Any) -> Any:
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class Gpt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = nn.ModuleDict(
                {
                    "wte": nn.Embedding(N_TOKENS, width),
                    "wpe": nn.Embedding(window, width),
                    "h": nn.ModuleList([Block() for _ in range(n_layer)]),
                    "ln_f": nn.LayerNorm(width),
                }
            )
            self.lm_head = nn.Linear(width, N_TOKENS, bias=False)

        def forward(self, tokens: Any) -> Any:
            parts = self.transformer
            x = parts["wte"](tokens) + parts["wpe"](torch.arange(tokens.shape[1]))
            for block in parts["h"]:
                x = block(x)
            return self.lm_head(parts["ln_f"](x))

    theirs = Gpt()
    theirs.load_state_dict({n: torch.tensor(x) for n, x in weights(model, window).items()})
    return theirs


def torch_step(model: str, fused: bool) -> Step:
    """A training step."""
    import torch

    theirs = torch_model(model, SIZES[model][4], fused)
    options = {"lr": LR, "betas": BETAS, "eps": EPS, "weight_decay": DECAY, "fused": fused or None}
    optimizer = torch.optim.AdamW(theirs.parameters(), **options)
    x, y = map(torch.tensor, batch(model))

    def step() -> Callable[[], float]:
        optimizer.zero_grad(set_to_none=True)
        logits = theirs(x)
        loss = torch.nn.functional.cross_entropy(logits.view(-1, N_TOKENS), y.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.item

    return step


def torch_text(model: str, fused: bool) -> Step:
    """128 tokens, each with the whole text before it."""
    import torch

    theirs = torch_model(model, WINDOW, fused).eval()

    @torch.no_grad()
    def step() -> float:
        tokens = torch.ones((1, 1), dtype=torch.long)
        for _ in range(N_NEW):
            logits = theirs(tokens[:, -WINDOW:])[:, -1]
            tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], 1)
        return float(tokens[0, 1:9].sum())

    return step


# ---------------------------------------------------------------- JAX


def jax_forward(model: str) -> Callable[[Any, Any], Any]:
    """Weights and tokens to logits."""
    import jax
    import jax.numpy as jnp

    n_layer, n_head, width, *_ = SIZES[model]

    def norm(p: Any, name: str, x: Any) -> Any:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        scaled = (x - mean) / jnp.sqrt(variance + 1e-5)
        return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(p: Any, name: str, x: Any) -> Any:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def forward(p: Any, tokens: Any) -> Any:
        n, t = tokens.shape
        x = p["transformer.wte.weight"][tokens] + p["transformer.wpe.weight"][:t]
        seen = jnp.tril(jnp.ones((t, t), bool))
        for i in range(n_layer):
            at = f"transformer.h.{i}"
            qkv = linear(p, f"{at}.attn.c_attn", norm(p, f"{at}.ln_1", x))
            q, k, v = qkv.reshape(n, t, 3, n_head, width // n_head).transpose(2, 0, 3, 1, 4)
            scores = q @ k.swapaxes(-1, -2) * (width // n_head) ** -0.5
            y = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf)) @ v
            x = x + linear(p, f"{at}.attn.c_proj", y.transpose(0, 2, 1, 3).reshape(n, t, width))
            hidden = linear(p, f"{at}.mlp.c_fc", norm(p, f"{at}.ln_2", x))
            x = x + linear(p, f"{at}.mlp.c_proj", jax.nn.gelu(hidden, approximate=True))
        return norm(p, "transformer.ln_f", x) @ p["lm_head.weight"].T

    return forward


def jax_step(model: str) -> Step:
    """A training step, compiled whole."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    forward = jax_forward(model)
    x, y = map(jnp.asarray, batch(model))

    def loss_of(p: Any) -> Any:
        log_p = jax.nn.log_softmax(forward(p, x))
        return -jnp.take_along_axis(log_p, y[..., None], -1).mean()

    @jax.jit
    def train(p: Any, m: Any, v: Any, t: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(p)
        b1, b2 = BETAS
        m = {k: b1 * m[k] + (1 - b1) * g for k, g in grads.items()}
        v = {k: b2 * v[k] + (1 - b2) * g * g for k, g in grads.items()}
        new = {
            k: p[k] * (1 - LR * DECAY)
            - LR * (m[k] / (1 - b1**t)) / (jnp.sqrt(v[k] / (1 - b2**t)) + EPS)
            for k in p
        }
        return loss, new, m, v

    p = {name: jnp.asarray(w) for name, w in weights(model, SIZES[model][4]).items()}
    zeros = {name: jnp.zeros_like(w) for name, w in p.items()}
    state, count = [p, zeros, zeros], [0]

    def step() -> float:
        count[0] += 1
        loss, *state[:] = train(*state, float(count[0]))
        return float(loss)

    return step


def jax_text(model: str) -> Step:
    """128 tokens; the window is always full, as another shape would be compiled anew."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    forward = jax_forward(model)
    p = {name: jnp.asarray(w) for name, w in weights(model, WINDOW).items()}

    @jax.jit
    def extend(p: Any, tokens: Any, n: Any) -> Any:
        return tokens.at[0, n].set(forward(p, tokens[:, :WINDOW])[0, n - 1].argmax())

    def step() -> float:
        tokens = jnp.ones((1, N_NEW + 1), jnp.int32)
        for n in range(1, N_NEW + 1):
            tokens = extend(p, tokens, n)
        return float(tokens[0, 1:9].sum())

    return step


# ---------------------------------------------------------------- tinygrad


def tinygrad_forward(model: str, p: dict[str, Any], tokens: Any) -> Any:
    """Weights and tokens to logits."""
    n_layer, n_head, width, *_ = SIZES[model]
    n, t = tokens.shape

    def norm(name: str, x: Any) -> Any:
        return x.layernorm(eps=1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(name: str, x: Any) -> Any:
        return x.linear(p[f"{name}.weight"].T, p[f"{name}.bias"])

    x = p["transformer.wte.weight"][tokens] + p["transformer.wpe.weight"][:t]
    for i in range(n_layer):
        at = f"transformer.h.{i}"
        qkv = linear(f"{at}.attn.c_attn", norm(f"{at}.ln_1", x))
        qkv = qkv.reshape(n, t, 3, n_head, width // n_head).permute(2, 0, 3, 1, 4)
        y = qkv[0].scaled_dot_product_attention(qkv[1], qkv[2], is_causal=True)
        y = y.transpose(1, 2).reshape(n, t, width)
        x = x + linear(f"{at}.attn.c_proj", y)
        hidden = linear(f"{at}.mlp.c_fc", norm(f"{at}.ln_2", x)).gelu()
        x = x + linear(f"{at}.mlp.c_proj", hidden)
    return norm("transformer.ln_f", x).linear(p["lm_head.weight"].T)


def tinygrad_step(model: str) -> Step:
    """A training step, replayed by TinyJit."""
    os.environ.setdefault("DEV", "CPU")
    from tensor_step import _tinygrad_training
    from tinygrad import Tensor, TinyJit
    from tinygrad.nn.optim import AdamW

    p = {name: Tensor(w).realize() for name, w in weights(model, SIZES[model][4]).items()}
    for w in p.values():
        w.requires_grad = True
    optimizer = AdamW(list(p.values()), LR, *BETAS, EPS, DECAY)
    x, y = (Tensor(z.astype("int32")).realize() for z in batch(model))

    @TinyJit
    def train() -> Any:
        optimizer.zero_grad()
        logits = tinygrad_forward(model, p, x)
        loss = logits.reshape(-1, N_TOKENS).sparse_categorical_crossentropy(y.reshape(-1))
        loss.backward()
        return loss.realize(*optimizer.schedule_step())

    def step() -> float:
        with _tinygrad_training():
            return train().item()

    return step


TASKS: dict[str, dict[str, Callable[[str], Step]]] = {
    "step": {
        "ours, composed": functools.partial(our_step, fused=False, compiled=False),
        "ours, fused": functools.partial(our_step, fused=True, compiled=False),
        "ours, compiled": functools.partial(our_step, fused=True, compiled=True),
        BASE: functools.partial(torch_step, fused=False),
        "PyTorch, fused": functools.partial(torch_step, fused=True),
        "JAX": jax_step,
        "tinygrad": tinygrad_step,
    },
    "text": {
        "ours, on arrays": functools.partial(our_text, use_cache=True, arrays=True),
        "ours, cached": functools.partial(our_text, use_cache=True),
        "ours, uncached": functools.partial(our_text, use_cache=False),
        BASE: functools.partial(torch_text, fused=False),
        "PyTorch, fused": functools.partial(torch_text, fused=True),
        "JAX": jax_text,
    },
}
NEEDS = {"PyTorch": "torch", "JAX": "jax", "tinygrad": "tinygrad"}


def main() -> None:
    """Print the tables."""
    needs = {e: NEEDS.get(e.split(",")[0]) for tasks in TASKS.values() for e in tasks}
    there = installed(needs)
    print(environment())
    for task, unit in (("step", "a training step"), ("text", f"{N_NEW} tokens of text")):
        engines = [engine for engine in TASKS[task] if engine in there]
        for model in SIZES:
            print(f"{model}: {unit}")
            ours = "ours, compiled" if task == "step" else "ours, cached"
            for engine, each, ratio in compare(__file__, f"{task} {model}", engines, BASE, ours):
                print(f"  {engine:18s} {each * 1e3:9.2f} ms   {ratio:6.2f} x the time of {BASE}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        task, model = sys.argv[2].split()
        serve(TASKS[task][sys.argv[1]](model))
    else:
        main()
