# Records from what the paper started from: the released data files, or invented ones for a rehearsal.


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
        folder=subpath(output.manifest, parent=True),
        code=step_code("official"),
    shell:
        "python -m sdft.data.prepare --task {wildcards.task} --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


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
        folder=subpath(output.manifest, parent=True),
        code=step_code("knowledge"),
    shell:
        "python -m sdft.data.knowledge.make --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# General prompts for SFT + re-invoke.
rule official_general:
    output:
        expand(paths.DATA, task="general", split="train", allow_missing=True),
        manifest=expand(paths.DATA_MANIFEST, task="general", allow_missing=True),
    log:
        paths.log("data/general"),
    wildcard_constraints:
        scale=steps.scales_with(CONFIG, "data", "official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.data_spec),
        folder=subpath(output.manifest, parent=True),
        code=step_code("official"),
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
        scale=steps.scales_with(CONFIG, "data", "official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.data_spec),
        folder=subpath(output.manifest, parent=True),
        code=step_code("official"),
    shell:
        "python -m sdft.data.prepare --task benchmarks --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# Lengths of the prompts, counted before anything is trained on them: too long ones are reported before a GPU has them.
rule lengths:
    input:
        expand(paths.DATA, split=["train", "validation", "test"], allow_missing=True),
        model=paths.BASE,
    output:
        paths.LENGTHS,
    log:
        paths.log("data/{task}-lengths-{model}"),
    wildcard_constraints:
        scale=steps.scales_with(CONFIG, "data", "official"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.lengths_spec),
    shell:
        "python -m sdft.learning.lengths --spec {params.spec:q} > {log} 2>&1"
