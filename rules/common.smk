# The checked study, the constraints on wildcards, and the helpers that the rules share.

import json
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from sdft.config import BENCHMARKS, TASKS, parse_config
from sdft.errors import SdftError
from sdft.plan import JUDGED, Plan
from sdft.provenance import code_digest, digest

# Steps run in the interpreter that runs Snakemake, unless Snakemake makes an environment or image for them (--sdm).
# Neither this nor a moved environment reruns anything, as a parameter would.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'PATH="{Path(sys.executable).parent}:$PATH"; ')


# Used with --sdm apptainer alone; envs/sdft.def says how to build it.
container: "envs/sdft.sif"


try:
    CONFIG = parse_config(config, "the configuration (config.yaml and --config)")
except SdftError as error:
    raise WorkflowError(str(error)) from None

PLANS = {name: Plan(CONFIG, name) for name in CONFIG.scales}
PLAN = PLANS[CONFIG.scale]


wildcard_constraints:
    scale="|".join(PLANS),
    task="|".join(TASKS),
    arm="[a-z0-9_.]+",
    study="[a-z0-9_]+",
    run="[a-z0-9_.-]+",
    name="[a-z0-9_.-]+",
    model="[A-Za-z0-9_.-]+",
    table="table5",


def paper_files(plan, *items):
    """Files of the named items of the paper at the plan's scale."""
    files = {
        "table5": [f"{plan.root}/tables/table5/{name}" for name in ("verdict.json", "table.md")],
        "figure4": [f"{plan.root}/figures/figure4.{kind}" for kind in ("pdf", "svg", "png", "json")],
        "report": [f"{plan.root}/reports/report.html"],
    }
    return [path for item in items for path in files[item]]


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
    optional = [run.data["prompts"], run.parent, run.selected]
    if PLANS[wildcards.scale].scale.data.source == "official":
        optional.append(PLANS[wildcards.scale].lengths_path(run.task, run.base))
    return [run.base_ready, run.data["train"], *filter(None, optional)]


def gpus(wildcards):
    """GPUs of one training or evaluation job."""
    return PLANS[wildcards.scale].scale.gpus


def benchmark_files(wildcards):
    """Local benchmark files, where the scale makes its own."""
    folder = PLANS[wildcards.scale].prior_config()["data_dir"]
    return [f"{folder}/{name}.jsonl" for name in BENCHMARKS] if folder else []


def evaluation_options(wildcards, sweep=False):
    """The options of `python -m sdft.evaluate` that the scale decides."""
    plan = PLANS[wildcards.scale]
    evaluation = plan.scale.evaluation
    options = {
        "prior-config": shlex.quote(json.dumps(plan.prior_config(sweep=sweep))),
        "max-new-tokens": evaluation.max_new_tokens,
        "batch-size": evaluation.batch_size,
        "dtype": evaluation.dtype,
        "limit": evaluation.limit,
    }
    return " ".join(f"--{name} {value}" for name, value in options.items() if value is not None)


def miniature_options(part):
    """Options of `python -m sdft.miniature.data` for a part, or for the task that the wildcards name."""

    def options(wildcards):
        data = PLANS[wildcards.scale].scale.data
        values = {
            "task": part or wildcards.task,
            "world-seed": data.world_seed,
            "out": f"results/{wildcards.scale}/data",
        }
        if part:
            values["benchmark-items"] = data.benchmark_items
        else:
            values |= data.sizes[wildcards.task].model_dump(exclude_none=True)
        if part == "general":
            values["general"] = data.general_prompts
        return " ".join(f"--{name} {value}" for name, value in values.items())

    return options


def released_digest(wildcards):
    """A digest over the released files of a base model; null where there is none of that name."""
    folder = Path(PLANS[wildcards.scale].scale.models.path)
    return digest(json.loads((folder / "sha256.json").read_text()).get(wildcards.model))


def base_options(wildcards):
    """Size and seed that a miniature base model's name says, for example m-s0."""
    models = PLANS[wildcards.scale].scale.models
    size, _, seed = wildcards.model.partition("-s")
    documents = f" --documents {models.documents}" if models.documents else ""
    return f"--size {size} --seed {seed}{documents}"


def paper_item(wildcards, name):
    """What a table or figure is made of, as text for its plan.json."""
    return json.dumps({"table5": PLANS[wildcards.scale].table5()}[name], indent=1)


def gate_files(plan):
    """Checks of the scale's base models, of which the paper's must pass before anything is compared with it."""
    return [f"{plan.root}/gate/{model}.json" for model in plan.bases]


def table_scores(wildcards):
    """Every score behind a table."""
    plan = PLANS[wildcards.scale]
    item = plan.table5()
    runs = [plan.score_files(run["scores"], [cell["task"]]) for cell in item["cells"] for run in cell["runs"]]
    bases = [plan.score_files(entry["scores"], plan.tasks) for entry in item["base"]]
    selected = [cell["selected"] for cell in item["cells"]]
    return [path for files in (*bases, *runs, selected) for path in files]


def model_scales(*sources):
    """A wildcard pattern of the scales whose base models come from one of the sources."""
    return "|".join(name for name, plan in PLANS.items() if plan.scale.models.source in sources) or "none"


def data_scales(source):
    """A wildcard pattern of the scales whose data come from the source."""
    return "|".join(name for name, plan in PLANS.items() if plan.scale.data.source == source) or "none"


def data_spec(wildcards):
    """The data block of a scale, as `python -m sdft.data.prepare` takes it."""
    # Articles and their writer decide nothing in the other tasks.
    return PLANS[wildcards.scale].scale.data.model_dump_json(exclude={"knowledge"})


def knowledge_spec(wildcards):
    """The same without the files of the other tasks, as `python -m sdft.data.knowledge` takes it."""
    data = PLANS[wildcards.scale].scale.data
    return data.model_copy(update={"tasks": {}, "general": None}).model_dump_json()


def released_files(plan):
    """The table of the scale's released checkpoints, where it has some."""
    return (
        [f"{plan.root}/tables/released/{name}" for name in ("verdict.json", "table.md")] if plan.scale.released else []
    )


def released_options(wildcards):
    """Where a released checkpoint comes from, as `python -m sdft.data.base_model` takes it."""
    scale = PLANS[wildcards.scale].scale
    source = scale.released[wildcards.model].model_dump_json(exclude={"task", "method"})
    tokenizer = f" --tokenizer {shlex.quote(scale.models.tokenizer)}" if scale.models.tokenizer else ""
    return f"--source {shlex.quote(source)}{tokenizer}"


def judge_config(wildcards):
    """The judge block of a scale, as `python -m sdft.judge` takes it."""
    return PLANS[wildcards.scale].scale.judge.model_dump_json()
