# The checked study, the constraints on wildcards, and the helpers that the rules share.

import json
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from sdft.study import exhibits
from sdft.study.exhibits import build
from sdft.data.fetch import local_path
from sdft.study.checks import check_batches, check_files
from sdft.tasks import find_task, task_names
from sdft.tasks.benchmarks import BENCHMARKS
from sdft.study.schema import STUDIES
from sdft.config import parse_config
from sdft.study.forecast import study_hours
from sdft.common.errors import SdftError
from sdft.study.plan import Plan
from sdft.study.values import beside
from sdft.common.files import digest
from sdft.common.code import step_code as code_digest
from sdft.study.rerun import exhibit_code
from workflow_scripts.failures import read_failures

# Steps run in the interpreter that runs Snakemake, unless Snakemake makes an environment or image for them (--sdm).
# Neither this nor a moved environment reruns anything, as a parameter would.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'PATH="{Path(sys.executable).parent}:$PATH"; ')


# Used with --sdm apptainer alone; envs/sdft.def says how to build it.
container: "envs/sdft.sif"


try:
    # The keys of config.yaml and of the command line; the scales' own keys stand in config/ beside it.
    CONFIG = parse_config(config, "the configuration (config.yaml and --config)", beside("config.yaml"))
    check_files(CONFIG)
    PLANS = {name: Plan(CONFIG, name) for name in CONFIG.scales}
    PLAN = PLANS[CONFIG.scale]
    # Refuses a sweep that the scale has no recipe for too, before a rule asks for its runs.
    check_batches(PLAN)
except SdftError as error:
    raise WorkflowError(str(error)) from None


TASKS = task_names()
# Tasks that are tested on one split, and those that have further ones.
ONE_TEST = [task for task in TASKS if find_task(task).tests == ("test",)]


wildcard_constraints:
    scale="|".join(PLANS),
    task="|".join(TASKS),
    arm="[a-z0-9_.]+",
    study="|".join(("table5", *STUDIES)),
    measured="|".join(STUDIES),
    run="[a-z0-9_.-]+",
    name="[A-Za-z0-9_.-]+",
    model="[A-Za-z0-9_.-]+",
    table="|".join(exhibits.names("table")),
    figure="|".join(exhibits.names("figure")),
    context="[a-z_.]+",


def paper_files(plan, *names):
    """Files of the named items of the paper at the plan's scale: tables, figures, report, ledger."""
    files = {
        "report": ["reports/report.html"],
        "results": ["reports/results.html"],
        "claims": [f"claims/ledger.{kind}" for kind in ("json", "md")],
    }
    for table in exhibits.names("table"):
        files[table] = [f"tables/{table}/{name}" for name in ("verdict.json", "table.md")]
    for figure in exhibits.names("figure"):
        files[figure] = [f"figures/{figure}.{kind}" for kind in ("pdf", "svg", "png", "json")]
    return [f"{plan.root}/{path}" for name in names for path in files[name]]


def wanted(paths):
    """Inputs of a step that shows what is there: all of them, or, with `partial`, those that exist already."""
    return [path for path in paths if not CONFIG.partial or Path(path).exists()]


def run_of(wildcards):
    """The run that a rule's wildcards name."""
    name = wildcards.run if "run" in wildcards.keys() else f"{wildcards.task}-{wildcards.name}"
    try:
        return PLANS[wildcards.scale].find(name)
    except KeyError:
        raise WorkflowError(f"the plan of scale {wildcards.scale} has no run named {name}") from None


def run_spec(wildcards):
    """RUN.json of a run, as text; as a parameter it reruns the run when its definition changes."""
    return run_of(wildcards).model_dump_json(indent=1)


def run_inputs(wildcards):
    """Files that a run's training reads."""
    run = run_of(wildcards)
    optional = [run.data["prompts"], run.data["corpus"], run.parent, run.selected]
    if PLANS[wildcards.scale].scale.data.origin(run.task) != "made":
        optional.append(PLANS[wildcards.scale].lengths_path(run.task, run.base))
    return [run.base_ready, run.data["train"], *filter(None, optional)]


