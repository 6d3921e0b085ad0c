"""From token ids and hidden states to what is minimised; the divergences themselves are in sdft/divergence.py."""
