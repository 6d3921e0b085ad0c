"""The six prior-capability benchmarks, through lm_eval's Python API with a model that is already loaded.

lm_eval is imported only when a benchmark is run: it takes seconds, and new-task accuracy does not need it.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, did_you_mean, no_file
from sdft.common.files import PACKAGE, check_listed, parse_json, read_json, sha256_file
from sdft.common.imports import quick_imports
from sdft.evaluate import sandbox
from sdft.evaluate.results import Result
from sdft.evaluate.store import reading
from sdft.study.values import read_yaml
from sdft.tasks.benchmarks import BENCHMARKS

# What a protocol that leaves a key out has: lm_eval's own tasks on their own data, zero-shot, without a chat template.
DEFAULTS = {
    "include_path": None,
    "data_dir": None,
    "apply_chat_template": False,
    "num_fewshot": None,
    "batch_size": 1,
    "limit": None,
    "generated_code": "sandbox",
}
# Requests of each kind after which replies are kept: some minutes of a large model.
BLOCKS = {"generate_until": 16, "loglikelihood": 2000}
# What a scale's file says of a sweep alone.
OF_A_SWEEP = ("sweep_limit", "sweep_batch_size")
# Tasks built before they are wanted, in a process that forks for each evaluation, by what decides them. Each is taken
# out by its one use, since an evaluation leaves its requests in it.
BUILT: dict[tuple[str, ...], dict[str, Any]] = {}
# lm_eval's default for drawing few-shot examples.
FEWSHOT_SEED = 1234


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol with defaults filled in. Raises SdftError for an unknown key or a task without name and metric."""
    known = {*DEFAULTS, "tasks", "store", *OF_A_SWEEP, "revisions"}
    for key in config:
        if key not in known:
            raise SdftError(f"the prior-benchmark configuration has no key {key!r}; {did_you_mean(key, known)}")
    if "tasks" not in config:
        raise SdftError("the prior-benchmark configuration needs tasks: lm_eval's task and metric of each benchmark.")
    merged = {**DEFAULTS, **config}
    if not isinstance(merged["tasks"], Mapping):
        raise SdftError("tasks of the prior-benchmark configuration must be a mapping of benchmarks.")
    for name, entry in merged["tasks"].items():
        # Any task of lm_eval may stand there under its own name.
        own = isinstance(entry, Mapping) and entry.get("task") == name
        if name not in BENCHMARKS and not own:
            raise SdftError(f"there is no prior benchmark {name!r}; {did_you_mean(name, BENCHMARKS)}")
        if not isinstance(entry, Mapping) or set(entry) - {"siblings"} != {"task", "metric"}:
            raise SdftError(
                f"the prior benchmark {name!r} needs exactly 'task' (lm_eval's name) and 'metric', and perhaps "
                "'siblings' (other tasks of lm_eval)."
            )
    return merged


def shipped_protocol(scale: str) -> dict[str, Any]:
    """The protocol in a scale's file of this repository, config/{scale}.yaml, with every item of every benchmark."""
    values = read_yaml(PACKAGE.parent / f"config/{scale}.yaml").get("prior") or {}
    if values.get("include_path"):
        values["include_path"] = str(PACKAGE.parent / values["include_path"])
    return {key: value for key, value in values.items() if key not in (*OF_A_SWEEP, "revisions")}


def is_local(config: Mapping[str, Any]) -> bool:
    """Whether all of a protocol's data are on this machine."""
    return bool(config["data_dir"] or config.get("store"))


def prior_config(named: str | Mapping[str, Any], data_root: Path) -> dict[str, Any]:
    """The protocol that an option `prior_config` names: "mini" or "paper", a JSON file, or the protocol itself.

    Raises SdftError when it is none of these.
    """
    if named == "paper":
        return check_config(shipped_protocol("paper"))
    if named == "mini":
        return check_config({**shipped_protocol("mini"), "data_dir": str(data_root / "benchmarks")})
    return check_config(read_json(named, "give a protocol as config.yaml has it") if isinstance(named, str) else named)


