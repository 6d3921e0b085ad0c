# Candidates of each arm's grid, and the winner by validation score on the target task.


# Train one candidate, then score it on validation and on the prior benchmarks. Its weights go unless they are kept.
rule candidate:
    input:
        run_inputs,
        validation="results/{scale}/data/{task}/validation.jsonl",
        benchmarks=benchmark_files,
    output:
        run="results/{scale}/sweep/{task}/{arm}/{run}/run.json",
        validation="results/{scale}/sweep/{task}/{arm}/{run}/validation.json",
    log:
        "results/{scale}/logs/sweep/{task}/{arm}/{run}.log",
    conda:
        "../envs/train.yaml"
    # The profile gives CPUs and memory for each.
    threads: processes
    resources:
        gpu=training_gpus,
        processes=processes,
    params:
        spec=run_spec,
        options=lambda wildcards: evaluation_options(wildcards, sweep=True),
        keep="--keep-weights" if CONFIG.keep_sweep_weights else "",
        code=code_digest("sweep"),
    shell:
        "printf '%s' {params.spec:q} > {output.run} && "
        "python -m sdft.learning.candidate --processes {resources.processes} --run {output.run} --validation {input.validation} --out {output.validation} "
        "{params.options} {params.keep} --wait 10000 > {log} 2>&1"


rule select:
    input:
        lambda wildcards: [
            PLANS[wildcards.scale].validation_path(run)
            for run in PLANS[wildcards.scale].candidates(wildcards.task, wildcards.arm)
        ],
    output:
        "results/{scale}/selected/{task}/{arm}.json",
    log:
        "results/{scale}/logs/select/{task}/{arm}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        method=lambda wildcards: PLANS[wildcards.scale].arm(wildcards.arm).method,
        code=code_digest("select"),
    shell:
        "python -m sdft.learning.select --candidates {input} --method {params.method} --out {output} > {log} 2>&1"
