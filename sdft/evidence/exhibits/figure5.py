"""Figure 5: SDFT against SFT by the size of the model, and pass@k.

At every size the difference is paired by item and seed. Beside it stands how well the model learns in context: its
accuracy with a demonstration minus that without. Arms are {method}.{size} and, with a longer budget of steps,
{method}.{size}.long. pass@k is the unbiased estimate of each item, averaged over items (sdft.statistics.pass_at_k).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sdft.evidence.names import on
from sdft.evidence.outcomes import Cell, Results, Run
from sdft.evidence.published import document, lookup
from sdft.evidence.quantities import (
    Comparison,
    compare,
    finite,
    labelled,
    measured_row,
    of_matrices,
    paired_groups,
    point,
    quantity,
)
from sdft.evidence.rules import LEVEL
from sdft.evidence.statements import Statement, conclude_all
from sdft.statistics import Outcomes, average_interval, pass_at_k

# The paper's; a scale may ask the study on another task.
TASK = "science"
BUDGETS = (("short", ""), ("long", ".long"))
METHODS = (("sdft", "SDFT"), ("sft", "SFT"), ("base", "Base"))
# A model learns poorly in context where it is right in at most so many percent of the cases with a demonstration.
POOR = 60.0
STATEMENTS = (
    Statement(
        "scaling-smallest",
        "Figure 5, left, 3B",
        "The smallest model, which learns poorly in context, gains less from SDFT than from SFT.",
        "SFT minus SDFT at the smallest size, accuracy",
        also=f"NOT TESTABLE where the smallest model is right in over {POOR:g} % of the cases with a demonstration",
    ),
    Statement(
        "scaling-grows",
        "Figure 5, left",
        "The advantage of SDFT grows with the model's size.",
        "(SDFT minus SFT) at the largest size minus (SDFT minus SFT) at the smallest, accuracy",
    ),
    Statement(
        "passk-order",
        "Figure 5, right",
        "SDFT solves more than SFT, and SFT more than the base model, at every number k of samples.",
        "pass@k of SDFT minus SFT and of SFT minus base at k = 1, 8 and the largest k",
    ),
)


def sizes(results: Results) -> list[str]:
    """The sizes in the plan, in its order, which is from small to large."""
    return list(dict.fromkeys(cell.size for cell in results.cells if cell.size))


def _cell(results: Results, method: str, size: str, budget: str) -> Cell | None:
    task = results.task(TASK)
    named = results.arm(f"{method}.{size}{dict(BUDGETS)[budget]}", task)
    if named is not None or budget == "long":
        return named
    # The main size is Table 5's own arm.
    return next(
        (cell for cell in results.cells if cell.task == task and cell.size == size and cell.arm == method), None
    )


def _difference(results: Results, size: str, budget: str) -> Comparison:
    one, other = (_cell(results, method, size, budget) for method in ("sdft", "sft"))
    names = tuple(f"{method.upper()} at size {size}" for method in ("sdft", "sft"))
    measured = quantity("new_task", results.task(TASK))
    return compare(one, other, measured, name=f"size {size}, {budget} budget", names=names)


def _value(comparison: Comparison) -> dict[str, Any] | None:
    if comparison.interval is None:
        return None
    interval = comparison.shown
    return {
        **{"mean": finite(interval.mean), "low": finite(interval.low), "high": finite(interval.high)},
        **{"by_seed": list(comparison.by_seed), "seeds": list(comparison.seeds)},
        **{"n_seeds": interval.n, "n_items": interval.n_items, "p": interval.p},
    }


def passk_items(run: Run) -> tuple[int, dict[str, int]] | None:
    """Number of samples and the correct ones of each item; None where pass@k was not run."""
    record = run.measurement("passk")
    if record is None:
        return None
    return int(record["n_samples"]), {str(item["id"]): int(item["correct"]) for item in record["items"]}


def passk_matrix(runs: list[Run], k: int) -> Outcomes | None:
    """[runs, items] of pass@k on the items that all runs have; None where k is more than the samples."""
    found = [passk_items(run) for run in runs]
    if not found or any(k > samples for samples, _ in found):
        return None
    names = sorted(set.intersection(*(set(items) for _, items in found)))
    if not names:
        return None
    about = [{str(item["id"]): item.get("cluster") for item in run.measurement("passk")["items"]} for run in runs]
    clusters = [[own[name] for name in names] for own in about]
    values = [[pass_at_k(samples, items[name], k) for name in names] for samples, items in found]
    return labelled(values, runs, clusters)


def _passk_cells(results: Results) -> dict[str, Cell | None]:
    main = [cell for cell in results.cells if any(run.measurement("passk") for run in cell.runs)]
    found = {method: next((c for c in main if c.method == method), None) for method in ("sdft", "sft")}
    sized = [found[method].size for method in found if found[method] is not None and found[method].size]
    base = results.base_cell(results.task(TASK), size=sized[0] if sized and sized[0] in results.bases else None)
    return {**found, "base": base if any(run.measurement("passk") for run in base.runs) else None}


def _measured(cell: Cell | None) -> dict[int, Run]:
    return {run.seed: run for run in cell.runs if run.measurement("passk")} if cell else {}


def passk_curves(results: Results) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A curve a method, in percent at k = 1, 2, 4, ... up to the samples; and what was not run."""
    curves, not_drawn = [], []
    cells = _passk_cells(results)
    for method, name in METHODS:
        runs = [*{(run.name, run.draw): run for run in _measured(cells[method]).values()}.values()]
        points = []
        samples = min((passk_items(run)[0] for run in runs), default=0)
        for k in [*(2**j for j in range(samples.bit_length()) if 2**j < samples), *([samples] if samples else [])]:
            outcomes = passk_matrix(runs, k)
            if outcomes is None:
                break
            interval = average_interval([outcomes], LEVEL).scaled(100)
            points.append(
                {
                    "k": k,
                    **{"mean": finite(interval.mean), "low": finite(interval.low), "high": finite(interval.high)},
                    **{"n_seeds": interval.n, "n_items": interval.n_items},
                }
            )
        if points:
            curves.append({"method": method, "label": name, "points": points, "runs": [run.name for run in runs]})
        else:
            not_drawn.append({"what": f"pass@k, {name}", "why": "NOT RUN"})
    return curves, not_drawn