def longest_run(wildcards):
    """The run whose prompts are counted for a task and a base model."""
    return PLANS[wildcards.scale].longest(wildcards.task, wildcards.model)


def base_of(wildcards):
    """The base model behind a rule's wildcards: the one that they name, or that of the run that they name."""
    keys = wildcards.keys()
    if "model" in keys:
        return wildcards.model
    if "task" in keys or "run" in keys:
        return run_of(wildcards).base
    # What a measure looks at: {task}-{context}-{model}, or a run.
    base = wildcards.study == "base"
    return wildcards.name.split("-", 2)[2] if base else PLANS[wildcards.scale].find(wildcards.name).base


def gpus(wildcards):
    """GPUs of one job that is not a training: one, where the scale has any."""
    return min(PLANS[wildcards.scale].scale.gpus, 1)


def training_gpus(wildcards):
    """GPUs of one training job."""
    return PLANS[wildcards.scale].scale.training_gpus(run_of(wildcards).base)


def processes(wildcards):
    """Processes of one training job, one a GPU."""
    return max(1, training_gpus(wildcards))


def benchmark_files(wildcards):
    """Local benchmark files, where the scale makes its own."""
    folder = PLANS[wildcards.scale].prior_config()["data_dir"]
    return [f"{folder}/{name}.jsonl" for name in BENCHMARKS] if folder else []


def evaluation_options(wildcards, sweep=False):
    """The options of `python -m sdft.evaluate` that the scale decides."""
    prior = shlex.quote(json.dumps(PLANS[wildcards.scale].prior_config(sweep=sweep)))
    return as_options({"prior-config": prior, **decoding(wildcards)})


def teacher_template(wildcards, context):
    """The template in which a base model is shown a demonstration, where it is not the default."""
    task = wildcards.task if "task" in wildcards.keys() else wildcards.name.split("-", 1)[0]
    template = PLANS[wildcards.scale].teacher_template(task, context)
    return {"template": None if template == "official" else template}


def decoding(wildcards):
    """How responses of a model are drawn."""
    evaluation = PLANS[wildcards.scale].scale.evaluation_of(base_of(wildcards))
    return {
        "max-new-tokens": evaluation.max_new_tokens,
        "batch-size": evaluation.batch_size,
        "max-prompt-tokens": evaluation.max_prompt_tokens,
        "overlong": evaluation.overlong,
        "dtype": evaluation.dtype,
        "limit": evaluation.limit,
    }


def as_options(values):
    """Command-line options, without those that have no value."""
    return " ".join(f"--{name} {value}" for name, value in values.items() if value is not None)


def miniature_options(part):
    """Options of `python -m sdft.miniature.data` for a part: a task, general or benchmarks."""

    def options(wildcards):
        data = PLANS[wildcards.scale].scale.data
        values = {
            "task": part,
            "world-seed": data.world_seed,
            "out": f"results/{wildcards.scale}/data",
        }
        if part not in data.sizes:
            values["benchmark-items"] = data.benchmark_items
        else:
            values |= data.sizes[part].model_dump(exclude_none=True)
        if part == "general":
            values["general"] = data.general_prompts
        return " ".join(f"--{name} {value}" for name, value in values.items())

    return options


def released_digests(wildcards):
    """The digests that are released with a scale's base models."""
    return f"{PLANS[wildcards.scale].scale.models.path}/sha256.json"


def released_digest(wildcards):
    """A digest over the released files of a base model; null where there is none of that name."""
    return digest(json.loads(Path(released_digests(wildcards)).read_text()).get(wildcards.model))


