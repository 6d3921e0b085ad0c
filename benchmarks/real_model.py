"""`python -m benchmarks.real_model --gguf FILE --data DIR --out DIR`: a real model for the ordinary commands, offline.

Writes what `python -m sdft.evaluate` and `python -m sdft.train` take (docs/real-model.md has the commands):

  OUT/model         the GGUF file's weights as a Hugging Face folder, in float32, with its tokenizer and chat template
  OUT/store         the data of the prior benchmarks in the form that lm_eval reads, from the files in DIR
  OUT/prior.json    the protocol of config/paper.yaml, which reads that store
  OUT/tooluse.json  the tool-use test rows, each with its gold calls written out as the demonstration

With --record FILE.json it collects the scores under OUT/scores into that file and prints them as a table.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import parse_json, read_json, sha256_file, write_json

Row = dict[str, Any]


def convert(gguf: Path, out: Path) -> None:
    """Write a GGUF file as a Hugging Face folder. What the file's quantisation rounded away stays lost."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    plain = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, quantization_config=plain, dtype=torch.float32
    )
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(out)


def hellaswag(request: Row) -> Row:
    """A document of OLMo's requests, which lm_eval's own preprocessing has been through, as a row of the data set.

    Going through it again, it is what it was: a mark such as [step], which the preprocessing takes out, keeps the space
    in front of an ending.
    """
    doc = request["doc"]
    activity, _, context = doc["query"].partition(": ")
    return {
        "ind": doc["ind"],
        "activity_label": activity,
        "ctx_a": context,
        "ctx_b": "",
        "endings": [f"[step]{ending}" if ending.startswith(" ") else ending for ending in doc["choices"]],
        "label": str(doc["gold"]),
    }


