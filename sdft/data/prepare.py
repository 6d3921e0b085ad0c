"""`python -m sdft.data.prepare`: a task's splits from the official files, checked, and a manifest of what was found."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdft.common.command import read_spec
from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import read_json, sha256_file, sha256_files, write_json, write_text
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.data import invented
from sdft.data.fetch import content_sha256, fetch, local_path
from sdft.data.general import read_prompts
from sdft.data.schema import OfficialData, Source
from sdft.data.splits import limited, make_splits
from sdft.records.jsonl import UNNAMED
from sdft.records.record import Record, write_records
from sdft.tasks import find_task, read_task
from sdft.tasks.benchmarks import BENCHMARKS

VALIDATION_ROWS = Path(__file__).with_name("validation_rows.json")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.data.prepare",
        description="Make one task's records from the official files: OUT/{split}.jsonl and OUT/manifest.json.",
        epilog="example: python -m sdft.data.prepare --task science --spec DATA.json --out /tmp/science",
    )
    add = parser.add_argument
    add("--task", required=True, help="a task of the data block, general (prompts) or benchmarks (invented)")
    add("--spec", required=True, metavar="JSON", help="the scale's `data` block of config.yaml, as JSON text or a file")
    add("--store", default="results/upstream", metavar="DIR", help="where downloads are kept (default: %(default)s)")
    add("--out", required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    spec = read_spec(OfficialData, options.spec)
    out = Path(options.out)
    if options.task == "benchmarks":
        prepare_benchmarks(out)
    elif options.task == "general":
        prepare_general(spec, Path(options.store), out)
    elif spec.origin(options.task) == "files":
        prepare_task(options.task, spec, Path(options.store), out)
    else:
        known = [*filter(spec.files, spec.tasks), "general", "benchmarks"]
        raise SdftError(f"no files for {options.task!r}; {did_you_mean(options.task, known)}")


def prepare_task(task: str, spec: OfficialData, store: Path, out: Path) -> None:
    """Write a task's splits and manifest. Raises SdftError where a file or its content is not what was declared."""
    clock, rules = Clock(), spec.files(task)
    train, train_from = _records(task, "train", rules.train, spec, store, out)
    test, test_from = _records(task, "test", rules.test, spec, store, out)
    if train_from["invented"] != test_from["invented"]:
        # A real test file beside invented training rows shares no prompt with them, and has its own length.
        rules = rules.model_copy(update={"test_sample": rules.test_sample and min(rules.test_sample, len(test))})
    sources = {"train": train_from, "test": test_from}
    validation = None
    if rules.validation:
        validation, sources["validation"] = _records(task, "validation", rules.validation, spec, store, out)
    result = make_splits(task, rules, train, test, spec.validation_fraction, spec.split_seed, validation)
    for name, source in rules.others.items():
        result.splits[name], sources[name] = _records(task, name, source, spec, store, out)
    for text in _notes(task, train_from, test_from, result.found):
        print(text)
    if not train_from["invented"] and validation is None:
        _check_published(task, spec, len(train), result.splits["validation"])
    _write(out, limited(result.splits, spec.limit), sources | {"found": result.found}, clock)


def prepare_general(spec: OfficialData, store: Path, out: Path) -> None:
    """Write general prompts for SFT + re-invoke."""
    if spec.general is None:
        raise SdftError("sft_reinvoke needs general prompts: give data.general in config.yaml, or leave the arm out.")
    clock, wanted = Clock(), spec.general
    path, where = _path("general", "train", wanted.source, spec, store, out)
    records = read_prompts(path, wanted.prompts, wanted.max_characters, spec.split_seed)
    _write(out, {"train": records[: spec.limit]}, {"train": where}, clock)


