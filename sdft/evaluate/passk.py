"""`python -m sdft.evaluate.passk`: how often one of k sampled responses is right (Figure 5, right)."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import digest
from sdft.common.provenance import Clock, manifest
from sdft.common.stop import starts_again
from sdft.evaluate import cli, set_environment
from sdft.evaluate.partial import Partial, measuring
from sdft.evaluate.preflight import check_model
from sdft.evaluate.questions import read_items
from sdft.models.devices import require_gpus
from sdft.models.files import find_model
from sdft.records import thinking
from sdft.records.record import Record
from sdft.statistics import pass_at_k
from sdft.study.rerun import measure_code
from sdft.study.specs import PassKSpec

DESCRIPTION = """Sample responses of one model and estimate pass@k, the chance that one of k is right, without bias
(Chen et al. 2021) for k = 1, 2, 4 ... up to the number of samples. Repeating an interrupted command continues it (what
is done so far lies in OUT.state), repeating a finished one does nothing."""

EXAMPLES = """example:
  python -m sdft.evaluate.passk --model results/mini/base/m-s1 --task science \\
    --data results/mini/data/science/test.jsonl --limit 32 --batch-size 512 --max-new-tokens 64 --out /tmp/passk.json
"""


def sizes(samples: int) -> list[int]:
    """The k at which pass@k is estimated: powers of two up to the number of samples, and that number."""
    return sorted({samples, *(1 << power for power in range(samples.bit_length()))})


def count_correct(
    model: Any, tokenizer: Any, task: str, records: list[Record], samples: int, decoding: Any, partial: Partial
) -> list[dict[str, Any]]:
    """{"id", "cluster", "correct", "cut"} for each record: how many responses the scorer accepts, and if it was cut."""
    from sdft.evaluate.sampling import blocks, sample
    from sdft.tasks import score_record

    opened = thinking.opening(tokenizer)
    waiting = records[len(partial.rows) :]
    with tqdm(total=len(records), initial=len(partial.rows), desc=f"{task} pass@k", unit="prompt") as bar:
        for block in blocks(waiting, samples, decoding.batch_size):
            _, cut, found = sample(model, tokenizer, task, block, samples, decoding)
            rows = []
            for record, shortened, completions in zip(block, cut, found, strict=True):
                texts = [opened + tokenizer.decode(each.tokens, skip_special_tokens=True) for each in completions]
                correct = sum(int(score_record(task, thinking.answer(text), record)) for text in texts)
                rows.append({"id": record.id, **record.about, "correct": correct, "cut": int(shortened)})
            partial.add(rows)
            bar.update(len(block))
    return partial.rows


@starts_again()
def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(PassKSpec, "sdft.evaluate.passk", DESCRIPTION, arguments, EXAMPLES)
    require_gpus(options.gpus)
    if not (options.temperature > 0 and 0 < options.top_p <= 1):
        raise SdftError(
            f"pass@k needs samples: --temperature {options.temperature} must be above 0, and --top-p {options.top_p} "
            "above 0 and at most 1."
        )
    set_environment(local=True)
    check_model(options.model)
    records = read_items(options.task, options.data, options.limit, options.context, options.template)
    found = find_model(options.model)

    from sdft.evaluate.responses import Decoding
    from sdft.models.files import load_model, load_tokenizer

    device = cli.chosen_device(options.device)
    clock = Clock(device)
    decoding = Decoding(
        max_new_tokens=options.max_new_tokens,
        batch_size=options.batch_size,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
        max_prompt_tokens=options.max_prompt_tokens,
        overlong=options.overlong,
    )
    tokenizer_files = cli.tokenizer_digest(options.tokenizer)
    names = ("task", "samples", "limit", "context", "template", "dtype")
    config = {**{name: getattr(options, name) for name in names}, **asdict(decoding), "tokenizer": tokenizer_files}
    data = {options.data: cli.data_digest(Path(options.data))}
    key = digest([measure_code("passk", options.task), config, found.sha256, data, device], 16)
    with measuring(options.out, key, "id", [record.id for record in records], options.wait) as partial:
        if partial is None:
            return
        tokenizer = load_tokenizer(options.tokenizer or found.folder)
        model = load_model(found.folder, device, options.dtype)
        items = count_correct(model, tokenizer, options.task, records, options.samples, decoding, partial)
        n, cut = options.samples, sum(item["cut"] for item in items)
        if cut:
            said = f"{options.task}: {cut} of {len(items)} prompts are too long and were cut from the left"
            print(said, file=sys.stderr)
        inputs = {"model": {"path": str(found.folder), "sha256": found.sha256}, "data": data}
        content = {
            "task": options.task,
            "context": options.context,
            "n_samples": n,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "prompts_cut": cut,
            "items": items,
            "pass_at_k": {
                str(k): sum(pass_at_k(n, item["correct"], k) for item in items) / len(items) for k in sizes(n)
            },
            "manifest": manifest("passk", clock=clock, config=config, seeds=[options.seed], inputs=inputs),
        }
        partial.finish(content)


if __name__ == "__main__":
    run_main(main)