def evaluate_prior(
    model: Any, tokenizer: Any, config: Mapping[str, Any], names: Iterable[str] | None = None
) -> dict[str, Result]:
    """Run prior benchmarks on a loaded model and return their results by name; `names` None runs all in `config`.

    config: "tasks" maps each benchmark to {"task": lm_eval's name, "metric": key, with ",filter" if not "none"} and
    perhaps "siblings": names of tasks on the same data that run in the same pass, whose metrics are stored as
    {sibling}/{key} and whose items are not. "include_path" is a folder of task YAML, null for lm_eval's own; "data_dir"
    holds {benchmark}.jsonl to use in the place of the tasks' own data, null to leave those; "batch_size",
    "num_fewshot" and "apply_chat_template" are lm_eval's; "limit" is of a benchmark's items, shared by the tasks of a
    group. The generated programs of unsafe tasks are really
    run, as "generated_code" says: "sandbox" or "bare" (sdft/common/cage). No random state is touched and the
    model's training mode is restored. Raises SdftError for a task, metric or data file that is not there.
    """
    runner = PriorRunner(lambda: (model, tokenizer), config)
    return {name: runner.run(name) for name in (runner.config["tasks"] if names is None else names)}


def build(config: Mapping[str, Any]) -> None:
    """Build the tasks of a protocol's benchmarks over local data, for this process or a fork of it to run once."""
    PriorRunner(None, config).build()