def prepare_benchmarks(out: Path) -> None:
    """Write a few invented items of every prior benchmark."""
    clock, files = Clock(), {}
    for name in BENCHMARKS:
        rows = invented.benchmark_rows(name, invented.BENCHMARK_ROWS)
        write_text(out / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        files[f"{name}.jsonl"] = {"sha256": sha256_file(out / f"{name}.jsonl"), "rows": len(rows)}
    write_json(
        out / "manifest.json",
        {"files": files, "source": {"invented": True}, "manifest": manifest("official", clock=clock)},
    )


def _path(task: str, split: str, source: Source, spec: OfficialData, store: Path, out: Path) -> tuple[Path, dict]:
    """The upstream file on this machine, or an invented one, and where it came from."""
    own = local_path(source)
    if spec.absent == "invent" and (own is None or not own.exists()):
        path = out / f"invented_{split}.json"
        write_text(path, json.dumps(invented.rows(task, split, invented.INVENTED_ROWS), indent=1))
        return path, {"invented": True, "sha256": sha256_file(path)}
    path = fetch(source, store)
    upstream = source.github or source.hub
    place = str(own) if own else f"{upstream}/{source.file}@{source.revision}"
    digest = sha256_file(path) if path.is_file() else sha256_files(path)
    if own is None and source.sha256 is None:
        key = "data.general.source" if task == "general" else f"data.tasks.{task}.{split}"
        found = ", ".join(content_sha256(path))
        print(f"{task}: {source.file} has sha256 {found}; as {key}.sha256 it would hold every machine to this file")
    return path, {"invented": False, "from": place, "sha256": digest}


def _records(
    task: str, split: str, source: Source, spec: OfficialData, store: Path, out: Path
) -> tuple[list[Record], dict[str, Any]]:
    path, where = _path(task, split, source, spec, store, out)
    records = [_named(record, spec.files(task).style) for record in read_task(task, path)]
    measured = split in ("validation", *find_task(task).tests)
    if measured and (unknown := [record.id for record in records if record.answer is None]):
        raise SdftError(
            f"{path}: {len(unknown)} of {len(records)} rows have no answer (the first: {unknown[0]}), and models "
            "are measured on them; give each row the field 'answer', or leave it out."
        )
    if not where["invented"] and source.rows and len(records) != source.rows:
        raise SdftError(
            f"{path} has {len(records)} rows, and the configuration says that the {split} file of {task} has "
            f"{source.rows}: it is another version, or truncated. Get the pinned revision, or change `rows` on purpose."
        )
    return records, where | {"rows": len(records)}


def _named(record: Record, style: str | None) -> Record:
    """The record with `style` for a demonstration whose row names none."""
    if style is None or UNNAMED not in record.demonstrations:
        return record
    named = {style if name == UNNAMED else name: text for name, text in record.demonstrations.items()}
    return replace(record, demonstrations=named)


def _notes(task: str, train: dict, test: dict, found: dict) -> list[str]:
    lines = []
    for split, where in (("train", train), ("test", test)):
        if where["invented"]:
            lines.append(f"{task}: the {split} rows are invented; results on them mean nothing")
    for kind in ("duplicates", "conflicts", "overlap", "in_validation_too"):
        if found[kind]:
            lines.append(f"{task}: {len(found[kind])} training rows, {kind.replace('_', ' ')}: {found[kind][:5]} ...")
    return lines


def _check_published(task: str, spec: OfficialData, rows: int, validation: list[Record]) -> None:
    """Raise SdftError when the validation rows are not those that this repository publishes for the official file."""
    published = read_json(VALIDATION_ROWS)
    entry = published["tasks"].get(task)
    same = [spec.validation_fraction, spec.split_seed] == [published["fraction"], published["seed"]]
    if entry is None or not same or rows != entry["rows"]:
        return
    found = {int(record.id.rpartition("-")[2]) for record in validation}
    if found != set(entry["validation"]):
        raise SdftError(
            f"{task}: the validation rows drawn here are not those in {VALIDATION_ROWS.name}, because some training "
            "rows lack a gold answer or were dropped; the file is probably not the official one. Check it, or change "
            "validation_fraction or split_seed to draw rows of your own."
        )


def _write(out: Path, splits: dict[str, list[Record]], source: dict[str, Any], clock: Clock) -> None:
    files = {}
    for name, records in splits.items():
        path = out / f"{name}.jsonl"
        write_records(path, records)
        files[path.name] = {"sha256": sha256_file(path), "rows": len(records)}
    ids = {name: [record.id for record in splits[name]] for name in ("validation", "test") if name in splits}
    inputs = {split: where["sha256"] for split, where in source.items() if "sha256" in where}
    record = manifest("official", clock=clock, inputs=inputs)
    write_json(out / "manifest.json", {"files": files, "source": source, "ids": ids, "manifest": record})


if __name__ == "__main__":
    run_main(main)
