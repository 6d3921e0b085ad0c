"""From a run's specification to its weights: loop, checkpoints, sampling engines, candidates and their selection."""
