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
