# The report: a notebook that displays what the other rules computed, executed by papermill and rendered without code.


# The executed notebook is a log, so that it is still there when a cell fails.
rule render_report:
    input:
        notebook="notebooks/table5.ipynb",
        verdict="results/{scale}/tables/table5/verdict.json",
        plan="results/{scale}/tables/table5/plan.json",
        figures=expand("results/{{scale}}/figures/figure4.{kind}", kind=["svg", "json"]),
        selected=selected_files,
        script="workflow_scripts/render_report.py",
    output:
        "results/{scale}/reports/report.html",
    log:
        notebook="results/{scale}/logs/reports/report.ipynb",
        text="results/{scale}/logs/reports/report.log",
    conda:
        "../envs/analysis.yaml"
    params:
        results=lambda wildcards: PLANS[wildcards.scale].root,
        code=code_digest("report"),
    shell:
        "python {input.script} --notebook {input.notebook} --executed {log.notebook} --out {output} "
        "--parameters results={params.results} > {log.text} 2>&1"


# Every sentence of the paper that can be tested, with what the tables and figures found.
rule ledger:
    input:
        shown_files,
    output:
        multiext("results/{scale}/claims/ledger", ".json", ".md", ".csv", ".tex"),
    log:
        "results/{scale}/logs/claims/ledger.log",
    conda:
        "../envs/analysis.yaml"
    params:
        folder=lambda wildcards, output: output[0].rsplit("/", 1)[0],
        code=code_digest("ledger"),
    shell:
        "python -m sdft.pages.ledger --verdicts {input} --out {params.folder} > {log} 2>&1"


use rule render_report as render_results with:
    input:
        shown_files,
        notebook="notebooks/results.ipynb",
        ledger="results/{scale}/claims/ledger.json",
        script="workflow_scripts/render_report.py",
    output:
        "results/{scale}/reports/results.html",
    log:
        notebook="results/{scale}/logs/reports/results.ipynb",
        text="results/{scale}/logs/reports/results.log",
