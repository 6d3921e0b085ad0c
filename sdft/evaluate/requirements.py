"""Measure a base model against the requirements of docs/miniature.md.

    python -m sdft.evaluate.requirements --model DIR [--out FILE]

Exit status 2 where some are not met, after they have been printed and written. The requirements say what a base must be
able to do before methods are compared on it; they do not look at any method's result.
"""

from __future__ import annotations

import argparse
import copy
import random
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.evaluate.generate import Completion, end_tokens, generate
from sdft.evaluate.prior import evaluate_prior, shipped_protocol
from sdft.miniature import style
from sdft.miniature.data import TASKS, Size, chance, task_records, write_part
from sdft.miniature.schema import BENCHMARK_ITEMS
from sdft.miniature.world import World, make_world
from sdft.models.files import find_model, load_model, load_tokenizer
from sdft.records.prompts import render, teacher_messages
from sdft.records.record import Record
from sdft.tasks import score_record

PRIOR_CHANCE = {
    "hellaswag": 1 / 4,
    "humaneval": 0.0,
    "ifeval": 0.0,
    "mmlu": 1 / 4,
    "truthfulqa": 1 / 4,
    "winogrande": 1 / 2,
}
# Where the questions come from: tasks with more symbols than the study teaches, so that more are asked about.
QUESTIONED = {"science": Size(32, 240, 64, 192), "tooluse": Size(48), "medical": Size(64), "knowledge": Size(128)}
MAX_NEW_TOKENS = 48
REACHABLE = 0.01
# Sampled responses to test questions, so that a share of 0.9 has a standard error of 0.02.
SAMPLES = 256
# Size of the random change of every weight, as a share of its matrix's root mean square, that abilities must survive.
PERTURBATION = 0.1


@dataclass(frozen=True)
class Requirement:
    """One measured value and the bound it must keep."""

    name: str
    value: float
    relation: str
    bound: float

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.relation == ">=" else self.value <= self.bound


class Probe:
    """A loaded base model and the responses it gives."""

    def __init__(self, model: Any, tokenizer: Any, world: World) -> None:
        self.model, self.tokenizer, self.world = model, tokenizer, world
        self.end = end_tokens(model, tokenizer)

    def complete(self, prompts: list[list[int]], temperature: float = 0.0) -> list[Completion]:
        return generate(
            self.model, prompts, end=self.end, max_new_tokens=MAX_NEW_TOKENS, batch_size=128, temperature=temperature
        )

    def prompts(self, records: list[Record], demonstration: str | None = None) -> list[list[int]]:
        """Student prompts, or teacher prompts with one style of demonstration."""
        turns = [
            teacher_messages(r.prompt, r.demonstration(demonstration)) if demonstration else r.prompt for r in records
        ]
        return [render(self.tokenizer, turn) for turn in turns]

    def answers(
        self, task: str, records: list[Record], demonstration: str | None = None, temperature: float = 0.0
    ) -> dict[str, float]:
        """Responses, greedy ones by default: share that is right, share that is in the own style and ends by itself,
        and share that repeats the symbols which the question is about."""
        completions = self.complete(self.prompts(records, demonstration), temperature)
        texts = [self.tokenizer.decode(c.tokens) for c in completions]
        right = [score_record(task, text, record) for text, record in zip(texts, records, strict=True)]
        own = [c.finished and style.is_own(text, task) for c, text in zip(completions, texts, strict=True)]
        found = {"right": sum(right) / len(right), "own": sum(own) / len(own)}
        if all("key" in record.meta for record in records):
            words = [{word.strip('"') for word in text.replace('"', " ").split()} for text in texts]
            repeats = [
                {key.strip('"') for key in r.meta["key"]} <= said for r, said in zip(records, words, strict=True)
            ]
            found["repeats"] = sum(repeats) / len(repeats)
        return found

    def variety(self, records: list[Record]) -> dict[str, float]:
        """Responses sampled at temperature 1 with a demonstration, so that what is said is given and only its wording
        varies: entropy of the model along them (nats a token) and the share of distinct ones among 16 a prompt."""
        prompts = [p for p in self.prompts(records[:8], "shared") for _ in range(16)]
        samples = [tuple(c.tokens) for c in self.complete(prompts, temperature=1.0)]
        entropies = []
        for prompt, sample in zip(prompts, samples, strict=True):
            logits = self.logits(prompt, [*sample, self.tokenizer.eos_token_id])
            logs = torch.log_softmax(logits, -1)
            entropies.append(-(logs.exp() * logs).sum(-1))
        groups = [samples[i : i + 16] for i in range(0, len(samples), 16)]
        distinct = sum(len(set(group)) / len(group) for group in groups) / len(groups)
        return {"entropy": torch.cat(entropies).mean().item(), "distinct": distinct}

    @torch.inference_mode()
    def logits(self, prompt: list[int], response: list[int]) -> torch.Tensor:
        """Logits [len(response), V] for each token of a response given what stands before it."""
        ids = torch.tensor([prompt + response])
        return self.model(input_ids=ids, logits_to_keep=len(response) + 1).logits[0, :-1]

    def expert(self, records: list[Record], name: str) -> dict[str, float]:
        """How far an expert's tokens lie within the base model's reach.

        common: share of them that are not the expert's own words or marks; reachable: share to which the model, without
        a demonstration, gives a probability of at least 0.01.
        """
        alien = {*self.world.symbols.expert, *style.MARKS}
        words, reach = [], []
        for record in records:
            text = record.demonstration(name)
            words += [word not in alien for word in text.split()]
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            logs = torch.log_softmax(self.logits(render(self.tokenizer, record.prompt), ids), -1)
            reach += (logs[range(len(ids)), ids].exp() >= REACHABLE).tolist()
        return {"common": sum(words) / len(words), "reachable": sum(reach) / len(reach)}


