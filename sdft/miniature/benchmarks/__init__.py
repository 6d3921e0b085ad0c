"""The six prior benchmarks as lm_eval tasks over local rows."""
