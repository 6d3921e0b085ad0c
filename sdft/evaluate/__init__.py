"""Running a model against the tasks' scorers and the prior-capability benchmarks."""
