# Figures of the paper, each as pdf, svg and png, with a json that holds every number drawn.


rule figure:
    input:
        figure_inputs,
        style="sdft/figures.mplstyle",
        plan=figure_plan,
    output:
        multiext("results/{scale}/figures/{figure}", ".pdf", ".svg", ".png", ".json"),
    log:
        "results/{scale}/logs/figures/{figure}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        stem="results/{scale}/figures/{figure}",
        code=code_digest("figures"),
    shell:
        "{PY} -m sdft.figures {wildcards.figure} --plan {input.plan} --style {input.style} --out {params.stem} "
        "> {log} 2>&1"
