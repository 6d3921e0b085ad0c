"""Data sets of the hub that were kept in a folder, read in the place of the hub (sdft/evaluate/benchmark_data.py)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.common.files import digest, read_json

MANIFEST = "manifest.json"
NLTK = "nltk_data"


def place(store: Path, path: str, name: str | None, options: Mapping[str, Any]) -> Path:
    """The folder of a data set's configuration, as `datasets.load_dataset` would be asked for it."""
    own = f"-{digest(dict(options))}" if options else ""
    return store / path.replace("/", "--") / f"{name or 'default'}{own}"


def kept(folder: Path, commit: str | None = None) -> bool:
    """Whether a configuration is there, whole, and of that commit."""
    record = folder / "commit.json"
    return record.is_file() and (commit is None or read_json(record).get("commit") == commit)


def stored(config: Mapping[str, Any]) -> dict[str, str] | None:
    """The commits of the data sets that a protocol reads from its store; None without one.

    Raises SdftError where the store was not filled.
    """
    if not config.get("store") or config["data_dir"]:
        return None
    return read_json(Path(config["store"]) / MANIFEST)["commits"]


@contextmanager
def reading(store: Path) -> Iterator[None]:
    """Within, what asks for a data set of the hub gets the kept one. Raises FileNotFoundError for one that is not."""
    import datasets

    original = datasets.load_dataset

    def load(path: str, name: str | None = None, **options: Any) -> Any:
        folder = place(store, path, name, options)
        if not kept(folder):
            raise FileNotFoundError(
                f"{folder} does not hold {path} ({name or 'default'}); fetch the benchmarks' data where there is a "
                "network (snakemake --cores 2 --config scale=paper -- downloads)"
            )
        return datasets.load_from_disk(str(folder))

    _find_nltk(store / NLTK)
    datasets.load_dataset = load
    try:
        yield
    finally:
        datasets.load_dataset = original


def _find_nltk(folder: Path) -> None:
    """Let nltk look into the folder, whether it is imported already or not."""
    known = os.environ.get("NLTK_DATA", "").split(os.pathsep)
    if str(folder) not in known:
        os.environ["NLTK_DATA"] = os.pathsep.join([str(folder), *filter(None, known)])
    if "nltk" in sys.modules and str(folder) not in sys.modules["nltk"].data.path:
        sys.modules["nltk"].data.path.insert(0, str(folder))