@torch.no_grad()
def perturbed(model: Any, share: float = PERTURBATION, seed: int = 0) -> Any:
    """A copy of a model with normal noise on every weight, of `share` times the root mean square of its tensor."""
    noisy, draw = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for weight in noisy.parameters():
        size = share * weight.square().mean().sqrt()
        weight.add_(size * torch.randn(weight.shape, generator=draw))
    return noisy


def old_records(world: World, task: str, count: int) -> list[Record]:
    """Questions about old symbols, which the base model is to answer without help."""
    rng = random.Random(f"check {task}/{world.seed}")
    items = [TASKS[task].old(world, rng) for _ in range(count)]
    return [
        Record(f"old-{task}-{i}", [{"role": "user", "content": item.question}], answer=item.gold)
        for i, item in enumerate(items)
    ]


def measure(
    probe: Probe, items: int = 128, benchmark_items: int = BENCHMARK_ITEMS, tasks: Iterable[str] = TASKS
) -> dict[str, Any]:
    """Everything the requirements on the prior benchmarks and on `tasks` speak of, and a few values more."""
    world, found = probe.world, {}
    noisy = Probe(perturbed(probe.model), probe.tokenizer, world)
    with tempfile.TemporaryDirectory() as folder:
        write_part("benchmarks", Path(folder), world.seed, None, benchmark_items, 0)
        config = {**shipped_protocol("mini"), "data_dir": f"{folder}/benchmarks"}
        for name, own in (("prior", probe), ("prior_perturbed", noisy)):
            found[name] = {n: r.value for n, r in evaluate_prior(own.model, own.tokenizer, config).items()}
    for task in tasks:
        splits = task_records(world, task, QUESTIONED[task])
        records = splits["test"][:items]
        found[task] = {
            "chance": chance(world, task),
            "old": probe.answers(task, old_records(world, task, items)),
            "without": probe.answers(task, records),
            # An answer alone gives no evidence to reason from; nothing is required of a model that is shown it.
            "shown": {k: probe.answers(task, records, k) for k in records[0].demonstrations if k != "answer"},
            # The teacher of self-distillation samples: what it says at temperature 1 is what can be learnt from it.
            "sampled": probe.answers(task, (records * -(-SAMPLES // len(records)))[:SAMPLES], "shared", 1.0),
            "perturbed": noisy.answers(task, records, "shared"),
            "variety": probe.variety(records),
            "experts": {name: probe.expert(records[:64], name) for name in style.EXPERTS},
            "longest": max(n for r in splits["train"] for n in r.meta["teacher_prompt_tokens"].values())
            + MAX_NEW_TOKENS,
        }
    return found


def requirements(found: dict[str, Any], context: int) -> list[Requirement]:
    """The requirements of docs/miniature.md applied to what `measure` found, for the tasks that it looked at."""
    made = []
    for name, value in found["prior"].items():
        corrected = (value - PRIOR_CHANCE[name]) / (1 - PRIOR_CHANCE[name])
        made.append(Requirement(f"prior/{name}: accuracy above chance, of what is possible", corrected, ">=", 0.6))
    averages = [sum(found[name].values()) / len(found[name]) for name in ("prior", "prior_perturbed")]
    lost = averages[0] - averages[1]
    made.append(Requirement("prior average lost by a random change of the weights", lost, "<=", 0.03))
    for task in (task for task in TASKS if task in found):
        values = found[task]

        def require(what: str, value: float, relation: str, bound: float, task: str = task) -> None:
            made.append(Requirement(f"{task}: {what}", value, relation, bound))

        require("old questions right", values["old"]["right"], ">=", 0.9)
        require("old questions in own style", values["old"]["own"], ">=", 0.9)
        require("new questions right without demonstration", values["without"]["right"], "<=", values["chance"] + 0.1)
        require("new questions in own style without demonstration", values["without"]["own"], ">=", 0.9)
        if "repeats" in values["without"]:
            require("new questions' symbols repeated without demonstration", values["without"]["repeats"], ">=", 0.9)
        for kind, answers in values["shown"].items():
            require(f"right with demonstration {kind}", answers["right"], ">=", 0.9)
            require(f"in own style with demonstration {kind}", answers["own"], ">=", 0.9)
        require("right with demonstration shared at temperature 1", values["sampled"]["right"], ">=", 0.9)
        require("in own style with demonstration shared at temperature 1", values["sampled"]["own"], ">=", 0.9)
        lost = values["shown"]["shared"]["right"] - values["perturbed"]["right"]
        require("right with demonstration shared, lost by a random change of the weights", lost, "<=", 0.03)
        require("entropy of own style, nats a token", values["variety"]["entropy"], ">=", 0.3)
        require("distinct samples", values["variety"]["distinct"], ">=", 0.9)
        shared, foreign = values["experts"]["shared"], values["experts"]["foreign"]
        require("common words of the shared expert", shared["common"], ">=", 0.5)
        require(
            "common words of the foreign expert below the shared one's", shared["common"] - foreign["common"], ">=", 0.1
        )
        require("reachable tokens of the shared expert", shared["reachable"], ">=", 0.3)
        require("longest teacher prompt and response", values["longest"], "<=", context)
    return made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Measure a base model against the miniature world's requirements.",
        epilog="example: python -m sdft.evaluate.requirements --model released/mini/m-s1 --items 32",
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder, or its ready.json")
    parser.add_argument("--tasks", nargs="+", choices=tuple(TASKS), default=list(TASKS), help="default: all four")
    parser.add_argument("--out", type=Path, help="write the measurements to this json file")
    parser.add_argument("--world-seed", type=int, default=0)
    parser.add_argument("--items", type=int, default=128, help="questions of each task and condition (default 128)")
    parser.add_argument("--benchmark-items", type=int, default=BENCHMARK_ITEMS, help="items of each prior benchmark")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.out:
        publish_alone(options.out)
    torch.set_num_threads(options.threads)
    clock, files = Clock(), find_model(options.model)
    model, tokenizer = load_model(files.folder, dtype="float32"), load_tokenizer(files.folder)
    probe = Probe(model, tokenizer, make_world(options.world_seed))
    found = measure(probe, options.items, options.benchmark_items, options.tasks)
    listed = requirements(found, model.config.max_position_embeddings)
    for r in listed:
        print(f"{'met ' if r.met else 'FAIL'} {r.value:8.3f} {r.relation} {r.bound:.3f}  {r.name}")
    if options.out:
        report = {
            "model": files.folder.name,
            "met": all(r.met for r in listed),
            "requirements": [{**asdict(r), "met": r.met} for r in listed],
            "measured": found,
            "manifest": manifest("base", clock=clock, inputs=files.sha256, seeds={"world": options.world_seed}),
        }
        write_json(options.out, report)
    missed = [r.name for r in listed if not r.met]
    if missed:
        raise SdftError(
            f"the base model in {files.folder} misses {len(missed)} of {len(listed)} requirements of "
            f"docs/miniature.md: {'; '.join(missed)}. Train one from another seed."
        )
    return 0


if __name__ == "__main__":
    run_main(main)
