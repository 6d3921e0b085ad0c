# Base models. Whatever its origin, a model is used through ready.json, which names its folder and its bytes.


# Released with this repository, and checked against the digests that are released with them. A model is used again when
# its own digests change, not when another model's do.
rule base_released:
    input:
        digests=ancient(planned(steps.sources.released_digests)),
    output:
        paths.BASE,
    log:
        paths.log("base/{model}"),
    wildcard_constraints:
        scale=steps.sources.model_scales(CONFIG, "released"),
    conda:
        "../envs/analysis.yaml"
    params:
        folder=planned(steps.sources.released_model_folder),
        sha256=planned(steps.sources.released_digest),
    shell:
        "python -m sdft.models.record --model {wildcards.model} --folder {params.folder:q} --digests {input.digests:q} "
        "--out {output} > {log} 2>&1"


# Trained again from nothing, as the released ones were, and held to the same requirements. The weights lie in a folder
# that is not an output, so that an interrupted training continues.
rule base_trained:
    output:
        paths.BASE,
    log:
        paths.log("base/{model}"),
    wildcard_constraints:
        scale=steps.sources.model_scales(CONFIG, "trained"),
    conda:
        "../envs/train.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
    params:
        spec=planned(steps.sources.pretrain_spec),
        check=planned(steps.sources.requirements),
        folder=subpath(output[0], parent=True),
        code=step_code("base"),
    shell:
        "(python -m sdft.miniature.pretrain --spec {params.spec:q} && {params.check} && "
        "python -m sdft.models.record --model {wildcards.model} --folder {params.folder}/weights --out {output}) "
        "> {log} 2>&1"


# Downloaded at a pinned revision, found in a local folder, or made at random. The weights lie beside ready.json,
# undeclared, so that a download which is stopped continues where it was.
rule base_model:
    input:
        planned(steps.sources.local_model_files),
    output:
        paths.BASE,
    log:
        paths.log("base/{model}"),
    wildcard_constraints:
        scale=steps.sources.model_scales(CONFIG, "hub", "random"),
    localrule: True
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.source_spec),
    shell:
        "python -m sdft.models.hub --spec {params.spec:q} > {log} 2>&1"
