"""Which code decides a run, a score and an exhibit: digests that the rules have among their parameters.

A step's own modules are listed in sdft/common/code.py. Methods and tasks are found by their names, so the digest of a
run has that of its own method's file and the digest of a score that of its own task's: an edit of one method, or a new
one, reruns no other. What a model replies and how replies are scored have digests apart, since a changed scorer needs
no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sdft.common.code import STEPS, Code, here
from sdft.common.files import digest
from sdft.methods import find_method
from sdft.study.exhibits import find, names
from sdft.tasks import find_task, sources

# What turns a model and questions into responses looks at no right answer.
SCORING = ("sdft.scoring", "sdft.tasks")


# What the loop imports for methods that sample completions, and for those whose teacher averages the student.
SAMPLING = ("sdft.decoding", "sdft.learning.engines", "sdft.learning.vllm", "sdft.learning.fixed_samples")
AVERAGE = ("sdft.teacher",)


def train_code(method: str, code: Code | None = None) -> str:
    """What decides the weights of a training: the loop and the method's file, with all that these import and use."""
    return (code or here()).digest(*STEPS["train"], f"sdft.methods.{method}", without=_unused(method))


def _unused(method: str) -> tuple[str, ...]:
    found = find_method(method)
    return (SAMPLING if found.sampling is None else ()) + (() if found.averages else AVERAGE)


def responses_code(code: Code | None = None) -> str:
    """What decides a model's responses to questions: how they are asked and decoded."""
    return (code or here()).digest("sdft.evaluate.responses", "sdft.evaluate.questions", without=SCORING)


def task_code(task: str, code: Code | None = None) -> dict[str, str]:
    """What decides the responses to a task's questions, and what the scores of these."""
    modules, files = sources(task)
    scores = (code or here()).digest("sdft.evaluate.answers", "sdft.evaluate.questions", *modules, files=files)
    return {"responses": responses_code(code), "scores": scores}


def prior_code(config: Mapping[str, Any], benchmark: str, code: Code | None = None) -> dict[str, str]:
    """What decides a model's replies to a prior benchmark, and what their scores.

    The replies hang on what is asked, which the evaluation compares itself, so their code is that of loading the model.
    config: the protocol, as sdft.evaluate.prior takes it.
    """
    entry = config["tasks"][benchmark]
    tasks = (entry["task"], *entry.get("siblings", ()))
    return dict(_prior_code(benchmark, config["include_path"], tasks, code or here()))


@cache
def _prior_code(benchmark: str, folder: str | None, tasks: tuple[str, ...], code: Code) -> dict[str, str]:
    files, modules = [], ["sdft.evaluate.prior"]
    if folder:
        package = code.package.resolve()
        files, functions = _definitions(Path(folder), tasks)
        for path in map(Path.resolve, functions):
            if path.is_relative_to(package):
                modules.append(".".join(("sdft", *path.relative_to(package).with_suffix("").parts)))
            else:
                files.append(path)
    # Only the programs of this one are run.
    without = () if benchmark == "humaneval" else ("sdft.evaluate.sandbox",)
    return {
        "responses": code.digest("sdft.evaluate.replies", "sdft.models.files"),
        "scores": code.digest(*modules, without=without, files=files),
    }


def select_code(task: str, prior: Mapping[str, Any], code: Code | None = None) -> str:
    """What decides a selection: the comparison, and the scores of the task and of the prior benchmarks."""
    own = (code or here()).digest(*STEPS["select"], without=("sdft.evaluate", *SCORING))
    priors = [prior_code(prior, name, code)["scores"] for name in prior["tasks"]]
    return digest([own, task_code(task, code)["scores"], *priors], 12)


def _definitions(folder: Path, tasks: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """The files that define lm_eval tasks in a folder, and those whose functions they call."""
    waiting = [folder / f"{task}.yaml" for task in tasks]
    if not all(path.is_file() for path in waiting):
        # A file may define a task of another name.
        waiting = sorted(folder.glob("*.yaml"))
    files: list[Path] = []
    functions: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in files or not path.is_file():
            continue
        files.append(path)
        text = path.read_text(encoding="utf-8")
        waiting += [path.parent / name for name in re.findall(r"^include:\s*(\S+)", text, re.M)]
        functions |= {path.parent / f"{name}.py" for name in re.findall(r"!function\s+(\w+)\.\w+\s*$", text, re.M)}
    return sorted(files), sorted(path for path in functions if path.is_file())


def measure_code(step: str, *tasks: str, code: Code | None = None) -> str:
    """What decides a measurement of a model on tasks: the step's modules and the tasks' files."""
    found = [sources(task) for task in sorted(tasks)]
    modules = [module for names, _ in found for module in names]
    # That one knows every scorer by its name; what a task uses, its own file imports.
    named = ("sdft.tasks.scorers",)
    files = [file for _, own in found for file in own]
    return (code or here()).digest(*STEPS[step], *modules, without=named, files=files)


def exhibit_code(name: str, methods: Iterable[str], tasks: Iterable[str]) -> str:
    """What decides a table or figure: the step's modules, the exhibit's own files with all that these import, and what
    its methods and tasks are called and drawn like."""
    kind = find(name).kind
    own = here().digest(*STEPS[f"{kind}s"], f"sdft.pages.{kind}s.{name}", f"sdft.study.exhibits.{name}")
    return digest([own, shown(methods, tasks)], 12)


def page_code(step: str, methods: Iterable[str], tasks: Iterable[str]) -> str:
    """What decides a page of all exhibits: the step's modules, every exhibit's numbers and statements, and the names
    and looks of methods and tasks."""
    numbers = [f"sdft.evidence.exhibits.{name}" for name in names()]
    own = here().digest(*STEPS[step], *(module for module in numbers if here().file(module)))
    return digest([own, shown(methods, tasks)], 12)


def shown(methods: Iterable[str], tasks: Iterable[str]) -> list[Any]:
    """Titles and looks, which the code of a training or a score leaves out."""
    found = [*map(find_method, sorted(set(methods))), *map(find_task, sorted(set(tasks)))]
    return [[entry.title, entry.look] for entry in found]


def flops_code(method: str) -> str:
    """What decides the FLOPs of a training step: the count, and what is trained."""
    return here().digest(*STEPS["flops"], *STEPS["train"], f"sdft.methods.{method}", without=_unused(method))
