# The checkpoints that the authors released, scored as they are: nothing is trained. The first thing to run at paper scale,
# since it tests the whole evaluation against the paper's numbers. `snakemake --profile slurm released_checkpoints` makes
# nothing else; in a rehearsal a random model stands in.


rule released_checkpoints:
    """The checkpoints that the authors released, scored as they are"""
    input:
        steps.shown.released_files(PLAN),
    localrule: True


# The weights lie beside ready.json, undeclared, as a base model's do.
rule released_model:
    output:
        paths.RELEASED,
    log:
        paths.log("released/{model}"),
    localrule: True
    conda:
        "../envs/train.yaml"
    params:
        spec=planned(steps.sources.source_spec),
    shell:
        "python -m sdft.models.hub --spec {params.spec:q} > {log} 2>&1"


# Its own task and the six prior benchmarks.
rule evaluate_released:
    input:
        planned(steps.measures.benchmark_files),
        model=paths.RELEASED,
        test=expand(paths.DATA, draw="", split="test", allow_missing=True),
    output:
        paths.scores(paths.RELEASED_SCORES, "{task}", *BENCHMARKS),
    log:
        paths.log("released/{model}-{task}"),
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=planned(steps.runs.gpus),
        runtime=requested(steps.requests.minutes, path=paths.RELEASED_SCORES + paths.RESPONSES),
        mem_mb=requested(steps.requests.memory),
        slurm_extra=requested(steps.requests.signal),
    params:
        spec=planned(steps.measures.evaluate_released_spec),
        code=planned(steps.code.measure_code, step="evaluate", prior=True),
    shell:
        "python -m sdft.evaluate --spec {params.spec:q} > {log} 2>&1"


rule released_table:
    input:
        planned(steps.shown.released_scores),
    output:
        plan=expand(paths.TABLE_PLAN, table="released", allow_missing=True),
        verdict=expand(paths.VERDICT, table="released", allow_missing=True),
        files=expand(paths.TABLE, table="released", kind=["csv", "md"], allow_missing=True),
    log:
        paths.log("tables/released"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        plan=planned(steps.shown.released_plan),
        folder=subpath(output[0], parent=True),
        code=step_code("released"),
    shell:
        "printf '%s' {params.plan:q} > {output.plan} && "
        "python -m sdft.pages.released --plan {output.plan} --out {params.folder} > {log} 2>&1"
