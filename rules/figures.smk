# Figures of the paper, each as pdf, svg and png, with a json that holds every number drawn.


# What is measured from a base model that has a gate reads what the gate found, in figures as in tables, so that a model
# which misses it is marked in both.
rule figure:
    input:
        planned(steps.shown.exhibit_files),
        style="sdft/pages/figures.mplstyle",
    output:
        files=expand(paths.FIGURE, kind=["pdf", "png", "json"], allow_missing=True),
        drawing=report(
            expand(paths.FIGURE, kind="svg", allow_missing=True),
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "scale": "{scale}"},
        ),
        plan=paths.FIGURE_PLAN,
    log:
        paths.log("figures/{figure}"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        plan=planned(steps.shown.exhibit_plan),
        stem=subpath(output.plan, strip_suffix=".plan.json"),
        code=planned(steps.code.exhibit_code),
    shell:
        "printf '%s' {params.plan:q} > {output.plan} && "
        "python -m sdft.pages.figures {wildcards.figure} --plan {output.plan} --style {input.style} --out {params.stem} "
        "> {log} 2>&1"
