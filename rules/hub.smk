# Base models that this repository does not hold: from the Hugging Face hub, and random ones for a rehearsal.


# The weights lie beside ready.json, undeclared, so that a download which is stopped continues where it was.
rule base_model:
    output:
        "results/{scale}/base/{model}/ready.json",
    log:
        "results/{scale}/logs/base/{model}.log",
    conda:
        "../envs/train.yaml"
    params:
        spec=lambda wildcards: PLANS[wildcards.scale].scale.models.model_dump_json(),
        folder=lambda wildcards, output: output[0].rsplit("/", 1)[0],
    wildcard_constraints:
        scale=model_scales("hub", "random"),
    shell:
        "{PY} -m sdft.data.base_model --name {wildcards.model} --spec {params.spec:q} --out {params.folder} > {log} 2>&1"
