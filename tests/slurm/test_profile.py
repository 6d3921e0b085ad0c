"""The shipped profile as Snakemake reads it. No cluster is needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml
from cluster import ROOT
from snakemake.cli import parse_args
from snakemake.iocontainers import Wildcards

RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


@pytest.fixture(scope="module")
def rules():
    """The rules, as Snakemake reads the Snakefile, each with all resources that it names; the local ones; those that
    ask for a GPU."""
    code = (
        "from pathlib import Path\nfrom snakemake.api import ResourceSettings, SnakemakeApi\n"
        "with SnakemakeApi() as api:\n"
        "    workflow = api.workflow(ResourceSettings(), snakefile=Path('Snakefile'))._workflow\n"
        "    print(*(f'{rule.name}:' + ','.join(rule.resources) for rule in workflow.rules))\n"
        "    print(*workflow._localrules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    named, local = done.stdout.splitlines()
    every = {name: asked.split(",") for name, _, asked in (one.partition(":") for one in named.split())}
    # Only a miniature base model, which needs none, is trained by the one left out.
    return every, set(local.split()), {name for name in every if "gpu" in every[name]} - {"base_trained"}


@pytest.fixture
def arguments(monkeypatch):
    """Parses `snakemake --profile slurm` in the repository's root, with the given environment."""

    def parse(*more, **environment):
        monkeypatch.chdir(ROOT)
        for name in ("SDFT_SLURM_ACCOUNT", "SDFT_SLURM_PARTITION", "SDFT_SLURM_CPU_PARTITION", "SDFT_SLURM_GPU"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return parse_args(["--profile", "slurm", *more])[1]

    return parse


def value(resource, scale="paper", attempt=1, threads=1):
    """A resource of the profile as a job of that scale gets it."""
    wildcards = Wildcards(fromdict={"scale": scale})
    known = resource.evaluate(wildcards, input=[], attempt=attempt, threads=threads, rulename="x", async_run=None)
    return known.value


def test_the_literal_command_finds_it(arguments):
    found = arguments()
    assert found.executor == "slurm"
    assert found.jobs == 100
    assert found.retries == 2
    assert found.keep_going
    assert found.rerun_incomplete
    assert "code" not in {str(trigger) for trigger in found.rerun_triggers}
    assert found.slurm_status_command == "squeue"
    # A job of seconds must not wait many times its own length to be seen.
    assert found.slurm_init_seconds_before_status_checks <= 2
    assert found.slurm_requeue is True
    assert found.slurm_jobname_prefix == "sdft"
    assert found.resources["gpu"].value == 16


def test_its_logs_have_a_folder_of_their_own(arguments):
    # The plugin deletes *.log below it, so no rule may write there.
    folder = str(arguments().slurm_logdir)
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert folder == "results/slurm"
    assert folder not in rules
    assert arguments().slurm_delete_logfiles_older_than == 0


@pytest.mark.slow
def test_a_gpu_job_asks_for_cpus_and_leaves_time_and_memory_to_its_rule(arguments, rules):
    every, _, with_gpu = rules
    found = arguments(SDFT_SLURM_GPU="h200").set_resources
    for rule in with_gpu:
        wanted = found[rule]
        assert value(wanted["cpus_per_task"]) == 8, rule
        assert value(wanted["gpu_model"]) == "h200", rule
        # A small scale runs without a GPU.
        assert value(wanted["gpu_model"], scale="mini") == "", rule
        assert not {"mem_mb", "runtime", "slurm_extra"} & set(wanted), rule
        assert {"mem_mb", "runtime", "slurm_extra"} <= set(every[rule]), rule


@pytest.mark.parametrize("rule", ["candidate", "train"])
def test_a_training_on_several_gpus_gets_their_cpus_on_one_node(arguments, rule):
    wanted = arguments().set_resources[rule]
    assert value(wanted["cpus_per_task"], threads=4) == 4 * value(wanted["cpus_per_task"])
    assert value(wanted["nodes"]) == 1


def test_jobs_without_a_gpu_have_a_partition_of_their_own_where_the_site_wants_it(arguments):
    one = arguments(SDFT_SLURM_PARTITION="gpu")
    assert value(one.default_resources["slurm_partition"]) == "gpu"
    assert "slurm_partition" not in one.set_resources["train"]
    two = arguments(SDFT_SLURM_PARTITION="gpu", SDFT_SLURM_CPU_PARTITION="cpu")
    assert value(two.default_resources["slurm_partition"]) == "cpu"
    assert {value(wanted["slurm_partition"]) for wanted in two.set_resources.values()} == {"gpu"}


@pytest.mark.slow
def test_the_gpu_rules_ask_for_their_gpus_themselves(arguments, rules):
    _, _, with_gpu = rules
    assert {"candidate", "train", "evaluate_science", "evaluate_context_knowledge", "pass_at_k_base"} <= with_gpu
    assert with_gpu == set(arguments().set_resources)
    assert "retries:" not in RULES


@pytest.mark.slow
def test_what_needs_a_network_never_becomes_a_job(rules):
    every, local, with_gpu = rules
    outside = re.compile(r"base_model|released_model|prior_data|downloads|(prepare|write|official|judge)_.*")
    found = {name for name in every if outside.fullmatch(name)}
    assert len(found) > 12
    assert found <= local
    assert not with_gpu & local


def test_account_and_partition_come_from_the_environment(arguments):
    found = arguments(SDFT_SLURM_ACCOUNT="astro", SDFT_SLURM_PARTITION="gpu-long").default_resources
    assert value(found["slurm_account"]) == "astro"
    assert value(found["slurm_partition"]) == "gpu-long"
    # Names that Snakemake would take for Python's own, for wildcards, or for numbers.
    for account, partition in (("sum", "all"), ("None", "input"), ("1e3", "attempt"), ("o'brien", "a100,h100")):
        found = arguments(SDFT_SLURM_ACCOUNT=account, SDFT_SLURM_PARTITION=partition).default_resources
        assert (value(found["slurm_account"]), value(found["slurm_partition"])) == (account, partition)
    nothing = arguments().default_resources
    assert value(nothing["slurm_account"]) == value(nothing["slurm_partition"]) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "scale"), [([], "paper"), (["--config", "scale=mini"], "mini"), (["--config", "sweep=full"], "paper")]
)
def test_it_means_scale_paper_unless_the_command_line_says_otherwise(tmp_path, more, scale):
    (tmp_path / "config.yaml").write_text("scale: rehearsal\n")
    (tmp_path / "Snakefile").write_text('configfile: "config.yaml"\nprint("scale is", config["scale"])\n')
    command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "slurm"), "-n", *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"scale is {scale}" in done.stdout + done.stderr


def test_every_key_is_one_that_snakemake_knows(arguments):
    # Snakemake drops an unknown key with a mapping under it in silence.
    keys = set(yaml.safe_load((ROOT / "slurm/profile.yaml").read_text()))
    known = {key.replace("_", "-") for key in vars(arguments())}
    assert keys - known == {"__use_yte__", "__variables__"}


def test_nothing_is_named_as_a_profile_that_applies_itself():
    assert not (ROOT / "profiles").exists()
    assert not [name for name in os.listdir(ROOT) if name.startswith("default")]
