"""Completions of a model in its own weights: greedy, or sampled with random numbers that belong to the row.

Rollouts, evaluation and pass@k all decode here. `decode` runs a static cache and a plain forward pass where the
architecture allows it (`sdft.decoding.plain`), and transformers' `generate` elsewhere; texts are the same.
"""

from sdft.decoding.loop import Decoded, decode
from sdft.decoding.sampling import Draw, uniforms

__all__ = ["Decoded", "Draw", "decode", "uniforms"]
