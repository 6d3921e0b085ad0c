# The checkpoints that the authors released, scored as they are: nothing is trained. The first thing to run at paper scale,
# since it tests the whole evaluation against the paper's numbers. `snakemake --profile slurm released_checkpoints` makes
# nothing else; in a rehearsal a random model stands in.


localrules:
    released_checkpoints,
    released_table,


rule released_checkpoints:
    input:
        released_files(PLAN),


# The weights lie beside ready.json, undeclared, as a base model's do.
rule released_model:
    output:
        "results/{scale}/released/{model}/ready.json",
    log:
        "results/{scale}/logs/released/{model}.log",
    conda:
        "../envs/train.yaml"
    params:
        options=source_options,
        folder=lambda wildcards, output: output[0].rsplit("/", 1)[0],
    shell:
        "python -m sdft.models.hub --name {wildcards.model} {params.options} --out {params.folder} > {log} 2>&1"


# Its own task and the six prior benchmarks.
rule evaluate_released:
    input:
        benchmark_files,
        model="results/{scale}/released/{model}/ready.json",
        test="results/{scale}/data/{task}/test.jsonl",
    output:
        "results/{scale}/released/{model}/{task}/{task}.json",
        [f"results/{{scale}}/released/{{model}}/{{task}}/{name}.json" for name in BENCHMARKS],
        responses="results/{scale}/released/{model}/{task}/responses.jsonl.gz",
    log:
        "results/{scale}/logs/released/{model}-{task}.log",
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


rule released_table:
    input:
        lambda wildcards: PLANS[wildcards.scale].released_scores(),
    output:
        plan="results/{scale}/tables/released/plan.json",
        verdict="results/{scale}/tables/released/verdict.json",
        files=multiext("results/{scale}/tables/released/table", ".csv", ".md"),
    log:
        "results/{scale}/logs/tables/released.log",
    conda:
        "../envs/analysis.yaml"
    params:
        plan=lambda wildcards: json.dumps(PLANS[wildcards.scale].released(), indent=1),
        folder=lambda wildcards, output: output.plan.rsplit("/", 1)[0],
        code=code_digest("released"),
    shell:
        "printf '%s' {params.plan:q} > {output.plan} && "
        "python -m sdft.pages.released --plan {output.plan} --out {params.folder} > {log} 2>&1"
