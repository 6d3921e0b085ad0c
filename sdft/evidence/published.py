"""The paper's numbers, each with its place: a reader of `published.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sdft.common.errors import SdftError, did_you_mean

FILE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """One printed number. `value` is a float, or a (low, high) pair where only a range can be read off a plot."""

    item: str
    place: str
    version: str
    row: str
    method: str
    column: str
    value: float | tuple[float, float]
    unit: str
    loose: bool
    note: str | None


@cache
def document() -> dict[str, Any]:
    """`published.yaml` as it is written. Do not change the returned value."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@cache
def entries() -> tuple[Published, ...]:
    """Every published number, in the order of the file. Raises SdftError on a row that does not fit its columns."""
    found = []
    for item, table in document()["items"].items():
        notes = {(slip["row"], slip["method"], slip["column"]): slip["note"] for slip in table.get("slips", ())}
        for row, methods in table["rows"].items():
            for method, values in methods.items():
                if len(values) != len(table["columns"]):
                    raise SdftError(
                        f"{FILE}: {item}, {row}, {method} has {len(values)} values for {len(table['columns'])} "
                        "columns; write null where the paper prints nothing."
                    )
                for column, value in zip(table["columns"], values, strict=True):
                    if value is None:
                        continue
                    found.append(
                        Published(
                            item=item,
                            place=table["place"],
                            version=table["version"],
                            row=row,
                            method=method,
                            column=column,
                            value=tuple(map(float, value)) if isinstance(value, list) else float(value),
                            unit=table.get("units", {}).get(column, table["unit"]),
                            loose=table.get("loose", False),
                            note=notes.get((row, method, column)),
                        )
                    )
    return tuple(found)


@cache
def _index() -> dict[tuple[str, str, str, str], Published]:
    return {(entry.item, entry.row, entry.method, entry.column): entry for entry in entries()}


def lookup(item: str, row: str, method: str, column: str) -> Published | None:
    """The published number of one cell, or None where the paper prints none. Raises SdftError on an unknown item."""
    items = document()["items"]
    if item not in items:
        raise SdftError(f"The paper has no item {item!r}; {did_you_mean(item, items)}")
    return _index().get((item, row, method, column))


def printed_difference(item: str, row: str, one: str, other: str, column: str) -> float | None:
    """One method's printed number minus another's, or None where the paper prints only one of them, or neither."""
    pair = [lookup(item, row, method, column) for method in (one, other)]
    return None if None in pair else round(pair[0].value - pair[1].value, 3)
