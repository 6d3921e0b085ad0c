"""A model's files: found, checked, loaded, downloaded, or made with random weights."""
