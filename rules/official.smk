# Records from files: the released ones, or one's own, or invented ones for a rehearsal.


for task in task_names():

    # test_{rows}.jsonl, other versions of a test set, lie beside the splits.
    rule:
        name:
            f"prepare_{task}"
        input:
            planned(steps.sources.local_data_files, task=task),
        output:
            expand(paths.DATA, draw="", task=task, split=find_task(task).splits, allow_missing=True),
            manifest=expand(paths.DATA_MANIFEST, draw="", task=task, allow_missing=True),
        log:
            paths.log(f"data/{task}"),
        wildcard_constraints:
            scale=steps.sources.task_scales(CONFIG, task, "files"),
        localrule: True
        conda:
            "../envs/train.yaml"
        params:
            task=task,
            spec=planned(steps.sources.data_spec, task=task),
            folder=subpath(output[0], parent=True),
            code=planned(steps.code.measure_code, step="official", task=task),
        shell:
            "python -m sdft.data.prepare --task {params.task} --spec {params.spec:q} --out {params.folder} > {log} 2>&1"

    # Where base models have a folder of data each, one has every task. What is not made for it is copied.
    rule:
        name:
            f"share_{task}"
        input:
            expand(paths.DATA, draw="", task=task, split=find_task(task).splits, allow_missing=True),
        output:
            expand(paths.DATA, task=task, split=find_task(task).splits, allow_missing=True),
        log:
            paths.log(f"data{{draw}}/{task}"),
        wildcard_constraints:
            scale=steps.sources.task_scales(CONFIG, task, "files", "articles"),
            draw="-[1-9][0-9]*",
        localrule: True
        params:
            folder=subpath(output[0], parent=True),
        shell:
            "cp -p {input:q} {params.folder} > {log} 2>&1"

    # Articles, and questions that a model behind an endpoint writes about them. It needs a network and no GPU; every
    # reply is kept (results/writer), so that a writer which fails midway costs nothing twice.
    rule:
        name:
            f"write_{task}"
        input:
            planned(steps.sources.local_data_files, task=task),
        output:
            expand(paths.DATA, draw="", task=task, split=find_task(task).splits, allow_missing=True),
            manifest=expand(paths.DATA_MANIFEST, draw="", task=task, allow_missing=True),
        log:
            paths.log(f"data/{task}"),
        wildcard_constraints:
            scale=steps.sources.task_scales(CONFIG, task, "articles"),
        localrule: True
        conda:
            "../envs/train.yaml"
        params:
            spec=planned(steps.sources.data_spec, task=task),
            folder=subpath(output[0], parent=True),
            code=step_code("knowledge"),
        shell:
            "python -m sdft.data.knowledge.make --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# General prompts for SFT + re-invoke.
rule official_general:
    output:
        expand(paths.DATA, draw="", task="general", split="train", allow_missing=True),
        manifest=expand(paths.DATA_MANIFEST, draw="", task="general", allow_missing=True),
    log:
        paths.log("data/general"),
    wildcard_constraints:
        scale=steps.sources.data_scales(CONFIG, "official"),
    localrule: True
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.data_spec, task="general"),
        folder=subpath(output[0], parent=True),
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
        scale=steps.sources.data_scales(CONFIG, "official"),
    localrule: True
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.data_spec, task="benchmarks"),
        folder=subpath(output[0], parent=True),
        code=step_code("official"),
    shell:
        "python -m sdft.data.prepare --task benchmarks --spec {params.spec:q} --out {params.folder} > {log} 2>&1"


# Data sets of the prior benchmarks, each at one commit, so that no job with a GPU asks the hub for anything.
rule prior_data:
    output:
        paths.PRIOR_DATA,
    log:
        paths.log("data/prior"),
    wildcard_constraints:
        scale=steps.sources.prior_data_scales(CONFIG),
    localrule: True
    conda:
        "../envs/evaluate.yaml"
    params:
        spec=planned(steps.sources.prior_data_spec),
    shell:
        "python -m sdft.evaluate.benchmark_data --spec {params.spec:q} > {log} 2>&1"


# Lengths of the prompts, counted before anything is trained on them: too long ones are reported before a GPU has them.
rule lengths:
    input:
        expand(paths.DATA, draw="", split=["train", "validation", "test"], allow_missing=True),
        model=paths.BASE,
    output:
        paths.LENGTHS,
    log:
        paths.log("data/{task}-lengths-{model}"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.lengths_spec),
    shell:
        "python -m sdft.learning.lengths --spec {params.spec:q} > {log} 2>&1"
