# The checked study, its plans, the constraints on wildcards, and how the rules ask the plan of their scale.

import sys
from functools import cache
from inspect import signature
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from sdft.common.code import step_code
from sdft.common.errors import SdftError
from sdft.config import parse_config
from sdft.study import exhibits, paths, steps
from sdft.study.checks import check_batches, check_files, check_sizes
from sdft.study.plan import Plan
from sdft.study.schema import STUDIES
from sdft.study.values import beside, read_yaml
from sdft.tasks import find_task, task_names, tested
from sdft.tasks.benchmarks import BENCHMARKS
from workflow_scripts import internals, warm

# Steps run in the interpreter that runs Snakemake, unless Snakemake makes an environment or image for them (--sdm).
# The prefix is no parameter of a rule, so a moved environment reruns nothing.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'PATH="{Path(sys.executable).parent}:$PATH"; ')


# Used with --sdm apptainer alone; envs/sdft.def says how to build it.
container: "envs/sdft.sif"


try:
    # Snakemake has read these files, and takes the last of a key that stands in one twice.
    for path in workflow.configfiles:
        read_yaml(path)
    # The keys of config.yaml and of the command line; the scales' own keys stand in config/ beside it.
    CONFIG = parse_config(config, "the configuration (config.yaml and --config)", beside("config.yaml"))
    check_files(CONFIG)
    PLAN = Plan(CONFIG)
    # Refuses a sweep that the scale has no recipe for too, before a rule asks for its runs.
    check_batches(PLAN)
    if workflow.is_main_process:
        check_sizes(PLAN)
except SdftError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    scale="|".join(CONFIG.scales),
    task="|".join(task_names()),
    arm="[a-z0-9_.]+",
    study="|".join(("table5", *STUDIES)),
    measured="|".join(STUDIES),
    run="[a-z0-9_.-]+",
    model="[A-Za-z0-9_.-]+",
    table="|".join(exhibits.names("table")),
    figure="|".join(exhibits.names("figure")),
    context="[a-z_]+",
    split="[a-z]+",
    draw="(-[1-9][0-9]*)?",


internals.build_quickly()


@cache
def plan_of(scale):
    """The plan of a scale, made when it is first asked for."""
    return PLAN if scale == PLAN.name else Plan(CONFIG, scale)


def with_signature(function):
    """The function, whose parameters Snakemake asks for at each call, with a note of what they are."""
    function.__signature__ = signature(function)
    return function


def requested(function, **options):
    """For a resource: what a function of sdft.study.steps.requests says for the rule's scale and wildcards."""

    def value(wildcards, attempt):
        named = dict(wildcards.items())
        try:
            return function(plan_of(named.pop("scale")), attempt=attempt, **named, **options)
        except SdftError as error:
            raise WorkflowError(str(error)) from None

    return with_signature(value)


def planned(function, **options):
    """For an input or parameter: what a function of sdft.study.steps says for the rule's scale and wildcards."""

    def value(wildcards):
        named = dict(wildcards.items())
        try:
            return function(plan_of(named.pop("scale")), **named, **options)
        except SdftError as error:
            raise WorkflowError(str(error)) from None

    return with_signature(value)
