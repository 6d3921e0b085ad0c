# What the paper started from: the released data files and public models, or invented ones for a rehearsal.


# A task's splits from the official files. test_{rows}.jsonl, the other versions of a test set, lie beside them.
rule official_task:
    output:
        expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["train", "validation", "test"]),
        manifest="results/{scale}/data/{task}/manifest.json",
    log:
        "results/{scale}/logs/data/{task}.log",
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec,
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
    wildcard_constraints:
        scale=data_scales("official"),
        task="science|tooluse|medical",
    shell:
        "{PY} -m sdft.data.prepare --task {wildcards.task} --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# General prompts for SFT + re-invoke.
rule official_general:
    output:
        "results/{scale}/data/general/train.jsonl",
        manifest="results/{scale}/data/general/manifest.json",
    log:
        "results/{scale}/logs/data/general.log",
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec,
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
    wildcard_constraints:
        scale=data_scales("official"),
    shell:
        "{PY} -m sdft.data.prepare --task general --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# Invented items of the prior benchmarks, for scales whose lm_eval tasks read local files.
rule invented_benchmarks:
    output:
        [f"results/{{scale}}/data/benchmarks/{name}.jsonl" for name in BENCHMARKS],
        manifest="results/{scale}/data/benchmarks/manifest.json",
    log:
        "results/{scale}/logs/data/benchmarks.log",
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec,
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
    wildcard_constraints:
        scale=data_scales("official"),
    shell:
        "{PY} -m sdft.data.prepare --task benchmarks --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# A base model. The weights lie beside ready.json, undeclared, so that a download which is stopped continues where it was.
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
