# Figures of the paper, each as pdf, svg and png, with a json that holds every number drawn.


# What is measured from a base model that has a gate reads what the gate found, in figures as in tables, so that a model
# which misses it is marked in both.
rule figure:
    input:
        item_files,
        style="sdft/pages/figures.mplstyle",
    output:
        files=multiext("results/{scale}/figures/{figure}", ".pdf", ".svg", ".png", ".json"),
        plan="results/{scale}/figures/{figure}.plan.json",
    log:
        "results/{scale}/logs/figures/{figure}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        plan=item_plan,
        stem=lambda wildcards, output: output.plan.removesuffix(".plan.json"),
        code=lambda wildcards: exhibit_code(wildcards.figure),
    shell:
        "printf '%s' {params.plan:q} > {output.plan} && "
        "python -m sdft.pages.figures {wildcards.figure} --plan {output.plan} --style {input.style} --out {params.stem} "
        "> {log} 2>&1"
