"""Which code decides a run, a measurement and an exhibit: digests that the rules have among their parameters.

A step's own modules are listed in sdft/common/code.py. Methods and tasks are found by their names, so the digest of a
run has that of its own method's file and the digest of a score that of its own task's: an edit of one method, or a new
one, reruns no other.
"""

from __future__ import annotations

from sdft.common.code import STEPS, code_digest
from sdft.study.exhibits import find


def train_code(method: str) -> str:
    """What decides the weights of a training: the loop and the method's file, with all that these import."""
    return code_digest(*STEPS["train"], f"sdft.methods.{method}")


def measure_code(step: str, *tasks: str) -> str:
    """What decides a measurement of a model on tasks: the step's modules and the tasks' files."""
    return code_digest(*STEPS[step], *(f"sdft.tasks.{task}" for task in sorted(tasks)))


def exhibit_code(name: str) -> str:
    """What decides a table or figure: the step's modules, and the exhibit's own files with all that these import."""
    kind = find(name).kind
    return code_digest(*STEPS[f"{kind}s"], f"sdft.pages.{kind}s.{name}", f"sdft.study.exhibits.{name}")
