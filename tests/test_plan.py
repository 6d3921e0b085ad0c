"""Runs have names that change exactly when what defines their result changes."""

from __future__ import annotations

import math

import pytest

from sdft.common.errors import SdftError
from sdft.config import parse_config
from sdft.study import exhibits
from sdft.study.exhibits.build import exhibit, files
from sdft.study.forecast import jobs, rollout_engine
from sdft.study.forecast.jobs import trainings
from sdft.study.plan import Plan, RunSpec
from sdft.study.steps import measures, sources
from sdft.study.values import read_values


@pytest.fixture
def values(root):
    return read_values(root / "config.yaml")


def plan_of(values):
    return Plan(parse_config(values), "mini")


def names(plan):
    return {
        run.id
        for task in plan.tasks
        for arm in plan.arms
        for run in (*plan.candidates(task, arm), *plan.finals("table5", task, arm))
    }


def test_every_run_has_a_name_of_its_own_and_can_be_found(values):
    plan = plan_of(values)
    grids = {name: len(plan.hyperparameters(name)) for name in plan.arms}
    candidates = sum(grids.values()) * len(plan.config.sweep_seeds_of("mini"))
    expected = len(plan.tasks) * (candidates + len(plan.arms) * len(plan.seeds))
    assert len(names(plan)) == expected
    for name in names(plan):
        assert plan.find(name).id == name


@pytest.mark.parametrize(("seeds", "sweep"), [([1], [1]), ([0, 5], [0]), (None, [0, 1, 2])])
def test_seeds_above_the_scales_stand_in_the_place_of_a_scale_s_own(values, seeds, sweep):
    own = values["scales"]["mini"]["seeds"]
    plan = plan_of(values | {"seeds": seeds, "sweep_seed": sweep[0]})
    assert plan.seeds == (seeds or own)
    assert plan.study_seeds("foreign") == (seeds or values["scales"]["mini"]["studies"]["foreign"]["seeds"])
    assert plan.study_seeds("ablations") == (seeds or own)
    assert {run.seed for run in plan.candidates("science", "sdft")} == set(sweep)


@pytest.mark.parametrize("arm", ["sft", "sft_reinvoke", "sdft"])
def test_halving_renames_nothing_and_costs_a_part(values, arm):
    full, halving = plan_of(values), plan_of(values | {"sweep": "halving"})
    assert names(halving) == names(full)
    (run, *_) = halving.candidates("tooluse", arm)
    assert (full.expected_share(run), halving.halves(run)) == (1, True)
    assert 2 / 3 <= halving.expected_share(run) <= 0.75


def test_a_candidate_of_several_gpus_is_trained_to_its_end(values):
    values["scales"]["mini"] |= {"gpus": 2, "studies": {}}
    plan = plan_of(values | {"sweep": "halving"})
    (run, *_) = plan.candidates("tooluse", "sdft")
    assert not plan.halves(run)
    assert plan.expected_share(run) == 1


def test_a_study_of_some_of_the_seeds_starts_from_the_same_base_models(values):
    values["scales"]["mini"]["studies"]["sequential"]["seeds"] = [6, 0]
    plan = plan_of(values)
    for run in plan.stages("sdft.seq", ["tooluse", "science"], 6):
        assert run.base == plan.base_of(6) == plan.base_of(1) != plan.base_of(0)


def test_candidates_are_the_product_of_the_grid(values):
    plan = plan_of(values)
    grid = plan.arm("sdft").grid
    lists = (grid.learning_rate, grid.ema_rate, grid.epochs, grid.batch_size)
    candidates = plan.candidates("science", "sdft")
    assert len(candidates) == math.prod(len(values) for values in lists) * len(plan.config.sweep_seeds_of("mini"))
    assert {run.seed for run in candidates} == {0, 1, 2}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("checkpoint_minutes", 1),
        ("micro_batch_size", 4),
        ("micro_batch_tokens", 64),
        ("gradient_checkpointing", True),
        ("snapshots", 8),
    ],
)
def test_what_decides_speed_alone_renames_nothing(values, key, value):
    before = names(plan_of(values))
    values["training"][key] = value
    assert names(plan_of(values)) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("divergence", "reverse_kl"), ("skip_tokens", 0), ("ema_dtype", "bfloat16"), ("schedule", "linear")],
)
def test_what_decides_a_result_renames_every_run(values, key, value):
    before = names(plan_of(values))
    values["training"][key] = value
    assert not names(plan_of(values)) & before


