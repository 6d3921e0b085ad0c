# Records from what the paper started from: the released data files, or invented ones for a rehearsal.


<<<<<<< HEAD
# A task's splits from the official files. test_{rows}.jsonl, the other versions of a test set, lie beside them.
rule official_task:
    output:
        expand(paths.DATA, split=["train", "validation", "test"], allow_missing=True),
        manifest=paths.DATA_MANIFEST,
    log:
        paths.log("data/{task}"),
    wildcard_constraints:
        scale=steps.scales_with(CONFIG, "data", "official"),
        task="|".join(task for task in task_names() if find_task(task).tests == ("test",)),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.data_spec),
        folder=subpath(output[0], parent=True),
        code=step_code("official"),
    shell:
        "python -m sdft.data.prepare --task {wildcards.task} --spec {params.spec:q} --out {params.folder} > {log} 2>&1"
=======
# A task's splits from its files, those of one's own included. test_{rows}.jsonl, other versions of a test set, lie beside.
for task in TASKS:
>>>>>>> house

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

<<<<<<< HEAD
# Knowledge: articles, and questions that a model behind an endpoint writes about them. It needs a network and no GPU; every
# reply is kept (results/writer), so that a writer which fails midway costs nothing twice.
rule official_knowledge:
    output:
        expand(paths.DATA, task="knowledge", split=find_task("knowledge").splits, allow_missing=True),
        manifest=expand(paths.DATA_MANIFEST, task="knowledge", allow_missing=True),
    log:
        paths.log("data/knowledge"),
    wildcard_constraints:
        scale=steps.scales_with(CONFIG, "data", "official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.knowledge_spec),
        folder=subpath(output[0], parent=True),
        code=step_code("knowledge"),
    shell:
        "python -m sdft.data.knowledge.make --spec {params.spec:q} --out {params.folder} > {log} 2>&1"
=======
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
>>>>>>> house


# General prompts for SFT + re-invoke.
rule official_general:
    output:
        expand(paths.DATA, task="general", split="train", allow_missing=True),
        manifest=expand(paths.DATA_MANIFEST, task="general", allow_missing=True),
    log:
        paths.log("data/general"),
    wildcard_constraints:
<<<<<<< HEAD
        scale=steps.scales_with(CONFIG, "data", "official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.data_spec),
        folder=subpath(output[0], parent=True),
        code=step_code("official"),
=======
        scale=data_source_scales("official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec("general"),
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
>>>>>>> house
    shell:
        "python -m sdft.data.prepare --task general --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# Invented items of the prior benchmarks, for scales whose lm_eval tasks read local files.
rule invented_benchmarks:
    output:
        expand(paths.BENCHMARK_ITEMS, benchmark=BENCHMARKS, allow_missing=True),
        manifest=paths.BENCHMARKS_MANIFEST,
    log:
        paths.log("data/benchmarks"),
    wildcard_constraints:
<<<<<<< HEAD
        scale=steps.scales_with(CONFIG, "data", "official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.data_spec),
        folder=subpath(output[0], parent=True),
        code=step_code("official"),
=======
        scale=data_source_scales("official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=data_spec("benchmarks"),
        folder=lambda wildcards, output: output.manifest.rsplit("/", 1)[0],
        code=code_digest("official"),
>>>>>>> house
    shell:
        "python -m sdft.data.prepare --task benchmarks --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


<<<<<<< HEAD
=======
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


>>>>>>> house
# Lengths of the prompts, counted before anything is trained on them: too long ones are reported before a GPU has them.
rule lengths:
    input:
        expand(paths.DATA, split=["train", "validation", "test"], allow_missing=True),
        model=paths.BASE,
    output:
        paths.LENGTHS,
    log:
<<<<<<< HEAD
        paths.log("data/{task}-lengths-{model}"),
    wildcard_constraints:
        scale=steps.scales_with(CONFIG, "data", "official"),
=======
        "results/{scale}/logs/data/{task}-lengths-{model}.log",
>>>>>>> house
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.lengths_spec),
    shell:
        "python -m sdft.learning.lengths --spec {params.spec:q} > {log} 2>&1"