def figure5(results: Results) -> dict[str, Any]:
    """Numbers of Figure 5, left and right."""
    task = results.task(TASK)
    measured, bars, not_drawn = quantity("new_task", task), [], []
    for size in sizes(results) if results.enabled else ():
        base, teacher = results.base_cell(task, size=size), results.in_context(task, size)
        context = compare(teacher, base, measured, name="", names=("", "")) if teacher and base.runs else None
        values = {}
        for budget, _ in BUDGETS:
            values[budget] = _value(_difference(results, size, budget))
            planned = budget == "short" or _cell(results, "sdft", size, "long")
            if values[budget] is None and planned:
                not_drawn.append({"what": f"size {size}, {budget} budget", "why": "NOT RUN"})
        own = {
            f"{method}{suffix}": point(measured_row("figure5", cell, measured))
            for method in ("sft", "sdft")
            for budget, suffix in BUDGETS
            if (cell := _cell(results, method, size, budget))
        }
        in_context = _value(context) if context else None
        if in_context is None:
            not_drawn.append({"what": f"learning in context, size {size}", "why": "NOT RUN"})
        bars.append(
            {
                "size": size,
                "difference": values,
                "in_context": in_context,
                "base": point(measured_row("figure5", base.distinct, measured)) if base.runs else None,
                "teacher": point(measured_row("figure5", teacher.distinct, measured)) if teacher else None,
                "accuracy": own,
            }
        )
    if not bars:
        not_drawn.append({"what": "SDFT minus SFT by size", "why": "NOT RUN"})
    curves, missing = passk_curves(results) if results.enabled else ([], [{"what": "pass@k", "why": "NOT RUN"}])
    columns = document()["items"]["figure5"]["columns"]
    paper = {size: lookup("figure5", TASK, "sdft_minus_sft", size).value for size in columns}
    return {
        "unit": "percentage points (left), percent (right)",
        "task": task,
        "paper_task": TASK,
        "sizes": bars,
        "pass_at_k": curves,
        "paper": {"sdft_minus_sft": paper, "order": ["sdft", "sft", "base"]},
        "not_drawn": not_drawn + missing,
        "claims": _claims(results),
    }


