"""What the rules read and tell their steps: functions of a plan, and the templates of its paths."""

from __future__ import annotations

import json
import re
from string import Formatter

import pytest

from sdft.common.command import parse_spec, read_spec
from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.miniature.schema import DataSpec
from sdft.study import exhibits, paths, steps
from sdft.study.exhibits import build
from sdft.study.plan import Plan
from sdft.study.schema import STUDIES
from sdft.study.specs import CandidateSpec, DivergenceSpec, EvaluateSpec, LengthsSpec, PassKSpec, TrajectorySpec
from sdft.tasks import find_task, task_names

TEMPLATES = {name: value for name, value in vars(paths).items() if name.isupper() and value.startswith(paths.ROOT)}
# Files, each made by one rule, whose templates have to tell them apart.
FILES = {name: value for name, value in TEMPLATES.items() if "." in value.rsplit("/", 1)[-1]}


@pytest.fixture(scope="module")
def config(root):
    return load_config(root / "config.yaml")


@pytest.fixture(scope="module", params=["mini", "rehearsal", "paper"])
def plan(config, request):
    return Plan(config, request.param)


# What the rules let these wildcards be; others hold anything but a slash.
HELD = {
    "task": task_names(),
    "study": ("table5", *STUDIES),
    "figure": exhibits.names("figure"),
    "kind": ("json", "md", "pdf"),
    "draw": ("", "-[1-9][0-9]*"),
}


def pattern(template):
    """The paths that a template matches."""
    return re.sub(r"\\{(\w+)\\}", lambda one: f"(?:{'|'.join(HELD.get(one[1], ['[^/]+']))})", re.escape(template))


def test_no_path_is_that_of_two_templates():
    for name, template in FILES.items():
        path = re.sub(r"\{(\w+)\}", lambda one: HELD.get(one[1], [one[1]])[0], template)
        assert [other for other, one in FILES.items() if re.fullmatch(pattern(one), path)] == [name]


def test_every_template_is_filled_in_by_the_wildcards_that_it_names(plan):
    for template in TEMPLATES.values():
        names = {field for _, field, _, _ in Formatter().parse(template) if field} - {"scale"}
        assert "{" not in plan.path(template, **dict.fromkeys(names, "x"))


def test_what_a_study_reads_is_where_a_template_says(plan):
    known = [pattern(template) for template in FILES.values()]
    folders = (paths.RUN_SCORES, paths.BASE_SCORES, paths.CONTEXT_SCORES)
    known += [pattern(folder + file) for folder in folders for file in (paths.SCORE, paths.RESPONSES)]
    for name in exhibits.names():
        for path in build.files(plan, name):
            assert any(re.fullmatch(one, path) for one in known), path


def test_every_run_gets_a_specification_that_its_step_takes(plan):
    for run in plan.runs():
        assert json.loads(steps.runs.run_spec(plan, run=run.id))["id"] == run.id
        assert {run.base_ready, run.data["train"]} <= set(steps.runs.run_inputs(plan, run=run.id))
        if run.study == "sweep":
            spec = read_spec(CandidateSpec, steps.measures.candidate_spec(plan, run=run.id, task=run.task, arm=run.arm))
            assert (spec.run, spec.out) == (f"{plan.run_folder(run)}/run.json", plan.validation_path(run))
            assert spec.validation == plan.data_path(run.task, "validation", run.base)
        else:
            spec = read_spec(EvaluateSpec, steps.measures.evaluate_spec(plan, run=run.id, study=run.study))
            assert (spec.model, spec.task) == (
                plan.model_path(run),
                [run.task, *(f"{run.task}_{split}" for split in find_task(run.task).tests[1:])],
            )
            assert (spec.benchmarks, spec.temperature) == (["all"], 0)
            assert spec.max_new_tokens == plan.scale.evaluation_of(run.base).max_new_tokens


def test_a_measure_of_a_base_model_is_told_its_task_context_and_split(plan):
    where = {"task": "tooluse", "context": "expert", "split": "validation", "model": plan.bases[0]}
    spec = read_spec(EvaluateSpec, steps.measures.evaluate_context_spec(plan, **where))
    assert (spec.task, spec.context, spec.split) == (["tooluse"], "expert", "validation")
    assert spec.out == plan.path(paths.CONTEXT_SCORES, scored="scores", **where)
    assert steps.measures.context_files(plan, **where) == [plan.data_path("tooluse", "validation", plan.bases[0])]
    alone = json.loads(steps.measures.evaluate_context_spec(plan, **where | {"context": build.NO_CONTEXT}))
    assert not {"context", "template", "benchmarks"} & set(alone)


