"""Checks of what a run at paper scale needs: files, models, tokenizer, judge, sandbox, disk and budget.

They read config.yaml and ask the network for headers only; nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sdft.config import Config, OfficialData, Scale, Source, load_config
from sdft.cost import device_hours, disk, forecast
from sdft.data.fetch import GITHUB, check_content, local_path
from sdft.errors import SdftError
from sdft.plan import Plan
from workflow_scripts.checks import Doctor, Finding, check

ROOT = Path(__file__).resolve().parents[2]
HUB = "https://huggingface.co/{kind}{repository}/resolve/{revision}/{file}"
SECONDS = 10
PINNED_LM_EVAL = "0.4.13"


@cache
def study() -> Config:
    return load_config(ROOT / "config.yaml")


def scale() -> Scale:
    return study().scales["paper"]


def answers(url: str) -> str | None:
    """What keeps a file from being downloaded, in words; None when it is there."""
    headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"} if os.environ.get("HF_TOKEN") else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD", headers=headers), timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return "access is refused (set HF_TOKEN, and accept the terms of a gated repository)"
        return "it is not there any more" if error.code == 404 else f"HTTP status {error.code}"
    except OSError as error:
        return f"no answer ({getattr(error, 'reason', error)})"


def source_finding(name: str, source: Source) -> Finding:
    """Whether one data file can be had."""
    path = local_path(source)
    if path is not None:
        if not path.exists():
            return Finding("fail", f"{name}: {path} does not exist", "mend its path in config.yaml, or remove it")
        try:
            if source.sha256:
                check_content(path, source.sha256)
        except SdftError as error:
            return Finding("fail", f"{name}: {error}")
        return Finding("ok", f"{name}: {path}")
    file = source.file if Path(source.file).suffix else f"{source.file}/state.json"
    if source.github:
        url = GITHUB.format(repository=source.github, revision=source.revision, file=file)
    else:
        url = HUB.format(kind="datasets/", repository=source.hub, revision=source.revision, file=file)
    if reason := answers(url):
        return Finding("fail", f"{name}: {url}: {reason}", "run where there is a network, or give a local path")
    return Finding("ok", f"{name}: {url}")


@check("paper", "data files")
def data(doctor: Doctor) -> Iterator[Finding]:
    files = scale().data
    assert isinstance(files, OfficialData)
    for task, rules in files.tasks.items():
        yield source_finding(f"{task} train", rules.train)
        yield source_finding(f"{task} test", rules.test)
    if files.general:
        yield source_finding("general prompts", files.general.source)


@check("paper", "base models")
def models(doctor: Doctor) -> Iterator[Finding]:
    for name in scale().models.names:
        source = scale().models.sources[name]
        if source.path is None:
            url = HUB.format(kind="", repository=source.repository, revision=source.revision, file="config.json")
            reason = answers(url)
            if reason:
                yield Finding("fail", f"{name}: {url}: {reason}", f"give models.sources.{name}.path a local folder")
            else:
                yield Finding("ok", f"{name}: {url}")
            continue
        folder = Path(os.path.expandvars(source.path))
        missing = [file for file in ("config.json", "tokenizer_config.json") if not (folder / file).is_file()]
        template = folder / "chat_template.jinja"
        config = folder / "tokenizer_config.json"
        if missing:
            yield Finding("fail", f"{name}: {folder} lacks {', '.join(missing)}", "download the model again")
        elif not template.is_file() and '"chat_template"' not in config.read_text(encoding="utf-8"):
            yield Finding("fail", f"{name}: its tokenizer has no chat template", "use an instruction-tuned model")
        else:
            yield Finding("ok", f"{name}: {folder}")


@check("paper", "judge")
def judge(doctor: Doctor) -> Finding:
    if (config := scale().judge) is None:
        return Finding(
            "warn",
            "medical answers are judged offline, which is not comparable with the paper",
            "set scales.paper.judge, for example {model: gpt-5-mini}",
        )
    base_url = config.base_url or os.environ.get(config.base_url_variable)
    if not os.environ.get(config.api_key_variable) and not base_url:
        return Finding("fail", f"the judge {config.model} has no API key", f"set {config.api_key_variable}")
    return Finding("ok", f"{config.model} at {base_url or 'the default address'}")


@check("paper", "HumanEval's programs")
def programs(doctor: Doctor) -> Finding:
    from sdft.evaluate import sandbox

    if sandbox.available():
        return Finding("ok", "run in a sandbox")
    if scale().prior.generated_code == "bare":
        return Finding("warn", "run without a sandbox, as prior.generated_code: bare says")
    return Finding(
        "fail",
        "there is no sandbox on this machine, and the benchmark is refused",
        "allow user namespaces, or set prior.generated_code: bare",
    )


@check("paper", "lm_eval")
def benchmarks(doctor: Doctor) -> Iterator[Finding]:
    try:
        found = importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("fail", "lm_eval is not installed", "install requirements.txt")
        return
    if found == PINNED_LM_EVAL:
        yield Finding("ok", f"version {found}")
    else:
        yield Finding("warn", f"version {found}, and the protocol was checked with {PINNED_LM_EVAL}", "install that")
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
        yield Finding("ok", "IFEval's sentence splitter (nltk punkt_tab)")
    except LookupError:
        yield Finding(
            "warn",
            "IFEval's sentence splitter is not here; lm_eval downloads it when it starts",
            "python -m nltk.downloader punkt_tab, where jobs have no network",
        )


@check("paper", "disk and budget")
def room(doctor: Doctor) -> Iterator[Finding]:
    plan = Plan(study(), "paper")
    needed = sum((disk(plan, study().budget.gpus) or {}).values())
    free = shutil.disk_usage(ROOT).free / 2**30
    status = "ok" if free > needed else "fail"
    remedy = "" if status == "ok" else "put results/ on a larger disk, or lower budget.gpus or the seeds"
    yield Finding(status, f"about {needed:.0f} GiB needed, {free:.0f} GiB free", remedy)
    left, bound = device_hours(forecast(plan)[0]), study().budget.device_hours
    if bound is not None and left > bound:
        yield Finding("fail", f"{left:.0f} device-hours are forecast, {bound:g} allowed", "raise budget.device_hours")
    else:
        yield Finding("ok", f"about {left:.0f} device-hours for table5 (workflow_scripts/budget.py says more)")
