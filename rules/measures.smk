# Measures that only some studies take of a model: along its training, in many samples, its distance from the base model,
# and what a step costs.


# Accuracy on a study's tasks, and the prior benchmarks, at the points along a run's training whose weights it kept.
rule trajectory:
    input:
        planned(steps.measures.benchmark_files),
        planned(steps.measures.trajectory_files),
        model=paths.MODEL,
    output:
        paths.TRAJECTORY,
    log:
        paths.log("trajectories/{measured}/{study}/{run}"),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.TRAJECTORY),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),
    params:
        spec=planned(steps.measures.trajectory_spec),
        code=planned(steps.code.measure_code, step="trajectory", prior=True),
    shell:
        "python -m sdft.evaluate.trajectory --spec {params.spec:q} --wait 10000 > {log} 2>&1"


rule pass_at_k:
    input:
        model=planned(steps.measures.measured_model),
        test=planned(steps.measures.measured_data, taken="scaling"),
    output:
        paths.RUN_PASSK,
    log:
        paths.log("passk/{study}/{run}"),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.RUN_PASSK),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),
    params:
        spec=planned(steps.measures.passk_spec, taken="scaling"),
        code=planned(steps.code.measure_code, step="passk"),
    shell:
        "python -m sdft.evaluate.passk --spec {params.spec:q} --wait 10000 > {log} 2>&1"


use rule pass_at_k as pass_at_k_base with:
    output:
        paths.BASE_PASSK,
    log:
        paths.log("passk/base/{task}/{context}/{split}{draw}/{model}"),
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.BASE_PASSK),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),


rule divergence:
    input:
        model=planned(steps.measures.measured_model),
        base=planned(steps.measures.base_file),
        test=planned(steps.measures.measured_data, taken="teacher"),
    output:
        paths.RUN_DIVERGENCE,
    log:
        paths.log("divergence/{study}/{run}"),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.RUN_DIVERGENCE),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),
    params:
        spec=planned(steps.measures.divergence_spec, taken="teacher"),
        code=planned(steps.code.measure_code, step="divergence"),
    shell:
        "python -m sdft.evaluate.distance --spec {params.spec:q} --wait 10000 > {log} 2>&1"


use rule divergence as divergence_base with:
    output:
        paths.BASE_DIVERGENCE,
    log:
        paths.log("divergence/base/{task}/{context}/{split}{draw}/{model}"),
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.BASE_DIVERGENCE),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),


# FLOPs of a step of a run's training, counted while it is taken.
rule flops:
    input:
        planned(steps.runs.run_inputs),
        run=paths.RUN,
    output:
        paths.FLOPS,
    log:
        paths.log("flops/{study}/{run}"),
    conda:
        "../envs/train.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.FLOPS),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),
    params:
        code=planned(steps.code.flops_code),
    shell:
        "python -m sdft.learning.flops --gpus {resources.gpu} --run {input.run} --out {output} > {log} 2>&1"


# Bias and variance of the estimators of appendix A.1, on a toy that can be enumerated.
rule estimators:
    output:
        paths.ESTIMATORS,
    log:
        paths.log("estimators"),
    conda:
        "../envs/train.yaml"
    params:
        code=step_code("estimators"),
    shell:
        "python -m sdft.losses.enumerated --out {output} > {log} 2>&1"
