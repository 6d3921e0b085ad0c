# Scores of a model: its new task and the six prior benchmarks, in one job, since both need the model in memory.


# A final run on its own task. A run's name starts with its task, which names the score's file too.
rule evaluate:
    input:
        benchmark_files,
        model="results/{scale}/runs/{study}/{task}-{name}/model.json",
        test="results/{scale}/data/{task}/test.jsonl",
    output:
        "results/{scale}/scores/{study}/{task}-{name}/{task}.json",
        [f"results/{{scale}}/scores/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/scores/{study}/{task}-{name}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/evaluate/{study}/{task}-{name}.log",
    wildcard_constraints:
        task="|".join(ONE_TEST),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        data=lambda wildcards: f"{PLANS[wildcards.scale].root}/data",
        tasks=lambda wildcards: " ".join(build.score_names(wildcards.task)),
        options=evaluation_options,
        code=code_digest("evaluate"),
    shell:
        "python -m sdft.evaluate --model {input.model} --task {params.tasks} --data-root {params.data} "
        "--benchmarks all {params.options} --out {params.folder} > {log} 2>&1"


# Knowledge is asked directly and indirectly.
use rule evaluate as evaluate_knowledge with:
    input:
        benchmark_files,
        model="results/{scale}/runs/{study}/{task}-{name}/model.json",
        test="results/{scale}/data/{task}/test.jsonl",
        ood="results/{scale}/data/{task}/ood.jsonl",
    output:
        "results/{scale}/scores/{study}/{task}-{name}/{task}.json",
        "results/{scale}/scores/{study}/{task}-{name}/{task}_ood.json",
        [f"results/{{scale}}/scores/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/scores/{study}/{task}-{name}/responses.jsonl.gz",
    wildcard_constraints:
        task="knowledge",


# A base model on all tasks of its scale. Each scale has tasks of its own, and a rule has one list of outputs, so their
# scores ({task}.json) lie undeclared beside the others.
rule evaluate_base:
    input:
        benchmark_files,
        model="results/{scale}/base/{model}/ready.json",
        tests=base_tests,
    output:
        expand("results/{{scale}}/scores/base/{{model}}/{name}.json", name=BENCHMARKS),
        responses="results/{scale}/scores/base/{model}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/evaluate/base/{model}.log",
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        tasks=base_results,
        data=lambda wildcards: f"{PLANS[wildcards.scale].root}/data",
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        options=evaluation_options,
        code=code_digest("evaluate"),
    shell:
        "python -m sdft.evaluate --model {input.model} --task {params.tasks} --split test --data-root {params.data} "
        "--benchmarks all {params.options} --out {params.folder} > {log} 2>&1"
