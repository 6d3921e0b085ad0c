# Tables of the paper: every cell with its interval, and the claims with their verdicts.


# plan.json names the runs and files behind every cell. Only files that exist are tabulated; the rest show as NOT RUN.
rule table:
    input:
        item_files,
    output:
        plan="results/{scale}/tables/{table}/plan.json",
        verdict="results/{scale}/tables/{table}/verdict.json",
        files=multiext("results/{scale}/tables/{table}/table", ".csv", ".md", ".tex"),
    log:
        "results/{scale}/logs/tables/{table}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        plan=item_plan,
        folder=lambda wildcards, output: output.plan.rsplit("/", 1)[0],
        code=lambda wildcards: exhibit_code(wildcards.table),
    shell:
        "printf '%s' {params.plan:q} > {output.plan} && "
        "python -m sdft.pages.tables --plan {output.plan} --out {params.folder} > {log} 2>&1"
