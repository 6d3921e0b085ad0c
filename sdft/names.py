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
    "teacher": "Base with demonstration",
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
# What else is measured beside METRICS, and the unit of what is no percentage.
MEASURE_NAMES = {
    **METRIC_NAMES,
    "strict": "Strict",
    "lenient": "Lenient",
    "ood": "Out of distribution",
    "generated_tokens": "Generated tokens",
    "kl_to_base": "KL to base",
}
UNITS = {"generated_tokens": "tokens", "kl_to_base": "nats"}
