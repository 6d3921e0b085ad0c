# The reports: pages that show what the other rules computed, made by a notebook that papermill executes.


# The executed notebook is a log, so that it is still there when a cell fails.
rule render_report:
    input:
        notebook="notebooks/site.ipynb",
        verdict=expand(paths.VERDICT, table="table5", allow_missing=True),
        plan=expand(paths.TABLE_PLAN, table="table5", allow_missing=True),
        figures=expand(paths.FIGURE, figure="figure4", kind=["svg", "json"], allow_missing=True),
        selected=planned(steps.shown.selected_files),
        script="workflow_scripts/render_report.py",
    output:
        page=report(
            paths.REPORT,
            caption="../report/page.rst",
            category="Pages",
            labels={"page": "Table 5", "scale": "{scale}"},
        ),
        plan=paths.REPORT_PLAN,
        pages=directory(paths.REPORT_PAGES),
    log:
        notebook=f"{paths.LOGS}/reports/report.ipynb",
        text=paths.log("reports/report"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        spec=planned(steps.shown.site_spec, entry="report", target="table5"),
        code=planned(steps.code.page_code, step="report"),
    shell:
        "printf '%s' {params.spec:q} > {output.plan} && "
        "python {input.script} --notebook {input.notebook} --executed {log.notebook} --out {output.page} "
        "--parameters spec={output.plan} > {log.text} 2>&1"


# Every sentence of the paper that can be tested, with what the tables and figures found.
rule ledger:
    input:
        planned(steps.shown.shown_files),
    output:
        expand(paths.LEDGER, kind=["json", "md", "tex"], allow_missing=True),
        csv=report(
            expand(paths.LEDGER, kind="csv", allow_missing=True),
            caption="../report/claims.rst",
            category="Claims",
            labels={"page": "ledger", "scale": "{scale}"},
        ),
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
        notebook="notebooks/site.ipynb",
        ledger=expand(paths.LEDGER, kind="json", allow_missing=True),
        script="workflow_scripts/render_report.py",
    output:
        page=report(
            paths.RESULTS,
            caption="../report/page.rst",
            category="Pages",
            labels={"page": "everything", "scale": "{scale}"},
        ),
        plan=paths.RESULTS_PLAN,
        pages=directory(paths.RESULTS_PAGES),
    log:
        notebook=f"{paths.LOGS}/reports/results.ipynb",
        text=paths.log("reports/results"),
    localrule: True
    params:
        spec=planned(steps.shown.site_spec, entry="results", target="all"),
        code=planned(steps.code.page_code, step="report"),
