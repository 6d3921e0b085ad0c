"""What a site is made from: verdicts, plans and claims of its tables and figures, and the runs behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.common.schema import Written, read_checked
from sdft.evidence.names import METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import read_results
from sdft.evidence.published import document
from sdft.pages.claims import Claim, claims_of
from sdft.study.exhibits import find
from sdft.study.exhibits.schema import BaseEntry, CellEntry, Exhibit, RunEntry
from sdft.study.specs import SiteSpec

# What of a run one table or figure measures and another does not.
MEASURES = ("trajectory", "divergence")


@dataclass(frozen=True)
class Page:
    """A page of the site: its name, which is its file's without .html, its title, and its body as HTML."""

    name: str
    title: str
    body: str


@dataclass(frozen=True)
class Study:
    """What was found for a site. `records` are verdicts of tables and numbers of figures, by name."""

    spec: SiteSpec
    records: dict[str, dict[str, Any]]
    plans: dict[str, Exhibit]

    @property
    def root(self) -> Path:
        return Path(self.spec.root)

    @property
    def evidence(self) -> bool:
        """Whether the scale's numbers are evidence of anything."""
        return self.spec.evidence != "none"

    @cached_property
    def claims(self) -> list[Claim]:
        return claims_of(self.spec.scale, self.records, self.spec.shown)

    @cached_property
    def runs(self) -> dict[str, tuple[CellEntry, RunEntry]]:
        """Every final run behind what is shown, by its id: the cell of its first use, and what any use measured."""
        found: dict[str, tuple[CellEntry, RunEntry]] = {}
        for _, cell, run in self.uses():
            first, known = found.get(run.run, (cell, run))
            more = {name: value for name in MEASURES if (value := getattr(run, name)) and not getattr(known, name)}
            found[run.run] = first, known.model_copy(update=more)
        return found

    @cached_property
    def bases(self) -> dict[str, BaseEntry]:
        """Every base model that is scored on all tasks of the scale, once, by its name."""
        found = (base for plan in self.plans.values() for base in plan.base if base.task is None)
        return {base.model: base for base in found}

    def uses(self) -> Iterator[tuple[str, CellEntry, RunEntry]]:
        """Which table or figure uses which run."""
        for name, plan in self.plans.items():
            for cell in plan.cells:
                for run in cell.runs:
                    yield name, cell, run

    def to(self, name: str) -> str:
        """The address of a page, as a page of the folder writes it."""
        return f"{name}.html"

    def file(self, path: str | Path, kind: type[BaseModel] = Written) -> Any:
        """The content of a JSON file, which must be a `kind`; None where it does not exist (yet)."""
        return read_checked(path, kind) if Path(path).is_file() else None

    def to_repeat(self, target: str) -> str:
        """The command that makes a file, or a table or figure."""
        return f"snakemake --cores all {target} --config scale={self.spec.scale}"


def load(spec: str | Path) -> Study:
    """Read what a site shows. Raises SdftError naming a file that is missing or broken."""
    record = read_json(spec)
    try:
        read = SiteSpec.model_validate(record)
    except ValidationError as error:
        raise SdftError(f"{spec} is no plan of a site ({error.errors()[0]['msg']}); ask snakemake for it.") from None
    root, records, plans = Path(read.root), {}, {}
    for name in read.shown:
        table = find(name).kind == "table"
        verdict = root / f"tables/{name}/verdict.json" if table else root / f"figures/{name}.json"
        plan = root / f"tables/{name}/plan.json" if table else root / f"figures/{name}.plan.json"
        if not verdict.is_file():
            continue
        records[name] = _checked(verdict, "rows" if table else "caption")
        plans[name] = read_results(plan).exhibit
    return Study(read, records, plans)


def _checked(path: Path, needed: str) -> dict[str, Any]:
    found = read_json(path)
    missing = [name for name in ("scale", "standing", needed) if not isinstance(found, dict) or name not in found]
    if missing:
        raise SdftError(
            f"{path} is no verdict of a table or figure ({', '.join(missing)} missing); delete it and run the same "
            "command again."
        )
    return found


def arm_name(cell: CellEntry | dict[str, Any]) -> str:
    """An arm as tables call it: its method's title, or its own name where it is another."""
    found = cell if isinstance(cell, dict) else {"arm": cell.arm, "method": cell.method}
    arm, method = found["arm"], found.get("method", found["arm"])
    return METHOD_NAMES.get(method, method) if arm == method else arm


def task_name(task: str) -> str:
    """A task as tables call it."""
    return TASK_NAMES.get(task, task)


def subject(name: str) -> str:
    """What a table or figure of the paper is about; empty for those that are ours."""
    printed = document()["items"].get(name) or document()["sweeps"].get(name) or {}
    return printed.get("subject", "")


def title(name: str) -> str:
    """A table's or figure's title with its subject."""
    said = subject(name)
    return f"{find(name).title}: {said}" if said else find(name).title


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one a line, such as metrics.jsonl; none where there is no file.

    A last line that is not whole is left out, since a run that is stopped may leave one.
    """
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return found
