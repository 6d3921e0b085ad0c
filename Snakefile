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
# {run} is a readable slug and eight hex digits over the fields that define it (sdft/plan.py).

from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/recovery.smk"
include: "rules/slurm.smk"
include: "rules/data.smk"
include: "rules/base.smk"
include: "rules/budget.smk"
include: "rules/official.smk"
include: "rules/sweep.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/judge.smk"
include: "rules/gate.smk"
include: "rules/released.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/reports.smk"


localrules:
    all,
    table5,
    tables,
    figure4,
    figures,
    report,
    smoke,
    # Steps of seconds: as SLURM jobs they would wait longer than they work.
    select,
    table,
    draw_figure4,
    render_report,


# Everything the configured scale can make.
rule all:
    input:
        paper_files(PLAN, "table5", "figure4", "report"),


# Table 5: skill learning and prior capabilities, with the Pareto figure and the report that shows both.
rule table5:
    input:
        paper_files(PLAN, "table5", "figure4", "report"),


rule tables:
    input:
        paper_files(PLAN, "table5"),


rule figure4:
    input:
        paper_files(PLAN, "figure4"),


rule figures:
    input:
        paper_files(PLAN, "figure4"),


rule report:
    input:
        paper_files(PLAN, "report"),


# Every rule of Table 5 with tiny settings (scale smoke), in minutes; its numbers mean nothing.
rule smoke:
    input:
        paper_files(PLANS["smoke"], "table5", "figure4", "report"),
