"""From scores to numbers with intervals, tests and verdicts."""
