"""Records of a task, their prompts, and loaders of the official files."""
