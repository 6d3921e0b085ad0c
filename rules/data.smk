# Records of every task. The miniature world makes its own.


<<<<<<< HEAD
for task in task_names():
=======
for task in TASKS:
>>>>>>> house

    rule:
        name:
            f"miniature_{task}"
        output:
<<<<<<< HEAD
            expand(paths.DATA, split=find_task(task).splits, task=task, allow_missing=True),
            manifest=expand(paths.DATA_MANIFEST, task=task, allow_missing=True),
        log:
            paths.log(f"data/{task}"),
        wildcard_constraints:
            scale=steps.scales_with(CONFIG, "data", "miniature"),
        conda:
            "../envs/train.yaml"
        params:
            spec=planned(steps.miniature_spec, task=task),
            code=step_code("data"),
        shell:
            "python -m sdft.miniature.data --spec {params.spec:q} > {log} 2>&1"
=======
            split_files(task),
            manifest=f"results/{{scale}}/data/{task}/manifest.json",
        log:
            f"results/{{scale}}/logs/data/{task}.log",
        wildcard_constraints:
            scale=data_scales("made", task),
        conda:
            "../envs/train.yaml"
        params:
            options=miniature_options(task),
            code=code_digest("data"),
        shell:
            "python -m sdft.miniature.data {params.options} > {log} 2>&1"
>>>>>>> house


# Prompts of no task, on which SFT + re-invoke distils the base model into the trained one.
rule miniature_general:
    output:
        expand(paths.DATA, task="general", split="train", allow_missing=True),
        manifest=expand(paths.DATA_MANIFEST, task="general", allow_missing=True),
    log:
        paths.log("data/general"),
    wildcard_constraints:
<<<<<<< HEAD
        scale=steps.scales_with(CONFIG, "data", "miniature"),
=======
        scale=data_source_scales("miniature"),
>>>>>>> house
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.miniature_spec, task="general"),
        code=step_code("data"),
    shell:
        "python -m sdft.miniature.data --spec {params.spec:q} > {log} 2>&1"


rule miniature_benchmarks:
    output:
        expand(paths.BENCHMARK_ITEMS, benchmark=BENCHMARKS, allow_missing=True),
        manifest=paths.BENCHMARKS_MANIFEST,
    log:
        paths.log("data/benchmarks"),
    wildcard_constraints:
<<<<<<< HEAD
        scale=steps.scales_with(CONFIG, "data", "miniature"),
=======
        scale=data_source_scales("miniature"),
>>>>>>> house
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.miniature_spec, task="benchmarks"),
        code=step_code("data"),
    shell:
        "python -m sdft.miniature.data --spec {params.spec:q} > {log} 2>&1"
