"""`python -m sdft.models.random_weights`: a tiny random-weight model of a real architecture, with a real tokenizer.

It says nothing sensible. It proves that prompts, lengths, files and scorers fit together before GPU-hours are spent.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import by_umask, sha256_files, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.records.thinking import OPEN

# The architectures of the paper's base models: Qwen2.5 and Olmo 3.
ARCHITECTURES = ("qwen2", "olmo3")
# Positions, as Qwen2.5's.
CONTEXT = 32768


def make(
    architecture: str,
    tokenizer_folder: str | Path,
    out: str | Path,
    *,
    hidden: int = 16,
    layers: int = 1,
    heads: int = 2,
    context: int = CONTEXT,
    vocabulary: int | None = None,
    dtype: str = "float32",
    seed: int = 0,
    thinking: bool = False,
) -> Path:
    """Write a random-weight model with its tokenizer, and ready.json, to `out`; return the path of ready.json.

    context: positions; vocabulary: rows of the embedding, None for the tokenizer's size rounded up to a multiple of
    128; thinking: let the chat template open a thinking block, as Olmo-3-7B-Think's does. Raises SdftError for an
    unknown architecture or a folder without a tokenizer.
    """
    if architecture not in ARCHITECTURES:
        raise SdftError(f"unknown architecture {architecture!r}; {did_you_mean(architecture, ARCHITECTURES)}")
    clock = Clock()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    from sdft.models.files import load_tokenizer

    tokenizer = load_tokenizer(tokenizer_folder)
    size = vocabulary or -(-len(tokenizer) // 128) * 128
    if size < len(tokenizer):
        raise SdftError(
            f"a vocabulary of {size} cannot hold the tokenizer's {len(tokenizer)} tokens; choose a larger one."
        )
    config = AutoConfig.for_model(
        architecture,
        vocab_size=size,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        layer_types=None,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=dtype,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    if thinking:
        # A template ends with the generation prompt.
        tokenizer.chat_template += f"{{% if add_generation_prompt %}}{OPEN}{{% endif %}}"
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    by_umask(out)
    ready = out / "ready.json"
    sha256 = {name: value for name, value in sha256_files(out).items() if name != ready.name}
    source = {
        "architecture": architecture,
        "tokenizer": str(tokenizer_folder),
        "weights": "random",
        "thinking": thinking,
    }
    record = manifest("base", clock=clock, seeds=[seed], inputs=source)
    write_json(ready, {"model": out.name, "path": str(out), "sha256": sha256, "manifest": record})
    return ready


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.models.random_weights",
        description="Write a tiny random-weight model of a real architecture, with a real tokenizer, for rehearsals.",
        epilog="example: python -m sdft.models.random_weights --tokenizer DIR --out /tmp/random",
    )
    add = parser.add_argument
    add("--architecture", default="qwen2", help=f"one of {', '.join(ARCHITECTURES)} (default: qwen2)")
    add("--tokenizer", required=True, metavar="DIR", help="folder of the tokenizer to use and copy")
    add("--out", required=True, metavar="DIR", help="folder for the model; ready.json is written last")
    add("--hidden", type=int, default=16, metavar="N", help="hidden size (default: 16)")
    add("--layers", type=int, default=1, metavar="N", help="layers (default: 1)")
    add("--heads", type=int, default=2, metavar="N", help="attention heads (default: 2)")
    add("--context", type=int, default=CONTEXT, metavar="N", help="positions (default: %(default)s)")
    add(
        "--vocabulary",
        type=int,
        metavar="N",
        help="rows of the embedding (default: the tokenizer's, rounded up to 128)",
    )
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights (default: float32)")
    add("--thinking", action="store_true", help="let the chat template open a thinking block")
    add("--seed", type=int, default=0, help="of the weights (default: 0)")
    options = vars(parser.parse_args(arguments))
    publish_alone(options["out"])
    make(options.pop("architecture"), options.pop("tokenizer"), options.pop("out"), **options)


if __name__ == "__main__":
    run_main(main)
