"""Scores on the other versions of a released test set, from the outcomes of the one that Table 5 shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import finite, groups, quantity
from sdft.evidence.rules import LEVEL
from sdft.records.record import read_records
from sdft.statistics import average_interval


def version_rows(results: Results) -> list[dict[str, Any]]:
    """New-task accuracy in percent of every cell on each version, the first `rows` items of the shown test set.

    The versions, and the file with the order of the items, are the plan's (`versions`); none where it names none.
    """
    found = []
    for task, entry in results.exhibit.versions.items():
        order = [record.id for record in read_records(entry.data)] if Path(entry.data).is_file() else []
        cells = (results.base_cell(task, distinct=True), *(cell for cell in results.cells if cell.task == task))
        for count in (count for count in entry.rows if count < len(order)):
            for cell in cells:
                runs = cell.done([task])
                if not runs:
                    continue
                (outcomes,) = groups(runs, quantity("new_task", task))
                outcomes = outcomes.take(np.isin(runs[0].scores[task].ids, order[:count]))
                interval = average_interval([outcomes], LEVEL).scaled(100)
                found.append(
                    {
                        "task": task,
                        "method": cell.method,
                        "arm": cell.arm,
                        "rows": count,
                        "mean": round(interval.mean, 3),
                        "low": finite(interval.low),
                        "high": finite(interval.high),
                        "n_seeds": len(runs),
                        "n_items": interval.n_items,
                    }
                )
    return found
