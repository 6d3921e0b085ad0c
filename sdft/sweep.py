"""`python -m sdft.sweep`: train one candidate of a sweep, score it, and let its weights go."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from sdft.errors import SdftError, run_main
from sdft.provenance import Clock, manifest, write_json
from sdft.train import read_spec, train

DESCRIPTION = """Train the candidate that RUN.json describes, measure its accuracy on the validation split of its task
(what the selection looks at) and on the prior benchmarks (what Figure 4 draws), and write both to OUT. Repeating an
interrupted command continues the training. The weights are deleted at the end unless they are asked for."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sdft.sweep", description=DESCRIPTION)
    add = parser.add_argument
    add("--run", required=True, metavar="RUN.json", help="the candidate (sdft.plan.RunSpec)")
    add("--validation", required=True, metavar="PATH", help="records of the validation split")
    add("--prior-config", required=True, metavar="JSON", help="how to run the prior benchmarks, as in sdft.evaluate")
    add("--out", required=True, metavar="VALIDATION.json", help="result; the run trains in the same folder")
    add("--max-new-tokens", type=int, default=2048, help="longest response, in tokens (default: %(default)s)")
    add("--batch-size", type=int, default=16, help="prompts at a time (default: %(default)s)")
    add("--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="of the weights when scored")
    add("--limit", type=int, metavar="N", help="only the first N validation records")
    add("--keep-weights", action="store_true", help="leave the weights beside the result")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    spec = read_spec(options.run)
    if spec.hyperparameters is None:
        raise SdftError(f"{options.run} is a final run; a candidate has hyperparameters. Use python -m sdft.train.")
    out = Path(options.out)
    clock = Clock()

    from sdft.evaluate.__main__ import prior_config

    prior = prior_config(options.prior_config, Path("."))
    if prior["data_dir"]:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")

    from sdft.data.records import read_records

    records = read_records(options.validation)[: options.limit]
    record = train(spec, out.parent)

    import torch

    from sdft.evaluate.model import load_model, load_tokenizer
    from sdft.evaluate.prior import evaluate_prior
    from sdft.evaluate.tasks import Decoding, evaluate_task

    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock.device = device
    weights = out.parent / "weights"
    model, tokenizer = load_model(weights, device, options.dtype), load_tokenizer(weights)
    decoding = Decoding(max_new_tokens=options.max_new_tokens, batch_size=options.batch_size)
    validation = evaluate_task(model, tokenizer, spec.task, records, decoding)
    priors = {name: result.value for name, result in evaluate_prior(model, tokenizer, prior).items()}
    write_json(
        out,
        {
            "run": spec.id,
            "hyperparameters": spec.hyperparameters.model_dump(),
            "validation": {"value": validation.value, "n": validation.n},
            "prior": priors,
            "prior_average": sum(priors.values()) / len(priors),
            "prior_limit": prior["limit"],
            "steps": record["steps"],
            "seconds": record["seconds"],
            "manifest": manifest(
                "train", clock=clock, config=spec.model_dump(mode="json"), seeds=[spec.seed], inputs=record["manifest"]
            ),
        },
    )
    if not options.keep_weights:
        # The record goes with the weights: it says that they are there.
        (out.parent / "model.json").unlink(missing_ok=True)
        shutil.rmtree(weights, ignore_errors=True)


if __name__ == "__main__":
    run_main(main)
