# Records of every task. The miniature world makes its own.


rule miniature_task:
    output:
        expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["train", "validation", "test"]),
        manifest="results/{scale}/data/{task}/manifest.json",
    log:
        "results/{scale}/logs/data/{task}.log",
    wildcard_constraints:
        scale=data_scales("miniature"),
        task="|".join(ONE_TEST),
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options(None),
        code=code_digest("data"),
    shell:
        "python -m sdft.miniature.data {params.options} > {log} 2>&1"


# Knowledge is also asked indirectly, and told in articles.
use rule miniature_task as miniature_knowledge with:
    output:
        expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["train", "validation", "test", "ood", "corpus"]),
        manifest="results/{scale}/data/{task}/manifest.json",
    wildcard_constraints:
        scale=data_scales("miniature"),
        task="knowledge",


# Prompts of no task, on which SFT + re-invoke distils the base model into the trained one.
rule miniature_general:
    output:
        "results/{scale}/data/general/train.jsonl",
        manifest="results/{scale}/data/general/manifest.json",
    log:
        "results/{scale}/logs/data/general.log",
    wildcard_constraints:
        scale=data_scales("miniature"),
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options("general"),
        code=code_digest("data"),
    shell:
        "python -m sdft.miniature.data {params.options} > {log} 2>&1"


rule miniature_benchmarks:
    output:
        expand("results/{{scale}}/data/benchmarks/{name}.jsonl", name=BENCHMARKS),
        manifest="results/{scale}/data/benchmarks/manifest.json",
    log:
        "results/{scale}/logs/data/benchmarks.log",
    wildcard_constraints:
        scale=data_scales("miniature"),
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options("benchmarks"),
        code=code_digest("data"),
    shell:
        "python -m sdft.miniature.data {params.options} > {log} 2>&1"
