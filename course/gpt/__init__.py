"""A tiny GPT: tokens, model, training and sampling, on the engine of units 2 and 3."""

from course.gpt.bpe import BPETokenizer
from course.gpt.characters import CharTokenizer
from course.gpt.config import PRESETS, GPTConfig
from course.gpt.decoder import Decoder
from course.gpt.fused import fuse
from course.gpt.gpt2_files import load_gpt2, save_gpt2
from course.gpt.model import GPT
from course.gpt.projects import Adding, Sorting, Text, trigram_loss
from course.gpt.sampling import generate, stream
from course.gpt.trainer import Trainer, TrainerConfig
from course.gpt.weights import load_gpt2_weights

__all__ = [
    "GPT",
    "PRESETS",
    "Adding",
    "BPETokenizer",
    "CharTokenizer",
    "Decoder",
    "GPTConfig",
    "Sorting",
    "Text",
    "Trainer",
    "TrainerConfig",
    "fuse",
    "generate",
    "load_gpt2",
    "load_gpt2_weights",
    "save_gpt2",
    "stream",
    "trigram_loss",
]
