"""Reproduction of "Self-Distillation Enables Continual Learning" (SDFT, arXiv 2601.19897)."""

__version__ = "0.1.0"
