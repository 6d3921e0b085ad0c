"""Appendix A.1: estimators, the direction of the divergence, rollouts a prompt, and skipped tokens."""

from __future__ import annotations

from typing import Any

from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.quantities import Comparison, compare, measured_row, quantity
from sdft.evidence.rules import NEAR
from sdft.evidence.statements import Statement, conclude_all

METRICS = ("new_task", "prior_average")
# Every ablation: its title, and its arms with what they are called; the first is the reference. The estimators are
# defined for the reverse KL summed over tokens, so the analytic one beside them is an arm with that loss,
# sdft.analytic, or, where the plan has no such arm, the one with that direction.
ABLATIONS = {
    "divergence": (
        "Direction of the divergence (each with its own learning-rate grid)",
        (("sdft", "Forward KL"), ("sdft.reverse", "Reverse KL"), ("sdft.jsd", "Jensen-Shannon")),
    ),
    "rollouts": (
        "Rollouts a prompt",
        (("sdft", "1"), ("sdft.rollouts2", "2"), ("sdft.rollouts4", "4"), ("sdft.rollouts8", "8")),
    ),
    "skipping": ("First tokens without loss", (("sdft", "3"), ("sdft.skip0", "0"))),
    "estimators": (
        "Estimators of the reverse KL's gradient in training",
        (("sdft.analytic", "Analytic"), ("sdft.token", "Sampled token"), ("sdft.rao_blackwell", "Rao-Blackwellised")),
    ),
}
STATEMENTS = (
    Statement(
        "estimator-analytic",
        "Appendix A.1",
        "The analytic per-token estimator trains at least as well as the other two.",
        "analytic minus sampled token and minus Rao-Blackwellised, all of the reverse KL, accuracy",
        "not_worse",
        NEAR,
    ),
    Statement(
        "rollouts-negligible",
        "Appendix A.1",
        "More rollouts a prompt gain next to nothing.",
        "2, 4 and 8 rollouts minus 1, accuracy",
        "no_gain",
        NEAR,
    ),
    Statement(
        "forward-kl-suffices",
        "Equation 1 and section 3 of v2",
        "Forward KL, which was used, does as well as reverse KL, which is derived.",
        "forward minus reverse KL, each with its own learning rate, accuracy",
        "not_worse",
        NEAR,
        ours=True,
    ),
)


def arm_rows(results: Results, ablations: dict[str, Any] = ABLATIONS) -> list[dict[str, Any]]:
    """A row for each ablation, task, arm and metric, in percent; an arm that was not run has a row all the same."""
    rows = []
    for ablation, (title, arms) in ablations.items():
        for task in results.tasks:
            for arm, name in arms:
                cell = _arm(results, arm, task)
                if cell is None:
                    rows.append(_absent(ablation, title, task, arm, name))
                    continue
                for metric in METRICS:
                    row = measured_row(None, cell, quantity(metric, task))
                    if not results.enabled:
                        row |= {"mean": None, "low": None, "high": None, "n_seeds": 0, "by_seed": []}
                    verdict = "NOT RUN" if row["mean"] is None else "INCOMPARABLE"
                    why = "no score file; ask snakemake" if row["mean"] is None else "the paper prints no number"
                    rows.append(
                        {
                            "ablation": ablation,
                            "title": title,
                            "label": name,
                            **row,
                            "unit": "percent",
                            "verdict": verdict,
                            "reason": why,
                        }
                    )
    return rows


def _arm(results: Results, arm: str, task: str) -> Cell | None:
    found = results.arm(arm, task)
    return results.arm("sdft.reverse", task) if found is None and arm == "sdft.analytic" else found


def _absent(ablation: str, title: str, task: str, arm: str, name: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("published", "mean", "low", "high"))
    return {
        **{"ablation": ablation, "title": title, "label": name, "task": task, "method": "sdft", "arm": arm},
        **{"metric": "new_task", **numbers, "n_seeds": 0, "n_items": 0, "unit": "percent"},
        **{"verdict": "NOT RUN", "reason": "the plan has no such arm"},
    }


def ablation_claims(results: Results) -> list[dict[str, Any]]:
    names = {arm: name for _, arms in ABLATIONS.values() for arm, name in arms}

    def difference(task: str, one: str, other: str) -> Comparison:
        where = f"{TASK_NAMES[task]}, " if len(results.tasks) > 1 else ""
        kind = " rollouts" if "rollouts" in one else ""
        name = {
            "sdft.token": "analytic minus sampled token",
            "sdft.rao_blackwell": "analytic minus Rao-Blackwellised",
            "sdft.reverse": "forward minus reverse",
        }.get(other, f"{names[one]}{kind} minus 1")
        pair = (f"arm {one}", f"arm {other}")
        return compare(
            _arm(results, one, task),
            _arm(results, other, task),
            quantity("new_task", task),
            name=where + name,
            names=pair,
        )

    rollouts = [arm for arm, _ in ABLATIONS["rollouts"][1][1:]]
    return conclude_all(
        results,
        STATEMENTS,
        {
            "estimator-analytic": [
                difference(task, "sdft.analytic", arm)
                for task in results.tasks
                for arm in ("sdft.token", "sdft.rao_blackwell")
            ],
            "rollouts-negligible": [difference(task, arm, "sdft") for task in results.tasks for arm in rollouts],
            "forward-kl-suffices": [difference(task, "sdft", "sdft.reverse") for task in results.tasks],
        },
    )
