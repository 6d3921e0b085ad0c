"""What each rule of the DAG reads, and what its step is told: functions of a plan and a rule's wildcards.

A function is called with the plan of the rule's scale and with its wildcards by name, of which it takes those that it
needs. A `..._spec` is the JSON text that the step takes as `--spec`, and a `..._code` a digest of the code that decides
the step's result. As parameters of the rule they rerun the step when they change, so a spec holds what is set here and
nothing that decides no result.
"""

from sdft.study.steps import code, measures, requests, runs, shown, sources

__all__ = ["code", "measures", "requests", "runs", "shown", "sources"]
