# Scores of a model: its new task and the six prior benchmarks, in one job, since both need the model in memory.

SKILLS = ("science", "tooluse", "medical")


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
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        options=evaluation_options,
        code=code_digest("evaluate"),
    shell:
        "python -m sdft.evaluate --model {input.model} --task {wildcards.task} --split test --data {input.test} "
        "--benchmarks all {params.options} --out {params.folder} > {log} 2>&1"


# A base model on all skill tasks.
rule evaluate_base:
    input:
        benchmark_files,
        model="results/{scale}/base/{model}/ready.json",
        tests=expand("results/{{scale}}/data/{task}/test.jsonl", task=SKILLS),
    output:
        expand("results/{{scale}}/scores/base/{{model}}/{name}.json", name=[*SKILLS, *BENCHMARKS]),
        responses="results/{scale}/scores/base/{model}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/evaluate/base/{model}.log",
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=gpus,
    params:
        tasks=" ".join(SKILLS),
        data=lambda wildcards: f"{PLANS[wildcards.scale].root}/data",
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        options=evaluation_options,
        code=code_digest("evaluate"),
    shell:
        "python -m sdft.evaluate --model {input.model} --task {params.tasks} --split test --data-root {params.data} "
        "--benchmarks all {params.options} --out {params.folder} > {log} 2>&1"
