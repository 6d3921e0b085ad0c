# Measures that only some studies take of a model: with a demonstration in its context, along its training, in many
# samples, and its distance from the base model.


# A base model on one task, the question alone (none) or with a demonstration or article of each record.
rule evaluate_context:
    input:
        model="results/{scale}/base/{model}/ready.json",
        test=context_data,
    output:
        "results/{scale}/scores/context/{task}-{context}-{model}/{task}.json",
        responses="results/{scale}/scores/context/{task}-{context}-{model}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/evaluate/context/{task}-{context}-{model}.log",
    wildcard_constraints:
        task="|".join(ONE_TEST),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        data=lambda wildcards: f"{PLANS[wildcards.scale].root}/data",
        tasks=lambda wildcards: " ".join(build.score_names(wildcards.task)),
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        options=context_options,
        code=code_digest("evaluate"),
    shell:
        "python -m sdft.evaluate --model {input.model} --task {params.tasks} --data-root {params.data} "
        "{params.options} --out {params.folder} > {log} 2>&1"


# Knowledge is asked directly and indirectly.
use rule evaluate_context as evaluate_knowledge_context with:
    input:
        model="results/{scale}/base/{model}/ready.json",
        test="results/{scale}/data/{task}/test.jsonl",
        ood="results/{scale}/data/{task}/ood.jsonl",
    output:
        "results/{scale}/scores/context/{task}-{context}-{model}/{task}.json",
        "results/{scale}/scores/context/{task}-{context}-{model}/{task}_ood.json",
        responses="results/{scale}/scores/context/{task}-{context}-{model}/responses.jsonl.gz",
    wildcard_constraints:
        task="knowledge",


# Accuracy on a study's tasks, and the prior benchmarks, at the points along a run's training whose weights it kept.
rule trajectory:
    input:
        benchmark_files,
        model=measured_model,
        tests=lambda wildcards: [
            PLANS[wildcards.scale].data_path(task, "test")
            for task in PLANS[wildcards.scale].scale.studies[wildcards.measured].tasks
        ],
    output:
        "results/{scale}/trajectories/{measured}/{study}/{name}.json",
    log:
        "results/{scale}/logs/trajectories/{measured}/{study}/{name}.log",
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        tasks=lambda wildcards: " ".join(PLANS[wildcards.scale].scale.studies[wildcards.measured].tasks),
        data=lambda wildcards: f"{PLANS[wildcards.scale].root}/data",
        limits=limited(None, "limit", "prior_limit"),
        options=evaluation_options,
        code=code_digest("trajectory"),
    shell:
        "python -m sdft.evaluate.trajectory --model {input.model} --task {params.tasks} --data-root {params.data} "
        "{params.options} {params.limits} --out {output} --wait 10000 > {log} 2>&1"


rule pass_at_k:
    input:
        model=measured_model,
        test=measured_data("scaling"),
    output:
        "results/{scale}/passk/{study}/{name}.json",
    log:
        "results/{scale}/logs/passk/{study}/{name}.log",
    wildcard_constraints:
        study="|".join(("base", "table5", *STUDIES)),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        options=measured_options("scaling"),
        limits=limited("scaling", "limit", "samples"),
        code=code_digest("passk"),
    shell:
        "python -m sdft.evaluate.passk --model {input.model} {params.options} {params.limits} --temperature 1 "
        "--top-p 0.95 --out {output} --wait 10000 > {log} 2>&1"


rule divergence:
    input:
        model=measured_model,
        base=measured_base,
        test=measured_data("teacher"),
    output:
        "results/{scale}/divergence/{study}/{name}.json",
    log:
        "results/{scale}/logs/divergence/{study}/{name}.log",
    wildcard_constraints:
        study="|".join(("base", "table5", *STUDIES)),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        options=measured_options("teacher"),
        limits=limited("teacher", "limit", "samples"),
        code=code_digest("divergence"),
    shell:
        "python -m sdft.evaluate.distance --model {input.model} --base {input.base} {params.options} "
        "{params.limits} --out {output} --wait 10000 > {log} 2>&1"


# FLOPs of a step of a run's training, counted while it is taken.
rule flops:
    input:
        run_inputs,
        run="results/{scale}/runs/{study}/{run}/run.json",
    output:
        "results/{scale}/flops/{study}/{run}.json",
    log:
        "results/{scale}/logs/flops/{study}/{run}.log",
    conda:
        "../envs/train.yaml"
    resources:
        gpu=gpus,
    params:
        code=code_digest("flops"),
    shell:
        "python -m sdft.learning.flops --run {input.run} --out {output} > {log} 2>&1"


# Bias and variance of the estimators of appendix A.1, on a toy that can be enumerated.
rule estimators:
    output:
        "results/{scale}/estimators.json",
    log:
        "results/{scale}/logs/estimators.log",
    conda:
        "../envs/train.yaml"
    params:
        code=code_digest("estimators"),
    shell:
        "python -m sdft.losses.enumerated --out {output} > {log} 2>&1"