def test_a_number_spelt_otherwise_is_the_same_run(values):
    before = names(plan_of(values))
    grid = values["scales"]["mini"]["arms"]["sft"]["grid"]
    grid["learning_rate"] = [f"{rate:.1e}" for rate in grid["learning_rate"]]
    assert names(plan_of(values)) == before


def test_an_arm_changed_leaves_the_other_arms_alone(values):
    before = plan_of(values)
    sft = values["scales"]["mini"]["arms"]["sft"]
    sft["grid"] = {**sft["grid"], "learning_rate": [*sft["grid"]["learning_rate"], 3e-3]}
    after = plan_of(values)
    for arm in ("dft", "sdft"):
        assert [run.id for run in before.finals("table5", "science", arm)] == [
            run.id for run in after.finals("table5", "science", arm)
        ]
    for arm in ("sft", "sft_reinvoke"):
        assert before.finals("table5", "science", arm)[0].id != after.finals("table5", "science", arm)[0].id


def test_reinvoke_starts_from_the_sft_run_of_its_own_seed(values):
    plan = plan_of(values)
    sft = {run.seed: plan.run_folder(run) + "/model.json" for run in plan.finals("table5", "tooluse", "sft")}
    for run in plan.finals("table5", "tooluse", "sft_reinvoke"):
        assert run.parent == sft[run.seed]


def test_seeds_take_the_base_models_in_turn(values):
    values["seeds"] = [0, 3, 5]
    values["scales"]["mini"]["models"]["names"] = ["a", "b"]
    assert [plan_of(values).base_of(seed) for seed in (0, 3, 5)] == ["a", "b", "a"]


def test_each_base_model_learns_and_answers_facts_of_its_own(values):
    for study in values["scales"]["mini"]["studies"].values():
        study.pop("own_facts", None)
    values["scales"]["mini"]["data"]["own_facts"] = False
    shared = names(plan_of(values))
    values["scales"]["mini"]["data"]["own_facts"] = True
    plan = plan_of(values)
    draws = {model: int(model.partition("-s")[2]) for model in plan.scale.every_model()}
    folders = {model: f"results/mini/data{f'-{draw}' if draw else ''}/" for model, draw in draws.items()}
    for run in plan.runs():
        folder = folders[run.base]
        assert run.data["train"].startswith(folder)
        assert all(path.startswith(folder) for path in measures.run_test_files(plan, run=run.id))
        assert f'"data_root":"{folder[:-1]}"' in measures.evaluate_spec(plan, run=run.id)
        if run.study == "sweep":
            assert measures.validation_file(plan, run=run.id).startswith(folder)
        elif run.task == "science" and run.study == "table5":
            assert f'"data":"{folder}science/test.jsonl"' in measures.passk_spec(
                plan, taken="scaling", study="table5", run=run.id
            )
            assert f'"data_root":"{folder[:-1]}"' in measures.trajectory_spec(plan, measured="onpolicy", run=run.id)
    for model, folder in folders.items():
        assert folder + "science/test.jsonl" in measures.base_test_files(plan, model=model)
        assert measures.context_files(plan, task="science", split="test", model=model) == [
            folder + "science/test.jsonl"
        ]
    for draw in set(draws.values()) - {0}:
        assert f'"draw":{draw},' in sources.miniature_spec(plan, task="science", draw=f"-{draw}")
    assert "draw" not in sources.miniature_spec(plan, task="science")
    files = measures.validation_files(plan, task="science", arm="sft")
    assert len(files) == len(measures.candidates(plan, task="science", arm="sft"))
    assert shared.isdisjoint(names(plan))


def with_facts_a_seed(values, name, seeds, **keys):
    values["scales"]["mini"]["studies"][name] |= {"seeds": seeds, "own_facts": True} | keys
    return plan_of(values)


