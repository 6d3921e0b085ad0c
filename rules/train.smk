# Final runs: the sweep's winner, trained with every seed.


# The weights and checkpoints lie in folders beside model.json that are not outputs, so that a run which is stopped
# continues where it was: Snakemake deletes a job's declared outputs whenever it starts the job.
rule train:
    input:
        run_inputs,
    output:
        run="results/{scale}/runs/{study}/{run}/run.json",
        model="results/{scale}/runs/{study}/{run}/model.json",
        metrics="results/{scale}/runs/{study}/{run}/metrics.jsonl",
    log:
        "results/{scale}/logs/train/{study}/{run}.log",
    conda:
        "../envs/train.yaml"
    # The profile gives CPUs and memory for each.
    threads: processes
    resources:
        gpu=training_gpus,
        processes=processes,
    params:
        spec=run_spec,
        folder=lambda wildcards, output: output.model.rsplit("/", 1)[0],
        code=code_digest("train"),
    shell:
        "printf '%s' {params.spec:q} > {output.run} && "
        "python -m sdft.train --processes {resources.processes} --run {output.run} --out {params.folder} --wait 10000 > {log} 2>&1"