def truthfulqa(row: Row) -> Row:
    """A row of the CSV with the targets of its multiple-choice forms, which the CSV does not hold.

    As in TruthfulQA's own code: mc1 has the best answer against the incorrect ones, mc2 all correct ones against them.
    """
    wrong = _listed(row["Incorrect Answers"])
    right = list(dict.fromkeys([row["Best Answer"].strip(), *_listed(row["Correct Answers"])]))
    return {
        "question": row["Question"],
        "mc1_targets": {"choices": [right[0], *wrong], "labels": [1] + [0] * len(wrong)},
        "mc2_targets": {"choices": right + wrong, "labels": [1] * len(right) + [0] * len(wrong)},
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def mmlu(subject: str, row: Row) -> Row:
    choices = [row[f"choice{number}"] for number in range(4)]
    return {"question": row["question"], "subject": subject, "choices": choices, "answer": int(row["answer"])}


def shown(row: Row) -> Row:
    """A tool-use test row with its gold calls as the demonstration, which the released test rows lack."""
    calls = [f"Action: {step['Action']}\nAction Input: {step['Action_Input']}" for step in row["golden_answer"]]
    return {**row, "golden_response": calls}


class LocalFiles:
    """Data sets of the hub made from files in a folder; `load` stands in for `datasets.load_dataset`."""

    def __init__(self, folder: Path) -> None:
        benchmarks = folder / "benchmarks"
        self.files = {
            "Rowan/hellaswag": benchmarks / "hellaswag/olmo_rc_5shot/requests.jsonl.gz",
            "openai/openai_humaneval": benchmarks / "humaneval/HumanEval.jsonl.gz",
            "google/IFEval": benchmarks / "ifeval/input_data.jsonl",
            "cais/mmlu": benchmarks / "mmlu",
            "truthfulqa/truthful_qa": benchmarks / "truthfulqa/TruthfulQA.csv",
            "allenai/winogrande": benchmarks / "winogrande/winogrande_xl_validation/data-00000-of-00001.arrow",
        }
        self.readers: Mapping[str, Callable[[Path, str | None], dict[str, Any]]] = {
            "Rowan/hellaswag": lambda path, _: _tested([*map(hellaswag, _documents(path))]),
            "openai/openai_humaneval": lambda path, _: {"test": _lines(path)},
            "google/IFEval": lambda path, _: {"train": _lines(path)},
            "cais/mmlu": _subject,
            "truthfulqa/truthful_qa": lambda path, _: {"validation": [*map(truthfulqa, _table(path))]},
            "allenai/winogrande": lambda path, _: _tested(_arrow(path.parent)),
        }

    def digests(self) -> dict[str, str]:
        """What stands for a commit of each data set: its file's SHA-256, for a folder that of its list."""
        found = {}
        for name, path in self.files.items():
            file = path / "SHA256SUMS" if path.is_dir() else path
            if not file.is_file():
                raise SdftError(f"{file} does not exist, from which {name} is made; give --data another folder.")
            found[name] = f"sha256:{sha256_file(file)}"
        return found

    def load(self, path: str, name: str | None = None, **_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        return DatasetDict(
            {split: Dataset.from_list(rows) for split, rows in self.readers[path](self.files[path], name).items()}
        )


def _tested(rows: list[Row]) -> dict[str, Any]:
    """lm_eval sets up the examples too, of which zero-shot draws none."""
    return {"validation": rows, "train": rows}


def _lines(path: Path) -> list[Row]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [parse_json(line) for line in text.splitlines() if line.strip()]


def _documents(path: Path) -> list[Row]:
    """One request of each document; those from 1,000,000 on repeat them without their context."""
    found = {row["doc_id"]: row for row in _lines(path) if row["doc_id"] < 1_000_000}
    return list(found.values())


def _table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _subject(folder: Path, name: str | None) -> dict[str, Any]:
    splits = ("test", "dev")
    return {split: [mmlu(str(name), row) for row in _table(folder / split / f"{name}_{split}.csv")] for split in splits}


def _arrow(folder: Path) -> list[Row]:
    from datasets import load_from_disk

    return load_from_disk(str(folder)).to_list()


def prepare(gguf: Path, data: Path, out: Path) -> None:
    """Write OUT/model, OUT/store, OUT/prior.json and OUT/tooluse.json."""
    import datasets

    from sdft.evaluate.benchmark_data import fetch
    from sdft.evaluate.prior import shipped_protocol

    files, protocol = LocalFiles(data), shipped_protocol("paper")
    # Set up without a network, as a job of the study is: what is not in the store is refused.
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    original, datasets.load_dataset = datasets.load_dataset, files.load
    try:
        commits = fetch(protocol, out / "store", files.digests())
    finally:
        datasets.load_dataset = original
    write_json(out / "store" / "manifest.json", {"commits": commits})
    write_json(out / "prior.json", {**protocol, "store": str((out / "store").resolve())})
    write_json(out / "tooluse.json", [shown(row) for row in _arrow(data / "tooluse/eval_97")])
    if not (out / "model" / "config.json").is_file():
        convert(gguf, out / "model")


def uncertainty(value: float, items: int) -> dict[str, float]:
    """Standard error of a share of `items` outcomes, and its 95 % interval by Wilson, which holds near 0 and 1 too."""
    from scipy.stats import binomtest

    low, high = binomtest(round(value * items), items).proportion_ci(method="wilson")
    return {"standard_error": (value * (1 - value) / items) ** 0.5, "low": float(low), "high": float(high)}


def record(out: Path) -> dict[str, Any]:
    """What the commands measured under OUT/scores: the model, what made it, and each score with its uncertainty.

    The seconds are of the command that asked last, which asks for nothing that an earlier one kept.
    """
    scores, manifest = {}, None
    for path in sorted((out / "scores").glob("*/*.json")):
        score = read_json(path)
        manifest = score["manifest"]
        # MMLU has one metric a subject, of a few items each.
        metrics = {name: value for name, value in score["metrics"].items() if not name.startswith("mmlu_")}
        scores[path.parent.name] = {
            "metric": score["metric"],
            "value": score["value"],
            "n": score["n"],
            **uncertainty(score["value"], score["n"]),
            "metrics": metrics,
            "seconds": manifest["seconds"],
        }
    if manifest is None:
        raise SdftError(f"{out / 'scores'} holds no scores; run the commands of docs/real-model.md first.")
    return {
        "weights_sha256": manifest["inputs"]["model"]["sha256"]["model.safetensors"],
        "data": read_json(out / "store" / "manifest.json")["commits"],
        "date": date.today().isoformat(),
        "versions": manifest["versions"],
        "scores": scores,
    }


def table(found: Mapping[str, Any]) -> str:
    """The scores of a record in percent, as lines of Markdown."""
    lines = ["| | metric | percent | standard error | 95 % | items |", "|---|---|---:|---:|---|---:|"]
    for name, score in found["scores"].items():
        value, error, low, high = (100 * score[key] for key in ("value", "standard_error", "low", "high"))
        lines.append(
            f"| {name} | {score['metric']} | {value:.1f} | {error:.1f} | {low:.1f} to {high:.1f} | {score['n']} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_model", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="the model")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the benchmarks' files")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--record", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    if options.record:
        found = record(options.out)
        write_json(options.record, found)
        print(table(found))
    elif options.gguf is None or options.data is None:
        raise SdftError("give --gguf, the model, and --data, the folder of the benchmarks' files; or --record.")
    else:
        prepare(options.gguf, options.data, options.out)


if __name__ == "__main__":
    run_main(main)
