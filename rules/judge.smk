# Verdicts of a judge, where the scale has one: the scores of an evaluation again, with the judge's in them. They need
# a network and no GPU, and every verdict is kept, so that a judge which fails midway costs nothing twice.


rule judge:
    input:
        [f"results/{{scale}}/scores/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        "results/{scale}/scores/{study}/{task}-{name}/{task}.json",
        responses="results/{scale}/scores/{study}/{task}-{name}/responses.jsonl.gz",
        data=["results/{scale}/data/{task}/test.jsonl"],
    output:
        "results/{scale}/judged/{study}/{task}-{name}/{task}.json",
        [f"results/{{scale}}/judged/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/judged/{study}/{task}-{name}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/judge/{study}/{task}-{name}.log",
    wildcard_constraints:
        task="|".join(task for task in ONE_TEST if find_task(task).judged),
    conda:
        "../envs/evaluate.yaml"
    params:
        config=judge_config,
        tasks=lambda wildcards: " ".join(build.score_names(wildcards.task)),
        scores=lambda wildcards, input: input.responses.rsplit("/", 1)[0],
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        code=code_digest("judge"),
    shell:
        "python -m sdft.evaluate.judge --task {params.tasks} --scores {params.scores} --data {input.data} "
        "--config {params.config:q} --out {params.folder} > {log} 2>&1"


# Knowledge is asked directly and indirectly.
use rule judge as judge_knowledge with:
    input:
        [f"results/{{scale}}/scores/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        "results/{scale}/scores/{study}/{task}-{name}/{task}.json",
        "results/{scale}/scores/{study}/{task}-{name}/{task}_ood.json",
        responses="results/{scale}/scores/{study}/{task}-{name}/responses.jsonl.gz",
        data=expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["test", "ood"]),
    output:
        "results/{scale}/judged/{study}/{task}-{name}/{task}.json",
        "results/{scale}/judged/{study}/{task}-{name}/{task}_ood.json",
        [f"results/{{scale}}/judged/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/judged/{study}/{task}-{name}/responses.jsonl.gz",
    wildcard_constraints:
        task="knowledge",


# A base model on one task, alone or with an article in its context (oracle RAG).
use rule judge as judge_context with:
    input:
        "results/{scale}/scores/context/{task}-{context}-{model}/{task}.json",
        responses="results/{scale}/scores/context/{task}-{context}-{model}/responses.jsonl.gz",
        data=context_data,
    output:
        "results/{scale}/judged/context/{task}-{context}-{model}/{task}.json",
        responses="results/{scale}/judged/context/{task}-{context}-{model}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/judge/context/{task}-{context}-{model}.log",


use rule judge_context as judge_knowledge_context with:
    input:
        "results/{scale}/scores/context/{task}-{context}-{model}/{task}.json",
        "results/{scale}/scores/context/{task}-{context}-{model}/{task}_ood.json",
        responses="results/{scale}/scores/context/{task}-{context}-{model}/responses.jsonl.gz",
        data=expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["test", "ood"]),
    output:
        "results/{scale}/judged/context/{task}-{context}-{model}/{task}.json",
        "results/{scale}/judged/context/{task}-{context}-{model}/{task}_ood.json",
        responses="results/{scale}/judged/context/{task}-{context}-{model}/responses.jsonl.gz",
    wildcard_constraints:
        task="knowledge",


# A base model on all tasks of its scale, of which some are judged.
use rule judge as judge_base with:
    input:
        [f"results/{{scale}}/scores/base/{{model}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/scores/base/{model}/responses.jsonl.gz",
        data=judged_base_tests,
    output:
        [f"results/{{scale}}/judged/base/{{model}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/judged/base/{model}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/judge/base/{model}.log",
    params:
        config=judge_config,
        tasks=lambda wildcards: base_results(wildcards, judged=True),
        scores=lambda wildcards, input: input.responses.rsplit("/", 1)[0],
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        code=code_digest("judge"),
