"""`python -m sdft.models.hub`: a base model's folder and ready.json, from the hub, a local copy, or invented."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import check_sha256, read_json, sha256_files, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.data.fetch import hub_reason
from sdft.models.files import find_model
from sdft.models.schema import BaseModelSource, ModelSpec
from sdft.tasks.benchmarks import BENCHMARKS

# What a model needs to be loaded; other formats of the same weights stay where they are.
PATTERNS = ["*.safetensors", "*.json", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
EXAMPLES = """examples:
  python -m sdft.models.hub --name mine --source '{"path": "models/mine"}' --out results/mini/base/mine
"""


def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(
        ModelSpec,
        "sdft.models.hub",
        "Download a base model at its pinned revision, or make a random one, and write OUT/ready.json.",
        arguments,
        EXAMPLES,
    )
    publish_alone(options.out)
    source = options.source
    if source.architecture is not None:
        random_model(source, options.tokenizer, Path(options.out))
    else:
        hub_model(options.name, source, Path(options.out))


def unpinned(name: str, repository: str | None) -> str:
    """What to do about a model that has neither a revision nor a local folder."""
    return (
        f"pin {name}: https://huggingface.co/api/models/{repository} answers with its newest commit as `sha` (or `git "
        f"ls-remote https://huggingface.co/{repository}`); write it as `revision` beside the repository in "
        "config.yaml, or give a local folder as `path`"
    )


def hub_model(name: str, source: BaseModelSource, out: Path) -> None:
    """Write ready.json for a downloaded or local model. Raises SdftError when it cannot be had or is not whole."""
    clock = Clock()
    folder = Path(os.path.expanduser(os.path.expandvars(source.path))) if source.path else out
    if source.path:
        if not (folder / "config.json").is_file():
            raise SdftError(
                f"{folder} holds no config.json; the path of {name} must be a model in Hugging Face format."
            )
    elif source.revision is None:
        raise SdftError(f"nothing says which version of a model is meant: {unpinned(name, source.repository)}.")
    else:
        from huggingface_hub import snapshot_download

        try:
            snapshot_download(source.repository, revision=source.revision, local_dir=out, allow_patterns=PATTERNS)
        except Exception as error:
            raise SdftError(
                f"the model {source.repository} at {source.revision[:12]} could not be downloaded: "
                f"{hub_reason(error)}. Repeat the command where there is a network (finished files are kept), or give "
                f"a local folder as the path of {name} in config.yaml."
            ) from None
    sha256 = {file: digest for file, digest in sha256_files(folder).items() if file != "ready.json"}
    _check_whole(folder, sha256)
    inputs = {"repository": source.repository, "revision": source.revision, "path": source.path}
    record = manifest("base", clock=clock, inputs=inputs)
    write_json(out / "ready.json", {"model": name, "path": str(folder), "sha256": sha256, "manifest": record})


def model_folder(model: str) -> Path:
    """The folder of a model by a path of this machine, or by its name on the hub, NAME or NAME@REVISION.

    Raises SdftError where there is neither, naming both places.
    """
    name, _, revision = model.partition("@")
    if Path(model).exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return find_model(model).folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=PATTERNS))
    except Exception as error:
        raise SdftError(
            f"there is no folder {model}, and the model {name} could not be had from the hub ({hub_reason(error)}). "
            "Check the name, repeat the command where there is a network, or give a folder in Hugging Face format."
        ) from None


def _check_whole(folder: Path, files: dict[str, str]) -> None:
    """Raise SdftError when a weight file that the index lists is missing, or there is no tokenizer."""
    index = folder / "model.safetensors.index.json"
    listed = read_json(index).get("weight_map") if index.exists() else {"": "model.safetensors"}
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise SdftError(f"{index} does not list the files of the weights; download the model again.")
    wanted = set(listed.values())
    check_sha256(folder, {file: files.get(file, "") for file in sorted(wanted - set(files))})
    if not {"tokenizer.json", "tokenizer.model"} & set(files):
        raise SdftError(f"{folder} has no tokenizer.json; download the model again, or add its tokenizer.")


def random_model(source: BaseModelSource, tokenizer: str | None, out: Path) -> None:
    """Write a tiny random-weight model with the given tokenizer, or with an invented one where that is absent."""
    from sdft.models.random_weights import make

    folder = Path(os.path.expandvars(tokenizer)) if tokenizer else None
    if folder is None or not folder.is_dir():
        folder = out / "tokenizer"
        invent_tokenizer(folder)
        print("the tokenizer is invented: there is none at models.tokenizer")
    make(source.architecture, folder, out, thinking=source.thinking)


def invent_tokenizer(folder: Path, size: int = 600) -> None:
    """A byte-level BPE tokenizer of about `size` tokens with a chat template, learnt from invented rows."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from sdft.data.invented import benchmark_rows, rows

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    invented = [*rows("general", "train", 50), *(row for name in BENCHMARKS for row in benchmark_rows(name, 50))]
    tokenizer.train_from_iterator(map(json.dumps, invented), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)


if __name__ == "__main__":
    run_main(main)
