"""A page for each sweep: all candidates of an arm on a task, and which won."""

from __future__ import annotations

from html import escape

from sdft.evidence.files import Selected
from sdft.methods.hyperparameters import in_words
from sdft.pages.html import Row, command, table
from sdft.pages.site.found import Page, Study, arm_name, task_name
from sdft.study.exhibits.schema import CellEntry

HEADER = ("Candidate, best first", "Validation (%)", "Prior average (%)", "Run", "")


def sweep_page(study: Study, cell: CellEntry) -> Page | None:
    """The ranking of one selection; None where it was not made."""
    selected = study.file(cell.selected, Selected) if cell.selected else None
    if selected is None:
        return None
    body = []
    for place, row in enumerate(selected["ranking"]):
        values = [row.get("validation"), row.get("prior_average")]
        shown = ["" if value is None else f"{100 * value:.1f}" for value in values]
        state = "selected" if place == 0 else "diverged" if row.get("diverged") else ""
        if part := row.get("stopped"):
            state = f"not trained on after {part['steps']} of {part['of']} steps"
        cells = [escape(in_words(row["hyperparameters"])), *shown, f"<code>{escape(row['run'])}</code>", state]
        body.append(Row(cells, strong=place == 0))
    name = f"{task_name(cell.task)}, {arm_name(cell)}: candidates and selection"
    parts = [
        f"<h1>{escape(name)}</h1><p>{escape(selected['rule'])}</p>",
        table(f"{len(body)} candidates", [*HEADER[:4], "Outcome"], body, numbers=(1, 2)),
        "<h2>To repeat</h2>",
        command(study.to_repeat(cell.selected)),
        "<p>One candidate alone, for example the winner:</p>",
        command(study.to_repeat(_candidate(study, selected))),
    ]
    return Page(f"sweep-{cell.task}-{cell.arm}", name, "".join(parts))


def _candidate(study: Study, selected: dict) -> str:
    return f"{study.spec.root}/sweep/{selected['task']}/{selected['arm']}/{selected['winner_run']}/validation.json"
