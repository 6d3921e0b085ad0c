"""Checks of what a run at paper scale needs: files, models, tokenizer, judge, sandbox, disk and budget.

They read config.yaml, and of the network only headers and the models' small configuration files.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sdft.config import BaseModelSource, Config, OfficialData, Scale, Source, load_config
from sdft.cost import device_hours, disk, forecast
from sdft.data.articles import AGENT, article_url, unpinned
from sdft.data.base_model import unpinned as unpinned_model
from sdft.data.fetch import GITHUB, check_content, local_path
from sdft.endpoint import base_url, missing_key
from sdft.errors import SdftError
from sdft.plan import Plan
from workflow_scripts.checks import Doctor, Finding, check

ROOT = Path(__file__).resolve().parents[2]
HUB = "https://huggingface.co/{kind}{repository}/resolve/{revision}/{file}"
UPSTREAM = ROOT / "results/upstream"
SECONDS = 10
# Bytes of a configuration that are read at most.
LARGEST = 20_000_000
# Tokens of a prompt where no limit is configured: the longest teacher prompts of the paper's data have about 1,300 with
# the shortest of demonstrations.
LONGEST_PROMPT = 2048
PINNED_LM_EVAL = "0.4.13"


@cache
def study() -> Config:
    return load_config(ROOT / "config.yaml")


def scale() -> Scale:
    return study().scales["paper"]


def request(url: str, method: str) -> tuple[str | None, str | None]:
    """The text of a small file and None, or None and what keeps it from being had, in words. HEAD gives no text."""
    headers = {"User-Agent": AGENT}
    if os.environ.get("HF_TOKEN"):
        headers["Authorization"] = f"Bearer {os.environ['HF_TOKEN']}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method, headers=headers), timeout=SECONDS
        ) as reply:
            return reply.read(LARGEST).decode("utf-8", "replace") if method == "GET" else "", None
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return None, "access is refused (set HF_TOKEN, and accept the terms of a gated repository)"
        return None, "it is not there any more" if error.code == 404 else f"HTTP status {error.code}"
    except OSError as error:
        return None, f"no answer ({getattr(error, 'reason', error)}); is there a network?"


def answers(url: str) -> str | None:
    """What keeps a file from being downloaded, in words; None when it is there."""
    return request(url, "HEAD")[1]


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
    kept = UPSTREAM / (source.github or source.hub) / source.revision[:12] / source.file
    try:
        if kept.exists() and source.sha256:
            check_content(kept, source.sha256)
    except SdftError as error:
        return Finding("fail", f"{name}: {error}", "delete it; it is downloaded again")
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


def part(source: BaseModelSource, file: str) -> tuple[str | None, str | None]:
    """A small file of a model and None, or None and why it cannot be had."""
    if source.path is None:
        url = HUB.format(kind="", repository=source.repository, revision=source.revision, file=file)
        text, reason = request(url, "GET")
        return text, reason and f"{url}: {reason}"
    path = Path(os.path.expanduser(os.path.expandvars(source.path))) / file
    return (path.read_text(encoding="utf-8"), None) if path.is_file() else (None, f"{path} does not exist")


def context_needed(name: str) -> int:
    """Tokens that the longest prompt and its completion take, in training or evaluation of a model."""
    arms = [arm for arm, entry in scale().every_arm() if name in (entry.models or scale().models.names)]
    settings = [study().settings_of("paper", arm) for arm in arms]
    training = [one.max_new_tokens + (one.max_prompt_tokens or LONGEST_PROMPT) for one in settings]
    return max([*training, scale().evaluation_of(name).max_new_tokens + LONGEST_PROMPT])


def model_findings(name: str, source: BaseModelSource) -> Iterator[Finding]:
    """Whether a model can be had, has a chat template, and a context that is long enough: each fault a finding."""
    config, reason = part(source, "config.json")
    if config is None:
        yield Finding("fail", f"{name}: {reason}", f"mend its revision, or give {name} a local folder as path")
        return
    faults = []
    tokenizer, reason = part(source, "tokenizer_config.json")
    if tokenizer is None:
        faults.append((reason, "download the model again, or use one with a tokenizer"))
    elif '"chat_template"' not in tokenizer and part(source, "chat_template.jinja")[0] is None:
        faults.append(("its tokenizer has no chat template", "use an instruction-tuned model, or add the template"))
    try:
        context = json.loads(config).get("max_position_embeddings")
    except (ValueError, AttributeError):
        context = None
        faults.append(("its config.json is not a model's configuration", "download the model again"))
    if context is not None and context < (needed := context_needed(name)):
        faults.append(
            (
                f"its context of {context} tokens is too short: {needed} are needed for a prompt and its completion",
                "use another model, or lower training.max_prompt_tokens or max_new_tokens",
            )
        )
    for message, remedy in faults:
        yield Finding("fail", f"{name}: {message}", remedy)
    if not faults:
        yield Finding("ok", f"{name}: {source.path or f'{source.repository}@{source.revision[:12]}'}")


@check("paper", "base models")
def models(doctor: Doctor) -> Iterator[Finding]:
    for name in scale().every_model():
        yield from model_findings(name, scale().models.sources[name])


@check("paper", "released checkpoints")
def released(doctor: Doctor) -> Iterator[Finding]:
    for name, source in scale().released.items():
        if not source.path and not source.revision:
            # Only the target released_checkpoints needs them.
            yield Finding(
                "warn", f"{name} ({source.repository}) has no revision", unpinned_model(name, source.repository)
            )
        else:
            yield from model_findings(name, source)


@check("paper", "knowledge")
def knowledge(doctor: Doctor) -> Iterator[Finding]:
    """Articles and their writer; notes and no failures, since no other task needs them."""
    rules = scale().data.knowledge
    if rules is None:
        return
    for article in rules.articles:
        path = local_path(article)
        if path is not None:
            status = "ok" if path.is_file() else "warn"
            yield Finding(status, f"{article.title}: {path}" + ("" if path.is_file() else " does not exist"))
        elif article.revision is None:
            yield Finding("warn", f"{article.title} has no revision", unpinned(article))
        elif reason := answers(article_url(article.revision)):
            yield Finding("warn", f"{article.title}: {article_url(article.revision)}: {reason}", "give a local text")
        else:
            yield Finding("ok", f"{article.title}: revision {article.revision}")
    if rules.writer is None:
        yield Finding("warn", "nobody writes questions about the articles", "set data.knowledge.writer")
    elif missing_key(rules.writer):
        variable = rules.writer.api_key_variable
        yield Finding("warn", f"the writer {rules.writer.model} has no API key", f"set {variable}")


@check("paper", "rollouts")
def rollouts(doctor: Doctor) -> Finding:
    wanted = any(study().settings_of("paper", arm).rollout_engine == "vllm" for arm in scale().arms)
    if wanted and importlib.util.find_spec("vllm") is None:
        return Finding("fail", "rollout_engine is vllm, which is not installed", "install vllm, or use transformers")
    return Finding("ok", "by vllm" if wanted else "by transformers")


@check("paper", "judge")
def judge(doctor: Doctor) -> Finding:
    if (config := scale().judge) is None:
        return Finding(
            "warn",
            "medical and knowledge answers are judged offline, which is not comparable with the paper",
            "set scales.paper.judge, for example {model: gpt-5-mini}",
        )
    if missing_key(config):
        return Finding("fail", f"the judge {config.model} has no API key", f"set {config.api_key_variable}")
    return Finding("ok", f"{config.model} at {base_url(config) or 'the default address'}")


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
