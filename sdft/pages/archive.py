"""What a finished study measured, in one small archive from which tables, figures and reports are made again.

Packs scores, selections and the records of all runs and candidates, without weights, data and pages. To make the pages
again, without a training:

  mkdir -p results && tar xf docs/mini/scores.tar.xz -C results
  snakemake --cores 2 all --config partial=true
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from sdft.common.errors import SdftError, run_main
from sdft.common.files import atomic_path
from sdft.common.locks import publish_alone

# Below results/{scale}: what pages are made of.
PARTS = (
    "base/*/*.json",
    "selected/**/*.json",
    "sweep/*/*/*/validation.json",
    "runs/*/*/run.json",
    "runs/*/*/model.json",
    "runs/*/*/metrics.jsonl",
    "runs/*/*/rollouts.json",
    "scores/**/*.json",
    "scores/**/*.jsonl.gz",
    "judged/**/*.json",
    "judged/**/*.jsonl.gz",
    "trajectories/**/*.json",
    "passk/**/*.json",
    "divergence/**/*.json",
    "flops/**/*.json",
    "gate/*.json",
    "estimators.json",
)


def measured(results: Path) -> list[Path]:
    """The files of a study that are packed. Raises SdftError where nothing was scored."""
    found = {path for part in PARTS for path in results.glob(part) if path.is_file() and "state" not in path.parts}
    if not any(results.glob("scores/**/*.json")):
        raise SdftError(
            f"{results} holds no scores; make a table first, for example with `snakemake --cores 2 table5`."
        )
    return sorted(found)


def pack(results: Path, out: Path) -> int:
    """Write the archive; the number of files in it. The same files give the same bytes."""
    found = measured(results)
    with atomic_path(out) as part, tarfile.open(part, "w:xz") as archive:
        for path in found:
            entry = tarfile.TarInfo(f"{results.name}/{path.relative_to(results)}")
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return len(found)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.archive",
        description=__doc__,
        epilog="example:\n  python -m sdft.pages.archive --results results/mini --out docs/mini/scores.tar.xz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="results of one scale")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tar.xz", help="the archive")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    print(f"{options.out}: {pack(options.results, options.out)} files")


if __name__ == "__main__":
    run_main(main)