def test_every_seed_of_a_study_learns_and_answers_facts_of_its_own(values):
    own = values["scales"]["mini"]["studies"]["teachers"]
    del own["own_facts"], own["seeds"]
    before = plan_of(values).finals("teachers", "medical", "sdft.frozen")
    plan = with_facts_a_seed(values, "teachers", list(range(12)))
    runs = plan.finals("teachers", "medical", "sdft.frozen")
    draws = [*(f"-{number}" for number in (1, 2, 4, 6, 7, 1001, 1002, 1004, 1006, 1007, 2001, 2002))]
    assert [run.base for run in runs] == [plan.base_of(seed) for seed in range(12)]
    for run, draw in zip(runs, draws, strict=True):
        folder = f"results/mini/data{draw}/medical"
        assert run.data["train"] == f"{folder}/train.jsonl"
        assert measures.run_test_files(plan, run=run.id) == [f"{folder}/test.jsonl"]
        assert f'"data_root":"results/mini/data{draw}"' in measures.evaluate_spec(plan, run=run.id)
        where = {"measured": "teachers", "study": "teachers", "run": run.id}
        assert measures.trajectory_files(plan, **where) == [f"{folder}/test.jsonl"]
        assert f'"data_root":"results/mini/data{draw}"' in measures.trajectory_spec(plan, **where)
        assert f'"data":"{folder}/test.jsonl"' in measures.passk_spec(plan, taken="scaling", study="x", run=run.id)
        assert RunSpec.model_validate_json(run.text()) == run
        assert f'"draw":{draw[1:]},' in sources.miniature_spec(plan, task="medical", draw=draw)
    # The first seed of a base model learns that model's facts, so its run is the same one; the others' are not.
    assert [run.id for run in runs[:5]] == [run.id for run in before[:5]]
    assert [run.text() for run in runs[:5]] == [run.text() for run in before[:5]]
    assert {run.id for run in runs[5:10]}.isdisjoint(run.id for run in before[5:])


def test_arms_that_a_study_shares_are_trained_on_the_facts_of_its_seeds(values):
    plan = with_facts_a_seed(values, "teachers", [0, 5, 10], share=["sdft", "sft_reinvoke"])
    for arm in ("sdft", "sft_reinvoke"):
        first, *later = plan.shared("teachers", "medical", arm)
        assert first == plan.finals("table5", "medical", arm)[0]
        assert {run.draw for run in later} == {"-1001", "-2001"}
        assert {run.id for run in later} <= {run.id for run in plan.runs()}
        for run in later if arm == "sft_reinvoke" else ():
            parent = next(one for one in plan.runs() if plan.model_path(one) == run.parent)
            assert (parent.arm, parent.seed, parent.draw) == ("sft", run.seed, run.draw)
    # A study without facts of its own takes Table 5's runs, whatever its seeds.
    assert plan.shared("foreign", "medical", "sdft") == plan.finals("table5", "medical", "sdft")


def test_a_base_model_is_asked_about_the_facts_of_each_seed(values):
    plan = with_facts_a_seed(values, "teachers", [0, 5], contexts=["shared"])
    shown = exhibit(plan, "figure8")
    for cell in shown.cells:
        assert [(run.seed, run.draw) for run in cell.runs] == [(0, ""), (5, "-1001")]
    draws = {seed: "-1001" if seed == 5 else "" for seed in plan.seeds}
    for entries in (shown.base, shown.contexts[0].runs):
        assert {run.seed: run.draw for run in entries} == draws
    later = next(run for run in shown.base if run.seed == 5)
    where = {"task": "medical", "context": "none", "split": "test", "model": "m-s1", "draw": "-1001"}
    assert (later.task, later.scores) == ("medical", plan.context_scores_folder(**where))
    assert measures.context_files(plan, **where) == ["results/mini/data-1001/medical/test.jsonl"]
    assert '"data_root":"results/mini/data-1001"' in measures.evaluate_context_spec(plan, **where)
    assert f'"out":"{later.scores}"' in measures.evaluate_context_spec(plan, **where)
    assert '"data":"results/mini/data-1001/medical/' in measures.divergence_spec(plan, taken="teacher", **where)


