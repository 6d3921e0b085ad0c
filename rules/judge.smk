# Verdicts of a judge, where the scale has one: the scores of an evaluation again, with the judge's in them. They need
# a network and no GPU, and every verdict is kept, so that a judge which fails midway costs nothing twice.

JUDGED = [task for task in task_names() if find_task(task).judged]


# Of a run, and of a base model on one task, alone or with an article in its context (oracle RAG).
for task in JUDGED:

    rule:
        name:
            f"judge_{task}"
        input:
            scores=paths.scores(paths.RUN_SCORES, *tested(task), *BENCHMARKS),
            data=planned(steps.measures.run_test_files),
        output:
            paths.scores(paths.RUN_SCORES, *tested(task), *BENCHMARKS, scored="judged"),
        log:
            paths.log("judge/{study}/{run}"),
        wildcard_constraints:
            run=rf"{task}-[a-z0-9_.-]+",
        localrule: True
        conda:
            "../envs/evaluate.yaml"
        params:
            config=planned(steps.measures.judge_config),
            tasks=list(tested(task)),
            scores=subpath(input[0], parent=True),
            folder=subpath(output[0], parent=True),
            code=planned(steps.code.measure_code, step="judge"),
        shell:
            "python -m sdft.evaluate.judge --task {params.tasks} --scores {params.scores} --data {input.data} "
            "--config {params.config:q} --out {params.folder} > {log} 2>&1"

    rule:
        name:
            f"judge_context_{task}"
        input:
            scores=paths.scores(paths.CONTEXT_SCORES, *tested(task)),
            data=planned(steps.measures.context_files),
        output:
            paths.scores(paths.CONTEXT_SCORES, *tested(task), scored="judged"),
        log:
            paths.log("judge/context/{task}/{context}/{split}{draw}/{model}"),
        wildcard_constraints:
            task=task,
        localrule: True
        conda:
            "../envs/evaluate.yaml"
        params:
            config=planned(steps.measures.judge_config),
            tasks=list(tested(task)),
            scores=subpath(input[0], parent=True),
            folder=subpath(output[0], parent=True),
            code=planned(steps.code.measure_code, step="judge"),
        shell:
            "python -m sdft.evaluate.judge --task {params.tasks} --scores {params.scores} --data {input.data} "
            "--config {params.config:q} --out {params.folder} > {log} 2>&1"


# A base model on all tasks of its scale, of which some are judged.
rule judge_base:
    input:
        scores=paths.scores(paths.BASE_SCORES, *BENCHMARKS),
        data=planned(steps.measures.base_test_files, judged=True),
    output:
        paths.scores(paths.BASE_SCORES, *BENCHMARKS, scored="judged"),
    log:
        paths.log("judge/base/{model}"),
    localrule: True
    conda:
        "../envs/evaluate.yaml"
    params:
        config=planned(steps.measures.judge_config),
        tasks=planned(steps.measures.base_results, judged=True),
        scores=subpath(input[0], parent=True),
        folder=subpath(output[0], parent=True),
        code=planned(steps.code.measure_code, step="judge"),
    shell:
        "python -m sdft.evaluate.judge --task {params.tasks} --scores {params.scores} --data {input.data} "
        "--config {params.config:q} --out {params.folder} > {log} 2>&1"
