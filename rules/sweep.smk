# Candidates of each arm's grid, and the winner by validation score on the target task.


# Train one candidate, then score it on validation and on the prior benchmarks. Its weights go unless they are kept.
rule candidate:
    input:
        planned(steps.run_inputs),
        validation=expand(paths.DATA, split="validation", allow_missing=True),
        benchmarks=planned(steps.benchmark_files),
    output:
        run=paths.CANDIDATE,
        validation=paths.VALIDATION,
        replies=paths.REPLIES,
    log:
        paths.log("sweep/{task}/{arm}/{run}"),
    conda:
        "../envs/train.yaml"
    # The profile gives CPUs and memory for each.
    threads: planned(steps.processes)
    resources:
        gpu=planned(steps.training_gpus),
        processes=planned(steps.processes),
    params:
        run=planned(steps.run_spec),
        spec=planned(steps.candidate_spec),
        code=planned(steps.candidate_code),
    shell:
        "printf '%s' {params.run:q} > {output.run} && "
        "python -m sdft.learning.candidate --spec {params.spec:q} --processes {resources.processes} --wait 10000 "
        "> {log} 2>&1"


# Of seconds: as a SLURM job it would wait longer than it works. What a changed scorer would score otherwise is scored
# again here, from what the candidates replied.
rule select:
    input:
        validation=expand(paths.DATA, split="validation", allow_missing=True),
        candidates=planned(steps.candidates),
        replies=planned(steps.candidate_replies),
    output:
        paths.SELECTED,
    log:
        paths.log("select/{task}/{arm}"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        spec=planned(steps.select_spec),
        code=planned(steps.select_code),
    shell:
        "python -m sdft.learning.select --spec {params.spec:q} --candidates {input.candidates} > {log} 2>&1"