def test_a_run_on_later_facts_is_made_for_the_studies_that_share_it(values):
    plan = plan_of(values)
    later = [run for run in plan.runs() if run.draw and run.arm == "sdft"]
    assert {tuple(plan.made_for(run)) for run in later} == {("onpolicy", "teachers", "critics")}
    outputs = {job.output for job in trainings(plan, "teachers")}
    assert {plan.model_path(run) for run in later} <= outputs
    assert outputs.isdisjoint(plan.model_path(run) for run in plan.finals("table5", "medical", "sdft"))
    assert {job.output for job in trainings(plan, "table5")}.isdisjoint(map(plan.model_path, later))


def test_an_exhibit_names_the_seeds_that_its_study_has_in_the_place_of_the_scale_s(values):
    plan = plan_of(values)
    assert exhibit(plan, "figure8").seeds == plan.study_seeds("teachers") == list(range(10, 30))
    assert exhibit(plan, "ablations").seeds == exhibit(plan, "table5").seeds == []
    # Seeds above all scales are those of every study.
    assert exhibit(plan_of(values | {"seeds": [0, 1]}), "figure8").seeds == []


def test_a_base_model_has_the_same_facts_whatever_other_ones_there_are(values):
    values["scales"]["mini"]["data"]["own_facts"] = True
    values["seeds"] = [0]
    values["scales"]["mini"]["models"]["names"] = ["m-s4", "m-s6"]
    before = names(plan_of(values))
    values["scales"]["mini"]["models"]["names"] = ["m-s4"]
    assert names(plan_of(values)) == before
    values["scales"]["mini"]["models"]["names"] = ["m-s6"]
    assert names(plan_of(values)).isdisjoint(before)


def test_rows_that_the_world_does_not_make_are_the_same_for_all_base_models(values):
    mini = values["scales"]["mini"]
    del mini["data"]["sizes"]["tooluse"]
    mini["data"]["tasks"] = {"tooluse": {"train": {"path": "a.jsonl"}, "test": {"path": "b.jsonl"}}}
    before = [run.text() for run in plan_of(values).finals("table5", "tooluse", "sdft")]
    mini["data"]["own_facts"] = True
    plan = plan_of(values)
    assert [run.text() for run in plan.finals("table5", "tooluse", "sdft")] == before
    # A model is evaluated in a folder that has all of its tasks.
    assert measures.base_test_files(plan, model="m-s4")[1:2] == ["results/mini/data-4/tooluse/test.jsonl"]


def test_the_published_recipe_is_one_candidate_an_arm(values):
    values["sweep"] = "published"
    with pytest.raises(SdftError, match="published_recipe"):
        plan_of(values).hyperparameters("sft")
    values["scales"]["mini"]["published_recipe"] = {
        "learning_rate": 5e-5,
        "epochs": 2,
        "batch_size": 32,
        "ema_rate": 0.01,
    }
    plan = plan_of(values)
    assert [run.ema_rate for run in plan.hyperparameters("sdft")] == [0.01]
    assert [run.ema_rate for run in plan.hyperparameters("sft")] == [None]


def test_a_published_recipe_that_lacks_a_value_is_named(values):
    values["scales"]["mini"]["published_recipe"] = {"learning_rate": 5e-5, "epochs": 2, "ema_rate": 0.01}
    with pytest.raises(SdftError, match="published_recipe.batch_size"):
        plan_of(values)


def test_a_run_survives_its_file(values):
    run = plan_of(values).candidates("medical", "sdft")[0]
    assert RunSpec.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize("tasks", [["science"], ["tooluse", "medical"]])
def test_with_fewer_tasks_the_plan_still_has_every_run_that_a_table_or_figure_names(values, tasks):
    values["scales"]["mini"]["tasks"] = tasks
    plan = plan_of(values)
    planned = {plan.run_folder(run) for run in plan.runs()}
    for name in exhibits.names():
        for cell in exhibit(plan, name).cells:
            assert all(plan.find(run.run) for run in cell.runs)
        assert {path.rsplit("/", 1)[0] for path in files(plan, name) if "/sweep/" in path} <= planned
    # What a run starts from is a run of the plan too, and so is at least one candidate of the sweep that it waits for.
    swept = {plan.selected_path(run.task, run.arm) for run in plan.runs() if run.study == "sweep"}
    for run in plan.runs():
        assert run.parent is None or run.parent.removesuffix("/model.json") in planned
        assert run.selected is None or run.selected in swept


