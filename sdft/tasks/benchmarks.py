"""The six prior-capability benchmarks, in the order of the paper's tables, and what tables call them."""

BENCHMARKS = {
    "hellaswag": "HellaSwag",
    "humaneval": "HumanEval",
    "ifeval": "IFEval",
    "mmlu": "MMLU",
    "truthfulqa": "TruthfulQA",
    "winogrande": "Winogrande",
}
