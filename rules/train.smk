# Final runs: the sweep's winner, trained with every seed.


# The weights and checkpoints lie in folders beside model.json that are not outputs, so that a run which is stopped
# continues where it was: Snakemake deletes a job's declared outputs whenever it starts the job.
rule train:
    input:
        planned(steps.runs.run_inputs),
    output:
        run=paths.RUN,
        model=paths.MODEL,
        metrics=paths.METRICS,
    log:
        paths.log("train/{study}/{run}"),
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
        "python -m sdft.train --processes {resources.processes} --gpus {resources.gpu} --run {output.run} --out {params.folder} --wait 10000 > {log} 2>&1"
