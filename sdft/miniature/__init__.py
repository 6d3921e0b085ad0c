"""A world small enough to pre-train on a laptop, in which the paper's questions can still be asked. See docs/miniature.md."""
