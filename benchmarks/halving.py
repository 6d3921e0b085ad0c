"""`python -m benchmarks.halving --full RESULTS --halving RESULTS --out FILE.json`: does halving keep the winners?

RESULTS are folders of one scale (results/mini), each from a clone of its own: one with the full sweep's choices
(`selected/TASK/ARM.json`), one with those of `--config sweep=halving` after a third of the steps
(`promoted/TASK/ARM.json`). A candidate that goes on ends with the weights that the full sweep gives it, so its result
is read from the full sweep and nothing is trained to the end twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, write_json


def compare(full: Mapping[str, Any], promoted: Mapping[str, Any]) -> dict[str, Any]:
    """One arm's winner of the full sweep beside the best candidate that halving lets go on.

    full, promoted: contents of the two files; both list candidates by `runs`, best first. Raises SdftError where they
    are not of the same candidates.
    """
    order = [tuple(entry["runs"]) for entry in promoted["ranking"]]
    if {tuple(entry["runs"]) for entry in full["ranking"]} != set(order):
        raise SdftError("the two sweeps have different candidates; give results of the same configuration.")
    winner = full["ranking"][0]
    kept = next(entry for entry in full["ranking"] if set(entry["runs"]) <= set(promoted["promoted"]))
    return {
        "candidates": len(order),
        "go_on": sum(set(runs) <= set(promoted["promoted"]) for runs in order),
        "same": kept is winner,
        "rank_of_winner": order.index(tuple(winner["runs"])) + 1,
        "full": _candidate(winner),
        "halving": _candidate(kept),
    }


def _candidate(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters, and accuracies as shares of 1 on validation and on the prior benchmarks of the sweep."""
    return {key: entry[key] for key in ("hyperparameters", "validation", "prior_average")}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("full", "halving"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="folder of one scale's results")
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args(arguments)
    files = sorted(path for path in options.halving.glob("promoted/*/*.json") if not path.name.startswith("."))
    if not files:
        raise SdftError(f"{options.halving}: no promoted/TASK/ARM.json; run with --config sweep=halving first.")
    arms, machine = [], None
    for path in files:
        promoted, place = read_json(path), path.relative_to(options.halving / "promoted")
        machine = promoted["manifest"]["hardware"]
        found = compare(read_json(options.full / "selected" / place), promoted)
        arms.append({"task": place.parent.name, "arm": place.stem, **found})
        one, other = found["full"], found["halving"]
        print(
            f"{arms[-1]['task']:10} {arms[-1]['arm']:6} "
            + ("the same winner" if found["same"] else f"another winner (rank {found['rank_of_winner']} at the rung)")
            + f", validation {one['validation']:.3f} and {other['validation']:.3f}"
        )
    write_json(options.out, {"machine": machine, "same": sum(arm["same"] for arm in arms), "arms": arms})
    print(f"{sum(arm['same'] for arm in arms)} of {len(arms)} arms have the same winner")


if __name__ == "__main__":
    run_main(main)
