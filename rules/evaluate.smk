# Scores of a model: its new task and the six prior benchmarks, in one job, since both need the model in memory.


# A final run on its own task. Which files that makes hangs on the task, with which a run's name begins.
for task in task_names():

    rule:
        name:
            f"evaluate_{task}"
        input:
            planned(steps.measures.benchmark_files),
            planned(steps.measures.run_test_files),
            model=paths.MODEL,
        output:
            paths.scores(paths.RUN_SCORES, *tested(task), *BENCHMARKS),
        log:
            paths.log("evaluate/{study}/{run}"),
        wildcard_constraints:
            run=rf"{task}-[a-z0-9_.-]+",
        conda:
            "../envs/evaluate.yaml"
        resources:
            gpu=planned(steps.runs.gpus),
            runtime=requested(steps.requests.minutes, path=paths.RUN_SCORES + paths.RESPONSES),
            mem_mb=requested(steps.requests.memory),
            slurm_extra=requested(steps.requests.signal),
        params:
            spec=planned(steps.measures.evaluate_spec),
            code=planned(steps.code.measure_code, step="evaluate", prior=True),
        shell:
            "python -m sdft.evaluate --spec {params.spec:q} > {log} 2>&1"


# A base model on all tasks of its scale. Each scale has tasks of its own, and a rule has one list of outputs, so their
# scores ({task}.json) lie undeclared beside the others.
rule evaluate_base:
    input:
        planned(steps.measures.benchmark_files),
        planned(steps.measures.base_test_files),
        model=paths.BASE,
    output:
        paths.scores(paths.BASE_SCORES, *BENCHMARKS),
    log:
        paths.log("evaluate/base/{model}"),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.BASE_SCORES + paths.RESPONSES),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),
    params:
        spec=planned(steps.measures.evaluate_base_spec),
        code=planned(steps.code.measure_code, step="evaluate", prior=True),
    shell:
        "python -m sdft.evaluate --spec {params.spec:q} > {log} 2>&1"


# A base model on one task, the question alone (none) or with a demonstration or article of each record.
for task in task_names():

    rule:
        name:
            f"evaluate_context_{task}"
        input:
            planned(steps.measures.context_files),
            model=paths.BASE,
        output:
            paths.scores(paths.CONTEXT_SCORES, *tested(task)),
        log:
            paths.log("evaluate/context/{task}/{context}/{split}{draw}/{model}"),
        wildcard_constraints:
            task=task,
        conda:
            "../envs/evaluate.yaml"
        resources:
            gpu=planned(steps.runs.gpus),
            runtime=requested(steps.requests.minutes, path=paths.CONTEXT_SCORES + paths.RESPONSES),
            mem_mb=requested(steps.requests.memory),
            slurm_extra=requested(steps.requests.signal),
        params:
            spec=planned(steps.measures.evaluate_context_spec),
            code=planned(steps.code.measure_code, step="evaluate"),
        shell:
            "python -m sdft.evaluate --spec {params.spec:q} > {log} 2>&1"
