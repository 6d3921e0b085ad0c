"""`python -m sdft.models.record`: record a base model, so that every run that starts from it names the same bytes."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import check_sha256, read_json, sha256_files, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest

# A model folder may hold other files too; these decide what the model says.
PARTS = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")


def record(model: str, folder: Path, digests: Path | None) -> dict[str, object]:
    """The content of ready.json: the folder of a model and the SHA-256 of its files.

    `digests` is a JSON file {model: {file: sha256}} that the files must agree with. Raises SdftError when the folder
    is no model, when `digests` does not know the model, and when a file is missing or differs.
    """
    if not (folder / "config.json").is_file():
        raise SdftError(f"{folder} holds no config.json, so it is no model folder; restore it or correct models.path.")
    if digests:
        known = read_json(digests)
        if model not in known:
            raise SdftError(f"{digests} has no model {model!r}; {did_you_mean(model, known)}")
        if not isinstance(known[model], dict) or "config.json" not in known[model]:
            raise SdftError(f"{digests} does not list the files of {model} with their sha256; restore it.")
        check_sha256(folder, known[model])
        return {"model": model, "path": str(folder), "sha256": known[model]}
    names = {path.name for pattern in PARTS for path in folder.glob(pattern)}
    found = {name: digest for name, digest in sha256_files(folder).items() if name in names}
    return {"model": model, "path": str(folder), "sha256": found}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.models.record",
        description=__doc__.split(": ", 1)[1],
        epilog="example: python -m sdft.models.record --model mine --folder models/mine --out /tmp/ready.json",
    )
    parser.add_argument("--model", required=True, help="the model's name in the study")
    parser.add_argument("--folder", required=True, type=Path, help="its files in Hugging Face format")
    parser.add_argument(
        "--digests", type=Path, metavar="JSON", help="{model: {file: sha256}} that they must agree with"
    )
    parser.add_argument("--out", required=True, metavar="READY.json", help="the record to write")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    clock = Clock()
    content = record(options.model, options.folder, options.digests)
    inputs = {"digests": str(options.digests) if options.digests else None}
    write_json(options.out, {**content, "manifest": manifest("base", clock=clock, config=options.model, inputs=inputs)})


if __name__ == "__main__":
    run_main(main)
