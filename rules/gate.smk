# The base models' scores against the bands that the paper's model must lie in (sdft/study/gate.yaml): what to look at before
# anything is trained. `snakemake --profile slurm gate` makes nothing else.


rule gate:
    """The base models' scores against the bands that the paper's model must lie in, before anything is trained"""
    input:
        steps.shown.gate_files(PLAN),
    localrule: True


rule check_base:
    input:
        planned(steps.shown.base_score_files),
    output:
        paths.GATE,
    log:
        paths.log("gate/{model}"),
    conda:
        "../envs/analysis.yaml"
    params:
        folder=planned(steps.shown.base_scores),
        code=step_code("gate"),
    shell:
        "python -m sdft.study.gate --scores {params.folder} --model {wildcards.model} --out {output} > {log} 2>&1"
