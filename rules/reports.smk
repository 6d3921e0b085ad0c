# The reports: notebooks that display what the other rules computed, executed by papermill and rendered without code.


# The executed notebook is a log, so that it is still there when a cell fails.
rule render_report:
    input:
        notebook="notebooks/table5.ipynb",
        verdict=expand(paths.VERDICT, table="table5", allow_missing=True),
        plan=expand(paths.TABLE_PLAN, table="table5", allow_missing=True),
        figures=expand(paths.FIGURE, figure="figure4", kind=["svg", "json"], allow_missing=True),
        selected=planned(steps.shown.selected_files),
        script="workflow_scripts/render_report.py",
    output:
        paths.REPORT,
    log:
        notebook=f"{paths.LOGS}/reports/report.ipynb",
        text=paths.log("reports/report"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        results=subpath(output[0], ancestor=2),
        code=planned(steps.code.page_code, step="report"),
    shell:
        "python {input.script} --notebook {input.notebook} --executed {log.notebook} --out {output} "
        "--parameters results={params.results} > {log.text} 2>&1"


# Every sentence of the paper that can be tested, with what the tables and figures found.
rule ledger:
    input:
        planned(steps.shown.shown_files),
    output:
        expand(paths.LEDGER, kind=["json", "md", "csv", "tex"], allow_missing=True),
    log:
        paths.log("claims/ledger"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        folder=subpath(output[0], parent=True),
        code=planned(steps.code.page_code, step="ledger"),
    shell:
        "python -m sdft.pages.ledger --verdicts {input} --out {params.folder} > {log} 2>&1"


use rule render_report as render_results with:
    input:
        planned(steps.shown.shown_files),
        notebook="notebooks/results.ipynb",
        ledger=expand(paths.LEDGER, kind="json", allow_missing=True),
        script="workflow_scripts/render_report.py",
    output:
        paths.RESULTS,
    log:
        notebook=f"{paths.LOGS}/reports/results.ipynb",
        text=paths.log("reports/results"),
    localrule: True
