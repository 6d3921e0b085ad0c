"""`python -m sdft.study.gate`: whether a base model scores what it must.

A failed band makes what depends on it INCOMPARABLE with the paper, and names the key that is the likely cause.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from sdft.common.errors import SdftError, run_main
from sdft.common.files import sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.common.schema import Written, read_checked

# Percentage points within which a known reading explains a score.
NEAR = 3.0
FILE = Path(__file__).with_name("gate.yaml")


@dataclass(frozen=True)
class Check:
    """One benchmark's outcome, in percent; cause and key are for a failed one."""

    benchmark: str
    value: float
    low: float
    high: float
    passed: bool
    cause: str | None = None
    key: str | None = None


class Scored(Written):
    """What is read of a score."""

    value: Annotated[float, Field(ge=0, le=1)]
    n: int


@cache
def gates() -> dict[str, dict[str, Any]]:
    """The bands of each model that has a gate, as `gate.yaml` has them. Do not change the returned value."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))["models"]


def check(model: str, benchmark: str, percent: float, n: int | None = None) -> Check | None:
    """Whether a base model's score lies in its band; None where the model has no gate, or none on this benchmark.

    percent: the score; n: on how many items, to tell another version of a test set.
    """
    band = gates().get(model, {}).get("benchmarks", {}).get(benchmark)
    if band is None:
        return None
    passed = band["low"] <= percent <= band["high"]
    if n is not None and "n" in band and n != band["n"]:
        cause = f"measured on {n} items and not on the {band['n']} of the band: another version, or a limit"
        return Check(benchmark, percent, band["low"], band["high"], False, cause, band["key"])
    if passed:
        return Check(benchmark, percent, band["low"], band["high"], True)
    nearest = min(band.get("readings", ()), key=lambda reading: abs(reading["value"] - percent), default=None)
    distance = max(band["low"] - percent, percent - band["high"])
    # A reading explains a score only if the score is near it, and nearer than to the band.
    if nearest is None or abs(nearest["value"] - percent) > min(distance, NEAR):
        cause = "no known mistake gives this value; compare versions of lm_eval, the engine and the model's files"
    else:
        cause = f"looks like {nearest['cause']} (which gives about {nearest['value']})"
    return Check(benchmark, percent, band["low"], band["high"], False, cause, band["key"])


def check_scores(model: str, folder: str | Path) -> list[Check]:
    """Checks of every banded benchmark that a base model's scores folder holds. Raises SdftError if it holds none."""
    found = []
    for benchmark in gates()[model]["benchmarks"]:
        path = Path(folder) / f"{benchmark}.json"
        if path.is_file():
            score = read_checked(path, Scored)
            found.append(check(model, benchmark, 100 * score["value"], score["n"]))
    if not found:
        raise SdftError(f"{folder} holds no score of a gated benchmark; evaluate the base model first.")
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.study.gate",
        description="Compare a base model's scores with the bands that they must lie in.",
        epilog="example: python -m sdft.study.gate --scores results/mini/scores/base/m-s1 --out /tmp/gate.json",
    )
    parser.add_argument("--scores", required=True, metavar="DIR", help="scores/base/{model}")
    parser.add_argument("--model", help="the model's name (default: the folder's)")
    parser.add_argument("--out", required=True, metavar="GATE.json")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    clock, folder = Clock(), Path(options.scores)
    model = options.model or folder.name
    checks = check_scores(model, folder) if model in gates() else []
    for entry in checks:
        if not entry.passed:
            print(
                f"{entry.benchmark}: {entry.value:.2f} is outside {entry.low} to {entry.high}: {entry.cause}; "
                f"see {entry.key} in config.yaml"
            )
    inputs = {str(path): sha256_file(path) for path in sorted(folder.glob("*.json"))}
    write_json(
        options.out,
        {
            "model": model,
            "gated": bool(checks),
            "passed": all(entry.passed for entry in checks),
            "checks": [asdict(entry) for entry in checks],
            "ungated": gates().get(model, {}).get("ungated", {}),
            "manifest": manifest("gate", clock=clock, inputs=inputs),
        },
    )


if __name__ == "__main__":
    run_main(main)
