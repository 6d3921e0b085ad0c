# Records of every task. The miniature world makes its own.


def miniature_options(part):
    """Options of `python -m sdft.miniature.data` for a part, or for the task that the wildcards name."""

    def options(wildcards):
        data = PLANS[wildcards.scale].scale.data
        values = {"task": part or wildcards.task, "world-seed": data.world_seed, "out": f"results/{wildcards.scale}/data"}
        if part:
            values["benchmark-items"] = data.benchmark_items
        else:
            values |= data.sizes[wildcards.task].model_dump(exclude_none=True)
        if part == "general":
            values["general"] = data.general_prompts
        return " ".join(f"--{name} {value}" for name, value in values.items())

    return options


rule miniature_task:
    output:
        expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["train", "validation", "test"]),
        manifest="results/{scale}/data/{task}/manifest.json",
    log:
        "results/{scale}/logs/data/{task}.log",
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options(None),
        code=code_digest("data"),
    wildcard_constraints:
        scale=data_scales("miniature"),
    shell:
        "{PY} -m sdft.miniature.data {params.options} > {log} 2>&1"


# Prompts of no task, on which SFT + re-invoke distils the base model into the trained one.
rule miniature_general:
    output:
        "results/{scale}/data/general/train.jsonl",
        manifest="results/{scale}/data/general/manifest.json",
    log:
        "results/{scale}/logs/data/general.log",
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options("general"),
        code=code_digest("data"),
    wildcard_constraints:
        scale=data_scales("miniature"),
    shell:
        "{PY} -m sdft.miniature.data {params.options} > {log} 2>&1"


rule miniature_benchmarks:
    output:
        expand("results/{{scale}}/data/benchmarks/{name}.jsonl", name=BENCHMARKS),
        manifest="results/{scale}/data/benchmarks/manifest.json",
    log:
        "results/{scale}/logs/data/benchmarks.log",
    conda:
        "../envs/train.yaml"
    params:
        options=miniature_options("benchmarks"),
        code=code_digest("data"),
    wildcard_constraints:
        scale=data_scales("miniature"),
    shell:
        "{PY} -m sdft.miniature.data {params.options} > {log} 2>&1"
