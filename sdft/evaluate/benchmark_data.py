"""`python -m sdft.evaluate.benchmark_data`: the prior benchmarks' data, fetched once, each at one commit.

lm_eval loads its data sets from the hub whenever it sets up a task, which is some hundred requests, and names no
version. Here they are asked for once, where there is a network; jobs then read what was kept, and need none.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import digest, read_json, sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.evaluate.prior import PriorRunner, prior_config
from sdft.evaluate.store import MANIFEST, NLTK, kept, place
from sdft.study.specs import BenchmarkDataSpec

DESCRIPTION = """Fetch the data of the prior benchmarks into the folder OUT, each data set at the commit that is given,
or else at its newest one, which OUT/manifest.json records. What is there already is not fetched again, so that an
interrupted command continues, at the same commits."""

EXAMPLES = """example:
  python -m sdft.evaluate.benchmark_data --prior-config paper --out results/paper/data/prior
"""

# The hub counts requests in windows of five minutes.
ATTEMPTS, SECONDS = 6, 60.0
COMMITS = "commits.json"


def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(BenchmarkDataSpec, "sdft.evaluate.benchmark_data", DESCRIPTION, arguments, EXAMPLES)
    publish_alone(Path(options.out) / MANIFEST)
    os.environ.pop("HF_HUB_OFFLINE", None)
    os.environ.pop("HF_DATASETS_OFFLINE", None)
    clock, out = Clock(), Path(options.out)
    commits = fetch(prior_config(options.prior_config, Path(".")), out, options.revisions)
    files = {str(path.relative_to(out)): sha256_file(path) for path in sorted(out.rglob("*.arrow"))}
    record = manifest("official", clock=clock, inputs=commits)
    write_json(out / MANIFEST, {"commits": commits, "sha256": digest(files, 64), "files": files, "manifest": record})


def fetch(config: Mapping[str, Any], store: Path, revisions: Mapping[str, str]) -> dict[str, str]:
    """Set up every configured benchmark once, and keep in `store` the data sets that this asks for.

    revisions: commits by repository, for those that are pinned. Returns the commit of every repository. Raises
    SdftError where there is no network, or where the hub refuses for longer than its window of five minutes.
    """
    import datasets

    original, commits = datasets.load_dataset, _known(store) | dict(revisions)

    def load(path: str, name: str | None = None, **options: Any) -> Any:
        folder = place(store, path, name, options)
        commit = commits.get(path) or patiently(lambda: newest(path), path)
        _note(store, commits, path, commit)
        if not kept(folder, commit):
            found = patiently(lambda: original(path, name, revision=commit, **options), path)
            _keep(found, folder, commit)
        return datasets.load_from_disk(str(folder))

    runner = PriorRunner(None, {key: value for key, value in config.items() if key != "store"})
    datasets.load_dataset = load
    try:
        if any(entry["task"] == "ifeval" for entry in runner.config["tasks"].values()):
            _sentence_splitter(store)
        for name in runner.config["tasks"]:
            print(f"{name}: setting up", file=sys.stderr)
            runner.metrics(name)
    finally:
        datasets.load_dataset = original
    return commits


def newest(repository: str) -> str:
    """The newest commit of a data set on the hub."""
    from huggingface_hub import HfApi

    return HfApi().dataset_info(repository).sha


def patiently(ask: Callable[[], Any], what: str, sleep: Callable[[float], None] = time.sleep) -> Any:
    """What `ask()` gives; where the hub says that there were too many requests, after waiting for its next window."""
    from sdft.data.fetch import hub_reason

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except Exception as error:
            wait = too_many(error)
            if wait is None or attempt == ATTEMPTS:
                reason = "too many requests (429)" if wait is not None else hub_reason(error)
                raise SdftError(
                    f"the data set {what} could not be fetched from the hub: {reason}. Repeat the command where there "
                    "is a network; what was fetched is kept. HF_TOKEN raises the number of requests that are allowed."
                ) from None
            print(f"{what}: the hub asks to wait ({wait:.0f} s)", file=sys.stderr)
            sleep(wait)


def too_many(error: BaseException | None) -> float | None:
    """The seconds to wait after an error that comes from status 429; None for any other."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        response = getattr(error, "response", None)
        if getattr(response, "status_code", None) == 429 or "429 Too Many Requests" in str(error):
            after = str(getattr(response, "headers", {}).get("Retry-After", ""))
            return float(after) if after.isdigit() else SECONDS
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder to fill, renamed to `folder` when it is whole."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    yield part
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _keep(found: Any, folder: Path, commit: str) -> None:
    with _beside(folder) as part:
        found.save_to_disk(str(part))
        write_json(part / "commit.json", {"commit": commit})


def _known(store: Path) -> dict[str, str]:
    """Commits at which an earlier, perhaps interrupted, command has fetched."""
    return read_json(store / COMMITS) if (store / COMMITS).is_file() else {}


def _note(store: Path, commits: dict[str, str], path: str, commit: str) -> None:
    if commits.get(path) != commit or not (store / COMMITS).is_file():
        commits[path] = commit
        write_json(store / COMMITS, commits)


def _sentence_splitter(store: Path) -> None:
    """IFEval counts sentences with nltk's splitter, which lm_eval would download in every job."""
    import nltk

    folder = store / NLTK
    nltk.data.path.insert(0, str(folder))
    try:
        nltk.data.find("tokenizers/punkt_tab")
        return
    except LookupError:
        pass
    if not nltk.download("punkt_tab", download_dir=str(folder), quiet=True):
        raise SdftError(
            "nltk's punkt_tab, with which IFEval counts sentences, could not be downloaded. Repeat the command where "
            "there is a network, or install it: python -m nltk.downloader punkt_tab."
        )


if __name__ == "__main__":
    run_main(main)