class PriorRunner:
    """lm_eval set up once for a model; `run` evaluates one benchmark.

    load: gives model and tokenizer, called when a benchmark asks what was not kept; None where the weights are gone.
    """

    def __init__(self, load: Callable[[], tuple[Any, Any]] | None, config: Mapping[str, Any]) -> None:
        self.config = check_config(config)
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        with quick_imports():
            from lm_eval.evaluator import evaluate
        self._evaluate, self._load_model, self._model = evaluate, load, None
        include = self.config["include_path"]
        if include is not None and not Path(include).is_dir():
            raise SdftError(f"the folder of benchmark definitions {include} does not exist; check include_path.")
        self.tasks = _index(include, [task for entry in self.config["tasks"].values() for task in _names(entry)])
        self._loaded: dict[str, Any] = {}

    def take(self, load: Callable[[], tuple[Any, Any]]) -> None:
        """Ask this model from now on; load: as for the runner itself."""
        self._load_model, self._model = load, None

    def _lm(self) -> Any:
        """lm_eval's view of the model, which is in evaluation mode until `run` is through."""
        if self._model is None:
            from lm_eval.models.huggingface import HFLM

            model, tokenizer = self._load_model()
            self._training = model.training
            # lm_eval sets the padding token of the tokenizer it is given.
            lm = HFLM(pretrained=model, tokenizer=copy.deepcopy(tokenizer), batch_size=self.config["batch_size"])
            self._model = model, lm
        model, lm = self._model
        model.eval()
        return lm

    def run(
        self, name: str, kept: dict[str, list[Any]] | None = None, note: Callable[[], None] | None = None
    ) -> Result:
        """One benchmark's headline value, all its metrics, and an outcome for every item.

        kept: replies of the model to an earlier run, which are used where the same is asked; holds this run's in the
        end. note: called now and then while they come, where that changes none of them. Raises Unanswered where
        something else is asked and the weights are gone.
        """
        from sdft.evaluate.replies import KeptReplies

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        loaded, wanted = self._set_up(name), self.config["tasks"][name]
        # An evaluation leaves its requests in its tasks.
        del self._loaded[name]
        for task in loaded["tasks"].values():
            if getattr(task, "UNSAFE_CODE", False):
                # Before the model has answered for an hour.
                sandbox.check_available(self.config["generated_code"])
        share = _share(self.config["limit"], len(loaded["tasks"]) - len(wanted.get("siblings", ())))
        settle_scorer(name, loaded["tasks"].values(), share)
        # lm_eval sorts requests into batches, which hang on all of them; one at a time they hang on nothing.
        block = BLOCKS if self.config["batch_size"] == 1 else None
        lm = KeptReplies({} if kept is None else kept, self._load_model and self._lm, block, note)
        try:
            report = self._evaluate(
                lm,
                loaded,
                limit=share,
                bootstrap_iters=0,
                log_samples=True,
                apply_chat_template=self.config["apply_chat_template"],
                confirm_run_unsafe_code=True,
            )
        finally:
            if self._model is not None:
                self._model[0].train(self._training)
        return _result(name, wanted["task"], wanted["metric"], report, wanted.get("siblings", ()))

    def metrics(self, name: str) -> set[str]:
        """The metrics of a benchmark, which is set up with its data and its requirements; none where its definition
        does not say.

        Raises SdftError for whatever is missing.
        """
        task = self._set_up(name)["tasks"].get(self.config["tasks"][name]["task"])
        found = [entry["metric"] for entry in (task and task.config.metric_list) or []]
        return set(found) if all(isinstance(metric, str) for metric in found) else set()

    def runs_programs(self, name: str) -> bool:
        """Whether a benchmark runs what the model writes."""
        return any(getattr(task, "UNSAFE_CODE", False) for task in self._set_up(name)["tasks"].values())

    def _set_up(self, name: str) -> dict[str, Any]:
        """lm_eval's tasks of a benchmark, for one use."""
        sandbox.install(self.config["generated_code"])
        if name not in self.config["tasks"]:
            raise SdftError(
                f"the prior benchmark {name!r} is not configured; {did_you_mean(name, self.config['tasks'])}"
            )
        if name not in self._loaded:
            loaded = self._load(name, _names(self.config["tasks"][name]))
            for task in loaded["tasks"].values():
                settle_examples(name, task, self.config["num_fewshot"])
            self._loaded[name] = loaded
        return self._loaded[name]

    def _load(self, name: str, tasks: list[str]) -> dict[str, Any]:
        for task in tasks:
            if task not in self.tasks.task_index:
                where = self.config["include_path"] or "lm_eval"
                raise SdftError(f"{where} has no task {task!r}; {did_you_mean(task, self.tasks.task_index)}")
        for task in tasks[1:]:
            if self._is_group(task):
                raise SdftError(f"{task} is a group of tasks, and only a single task can be a sibling of {name}.")
        try:
            if self.config["data_dir"] is None:
                with reading(Path(self.config["store"])) if self.config.get("store") else nullcontext():
                    return self.tasks.load(tasks)
            return self._load_with_local_data(name, tasks)
        except (OSError, ValueError, ImportError, LookupError) as error:
            said = f"there is no {error}" if isinstance(error, LookupError) else " ".join(str(error).split())
            raise SdftError(
                f"the benchmark {name} ({', '.join(tasks)}) could not be set up: {said}. Its "
                "data must be in the Hugging Face cache or in data_dir, and its requirements installed."
            ) from None

    def _is_group(self, task: str) -> bool:
        return self.tasks.task_index[task].kind.name != "TASK"

    def _load_with_local_data(self, name: str, tasks: list[str]) -> dict[str, Any]:
        from lm_eval.tasks import TaskManager

        path = Path(self.config["data_dir"]) / f"{name}.jsonl"
        if not path.is_file():
            raise SdftError(f"{no_file(path)}; make the benchmark data first, or check data_dir.")
        if self._is_group(tasks[0]):
            raise SdftError(f"{tasks[0]} is a group of tasks, and data_dir can replace the data of single tasks only.")
        built = BUILT.pop(self._key(name), None)
        if built is not None:
            return built
        with tempfile.TemporaryDirectory() as folder:
            for task in tasks:
                (Path(folder) / f"{task}.yaml").write_text(self._with_data(task, path), encoding="utf-8")
            return TaskManager(include_path=folder, include_defaults=False).load(tasks)

    def _key(self, name: str) -> tuple[str, ...]:
        """What decides a benchmark's tasks over local data."""
        path = Path(self.config["data_dir"]) / f"{name}.jsonl"
        definition = [str(self.config["include_path"]), *_names(self.config["tasks"][name])]
        return (*definition, str(path.resolve()), sha256_file(path))

    def build(self) -> None:
        """Put the tasks of all benchmarks with local data that is there into `BUILT`."""
        for name, entry in self.config["tasks"].items():
            path = Path(self.config["data_dir"] or "") / f"{name}.jsonl"
            if self.config["data_dir"] and path.is_file() and (key := self._key(name)) not in BUILT:
                BUILT[key] = self._load(name, _names(entry))

    def _with_data(self, task: str, path: Path) -> str:
        """A YAML that includes the task's own and replaces its data.

        Rows read here need no data-set cache, which parallel jobs would have to share. JSON is YAML, except for the tag
        that names the function.
        """
        changes = {
            "include": str(Path(self.tasks.task_index[task].yaml_path).resolve()),
            "task": task,
            "dataset_kwargs": {"path": str(path.resolve())},
            "training_split": None,
            "validation_split": None,
            "test_split": "test",
            # A task may name one that a local file does not have. lm_eval leaves the question itself out.
            "fewshot_split": "test",
        }
        lines = [f"{key}: {json.dumps(value)}" for key, value in changes.items()]
        lines.append("custom_dataset: !function sdft.evaluate.prior.read_benchmark")
        return "\n".join(lines)


