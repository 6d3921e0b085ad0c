# Base models. Whatever its origin, a model is used through ready.json, which names its folder and its bytes.


# Released with this repository, and checked against the digests that are released with them. A model is used again when
# its own digests change, not when another model's do.
rule base_released:
    input:
        digests=ancient(released_digests),
    output:
        "results/{scale}/base/{model}/ready.json",
    log:
        "results/{scale}/logs/base/{model}.log",
    wildcard_constraints:
        scale=base_scales("released"),
    conda:
        "../envs/analysis.yaml"
    params:
        folder=lambda wildcards: f"{PLANS[wildcards.scale].scale.models.path}/{wildcards.model}",
        sha256=released_digest,
    shell:
        "python -m sdft.models.record --model {wildcards.model} --folder {params.folder} --digests {input.digests} "
        "--out {output} > {log} 2>&1"


# Trained again from nothing, as the released ones were, and held to the same requirements. The weights lie in a folder
# that is not an output, so that an interrupted training continues.
rule base_trained:
    output:
        "results/{scale}/base/{model}/ready.json",
    log:
        "results/{scale}/logs/base/{model}.log",
    wildcard_constraints:
        scale=base_scales("trained"),
    conda:
        "../envs/train.yaml"
    resources:
        gpu=gpus,
    params:
        folder=lambda wildcards, output: output[0].replace("ready.json", "weights"),
        options=base_options,
        check=base_check,
        code=code_digest("base"),
    shell:
        "(python -m sdft.miniature.pretrain {params.options} --out {params.folder} && {params.check}"
        "python -m sdft.models.record --model {wildcards.model} --folder {params.folder} --out {output}) > {log} 2>&1"
