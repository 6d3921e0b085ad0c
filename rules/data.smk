# Records of every task. The miniature world makes its own; the other scales read the paper's files.


rule miniature_task:
    output:
        expand("results/{{scale}}/data/{{task}}/{split}.jsonl", split=["train", "validation", "test"]),
        manifest="results/{scale}/data/{task}/manifest.json",
    log:
        "results/{scale}/logs/data/{task}.log",
    conda:
        "../envs/train.yaml"
    params:
        code=code_digest("data"),
    wildcard_constraints:
        scale=data_scales("miniature"),
    shell:
        "{PY} -m sdft.miniature.data --task {wildcards.task} --out results/{wildcards.scale}/data > {log} 2>&1"
