"""A tiny GPT: tokens, model, training and sampling, on the engine of units 2 and 3."""
