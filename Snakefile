# Every result of "Self-Distillation Enables Continual Learning" (SDFT, arXiv 2601.19897) from one DAG.
#
# Where things lie:
#   results/{scale}/data/{task}/{split}.jsonl, manifest.json      records of a task
#   results/{scale}/base/{model}/ready.json                       a base model, with sha256
#   results/{scale}/sweep/{task}/{arm}/{run}/validation.json      a candidate of a sweep
#   results/{scale}/selected/{task}/{arm}.json                    the winner and the whole ranking
#   results/{scale}/runs/{study}/{run}/model.json                 a final run
#   results/{scale}/scores/{study}/{run}/{benchmark}.json         its scores, and every item's outcome beside them
#   results/{scale}/released/{model}/{task}/{benchmark}.json      scores of a checkpoint that the authors released
#   results/{scale}/tables/{table}/verdict.json                   a table of the paper, with a verdict a claim
#   results/{scale}/figures/{figure}.json                         a figure and every number drawn in it
#   results/{scale}/reports/report.html                           what to read
# {run} is a readable slug and eight hex digits over the fields that define it (sdft/study/plan.py).

from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/recovery.smk"
include: "rules/errors.smk"
include: "rules/scheduling.smk"
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
    refuse_dear_start()
    ease_scheduling()


localrules:
    all,
    tables,
    figures,
    claims,
    report,
    smoke,
    table5,
    # Steps of seconds: as SLURM jobs they would wait longer than they work.
    select,
    table,
    figure,
    ledger,
    render_report,
    render_results,


# Everything: each table and figure of the paper, the ledger of its claims, and the reports.
rule all:
    input:
        paper_files(PLAN, *exhibits.names(), "claims", "report", "results"),


rule tables:
    input:
        paper_files(PLAN, *exhibits.names("table")),


rule figures:
    input:
        paper_files(PLAN, *exhibits.names("figure")),


# The ledger: every sentence of the paper that can be tested, with what was found.
rule claims:
    input:
        paper_files(PLAN, "claims"),


# The report on everything.
rule report:
    input:
        paper_files(PLAN, "results"),


# Table 5: skill learning and prior capabilities, with the Pareto figure and a report that shows both.
rule table5:
    input:
        paper_files(PLAN, "table5", "figure4", "report"),


# Every rule of Table 5 with tiny settings (scale smoke), in minutes; its numbers mean nothing.
rule smoke:
    input:
        paper_files(PLANS["smoke"], "table5", "figure4", "report"),


# A table or figure alone, by its name.
for entry in exhibits.names():
    if entry != "table5":

        rule:
            name:
                entry
            localrule: True
            input:
                paper_files(PLAN, entry),
