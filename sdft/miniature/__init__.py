"""A world small enough to pre-train on a laptop, where the paper's questions can be asked. See docs/miniature.md."""
