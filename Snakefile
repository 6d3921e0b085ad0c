# Every result of "Self-Distillation Enables Continual Learning" (SDFT, arXiv 2601.19897) from one DAG.
#
# sdft/study/paths.py says where each thing lies, sdft/study/steps what each rule reads and tells its step.

import logging

from snakemake.utils import min_version

# A full disk takes no line of Snakemake's log either, and each would show a traceback here.
logging.raiseExceptions = False

# What rests on more than Snakemake's documented surface, and up to which version it was tested: workflow_scripts/internals.py.
min_version("9.20")


configfile: "config.yaml"


# What `snakemake --report report.zip` says first; captions of its files lie beside it.
report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/recovery.smk"
include: "rules/errors.smk"
include: "rules/slurm.smk"
include: "rules/budget.smk"


# With `partial` no rule makes a result, so that nothing is made anew because of what it came from either.
if not CONFIG.partial:

    include: "rules/data.smk"
    include: "rules/base.smk"
    include: "rules/official.smk"
    include: "rules/sweep.smk"
    include: "rules/train.smk"
    include: "rules/evaluate.smk"
    include: "rules/measures.smk"
    include: "rules/judge.smk"
    include: "rules/released.smk"


include: "rules/gate.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/reports.smk"


onstart:
    try:
        internals.refuse_dear_start(workflow, PLAN)
    except SdftError as error:
        raise WorkflowError(str(error)) from None
    internals.ease_scheduling(workflow.scheduler)
    # Steps of this machine's interpreter fork from one process that has the large libraries already.
    if workflow.local_exec and not workflow.deployment_settings.deployment_method:
        warm.start_for(PLAN, internals.to_make(workflow))


rule all:
    """Everything: each table and figure of the paper, the ledger of its claims, and the reports"""
    input:
        steps.shown.target_files(PLAN, *exhibits.names(), "claims", "report", "results"),
    localrule: True


# A run on a cluster makes them on this machine as well, before the first job.
rule downloads:
    """All that Table 5 needs of the outside (models, rows, benchmarks), where jobs have no network"""
    input:
        steps.sources.download_files(PLAN),
    localrule: True


rule tables:
    """Every table of the paper, and those of our own"""
    input:
        steps.shown.target_files(PLAN, *exhibits.names("table")),
    localrule: True


rule figures:
    """Every figure of the paper, and those of our own"""
    input:
        steps.shown.target_files(PLAN, *exhibits.names("figure")),
    localrule: True


rule claims:
    """The ledger: every sentence of the paper that can be tested, with what was found"""
    input:
        steps.shown.target_files(PLAN, "claims"),
    localrule: True


rule report:
    """The report on everything"""
    input:
        steps.shown.target_files(PLAN, "results"),
    localrule: True


rule table5:
    """Table 5: skill learning and prior capabilities, with the Pareto figure and a report that shows both"""
    input:
        steps.shown.target_files(PLAN, "table5", "figure4", "report"),
    localrule: True


rule smoke:
    """Every rule of Table 5 with tiny settings (scale smoke), in minutes; its numbers mean nothing"""
    input:
        steps.shown.target_files(plan_of("smoke"), "table5", "figure4", "report"),
    localrule: True


# A table or figure alone, by its name.
for entry in exhibits.names():
    if entry != "table5":

        rule:
            name:
                entry
            input:
                steps.shown.target_files(PLAN, entry),
            localrule: True


internals.explain(workflow, {name: exhibits.describe(name) for name in exhibits.names() if name != "table5"})
