# Records of every task. The miniature world makes its own.


for task in TASKS:

    rule:
        name:
            f"miniature_{task}"
        output:
            split_files(task),
            manifest=f"results/{{scale}}/data/{task}/manifest.json",
        log:
            f"results/{{scale}}/logs/data/{task}.log",
        wildcard_constraints:
            scale=data_scales("made", task),
        conda:
            "../envs/train.yaml"
        params:
            options=miniature_options(task),
            code=code_digest("data"),
        shell:
            "python -m sdft.miniature.data {params.options} > {log} 2>&1"


# Prompts of no task, on which SFT + re-invoke distils the base model into the trained one.
rule miniature_general:
    output:
        "results/{scale}/data/general/train.jsonl",
        manifest="results/{scale}/data/general/manifest.json",
    log:
        "results/{scale}/logs/data/general.log",
    wildcard_constraints:
        scale=data_source_scales("miniature"),
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
        scale=data_source_scales("miniature"),
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options("benchmarks"),
        code=code_digest("data"),
    shell:
        "python -m sdft.miniature.data {params.options} > {log} 2>&1"
