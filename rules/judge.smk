# Verdicts of a judge, where the scale has one: the scores of an evaluation again, with the judge's in them. They need
# a network and no GPU, and every verdict is kept, so that a judge which fails midway costs nothing twice.


rule judge:
    input:
        [f"results/{{scale}}/scores/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        "results/{scale}/scores/{study}/{task}-{name}/{task}.json",
        responses="results/{scale}/scores/{study}/{task}-{name}/responses.jsonl.gz",
        data="results/{scale}/data/{task}/test.jsonl",
    output:
        "results/{scale}/judged/{study}/{task}-{name}/{task}.json",
        [f"results/{{scale}}/judged/{{study}}/{{task}}-{{name}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/judged/{study}/{task}-{name}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/judge/{study}/{task}-{name}.log",
    wildcard_constraints:
        task="|".join(JUDGED),
    conda:
        "../envs/evaluate.yaml"
    params:
        config=judge_config,
        scores=lambda wildcards, input: input.responses.rsplit("/", 1)[0],
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        code=code_digest("judge"),
    shell:
        "python -m sdft.judge --task {wildcards.task} --scores {params.scores} --data {input.data} "
        "--config {params.config:q} --out {params.folder} > {log} 2>&1"


rule judge_base:
    input:
        [f"results/{{scale}}/scores/base/{{model}}/{name}.json" for name in [*SKILLS, *BENCHMARKS]],
        responses="results/{scale}/scores/base/{model}/responses.jsonl.gz",
        data="results/{scale}/data/medical/test.jsonl",
    output:
        [f"results/{{scale}}/judged/base/{{model}}/{name}.json" for name in [*SKILLS, *BENCHMARKS]],
        responses="results/{scale}/judged/base/{model}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/judge/base/{model}.log",
    conda:
        "../envs/evaluate.yaml"
    params:
        config=judge_config,
        scores=lambda wildcards, input: input.responses.rsplit("/", 1)[0],
        folder=lambda wildcards, output: output.responses.rsplit("/", 1)[0],
        code=code_digest("judge"),
    shell:
        "python -m sdft.judge --task medical --scores {params.scores} --data {input.data} --config {params.config:q} "
        "--out {params.folder} > {log} 2>&1"
