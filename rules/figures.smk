# Figures of the paper, each as pdf, svg and png, with a json that holds every number drawn.


# Figure 4 draws what Table 5 is made of, and every candidate of the sweeps.
rule draw_figure4:
    input:
        candidates=lambda wildcards: [cell["path"] for cell in PLANS[wildcards.scale].table5()["candidates"]],
        verdict="results/{scale}/tables/table5/verdict.json",
        plan="results/{scale}/tables/table5/plan.json",
        style="sdft/figures.mplstyle",
    output:
        multiext("results/{scale}/figures/figure4", ".pdf", ".svg", ".png", ".json"),
    log:
        "results/{scale}/logs/figures/figure4.log",
    conda:
        "../envs/analysis.yaml"
    params:
        stem=lambda wildcards, output: output[0].removesuffix(".pdf"),
        code=code_digest("figures"),
    shell:
        "python -m sdft.figures figure4 --plan {input.plan} --style {input.style} --out {params.stem} " "> {log} 2>&1"
