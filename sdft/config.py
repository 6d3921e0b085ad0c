"""`python -m sdft.config [FILE]`: check a configuration, or find what it says of a word (`--find "Table 4"`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.study.checks import check_batches, check_files, check_sizes
from sdft.study.load import json_schema as json_schema
from sdft.study.load import load_config as load_config
from sdft.study.load import parse_config as parse_config
from sdft.study.manual import find
from sdft.study.plan import Plan


def summary(plan: Plan) -> list[str]:
    """What a study is, in a few lines: seeds and models, tasks, arms with the sizes of their sweeps, studies, runs."""
    scale, runs = plan.scale, plan.runs()
    sizes = {name: len(plan.hyperparameters(name)) for name, arm in scale.arms.items() if arm.grid}
    arms = ", ".join(
        f"{name} ({sizes[name]})" if name in sizes else f"{name} (like {scale.arms[name].like})" for name in scale.arms
    )
    reasons = {name: reason for name in scale.studies if (reason := plan.not_run(name))}
    on = [name for name in scale.studies if name not in reasons]
    candidates = sum(run.study == "sweep" for run in runs)
    others = ", ".join(name for name in plan.config.scales if name != plan.name)
    return [
        f"evidence {scale.evidence}: {scale.notice}",
        f"models   {', '.join(plan.bases)}",
        f"tasks    {', '.join(plan.tasks)}",
        f"arms     {arms}; in brackets the candidates a task ({plan.config.sweep} sweep)",
        f"studies  {', '.join(on) or 'none'}",
        *(f"         NOT RUN, studies.{name}: {reason}" for name, reason in reasons.items()),
        f"runs     {len(runs)}: {candidates} candidates and {len(runs) - candidates} final runs",
        f"scales   also {others}; --config scale=NAME takes another one",
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.config", description=__doc__, epilog='example: python -m sdft.config --find "Table 4"'
    )
    parser.add_argument("path", nargs="?", default="config.yaml", help="the configuration (default: %(default)s)")
    parser.add_argument("--scale", help="the scale to look at (default: that of the configuration)")
    parser.add_argument("--find", nargs="+", metavar="WORD", help="show every key that has the words, with its comment")
    parser.add_argument("--schema", nargs="?", const="config", choices=["config", "scale"], help="print a JSON schema")
    options = parser.parse_args(arguments)
    if options.schema:
        print(json_schema(options.schema), end="")
        return
    if options.find:
        print(find(options.find, Path(options.path)))
        return
    config = load_config(options.path)
    if options.scale and options.scale not in config.scales:
        raise SdftError(f"there is no scale {options.scale!r}; {did_you_mean(options.scale, config.scales)}")
    plan = Plan(config, options.scale)
    check_files(config)
    check_batches(plan)
    check_sizes(plan)
    print("\n".join([f"{options.path} is valid; scale {plan.name}, seeds {plan.seeds}", *summary(plan)]))


if __name__ == "__main__":
    run_main(main)
