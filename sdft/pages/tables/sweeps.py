"""What Tables 3 and 4 share: what we sweep and fix, beside what the paper states; differences are marked.

An arm stands under its method, so that sdft.knowledge is SDFT's line of Table 4.
"""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.published import document
from sdft.methods.hyperparameters import SWEPT
from sdft.pages.tables.measured import envelope, printed_name, table_manifest
from sdft.study.exhibits.schema import SweepEntry

NAMES = {
    **{name: entry.title for name, entry in SWEPT.items()},
    "max_new_tokens": "Max generation length",
    "schedule": "Schedule",
    "warmup_steps": "Warm-up steps",
    "max_grad_norm": "Max gradient norm",
    "weight_decay": "Weight decay",
    "weights_dtype": "Arithmetic of the weights",
}


def text(value: Any) -> str:
    """A value or a list of values as it is shown."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(text, value))
    return f"{value:g}".replace("e-0", "e-") if isinstance(value, float) else str(value)


def ours_text(row: dict[str, Any]) -> str:
    """Our value of a row, with those of the tasks that have others: 5 (Science Q&A 10)."""
    others = ", ".join(f"{TASK_NAMES[task]} {text(value)}" for task, value in row["by_task"].items())
    return f"{text(row['ours'])} ({others})" if others else text(row["ours"])


def used(entry: SweepEntry | None) -> dict[str, Any]:
    """What an arm sweeps and fixes, by name; a share of the steps, where one is set, is its warm-up."""
    if entry is None:
        return {}
    share = entry.settings.get("warmup_share")
    ruling = {} if share is None else {"warmup_steps": f"{100 * share:g} % of the steps"}
    return {**entry.settings, **entry.grid, **ruling}


def same(one: Any, other: Any) -> bool:
    """Equal values, or the same values in any order."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(one) == sorted(other)
    return one == other


def sweep_table(results: Results, clock: Clock, item: str) -> dict[str, Any]:
    """Rows of (arm, hyper-parameter, paper, ours, verdict); NOT RUN where the plan sweeps no such arm."""
    printed = document()["sweeps"][item]
    ours = {entry.method: entry for entry in results.exhibit.sweeps} if results.enabled else {}
    rows = []
    for method, swept in printed["arms"].items():
        entry = ours.get(method)
        for name, value in {**swept, **printed["common"]}.items():
            own = used(entry).get(name)
            by_task = entry.task_epochs if entry and name == "epochs" else {}
            if entry is None:
                verdict = "NOT RUN"
            elif value is None:
                verdict = "not stated"
            else:
                verdict = "same" if all(same(value, one) for one in (own, *by_task.values())) else "differs"
            rows.append(
                {
                    "method": method,
                    "arm": None if entry is None else entry.arm,
                    "hyperparameter": name,
                    "published": value,
                    "ours": own,
                    "by_task": by_task,
                    "verdict": verdict,
                }
            )
    body = []
    for row in rows:
        shown = "NOT RUN" if row["verdict"] == "NOT RUN" else ours_text(row)
        mark = "*" if row["verdict"] == "differs" else ""
        body.append([printed_name(row["method"]), NAMES[row["hyperparameter"]], text(row["published"]), shown + mark])
    others = [entry.arm for method, entry in ours.items() if method not in printed["arms"]]
    differing = sum(row["verdict"] == "differs" for row in rows)
    note = f"* differs from the paper ({differing} of {len(rows)}). {' '.join(printed['notes'])}"
    if others:
        note += f" Swept by us without a statement of the paper: {', '.join(others)}."
    return {
        **envelope(results, item, []),
        "rows": rows,
        "claims": [],
        "sections": [
            {
                "title": "",
                "header": ["Method", "Hyper-parameter", "Paper", "Ours"],
                "body": body,
                "words": 2,
                "note": note,
            }
        ],
        "manifest": table_manifest(results, clock),
    }