def base_options(wildcards):
    """Size and seed that a miniature base model's name says, for example m-s0, and the study's world."""
    scale = PLANS[wildcards.scale].scale
    size, _, seed = wildcards.model.partition("-s")
    return as_options(
        {"size": size, "seed": seed, "world-seed": scale.data.world_seed, "documents": scale.models.documents}
    )


def base_check(wildcards):
    """The measurement of a trained miniature base model, where it has to be fit for the study: size m, in full."""
    if not wildcards.model.startswith("m-") or PLANS[wildcards.scale].scale.models.documents:
        return ""
    folder = f"results/{wildcards.scale}/base/{wildcards.model}"
    world = PLANS[wildcards.scale].scale.data.world_seed
    options = f"--model {folder}/weights --world-seed {world} --out {folder}/requirements.json"
    return f"python -m sdft.evaluate.requirements {options} && "


def item_plan(wildcards):
    """What a table or figure is made of, as text for its plan.json."""
    name = wildcards.table if "table" in wildcards.keys() else wildcards.figure
    plan = PLANS[wildcards.scale]
    found = build.exhibit(plan, name)
    if found.study in plan.scale.possible and not found.enabled:
        found = found.model_copy(update={"cost_hours": round(study_hours(plan, found.study), 2)})
    return found.model_dump_json(indent=1, exclude_defaults=True)


def shown_files(wildcards):
    """The verdict of every table and the numbers of every figure."""
    root = PLANS[wildcards.scale].root
    tables = [f"{root}/tables/{name}/verdict.json" for name in exhibits.names("table")]
    return tables + [f"{root}/figures/{name}.json" for name in exhibits.names("figure")]


def gate_files(plan):
    """Checks of the scale's base models, of which the paper's must pass before anything is compared with it."""
    return [f"{plan.root}/gate/{model}.json" for model in plan.bases]


def item_files(wildcards):
    """Every result behind a table or figure."""
    name = wildcards.table if "table" in wildcards.keys() else wildcards.figure
    return wanted(build.files(PLANS[wildcards.scale], name))


def selected_files(wildcards):
    """The winners of Table 5, with their rankings."""
    plan = PLANS[wildcards.scale]
    return wanted(dict.fromkeys(cell.selected for cell in build.exhibit(plan, "table5").cells))


def measured_model(wildcards):
    """What a measure looks at: a base model ({task}-{context}-{model}), or the model of a run."""
    plan = PLANS[wildcards.scale]
    if wildcards.study == "base":
        return plan.base_path(wildcards.name.split("-", 2)[2])
    return f"{plan.run_folder(plan.find(wildcards.name))}/model.json"


def measured_base(wildcards):
    """The base model that a measured model came from."""
    return PLANS[wildcards.scale].base_path(base_of(wildcards))


def context_options(wildcards):
    """What a base model sees beside each question, and how it is decoded."""
    context, split = build.context_parts(wildcards.context)
    shown = {"context": context, "split": None if split == "test" else split}
    return as_options(shown | (teacher_template(wildcards, context) if context else {}) | decoding(wildcards))


def context_data(wildcards):
    """The split on which a base model is measured with something in its context."""
    split = build.context_parts(wildcards.context)[1]
    return PLANS[wildcards.scale].data_path(wildcards.task, split)


def measured_data(study):
    """The data on which a study takes a measure of a model."""

    def path(wildcards):
        plan = PLANS[wildcards.scale]
        return plan.data_path(wildcards.name.split("-", 1)[0], plan.scale.studies[study].split)

    return path


def measured_options(study):
    """Task, data and decoding of a study's measure, as the steps of sdft.evaluate take them."""

    def options(wildcards):
        task, shown = wildcards.name.split("-", 2)[:2]
        context = build.context_parts(shown)[0] if wildcards.study == "base" else None
        # The study limits a measure by itself.
        drawn = decoding(wildcards) | {"limit": None}
        subject = {"task": task, "data": measured_data(study)(wildcards), "context": context}
        return as_options(subject | (teacher_template(wildcards, context) if context else {}) | drawn)

    return options


