# Candidates of each arm's grid, and the winner by validation score on the target task.


# A candidate that takes several GPUs is trained in a job of its own, so that scoring it holds one of them. The record of the
# model goes with its weights, unless these are kept.
rule train_candidate:
    input:
        planned(steps.runs.run_inputs),
        # A fault of the scoring shows in one job, not in hundreds.
        proof=ancient(planned(steps.runs.proof)),
    output:
        run=paths.CANDIDATE_TRAINING,
        model=paths.CANDIDATE_MODEL if CONFIG.keep_sweep_weights else temp(paths.CANDIDATE_MODEL),
    log:
        paths.log("sweep/{task}/{arm}/{run}-training"),
    conda:
        "../envs/train.yaml"
    # The profile gives CPUs for each.
    threads: planned(steps.runs.processes)
    resources:
        gpu=planned(steps.runs.training_gpus),
        processes=planned(steps.runs.processes),
        runtime=requested(steps.requests.training_minutes),
        mem_mb=requested(steps.requests.training_memory),
        slurm_extra=requested(steps.requests.training_signal),
    params:
        run=planned(steps.runs.run_spec),
        folder=subpath(output.model, parent=True),
        code=planned(steps.code.train_code),
    shell:
        "printf '%s' {params.run:q} > {output.run} && "
        "python -m sdft.train --processes {resources.processes} --gpus {resources.gpu} --snapshots 0 --run {output.run} "
        "--out {params.folder} --wait 10000 > {log} 2>&1"


# With `sweep: halving`: the first part of a candidate's steps, its accuracy on validation by then, and which go on.
rule rung:
    input:
        planned(steps.runs.run_inputs),
        proof=ancient(planned(steps.runs.proof)),
        validation=planned(steps.measures.validation_file),
    output:
        run=paths.RUNG_RUN,
        rung=paths.RUNG,
    log:
        paths.log("sweep/{task}/{arm}/{run}-rung"),
    conda:
        "../envs/train.yaml"
    resources:
        gpu=planned(steps.runs.candidate_gpus),
        runtime=requested(steps.requests.training_minutes),
        mem_mb=requested(steps.requests.training_memory),
        slurm_extra=requested(steps.requests.training_signal),
    params:
        run=planned(steps.runs.run_spec),
        spec=planned(steps.measures.rung_spec),
        code=planned(steps.code.candidate_code),
    shell:
        "printf '%s' {params.run:q} > {output.run} && "
        "python -m sdft.learning.rung --spec {params.spec:q} --run {output.run} --wait 10000 > {log} 2>&1"


rule promote:
    input:
        candidates=planned(steps.measures.rungs),
    output:
        paths.PROMOTED,
    log:
        paths.log("promote/{task}/{arm}"),
    localrule: True
    conda:
        "../envs/evaluate.yaml"
    params:
        spec=planned(steps.measures.promote_spec),
    shell:
        "python -m sdft.learning.promote --spec {params.spec:q} --candidates {input.candidates} > {log} 2>&1"


# Train one candidate, then score it on validation and on the prior benchmarks. Its weights go unless they are kept.
rule candidate:
    input:
        planned(steps.runs.run_inputs),
        proof=ancient(planned(steps.runs.proof)),
        trained=planned(steps.runs.trained_before),
        promoted=planned(steps.runs.promoted),
        validation=planned(steps.measures.validation_file),
        benchmarks=planned(steps.measures.benchmark_files),
    output:
        run=paths.CANDIDATE,
        validation=paths.VALIDATION,
        replies=paths.REPLIES,
    log:
        paths.log("sweep/{task}/{arm}/{run}"),
    conda:
        "../envs/train.yaml"
    resources:
        gpu=planned(steps.runs.candidate_gpus),
        runtime=requested(steps.requests.training_minutes),
        mem_mb=requested(steps.requests.candidate_memory),
        slurm_extra=requested(steps.requests.training_signal),
    params:
        run=planned(steps.runs.run_spec),
        spec=planned(steps.measures.candidate_spec),
        code=planned(steps.code.candidate_code),
    shell:
        "printf '%s' {params.run:q} > {output.run} && "
        "python -m sdft.learning.candidate --spec {params.spec:q} --wait 10000 > {log} 2>&1"


# Of seconds: as a SLURM job it would wait longer than it works. What a changed scorer would score otherwise is scored
# again here, from what the candidates replied; with a judge, the judge reads these replies, which needs a network.
rule select:
    input:
        validation=planned(steps.measures.validation_files),
        candidates=planned(steps.measures.candidates),
        replies=planned(steps.measures.candidate_replies),
    output:
        paths.SELECTED,
    log:
        paths.log("select/{task}/{arm}"),
    localrule: True
    conda:
        "../envs/evaluate.yaml"
    params:
        spec=planned(steps.measures.select_spec),
        code=planned(steps.code.select_code),
    shell:
        "python -m sdft.learning.select --spec {params.spec:q} --candidates {input.candidates} > {log} 2>&1"
