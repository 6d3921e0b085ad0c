"""A finished study as an RO-Crate: what to read, the scores behind it, and how it was made, in one archive.

`python -m sdft.pages.crate --results results/mini --out mini.crate.zip` packs the workflow, the scale's configuration,
tables, figures, ledger, reports, scores, selections and the records of all runs, without weights, beside an
ro-crate-metadata.json (RO-Crate 1.1, written by the library rocrate). Run it in the repository's root.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from sdft.common.errors import SdftError, run_main
from sdft.common.files import ROOT, atomic_path, read_json
from sdft.common.locks import publish_alone

LIBRARY = "rocrate==0.16.0"
# Below results/{scale}: what is packed, and what it is. Weights, data sets and unfinished state are left out.
PARTS = {
    "tables/**/*": "A table, its plan or its verdicts",
    "figures/*": "A figure, its plan or its numbers",
    "claims/*": "The ledger of claims",
    "reports/**/*": "A page of the report, or the plan of what it shows",
    "selected/**/*.json": "The winner of a sweep with the whole ranking",
    "scores/**/*": "Scores of a model, or its answer to every item",
    "judged/**/*": "Scores with a judge's verdicts",
    "runs/*/*/run.json": "What a run was told",
    "runs/*/*/model.json": "What a run became, with the SHA-256 of its weights",
    "runs/*/*/metrics.jsonl": "A run's metrics, a line a step",
    "runs/*/*/rollouts.json": "What student and teacher said",
    "trajectories/**/*.json": "Accuracy along training",
    "passk/**/*.json": "pass@k",
    "divergence/**/*.json": "Divergence from the base model",
    "flops/**/*.json": "Counted FLOPs",
}
CONFIGURATION = ("config.yaml", "requirements.txt", "CITATION.cff", "LICENSE", "README.md")


def packed(results: Path) -> list[tuple[Path, str]]:
    """The files of a study that are packed, each with what it is. Raises SdftError where there is no table."""
    found = {path: said for part, said in PARTS.items() for path in sorted(results.glob(part)) if path.is_file()}
    if not any((results / "tables").glob("*/verdict.json")):
        raise SdftError(f"{results} holds no table; make one first, for example with `snakemake --cores all table5`.")
    return list(found.items())


def crate(results: Path, root: Path = ROOT) -> Any:
    """The crate of a study. Raises SdftError where the library is missing or the study has no table."""
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise SdftError(f"an RO-Crate needs the library rocrate; install it with `pip install {LIBRARY}`.") from None
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    made = ROCrate()
    made.name = f"{cited['title']}, scale {results.name}"
    made.description = f"Results of the scale {results.name}, with everything that was measured and without weights."
    made.license = cited["license"]
    workflow = made.add_workflow(root / "Snakefile", "Snakefile", main=True, lang="snakemake")
    inputs = [made.add_file(root / name, name) for name in CONFIGURATION if (root / name).is_file()]
    scale = root / f"config/{results.name}.yaml"
    inputs += [made.add_file(scale, f"config/{scale.name}")] if scale.is_file() else []
    outputs = [
        made.add_file(path, f"results/{results.name}/{path.relative_to(results)}", properties={"description": said})
        for path, said in packed(results)
    ]
    made.add_action(
        workflow,
        identifier=f"#{results.name}",
        object=inputs,
        result=outputs,
        properties={"name": f"snakemake --cores all all --config scale={results.name}", **_when(results)},
    )
    return made


def _when(results: Path) -> dict[str, str]:
    """The commit of the code that made the tables, and when the last of them was made."""
    manifests: Iterable[dict[str, Any]] = (
        read_json(path).get("manifest") or {} for path in sorted(results.glob("tables/*/verdict.json"))
    )
    known = list(manifests)
    ends = sorted(entry["finished"] for entry in known if entry.get("finished"))
    commits = sorted({entry["commit"] for entry in known if entry.get("commit")})
    return {"description": f"Commits: {', '.join(commits) or 'unknown'}", **({"endTime": ends[-1]} if ends else {})}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.crate",
        description="Pack a finished study as an RO-Crate.",
        epilog="example: python -m sdft.pages.crate --results results/mini --out mini.crate.zip",
    )
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="results/{scale}")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="the archive")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    stream = crate(options.results.resolve()).stream_zip()
    try:
        with atomic_path(options.out) as part, open(part, "wb") as archive:
            archive.writelines(stream)
    except OSError:
        # The library's stream complains where nobody reads it to its end.
        for _ in stream:
            pass
        raise


if __name__ == "__main__":
    run_main(main)
