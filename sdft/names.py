"""Identifiers of the study, in the order of the tables, and how they are shown to a reader."""

TASK_NAMES = {"science": "Science Q&A", "tooluse": "Tool Use", "medical": "Medical", "knowledge": "Knowledge"}
METHOD_NAMES = {
    "base": "Base",
    "sft": "SFT",
    "sft_reinvoke": "SFT + re-invoke",
    "dft": "DFT",
    "sdft": "SDFT",
    "cpt": "CPT",
    "oracle_rag": "Oracle RAG",
    "offline_distillation": "Offline distillation",
    "sft_from_teacher": "SFT on teacher samples",
    "off_policy_fresh": "Fresh teacher samples",
}
PRIOR = ("hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande")
METRICS = ("new_task", *PRIOR, "prior_average")
METRIC_NAMES = {
    "new_task": "New task",
    "hellaswag": "HellaSwag",
    "humaneval": "HumanEval",
    "ifeval": "IFEval",
    "mmlu": "MMLU",
    "truthfulqa": "TruthfulQA",
    "winogrande": "Winogrande",
    "prior_average": "Prior average",
}
