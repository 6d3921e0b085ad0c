"""Checks of what a run at paper scale needs: files, models, tokenizer, judge, sandbox, disk and budget.

They read config.yaml, and of the network only headers and the models' small configuration files; judge and writer are
asked one short question each, which costs a fraction of a cent.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import json
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sdft.common.endpoint import Endpoint, EndpointConfig, Messages, base_url, missing_key
from sdft.common.errors import SdftError
from sdft.common.secrets import masked
from sdft.config import load_config
from sdft.data.fetch import GITHUB, check_content, local_path
from sdft.data.knowledge.articles import AGENT, article_url, unpinned
from sdft.data.knowledge.questions import parse_pairs
from sdft.data.knowledge.questions import prompt as question
from sdft.data.schema import OfficialData, Source, TaskArticles
from sdft.evaluate.judge import Response, parse_label, rubric
from sdft.evaluate.judge import prompt as to_judge
from sdft.evaluate.store import kept, place
from sdft.models.hub import unpinned as unpinned_model
from sdft.models.schema import BaseModelSource
from sdft.study.checks import check_batches, check_sizes
from sdft.study.forecast import device_hours, disk, forecast
from sdft.study.plan import Plan
from sdft.study.schema import Config, Scale
from workflow_scripts.checks import Doctor, Finding, check

ROOT = Path(__file__).resolve().parents[2]
HUB = "https://huggingface.co/{kind}{repository}/resolve/{revision}/{file}"
# The one host that is told HF_TOKEN.
TOKEN_HOST = "huggingface.co"
DATA_SET = "https://huggingface.co/api/datasets/{repository}"
UPSTREAM = ROOT / "results/upstream"
SECONDS = 10
# A model that thinks takes its time for a short answer too.
ANSWER_SECONDS = 60
# Bytes of a configuration that are read at most.
LARGEST = 20_000_000
# Tokens of a prompt where no limit is configured: the longest teacher prompts of the paper's data have about 1,300 with
# the shortest of demonstrations.
LONGEST_PROMPT = 2048
# The same where a prompt holds an article: the paper's nine have about 22,000 on average. How long the longest is shows
# when they are there, and their prompts are then counted before anything is trained.
LONGEST_ARTICLE = 28_000
# Asked of judge and writer.
HEART = Response("doctor", "Which organ pumps blood through the body?", "The heart.", "It is the heart.")
FACT = "The bridge over the river Lorn was opened on 3 May 1931."
PINNED_LM_EVAL = "0.4.13"


@cache
def study() -> Config:
    return load_config(ROOT / "config.yaml")


def scale() -> Scale:
    return study().scales["paper"]


@check("paper", "configuration")
def configuration(doctor: Doctor) -> Finding:
    scale()
    check_batches(Plan(study(), "paper"))
    check_sizes(Plan(study(), "paper"))
    return Finding("ok", "config.yaml is valid")


def request(url: str, method: str) -> tuple[str | None, str | None]:
    """The text of a small file and None, or None and what keeps it from being had, in words. HEAD gives no text."""
    asked = urllib.request.Request(url, method=method, headers={"User-Agent": AGENT})
    token = os.environ.get("HF_TOKEN")
    if token and urllib.parse.urlsplit(url).hostname == TOKEN_HOST:
        # The hub redirects to other hosts, which the token does not concern.
        asked.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as reply:
            return reply.read(LARGEST).decode("utf-8", "replace") if method == "GET" else "", None
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return None, "access is refused (set HF_TOKEN, and accept the terms of a gated repository)"
        return None, "it is not there any more" if error.code == 404 else f"HTTP status {error.code}"
    except http.client.HTTPException as error:
        return None, f"the answer broke off ({error!r})"
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
    if not (source.github or source.hub):
        return Finding(
            "fail",
            f"{name}: the path {source.path} holds a variable that is not set, and there is no upstream",
            "set the variable, mend the path, or name an upstream",
        )
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
    for task, rules in ((task, files.files(task)) for task in files.tasks if files.files(task)):
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
    usual = scale().models.names
    needed = []
    for arm, entry in scale().every_arm():
        if name in (entry.models or usual):
            settings = study().settings_of("paper", arm)
            prompt = longest_prompt(entry.demonstration or scale().demonstration)
            needed.append(settings.max_new_tokens + (settings.max_prompt_tokens or prompt))
    contexts = [context for one in scale().studies.values() if name in usual for context in one.contexts]
    evaluation = scale().evaluation_of(name)
    prompt = max(map(longest_prompt, ["", *contexts]))
    return max([*needed, evaluation.max_new_tokens + (evaluation.max_prompt_tokens or prompt)])


def longest_prompt(style: str) -> int:
    """Tokens of the longest prompt that holds a demonstration of that style."""
    return LONGEST_ARTICLE if style.startswith("article") else LONGEST_PROMPT


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
    rules = next((entry for entry in scale().data.tasks.values() if isinstance(entry, TaskArticles)), None)
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
        yield Finding("warn", "nobody writes questions about the articles", "set writer beside the articles")
    elif missing_key(rules.writer):
        variable = rules.writer.api_key_variable
        yield Finding("warn", f"the writer {rules.writer.model} has no API key", f"set {variable}")
    else:
        asked = question("direct", "The bridge of Lorn", FACT, 1)
        reply, fault = reply_of(rules.writer, rules.writer.model, "writer", asked)
        if fault is None and parse_pairs(reply) is None:
            fault = f"the writer {rules.writer.model} answers nonsense: {reply[:80]!r} is no list of questions"
        if fault:
            yield Finding("warn", fault, "mend the writer beside the articles, or its key, before the data are made")
        else:
            yield Finding("ok", f"the writer {rules.writer.model} writes questions")


def reply_of(config: EndpointConfig, model: str, role: str, messages: Messages) -> tuple[str, str | None]:
    """A model's reply to a short question and None, or "" and what keeps it from being had, in words."""
    few = config.model_copy(update={"attempts": 2})
    try:
        return Endpoint(few, model, role, ANSWER_SECONDS).reply(messages), None
    except SdftError as error:
        return "", str(error)