def _claims(results: Results) -> list[dict[str, Any]]:
    known, task = sizes(results), results.task(TASK)
    measured, where = quantity("new_task", task), on(task, TASK)
    comparisons: dict[str, list[Comparison]] = {"scaling-smallest": [], "scaling-grows": [], "passk-order": []}
    columns = document()["items"]["figure5"]["columns"]
    printed = [lookup("figure5", TASK, "sdft_minus_sft", size).value for size in (columns[0], columns[-1])]
    # The paper has values on its own task alone.
    smallest, grown = (-printed[0], round(printed[1] - printed[0], 3)) if task == TASK else (None, None)
    if known:
        small, large = known[0], known[-1]
        cells = {(m, s): _cell(results, m, s, "short") for m in ("sdft", "sft") for s in (small, large)}
        comparisons["scaling-smallest"].append(
            compare(
                cells["sft", small],
                cells["sdft", small],
                measured,
                name=f"{where}size {small}",
                names=(f"SFT at size {small}", f"SDFT at size {small}"),
                published=smallest,
            )
        )
        name = f"{where}size {large} against size {small}"
        outcomes = None if None in cells.values() or small == large else paired_groups(list(cells.values()), measured)
        if outcomes is None:
            comparisons["scaling-grows"].append(Comparison(name, {}, absent=("a size",), published=grown))
        else:
            seeds, matrices = outcomes
            of = dict(zip(cells, matrices, strict=True))
            gains = [[of["sdft", s][0] - of["sft", s][0]] for s in (large, small)]
            # A difference of differences goes from -200 to 200 points.
            found = of_matrices(name, *gains, seeds, published=grown)
            found = replace(found, benchmarks=(task,), sizes=(large, small), bound=200.0)
            comparisons["scaling-grows"].append(found)
    cells = _passk_cells(results)
    largest = min((passk_items(run)[0] for cell in cells.values() for run in _measured(cell).values()), default=128)
    for one, other in (("sdft", "sft"), ("sft", "base")):
        left, right = _measured(cells[one]), _measured(cells[other])
        seeds = sorted(set(left) & set(right))
        for k in dict.fromkeys((1, min(8, largest), largest)):
            name = f"{where}{one.upper()} minus {other.upper() if other != 'base' else 'base'}, k = {k}"
            if not seeds:
                absent = tuple(f"pass@k of {m}" for m, found in ((one, left), (other, right)) if not found)
                comparisons["passk-order"].append(Comparison(name, {}, absent=absent))
                continue
            # Both sides together, so that they share the items.
            both = passk_matrix([*(left[s] for s in seeds), *(right[s] for s in seeds)], k)
            first, second = both.of_runs(slice(len(seeds))), both.of_runs(slice(len(seeds), None))
            found = of_matrices(name, [first], [second], seeds)
            comparisons["passk-order"].append(replace(found, benchmarks=(task,), sizes=(cells[one].size,)))
    return conclude_all(results, STATEMENTS, comparisons, untestable=_untestable(results, known[:1]))


def _untestable(results: Results, smallest: list[str]) -> dict[str, str]:
    """Why the statement about the smallest model cannot be tested: it learns in context as a large one does."""
    for size in smallest:
        cell = results.in_context(results.task(TASK), size)
        measured = quantity("new_task", results.task(TASK))
        row = measured_row(None, cell.distinct, measured) if cell else {"mean": None}
        if row["mean"] is not None and row["mean"] > POOR:
            return {
                "scaling-smallest": f"The smallest model, {size}, is right in {row['mean']:.0f} % of the cases with a "
                "demonstration, so it does not learn poorly in context."
            }
    return {}