def limited(study, *names):
    """Options that limit a measure, as a study of the scale has them."""

    def options(wildcards):
        entry = PLANS[wildcards.scale].scale.studies[study or wildcards.measured]
        return as_options({name.replace("_", "-"): getattr(entry, name) for name in names})

    return options


def base_scales(*origins):
    """A wildcard pattern of the scales with models of some origins, if the path goes on with one of these models."""
    found = {
        name: [re.escape(model) for model in plan.scale.every_model() if plan.scale.models.origin(model) in origins]
        for name, plan in PLANS.items()
    }
    return "|".join(f"{name}(?=/base/({'|'.join(models)})/)" for name, models in found.items() if models) or "none"


def data_scales(origin, task):
    """A wildcard pattern of the scales in which a task's rows have that origin."""
    return "|".join(name for name, plan in PLANS.items() if plan.scale.data.origin(task) == origin) or "none"


def data_source_scales(source):
    """A wildcard pattern of the scales whose data come from the source."""
    return "|".join(name for name, plan in PLANS.items() if plan.scale.data.source == source) or "none"


def split_files(task):
    """The records of a task, a file a split."""
    return [f"results/{{scale}}/data/{task}/{split}.jsonl" for split in find_task(task).splits]


def data_spec(task):
    """What `python -m sdft.data.prepare` is told: the data block of a scale, of it what concerns one task."""

    def spec(wildcards):
        scale = PLANS[wildcards.scale].scale
        return scale.data.preparation(task, scale.demonstration).model_dump_json(exclude_defaults=True)

    return spec


def local_data(task):
    """The files on this machine that a task's rows come from."""

    def files(wildcards):
        found = map(local_path, PLANS[wildcards.scale].scale.data.tasks[task].sources)
        return [str(path) for path in found if path and path.exists()]

    return files


def local_model(wildcards):
    """The files of a base model that lies in a local folder."""
    source = PLANS[wildcards.scale].scale.models.sources[wildcards.model]
    folder = local_path(source)
    return [] if folder is None else sorted(map(str, [*folder.glob("config.json"), *folder.glob("*.safetensors")]))


def released_files(plan):
    """The table of the scale's released checkpoints, where it has some."""
    return (
        [f"{plan.root}/tables/released/{name}" for name in ("verdict.json", "table.md")] if plan.scale.released else []
    )


def source_options(wildcards):
    """Where a base model or a released checkpoint comes from, as `python -m sdft.models.hub` takes it."""
    scale = PLANS[wildcards.scale].scale
    source = (scale.models.sources | scale.released)[wildcards.model]
    # How a model is used decides nothing about its files.
    text = source.model_dump_json(exclude={"task", "method", "gpus", "size", "evaluation"})
    tokenizer = f" --tokenizer {shlex.quote(scale.models.tokenizer)}" if scale.models.tokenizer else ""
    return f"--source {shlex.quote(text)}{tokenizer}"


def base_tests(wildcards):
    """The tests of a scale's tasks, on which its base models are measured."""
    plan = PLANS[wildcards.scale]
    return [plan.data_path(task, split) for task in plan.tasks for split in find_task(task).tests]


def base_results(wildcards, judged=False):
    """The names of what base models are measured on, or of what a judge decides of it."""
    tasks = [task for task in PLANS[wildcards.scale].tasks if find_task(task).judged or not judged]
    return " ".join(name for task in tasks for name in build.score_names(task))


def judged_base_tests(wildcards):
    """The tests whose answers a judge decides, of those on which base models are measured."""
    plan = PLANS[wildcards.scale]
    return [path for path in base_tests(wildcards) if find_task(Path(path).parent.name).judged]


def judge_config(wildcards):
    """The judge block of a scale, as `python -m sdft.evaluate.judge` takes it."""
    return PLANS[wildcards.scale].scale.judge.model_dump_json()
