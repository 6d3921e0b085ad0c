"""Identifiers of the study, in the order of the tables, and how they are shown to a reader."""

from sdft.methods import find_method, method_names
from sdft.tasks import find_task, task_names
from sdft.tasks.benchmarks import BENCHMARKS

TASK_NAMES = {name: find_task(name).title for name in task_names()}
# Untrained models stand in tables beside the methods.
UNTRAINED = {"base": "Base", "oracle_rag": "Oracle RAG", "teacher": "Base with demonstration"}
METHOD_NAMES = UNTRAINED | {name: find_method(name).title for name in method_names()}
PRIOR = tuple(BENCHMARKS)
METRICS = ("new_task", *PRIOR, "prior_average")
METRIC_NAMES = {"new_task": "New task", **BENCHMARKS, "prior_average": "Prior average"}
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


def on(task: str, paper: str) -> str:
    """Opens a test's name where a study is asked on another task than the paper's: "Medical: "."""
    return "" if task == paper else f"{TASK_NAMES[task]}: "
