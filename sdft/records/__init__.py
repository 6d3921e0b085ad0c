"""Rows of a data set: their type, the chat prompts made of them, readers of official files, and thinking blocks."""