def settle_examples(name: str, task: Any, wanted: int | None) -> None:
    """Have a task show so many worked examples ahead of each question, unless its definition says that it shows none.

    Raises SdftError where it cannot, before the model is asked. They are drawn alike in each run.
    """
    own = task.get_config("num_fewshot")
    if own is None or (own != 0 and wanted is not None):
        task.set_config(key="num_fewshot", value=wanted or 0)
    if shots := task.get_config("num_fewshot"):
        task.set_fewshot_seed(seed=FEWSHOT_SEED)
        try:
            task.fewshot_context(next(iter(task.eval_docs)), num_fewshot=shots)
        except Exception as error:
            # A task's own code reads the examples.
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise SdftError(
                f"the benchmark {name} cannot show {shots} examples ahead of a question ({said}); lower num_fewshot of "
                "the prior benchmarks' configuration, or set it to null."
            ) from None
    task.set_fewshot_seed(seed=FEWSHOT_SEED)


def settle_scorer(name: str, tasks: Iterable[Any], limit: int | None) -> None:
    """Make a scorer's library decide alike in each run, and raise SdftError where it lacks data that it looks up.

    The second is found by scoring a plain reply to each item of IFEval, before the model is asked.
    """
    if library := sys.modules.get("langdetect"):
        # It draws at random where two languages are near (IFEval), unless it has a seed.
        library.DetectorFactory.seed = 0
    for task in tasks:
        if task.OUTPUT_TYPE != "generate_until":
            continue
        # Items of IFEval; scoring others may run programs.
        for doc in (doc for doc in list(task.eval_docs)[:limit] if "instruction_id_list" in doc):
            try:
                task.process_results(doc, ["Yes."])
            except LookupError as error:
                if type(error) is not LookupError:
                    raise
                said = next(filter(None, map(str.strip, str(error).strip("* \n").splitlines())), "a resource")
                raise SdftError(
                    f"the scorer of the benchmark {name} lacks data of the nltk library ({said}); run python -m "
                    "nltk.downloader punkt_tab where there is a network (NLTK_DATA names its folder)."
                ) from None