@check("paper", "rollouts")
def rollouts(doctor: Doctor) -> Finding:
    wanted = any(study().settings_of("paper", arm).rollout_engine == "vllm" for arm, _ in scale().every_arm())
    if wanted and importlib.util.find_spec("vllm") is None:
        return Finding("fail", "rollout_engine is vllm, which is not installed", "install vllm, or use transformers")
    return Finding("ok", "by vllm" if wanted else "by transformers")


@check("paper", "judge")
def judge(doctor: Doctor) -> Iterator[Finding]:
    if (config := scale().judge) is None:
        yield Finding(
            "warn",
            "medical and knowledge answers are judged offline, which is not comparable with the paper",
            "set scales.paper.judge, for example {model: gpt-5-mini}",
        )
        return
    if missing_key(config):
        yield Finding("fail", f"the judge {config.model} has no API key", f"set {config.api_key_variable}")
        return
    for model in filter(None, (config.model, config.second_model)):
        reply, fault = reply_of(config, model, "judge", to_judge("medical", HEART))
        label = parse_label(reply, rubric("medical").labels)
        if fault:
            yield Finding("fail", fault, f"mend scales.paper.judge, or {config.api_key_variable}")
        elif label is None:
            yield Finding(
                "fail",
                f"the judge {model} answers nonsense: {reply[:80]!r} is no label",
                "use a stronger judge, or a larger judge.max_tokens if the reply is cut or empty",
            )
        else:
            yield Finding("ok", f"{model} at {masked(base_url(config) or 'the default address')} answers {label}")


@check("paper", "HumanEval's programs")
def programs(doctor: Doctor) -> Finding:
    from sdft.evaluate import sandbox

    if sandbox.available():
        return Finding("ok", "run in a sandbox")
    if scale().prior.generated_code == "bare":
        return Finding("warn", "run without a sandbox, as prior.generated_code: bare says")
    from sdft.common.cage import REMEDY, why_not

    return Finding("fail", (why_not() or "there is no sandbox on this machine").removesuffix(REMEDY).strip(), REMEDY)


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
            "IFEval's sentence splitter is not here",
            "snakemake --cores 2 --config scale=paper -- downloads fetches it",
        )


@check("paper", "benchmarks' data")
def benchmark_data(doctor: Doctor) -> Iterator[Finding]:
    if importlib.util.find_spec("lm_eval") is None:
        return
    from sdft.evaluate.prior import data_sets

    config = Plan(study(), "paper").prior_config()
    for path, parts in (data_sets(config) if config["data_dir"] is None else {}).items():
        prefetch = "snakemake --cores 2 --config scale=paper -- downloads fetches it"
        folders = [place(Path(config["store"]), path, part, {}) for part in parts or [None]]
        if all(map(kept, folders)):
            yield Finding("ok", f"{path}: fetched")
        elif reason := answers(url := DATA_SET.format(repository=path)):
            yield Finding("fail", f"{path}: {url}: {reason}", f"look where there is a network; {prefetch}")
        else:
            yield Finding("warn", f"{path} is not here yet, and can be had", prefetch)


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
