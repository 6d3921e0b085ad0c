"""Identifiers of tasks and prior-capability benchmarks."""

from __future__ import annotations

from typing import Literal, get_args

SkillTask = Literal["science", "tooluse", "medical"]
Task = Literal["science", "tooluse", "medical", "knowledge"]
Benchmark = Literal["hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande"]
SKILLS: tuple[str, ...] = get_args(SkillTask)
TASKS: tuple[str, ...] = get_args(Task)
BENCHMARKS: tuple[str, ...] = get_args(Benchmark)

# Tasks whose answers no rule can score, and the headline metric of scores that a judge has seen; the offline judge's is
# "accuracy".
JUDGED = ("medical", "knowledge")
JUDGED_METRIC = "judged_accuracy"
