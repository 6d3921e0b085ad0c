"""Pure scorers, one module a task: a response and a gold answer in, right or wrong out. No model, no network."""
