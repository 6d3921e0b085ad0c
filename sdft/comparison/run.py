"""The steps of a comparison: rows, base model, trainings, scores, page. Each keeps what it finished."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import Value
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdft.common.command import validated
from sdft.common.endpoint import Endpoint
from sdft.common.errors import SdftError, did_you_mean
from sdft.common.files import read_json, write_json, write_text
from sdft.common.progress import say
from sdft.comparison.rows import DEMONSTRATED, IMITATED, TASK, Rows, read_prompts, read_rows
from sdft.comparison.side_by_side import cores, side_by_side
from sdft.comparison.spec import CompareSpec
from sdft.evaluate import set_environment
from sdft.evaluate.preflight import check_benchmarks
from sdft.methods import find_method
from sdft.methods.hyperparameters import Hyperparameters
from sdft.methods.settings import TrainingSettings
from sdft.records.record import write_records
from sdft.study.plan import RunSpec
from sdft.study.schema import Judge
from sdft.tasks import define
from sdft.tasks.scorers import JUDGE, own_task

# A model below so many bytes of weights is a toy, which learns at rates that would ruin a real one.
TOY_BYTES = 40_000_000
# The usual rates, by whether the model is a toy and whether adapters are trained.
RATES = {(True, False): 4e-3, (True, True): 2e-2, (False, False): 1e-5, (False, True): 2e-4}
EPOCHS, TOY_EPOCHS = 2, 5
# The rows of a sequence of which the first three carry no loss would have none left (docs/method.md).
SHORT_TOKENS = 8
GENERAL_PROMPTS = 384
DISTANCE_PROMPTS = 32


@dataclass(frozen=True)
class Arm:
    """One training: a method, a learning rate and a seed."""

    method: str
    learning_rate: float
    seed: int

    @property
    def id(self) -> str:
        rate = Hyperparameters(learning_rate=self.learning_rate, batch_size=1, epochs=1).slug.split("-b1")[0]
        return f"{self.method}-{rate}-s{self.seed}"


def compare(model: str, train: str, out: str, **options: Any) -> dict[str, Any]:
    """Train, score and compare methods; returns the content of OUT/comparison.json.

    The options are those of `python -m sdft compare` (CompareSpec). Raises SdftError for anything that the user can
    mend: a row by its file and line, a model that is not there, a task that lm_eval does not have.
    """
    return run(validated(CompareSpec, {"model": model, "train": train, "out": out, **options}, "sdft.compare"))


def run(spec: CompareSpec) -> dict[str, Any]:
    """Everything that a comparison makes, in the folder spec.out."""
    task = own_task(spec.scorer)
    if (spec.scorer == JUDGE) != (spec.judge is not None):
        raise SdftError("the scorer judge and --judge belong together: --judge says which model judges, as JSON.")
    judge = _judge(spec)
    define(TASK, task)
    rows = read_rows(spec.train, spec.test, task, len(spec.learning_rate) > 1)
    return Comparison(spec, rows, judge).run()


def _judge(spec: CompareSpec) -> Judge | None:
    """Who judges, if anybody. Raises SdftError for settings that are not right, and where an address or a key is
    missing."""
    if spec.judge is None:
        return None
    judge = validated(Judge, {"cache": str(Path(spec.out) / "judge"), **spec.judge}, "--judge")
    for model in filter(None, (judge.model, judge.second_model)):
        Endpoint(judge, model, "judge")
    return judge


class Comparison:
    """A comparison whose rows are read."""

    def __init__(self, spec: CompareSpec, rows: Rows, judge: Judge | None) -> None:
        from sdft.comparison.capabilities import protocol
        from sdft.models.hub import model_folder

        self.spec, self.rows, self.judge, self.out = spec, rows, judge, Path(spec.out)
        self.data = self.out / "data"
        self.folder = model_folder(spec.model)
        self.prior, notes = protocol(spec.forgetting, self.folder, spec.items, self.data)
        self.notes = [*rows.notes, *notes]
        set_environment(local=not self.prior["tasks"] or bool(self.prior.get("data_dir")))
        self._settings()
        self._write_rows()
        self._try_benchmarks()

    def _try_benchmarks(self) -> None:
        """Set up every prior capability, so that what is missing is said before the first training."""
        if self.prior["tasks"]:
            from sdft.evaluate.prior import PriorRunner

            check_benchmarks(PriorRunner(None, self.prior), self.prior["tasks"])

    def _settings(self) -> None:
        """What the rows and the machine decide, where the user does not."""
        import torch

        from sdft.models.files import load_tokenizer

        tokenizer = load_tokenizer(self.folder)
        texts = [record.demonstration(style) for record in self.rows.train for style in (IMITATED, DEMONSTRATED)]
        lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        self.longest = self.spec.max_new_tokens or max(16, round(1.5 * max(lengths)))
        self.dtype = "bfloat16" if torch.cuda.is_available() else "float32"
        self.batch = min(self.spec.batch_size, len(self.rows.train))
        self.epochs = self.spec.epochs or (TOY_EPOCHS if self._toy else EPOCHS)
        steps = len(self.rows.train) // self.batch * self.epochs
        values = {"max_new_tokens": self.longest, "compute_dtype": self.dtype, "warmup_steps": min(10, steps // 10)}
        if statistics.median(lengths) < SHORT_TOKENS:
            values["skip_tokens"] = 0
        values |= {"lora_rank": self.spec.lora} | self.spec.settings
        try:
            self.settings = TrainingSettings.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"])) or "together"
            reason = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                reason = f"there is no such key; {did_you_mean(key, TrainingSettings.model_fields).removesuffix('.')}"
            raise SdftError(f"--settings: {key}: {reason}; config.yaml explains the keys of `training`.") from None

    def _write_rows(self) -> None:
        for name in ("train", "validation", "test"):
            if records := getattr(self.rows, name):
                write_records(self.data / TASK / f"{name}.jsonl", records)
        kinds = {find_method(method).rows for method in self.spec.methods}
        if "corpus" in kinds:
            raise SdftError("a method that trains on whole texts (cpt) has no question to compare on; leave it out.")
        needed = "prompts" in kinds or any(find_method(method).replays for method in self.spec.methods)
        self._write_prompts(needed)

    def _write_prompts(self, needed: bool) -> None:
        """General prompts, on which some methods train and the distance from the base is measured."""
        from sdft.comparison.capabilities import is_miniature, make_miniature

        if self.spec.prompts:
            write_records(self.data / "general" / "train.jsonl", read_prompts(self.spec.prompts))
        elif is_miniature(self.folder):
            make_miniature(self.data, "general", GENERAL_PROMPTS)
        elif needed:
            raise SdftError(
                "a method that trains on general prompts, such as sft_reinvoke, needs some: give --prompts, a .jsonl "
                "file with a prompt a line."
            )

    def run(self) -> dict[str, Any]:
        rates = self.spec.learning_rate or [self._usual_rate()]
        todo = 1 + len(self.spec.methods) * (len(rates) + len(self.spec.seeds) - 1) + 1
        self._done, self._todo = Value("i", 0), todo
        parts: dict[str, Callable[[], Any]] = {
            " and ".join(methods): partial(self._methods, methods, rates) for methods in self._families()
        }
        parts["the base model"] = self._base
        if self._apart:
            self._warm()
            results = side_by_side(parts, cores())
        else:
            results = {name: part() for name, part in parts.items()}
        chosen = {method: arms for part in results.values() for method, arms in part.items()}
        self._begin("comparison and page")
        return self._finish({method: chosen[method] for method in self.spec.methods})

    def _base(self) -> dict[str, list[Arm]]:
        self._begin("base model: scores")
        self._score(str(self.folder), "base")
        return {}

    def _methods(self, methods: list[str], rates: list[float]) -> dict[str, list[Arm]]:
        """Train and score methods, each after the one whose run it starts from; the arms that the comparison shows."""
        chosen: dict[str, list[Arm]] = {}
        for method in methods:
            own = [Arm(method, rate, self.spec.seeds[0]) for rate in rates]
            for arm in own:
                self._train(arm, chosen)
            best = self._best(own)
            chosen[method] = [Arm(method, best.learning_rate, seed) for seed in self.spec.seeds]
            for arm in chosen[method]:
                if arm not in own:
                    self._train(arm, chosen)
                self._score(str(self._model(arm)), arm.id)
                self._measure_distance(arm)
        return chosen

    @property
    def _apart(self) -> bool:
        """Whether methods are trained side by side: a toy on a processor, which cannot use several cores by itself."""
        import torch

        return self._toy and not torch.cuda.is_available() and sys.platform == "linux" and cores() > 1

    def _warm(self) -> None:
        """Import, and set up, what every part would."""
        from sdft.common.imports import quick_imports

        with quick_imports():
            import sdft.evaluate.distance
            import sdft.evaluate.responses
            import sdft.learning.loop  # noqa: F401
        if self.prior["tasks"]:
            from sdft.evaluate.prior import build

            build(self.prior)

    @property
    def _toy(self) -> bool:
        weights = [path for kind in ("*.safetensors", "*.bin") for path in self.folder.glob(kind)]
        return sum(path.stat().st_size for path in weights) < TOY_BYTES

    def _usual_rate(self) -> float:
        return RATES[self._toy, bool(self.spec.lora)]

    def _families(self) -> list[list[str]]:
        """The methods, those that start from another one's run behind it in its list; teachers, which take longest,
        first."""
        found = {name: [name] for name in self.spec.methods if find_method(name).starts_from is None}
        for name in self.spec.methods:
            parent = find_method(name).starts_from
            if parent is None:
                continue
            if parent not in found:
                raise SdftError(f"{name} starts from {parent}'s run; compare {parent} too (--methods {parent},{name}).")
            found[parent].append(name)
        return sorted(found.values(), key=lambda family: not find_method(family[0]).shows_demonstration)

    def _begin(self, what: str) -> None:
        with self._done:
            self._done.value += 1
            say(f"[{self._done.value}/{self._todo}] {what}")

    def _model(self, arm: Arm) -> Path:
        return self.out / "runs" / arm.id / "model.json"

    def _run(self, arm: Arm, parent: Path | None) -> RunSpec:
        method = find_method(arm.method)
        return RunSpec(
            id=arm.id,
            scale=TASK,
            study="compare",
            task=TASK,
            arm=arm.method,
            method=arm.method,
            seed=arm.seed,
            base=self.folder.name,
            base_ready=str(self.folder),
            parent=parent and str(parent),
            demonstration=DEMONSTRATED if method.shows_demonstration else IMITATED,
            hyperparameters=Hyperparameters(
                learning_rate=arm.learning_rate,
                batch_size=self.batch,
                epochs=self.epochs,
                ema_rate=self.spec.ema_rate if method.averages else None,
            ),
            settings=self.settings,
            data={
                "train": str(self.data / TASK / "train.jsonl"),
                "prompts": str(self._prompts),
            },
        )

    def _train(self, arm: Arm, chosen: dict[str, list[Arm]]) -> None:
        from sdft.learning.run import train

        self._begin(f"{arm.id}: training")
        start = find_method(arm.method).starts_from
        parent = None
        if start is not None:
            parent = self._model(next((other for other in chosen[start] if other.seed == arm.seed), chosen[start][0]))
        spec = self._run(arm, parent)
        folder = self.out / "runs" / arm.id
        write_text(folder / "run.json", spec.text())
        train(spec, folder)

    def _best(self, arms: list[Arm]) -> Arm:
        """The learning rate that held-out rows choose; of equal ones the smaller."""
        if len(arms) == 1:
            return arms[0]
        found = {}
        for arm in arms:
            folder = self.out / "validation" / arm.id
            self._measure(str(self._model(arm)), folder, "validation", forgetting=False)
            found[arm] = read_json(self._scores(folder) / f"{TASK}.json")["value"]
        return max(arms, key=lambda arm: (found[arm], -arm.learning_rate))

    def _score(self, model: str, name: str) -> None:
        self._measure(model, self.out / "scores" / name, "test", forgetting=True)

    @property
    def _prompts(self) -> Path:
        return self.data / "general" / "train.jsonl"

    def _measure_distance(self, arm: Arm) -> None:
        """KL(model || base) on general prompts, where there are some."""
        from sdft.evaluate.distance import main

        if not self._prompts.is_file():
            return
        asked = {
            "model": str(self._model(arm)),
            "base": str(self.folder),
            "task": TASK,
            "data": str(self._prompts),
            "limit": DISTANCE_PROMPTS,
            "max_new_tokens": self.longest,
            "batch_size": DISTANCE_PROMPTS,
            "dtype": self.dtype,
            "out": str(self.out / "distance" / f"{arm.id}.json"),
        }
        main(["--spec", json.dumps(asked)])

    def _distance(self, arm: Arm) -> dict[str, Any] | None:
        path = self.out / "distance" / f"{arm.id}.json"
        return read_json(path) if path.is_file() else None

    def _scores(self, folder: Path) -> Path:
        return folder / "judged" if self.judge else folder

    def _measure(self, model: str, folder: Path, split: str, forgetting: bool) -> None:
        from sdft.evaluate.__main__ import main

        data = self.data / TASK / f"{split}.jsonl"
        evaluation = {
            "model": model,
            "task": [TASK],
            "data": str(data),
            "scorer": self.spec.scorer,
            "out": str(folder),
            "max_new_tokens": self.longest,
            "batch_size": 128 if self.dtype == "float32" else 32,
            "dtype": self.dtype,
        }
        if forgetting and self.prior["tasks"]:
            evaluation |= {"benchmarks": ["all"], "prior_config": self.prior}
        main(["--spec", json.dumps(evaluation)])
        if self.judge:
            from sdft.evaluate.judge import judged_scores

            judged_scores(folder, {TASK: data}, self.judge, self._scores(folder))

    def _finish(self, chosen: dict[str, list[Arm]]) -> dict[str, Any]:
        from sdft.comparison.numbers import Subject, numbers
        from sdft.comparison.page import markdown, page

        scores = self.out / "scores"
        subjects = [Subject("base", "Base", [self._scores(scores / "base")] * len(self.spec.seeds))]
        for method, arms in chosen.items():
            title = find_method(method).title
            folders = [self._scores(scores / arm.id) for arm in arms]
            runs = [self.out / "runs" / arm.id for arm in arms]
            subjects.append(Subject(method, title, folders, arms[0].learning_rate, runs))
        found = numbers(subjects, TASK, list(self.prior["tasks"]))
        measured = {method: list(filter(None, map(self._distance, arms))) for method, arms in chosen.items()}
        for row in found["models"]:
            if values := measured.get(row["name"]):
                row["kl_to_base"] = statistics.mean(value["nats_per_token"]["mean"] for value in values)
        found |= {
            "distance": next((values[0]["n_prompts"] for values in measured.values() if values), 0),
            "spec": self.spec.model_dump(mode="json"),
            "model": str(self.folder),
            "rows": {name: len(getattr(self.rows, name)) for name in ("train", "validation", "test")},
            "settings": self.settings.model_dump(mode="json", exclude_defaults=True),
            "notes": self.notes,
        }
        write_json(self.out / "comparison.json", found)
        write_text(self.out / "report.md", markdown(found))
        write_text(self.out / "report.html", page(found, self.out))
        return found
