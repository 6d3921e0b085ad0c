# The base models' scores against the bands that the paper's model must lie in (sdft/study/gate.yaml): what to look at before
# anything is trained. `snakemake --profile slurm gate` makes nothing else.


localrules:
    gate,


rule gate:
    input:
        gate_files(PLAN),


rule check_base:
    input:
        lambda wildcards: PLANS[wildcards.scale].base_score_files(wildcards.model),
    output:
        "results/{scale}/gate/{model}.json",
    log:
        "results/{scale}/logs/gate/{model}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        folder=lambda wildcards, input: input[0].rsplit("/", 1)[0],
        code=code_digest("gate"),
    shell:
        "python -m sdft.study.gate --scores {params.folder} --model {wildcards.model} --out {output} > {log} 2>&1"