@pytest.mark.slow
def test_figures_along_training_have_runs_that_keep_snapshots_and_equal_points(values):
    plan = plan_of(values)
    for name in ("figure3", "figure6", "figure8"):
        for run in (run for cell in exhibit(plan, name).cells for run in cell.runs):
            assert run.trajectory in files(plan, name)
            assert plan.find(run.run).settings.snapshots
    studies = plan.scale.studies
    assert (studies["teachers"].limit, studies["teachers"].prior_limit) == (
        studies["onpolicy"].limit,
        studies["onpolicy"].prior_limit,
    )


def test_tables_of_sweeps_know_the_epochs_of_every_task(values):
    lines = {line.method: line.task_epochs for line in exhibit(plan_of(values), "table3").sweeps}
    assert lines["sft"] == lines["sdft"] == {"science": [20, 40]}
    assert lines["sft_reinvoke"] == {}


@pytest.mark.slow
def test_what_rests_on_the_gated_model_reads_its_gate(values):
    paper = Plan(parse_config(values), "paper")
    for name in ("table5", *(f"figure{k}" for k in (1, 2, 3, 4, 5, 6, 8))):
        assert exhibit(paper, name).gate == ["results/paper/gate/Qwen2.5-7B-Instruct.json"]
        assert exhibit(paper, name).gate[0] in files(paper, name)
    assert exhibit(paper, "table2").gate == []
    assert not any("/gate/" in path for name in exhibits.names() for path in files(plan_of(values), name))


def test_what_a_base_model_is_shown_has_the_template_of_the_arms_that_are_trained_with_it(values):
    # The first arm of a study says nothing about the others.
    values["scales"]["mini"]["arms"]["sdft"]["settings"] = {"teacher_template": "paper"}
    plan = plan_of(values)
    assert plan.arms[0] == "sft"
    assert plan.teacher_template("tooluse", "shared") == "paper"
    # Knowledge is no task of Table 5; medical's foreign demonstrations are shown by a study's arms alone.
    assert plan.teacher_template("knowledge", "article_shared") == "official"
    assert plan.teacher_template("medical", "foreign") == "official"
    # An ablation of the template beside Table 5 changes nothing of what Table 5's teacher sees.
    arm = {"method": "sdft", "like": "sdft", "settings": {"teacher_template": "official"}}
    values["scales"]["mini"]["studies"]["ablations"]["arms"]["sdft.official"] = arm
    assert plan_of(values).teacher_template("tooluse", "shared") == "paper"
    # Nobody shows it: the scale's.
    values["scales"]["mini"]["training"]["teacher_template"] = "paper"
    assert plan_of(values).teacher_template("tooluse", "foreign") == "paper"


def test_arms_that_show_a_measured_demonstration_in_different_templates_are_refused(values):
    arm = {"method": "sdft", "like": "sdft", "settings": {"teacher_template": "paper"}}
    values["scales"]["mini"]["arms"]["sdft.paper"] = arm
    with pytest.raises(SdftError, match=r"'shared' of tooluse.*\(sdft official, sdft.paper paper\).*give them one"):
        plan_of(values)


@pytest.mark.slow
def test_the_forecast_reads_rollouts_of_the_arms_that_sample(values):
    before = {job.output: job.units for job in jobs(plan_of(values), "table5")}
    values["scales"]["mini"]["arms"]["sft"]["settings"] = {"max_new_tokens": 4, "rollout_engine": "vllm"}
    plan = plan_of(values)
    # SFT samples nothing, so its limit and its engine are nobody's.
    renamed = {job.output: job.units for job in jobs(plan, "table5")}
    assert {units for output, units in renamed.items() if "/sdft/" in output} == {
        units for output, units in before.items() if "/sdft/" in output
    }
    assert rollout_engine(plan, "m-s1") == "transformers"
    values["scales"]["mini"]["arms"]["sdft"]["settings"] = {"rollout_engine": "vllm"}
    assert rollout_engine(plan_of(values), "m-s1") == "vllm"
    assert rollout_engine(plan_of(values), "l-s0") == "transformers"