@pytest.mark.parametrize(
    ("taken", "make", "kind"),
    [("scaling", steps.measures.passk_spec, PassKSpec), ("teacher", steps.measures.divergence_spec, DivergenceSpec)],
)
def test_a_study_limits_its_measures_of_runs_and_of_base_models_alike(plan, taken, make, kind):
    study, run = plan.scale.studies[taken], plan.finals("table5", "science", "sft")[0]
    of_run = read_spec(kind, make(plan, taken=taken, study=run.study, run=run.id))
    where = {"task": "science", "context": "none", "split": study.split, "model": run.base}
    of_base = read_spec(kind, make(plan, taken=taken, **where))
    assert (of_run.model, of_base.model) == (plan.model_path(run), plan.base_path(run.base))
    for spec in (of_run, of_base):
        assert (spec.limit, spec.samples) == (study.limit, study.samples)
        assert spec.data == plan.data_path("science", study.split, run.base)
    if kind is DivergenceSpec:
        assert of_run.base == of_base.base == plan.base_path(run.base)


def test_a_trajectory_has_the_tasks_and_limits_of_the_study_that_measures_it(plan):
    run = plan.finals("table5", "science", "sdft")[0]
    shown = {exhibits.find(name).study for name in exhibits.names() if "trajectory" in exhibits.find(name).measures}
    for name in shown & set(plan.scale.studies):
        study, where = plan.scale.studies[name], {"measured": name, "study": "table5", "run": run.id}
        spec = read_spec(TrajectorySpec, steps.measures.trajectory_spec(plan, **where))
        assert (spec.task, spec.limit, spec.prior_limit) == (study.tasks, study.limit, study.prior_limit)
        assert spec.out == plan.path(paths.TRAJECTORY, **where)


def test_prompts_are_counted_with_the_settings_of_the_run_that_has_the_longest(config):
    plan = Plan(config, "paper")
    spec = read_spec(LengthsSpec, steps.sources.lengths_spec(plan, task="science", model=plan.bases[0]))
    assert spec.settings == plan.longest("science", plan.bases[0]).settings
    assert spec.evaluation == plan.scale.evaluation_of(plan.bases[0])


def test_a_run_that_the_plan_lacks_is_refused_by_its_name(plan):
    with pytest.raises(SdftError, match="science-sft-s0-00000000"):
        steps.runs.run_spec(plan, run="science-sft-s0-00000000")


def test_base_models_are_matched_with_the_scale_that_has_them(config):
    released, hub = (steps.sources.model_scales(config, *origins) for origins in (("released",), ("hub",)))
    path = "{}/base/{}/ready.json"
    assert re.match(rf"(?:{released})/", path.format("mini", "m-s1"))
    assert not re.match(rf"(?:{released})/", path.format("paper", "Qwen2.5-7B-Instruct"))
    assert re.match(rf"(?:{hub})/", path.format("paper", "Qwen2.5-7B-Instruct"))


def test_flags_and_a_specification_say_the_same_and_flags_win(tmp_path):
    flags = ["--out", "data", "--task", "science", "--train", "8"]
    text = json.dumps({"out": "data", "task": "science", "train": 8})
    (tmp_path / "spec.json").write_text(text)
    made = [parse_spec(DataSpec, "x", "", options) for options in (flags, ["--spec", text])]
    made.append(parse_spec(DataSpec, "x", "", ["--spec", str(tmp_path / "spec.json")]))
    assert made[0] == made[1] == made[2]
    assert parse_spec(DataSpec, "x", "", ["--spec", text, "--train", "9"]).train == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "science"], "out: Field required"),
        (["--out", "x", "--train", "-3"], "train: .*greater than 0.*-3"),
        (["--spec", "{"], "--spec is not valid JSON"),
        (["--spec", "absent.json"], "absent.json does not exist"),
        (["--spec", '{"out": "x", "trian": 3}'], "trian: .*It takes out, task"),
        (["--spec", '{"trian": 3}'], "trian: there is no such key; did you mean 'train'"),
        (["--out", "x", "--trian", "3"], "has no option --trian; did you mean '--train'"),
    ],
)
def test_wrong_options_are_refused_with_their_name(options, words):
    with pytest.raises(SdftError, match=words):
        parse_spec(DataSpec, "x", "", options)
