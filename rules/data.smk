# Records of every task. The miniature world makes its own.


for task in task_names():

    rule:
        name:
            f"miniature_{task}"
        output:
            expand(paths.DATA, split=find_task(task).splits, task=task, allow_missing=True),
            manifest=expand(paths.DATA_MANIFEST, task=task, allow_missing=True),
        log:
            paths.log(f"data{{draw}}/{task}"),
        wildcard_constraints:
            scale=steps.sources.task_scales(CONFIG, task, "made"),
        conda:
            "../envs/train.yaml"
        params:
            spec=planned(steps.sources.miniature_spec, task=task),
            code=step_code("data"),
        shell:
            "python -m sdft.miniature.data --spec {params.spec:q} > {log} 2>&1"


# Prompts of no task, on which SFT + re-invoke distils the base model into the trained one.
rule miniature_general:
    output:
        expand(paths.DATA, draw="", task="general", split="train", allow_missing=True),
        manifest=expand(paths.DATA_MANIFEST, draw="", task="general", allow_missing=True),
    log:
        paths.log("data/general"),
    wildcard_constraints:
        scale=steps.sources.data_scales(CONFIG, "miniature"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.miniature_spec, task="general"),
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
        scale=steps.sources.data_scales(CONFIG, "miniature"),
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.miniature_spec, task="benchmarks"),
        code=step_code("data"),
    shell:
        "python -m sdft.miniature.data --spec {params.spec:q} > {log} 2>&1"
