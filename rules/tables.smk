# Tables of the paper: every cell with its interval, and the claims with their verdicts.


# plan.json names the runs and files behind every cell. Only files that exist are tabulated; the rest show as NOT RUN.
rule table:
    input:
        planned(steps.shown.exhibit_files),
    output:
        plan=paths.TABLE_PLAN,
        verdict=paths.VERDICT,
        files=expand(paths.TABLE, kind=["md", "tex"], allow_missing=True),
        csv=report(
            expand(paths.TABLE, kind="csv", allow_missing=True),
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "scale": "{scale}"},
        ),
    log:
        paths.log("tables/{table}"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        plan=planned(steps.shown.exhibit_plan),
        folder=subpath(output.plan, parent=True),
        code=planned(steps.code.exhibit_code),
    shell:
        "printf '%s' {params.plan:q} > {output.plan} && "
        "python -m sdft.pages.tables --plan {output.plan} --out {params.folder} > {log} 2>&1"