def _share(limit: int | None, tasks: int) -> int | None:
    """The limit of each task of a group, so that the benchmark looks at about `limit` items (MMLU has 57 tasks)."""
    return None if limit is None else -(-limit // tasks)


def _names(entry: Mapping[str, Any]) -> list[str]:
    """The lm_eval tasks of a benchmark, the one of the headline first."""
    return [entry["task"], *entry.get("siblings", ())]


def data_sets(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The repositories on the hub that the configured benchmarks read, each with the configurations that they name.

    From the tasks' definitions alone; none for tasks that have their data elsewhere. Raises SdftError for a task that
    is not there.
    """
    wanted = [task for entry in config["tasks"].values() for task in _names(entry)]
    index = _index(config["include_path"], wanted).task_index
    found: dict[str, list[str]] = {}
    while wanted:
        name = wanted.pop(0)
        if name not in index:
            where = config["include_path"] or "lm_eval"
            raise SdftError(f"{where} has no task {name!r}; {did_you_mean(name, index)}")
        definition = index[name].cfg or {}
        if index[name].kind.name == "GROUP":
            wanted += [part if isinstance(part, str) else part.get("task", "") for part in definition["task"]]
        elif index[name].kind.name == "TAG":
            wanted += sorted(index[name].tags)
        # A repository has an owner; "json" and the like are formats of local files.
        elif "/" in (path := definition.get("dataset_path") or "") and "custom_dataset" not in definition:
            found.setdefault(path, [])
            part = definition.get("dataset_name") or ""
            found[path] += [part] if part not in found[path] else []
    return found


def _index(include: str | None, wanted: list[str]) -> Any:
    """lm_eval's index of tasks: of a folder, or of its own, of which only the folders in question are read.

    Reading all of lm_eval's 14,000 definitions takes longer than a small evaluation.
    """
    import lm_eval.tasks

    if include is not None:
        return lm_eval.tasks.TaskManager(include_path=include, include_defaults=False)
    own = Path(lm_eval.tasks.__file__).parent
    folders = sorted({str(own / task.partition("_")[0]) for task in wanted if (own / task.partition("_")[0]).is_dir()})
    found = lm_eval.tasks.TaskManager(include_path=folders, include_defaults=False)
    return found if all(task in found.task_index for task in wanted) else lm_eval.tasks.TaskManager()


def read_benchmark(path: str, **_: Any) -> dict[str, Any]:
    """Rows of a local benchmark file as the split "test". Raises SdftError naming file and line of a damaged row."""
    from datasets import Dataset
    from pyarrow import ArrowException

    rows = []
    check_listed(path)
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            row = parse_json(line)
        except ValueError as error:
            raise SdftError(f"{path}:{number}: the line is not valid JSON ({error}); make the data again.") from None
        if not isinstance(row, dict):
            raise SdftError(f"{path}:{number}: a row must be a JSON object; make the data again.")
        if rows and row.keys() != rows[0].keys():
            raise SdftError(f"{path}:{number}: the row has other fields than the first one; make the data again.")
        rows.append(row)
    if not rows:
        raise SdftError(f"{path} holds no rows; make the data again.")
    try:
        return {"test": Dataset.from_list(rows)}
    except (ArrowException, TypeError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise SdftError(
            f"{path} holds rows whose fields are of different types ({said}); make the data again."
        ) from None


def _result(name: str, task: str, metric: str, report: Mapping[str, Any], siblings: Iterable[str] = ()) -> Result:
    key, _, chosen_filter = metric.partition(",")
    chosen_filter = chosen_filter or "none"
    metrics = {
        (label if owner == task else f"{owner}/{label}").removesuffix(",none"): float(value)
        for owner, values in report["results"].items()
        for label, value in values.items()
        if isinstance(value, int | float) and "," in label and "_stderr" not in label
    }
    if metric.removesuffix(",none") not in metrics:
        known = [label for label in metrics if "/" not in label]
        raise SdftError(f"the benchmark {name} ({task}) has no metric {metric!r}; {did_you_mean(metric, known)}")
    items, named = [], []
    for owner, samples in report["samples"].items():
        if owner in siblings:
            continue
        for sample in sorted(samples, key=lambda sample: sample["doc_id"]):
            if sample["filter"] != chosen_filter:
                continue
            outcome = sample[key]
            parts = outcome if isinstance(outcome, list | tuple) else [outcome]
            item = {
                "id": f"{owner}-{sample['doc_id']}",
                "correct": _plain(sum(map(float, parts)) / len(parts)),
                "response": _response(sample),
            }
            if isinstance(outcome, list | tuple):
                # The headline is a mean over these parts (IFEval's instructions), so an item counts by their number.
                item["weight"] = len(parts)
            items.append(item)
            named.append(str(sample["doc"].get("id")))
    if len(set(named)) == len(items):
        # The data's own ids, where it has them.
        items = [{**item, "id": own} for item, own in zip(items, named, strict=True)]
    return Result(name, metric, metrics[metric.removesuffix(",none")], metrics, items)


def _plain(value: Any) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number


def _response(sample: Mapping[str, Any]) -> str:
    """The generated text, or the choice to which the model gave the highest log-likelihood."""
    first = sample["resps"][0][0]
    if isinstance(first, str):
        return first
    scores = [response[0][0] for response in sample["resps"]]
    best = max(range(len(scores)), key=scores.__getitem__)
    return str(sample["arguments"][best][1]).strip()
