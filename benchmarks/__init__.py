"""Measurements of speed and memory: the commands that make them, and their records."""
