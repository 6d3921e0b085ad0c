"""`python -m sdft compare`: methods compared on one's own data."""

from __future__ import annotations

import sys
from pathlib import Path

from sdft.common.command import parse_spec
from sdft.common.errors import run_main
from sdft.common.locks import publish_alone
from sdft.comparison.run import run
from sdft.comparison.spec import CompareSpec

DESCRIPTION = """Train methods on your own rows, score them beside the base model, measure what was forgotten, and write
OUT/report.html (also report.md, and comparison.json for programs). Rows are a JSON object a line, as TRL takes them:
prompt and completion, or messages; a demonstration beside a completion is what the teacher of SDFT is shown. Repeating
an interrupted command continues it, and repeating a finished one only writes the page again."""

EXAMPLES = """examples:
  python -m sdft compare --model released/mini/m-s1 --train my.jsonl --methods sft,sdft --out results/mine
  python -m sdft compare --model Qwen/Qwen2.5-1.5B-Instruct --train my.jsonl --test test.jsonl --lora 32 \\
      --scorer contains --forgetting hellaswag winogrande --out results/mine
  python -m sdft compare --model DIR --train my.jsonl --scorer scorers:score --learning-rate 1e-5 3e-5 --out DIR
"""


def main(arguments: list[str] | None = None) -> None:
    spec = parse_spec(CompareSpec, "sdft compare", DESCRIPTION, arguments, EXAMPLES)
    publish_alone(spec.out)
    found = run(spec)
    print(found["answer"])
    print(f"{Path(spec.out) / 'report.html'} has the page", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
