# What the paper started from: the released data files and public models, or invented ones for a rehearsal.


# A task's splits from its files, those of one's own included. test_{rows}.jsonl, other versions of a test set, lie beside.
for task in TASKS:

    rule:
        name:
            f"prepare_{task}"
        input:
            local_data(task),
        output:
            split_files(task),
            manifest=f"results/{{scale}}/data/{task}/manifest.json",
        log:
            f"results/{{scale}}/logs/data/{task}.log",
        wildcard_constraints:
            scale=data_scales("files", task),
        conda:
            "../envs/train.yaml"
        params:
            task=task,
            spec=data_spec(task),
            folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
            code=code_digest("official"),
        shell:
            "python -m sdft.data.prepare --task {params.task} --spec {params.spec:q} --out {params.folder} > {log} 2>&1"

    # Articles, and questions that a model behind an endpoint writes about them. It needs a network and no GPU; every
    # reply is kept (results/writer), so that a writer which fails midway costs nothing twice.
    rule:
        name:
            f"write_{task}"
        input:
            local_data(task),
        output:
            split_files(task),
            manifest=f"results/{{scale}}/data/{task}/manifest.json",
        log:
            f"results/{{scale}}/logs/data/{task}.log",
        wildcard_constraints:
            scale=data_scales("articles", task),
        conda:
            "../envs/train.yaml"
        params:
            spec=data_spec(task),
            folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
            code=code_digest("knowledge"),
        shell:
            "python -m sdft.data.knowledge.make --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# General prompts for SFT + re-invoke.
rule official_general:
    output:
        "results/{scale}/data/general/train.jsonl",
        manifest="results/{scale}/data/general/manifest.json",
    log:
        "results/{scale}/logs/data/general.log",
    wildcard_constraints:
        scale=data_source_scales("official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec("general"),
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
    shell:
        "python -m sdft.data.prepare --task general --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# Invented items of the prior benchmarks, for scales whose lm_eval tasks read local files.
rule invented_benchmarks:
    output:
        [f"results/{{scale}}/data/benchmarks/{name}.jsonl" for name in BENCHMARKS],
        manifest="results/{scale}/data/benchmarks/manifest.json",
    log:
        "results/{scale}/logs/data/benchmarks.log",
    wildcard_constraints:
        scale=data_source_scales("official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec("benchmarks"),
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
    shell:
        "python -m sdft.data.prepare --task benchmarks --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# A base model. The weights lie beside ready.json, undeclared, so that a download which is stopped continues where it was.
rule base_model:
    input:
        local_model,
    output:
        "results/{scale}/base/{model}/ready.json",
    log:
        "results/{scale}/logs/base/{model}.log",
    wildcard_constraints:
        scale=base_scales("hub", "random"),
    conda:
        "../envs/train.yaml"
    params:
        options=source_options,
        folder=lambda wildcards, output: output[0].rsplit("/", 1)[0],
    shell:
        "python -m sdft.models.hub --name {wildcards.model} {params.options} --out {params.folder} > {log} 2>&1"


# Lengths of the prompts, counted before anything is trained on them: too long ones are reported before a GPU has them.
rule lengths:
    input:
        expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["train", "validation", "test"]),
        model=lambda wildcards: PLANS[wildcards.scale].base_path(wildcards.model),
    output:
        "results/{scale}/data/{task}/lengths-{model}.json",
    log:
        "results/{scale}/logs/data/{task}-lengths-{model}.log",
    conda:
        "../envs/train.yaml"
    params:
        data=lambda wildcards, input: input[0].rsplit("/", 1)[0],
        style=lambda wildcards: longest_run(wildcards).demonstration,
        settings=lambda wildcards: longest_run(wildcards).settings.model_dump_json(),
        evaluation=lambda wildcards: PLANS[wildcards.scale].scale.evaluation_of(wildcards.model).model_dump_json(),
    shell:
        "python -m sdft.learning.lengths --model {input.model} --data {params.data} --demonstration {params.style} "
        "--settings {params.settings:q} --evaluation {params.evaluation:q} --out {output} > {log} 2>&1"
