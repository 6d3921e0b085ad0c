"""config.yaml is checked before anything runs, and a mistake is answered with the key and the remedy."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sdft.common.errors import SdftError
from sdft.config import json_schema, load_config, parse_config
from sdft.methods.settings import TrainingSettings
from sdft.study.checks import check_files
from sdft.study.manual import entries, find
from sdft.study.values import read_values


@pytest.fixture
def values(root):
    return read_values(root / "config.yaml")


def change(values, path, value):
    changed = copy.deepcopy(values)
    node = changed
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return changed


def test_the_shipped_configuration_is_valid_and_mini_by_default(root):
    assert load_config(root / "config.yaml").scale == "mini"


@pytest.mark.parametrize(("file", "part"), [("config.schema.json", "config"), ("config/scale.schema.json", "scale")])
def test_the_schema_file_is_the_model(root, file, part):
    assert (root / file).read_text() == json_schema(part), "run: make schema"


def test_every_setting_of_a_training_has_a_comment_in_the_manual(root):
    manual = {entry.key: entry for entry in entries(root / "config.yaml")}
    for name in TrainingSettings.model_fields:
        assert ("training", name) in manual, name
    # One comment may be of several keys that stand below it.
    explained = [entry for key, entry in manual.items() if key[:1] == ("training",) and entry.comment]
    assert len(explained) > 20


SDFT_SETTINGS = ["scales", "mini", "arms", "sdft", "settings"]
GRID = {"learning_rate": [1e-4], "epochs": [1], "batch_size": [8]}
STUDIES = ["scales", "mini", "studies"]
JUDGE = ["scales", "paper", "judge"]
MINE = {"like_scale": "mini"}
SIZES = {task: {"train": 8, "validation": 8, "test": 8} for task in ("science", "tooluse")}
FRESH = {
    "method": "off_policy_fresh",
    "grid": GRID | {"ema_rate": [0.01]},
    "settings": {"estimator": "token", "divergence": "reverse_kl", "loss_reduction": "token_sum"},
}


SDFT_GRID = GRID | {"ema_rate": [0.01]}
UNREADY = [
    # What starts from another arm.
    ({"sft": None}, {"studies": {}}, ["arm sft_reinvoke", "the arm 'sft'", "name another arm as parent"]),
    ({"x": {"method": "sft", "grid": GRID, "parent": "sftt"}}, {}, ["arm x", "parent names no arm", "'sft'"]),
    ({"x": {"method": "sft", "grid": GRID, "parent": "x"}}, {}, ["x from x is a circle of starts"]),
    (
        {"x": {"method": "sft", "grid": GRID, "parent": "y"}, "y": {"method": "sft", "grid": GRID, "parent": "x"}},
        {},
        ["x from y from x is a circle of starts", "another parent"],
    ),
    ({"x": {"method": "sft", "grid": GRID, "parent": "sft.seq"}}, {}, ["arm x", "'sft.seq'", "study with orders"]),
    (
        {"x": {"method": "sft", "grid": GRID, "parent": "sft", "models": ["xs-s0"]}},
        {},
        ["scales.mini.arms.x", "of seed 0", "xs-s0", "the run of sft, which was trained from m-s1", "the same models"],
    ),
    # An average without a rate.
    ({"x": {"method": "sdft", "like": "sft"}}, {}, ["arm x", "the winner of sft has none", "replace.ema_rate"]),
    ({"x": {"method": "sft", "like": "sft", "replace": {"ema_rate": 0.1}}}, {}, ["no EMA teacher", "replace.ema_rate"]),
    (
        {},
        {"published_recipe": {"learning_rate": 1e-5, "epochs": 1, "batch_size": 8}},
        ["scales.mini.", "give published_recipe.ema_rate"],
    ),
    # Rows that are not there.
    (
        {"x": {"method": "cpt", "grid": GRID}},
        {},
        ["mini.arms.x", "raw texts", "science has none", "(knowledge)"],
    ),
    # Options of no method, or of no such name.
    ({"x": {"method": "sft", "grid": GRID, "options": {"kl_weight": 1}}}, {}, ["sft has no option 'kl_weight'"]),
    ({"x": {"method": "sft", "grid": GRID | {"epochz": [1]}}}, {}, ["'epochz'", "did you mean 'epochs'"]),
    ({"x": {"method": "sft", "grid": {"learningrate": [1e-4]}}}, {}, ["did you mean 'learning_rate'"]),
    ({"x": {"method": "sft", "like": "sft", "replace": {"epoch": 1}}}, {}, ["'epoch'", "did you mean 'epochs'"]),
    ({"x": {"method": "sft", "grid": GRID | {"learning_rate": [5]}}}, {}, ["x.grid.learning_rate", "less than 1"]),
]


@pytest.mark.parametrize(("arms", "keys", "words"), UNREADY)
def test_a_study_that_lacks_what_a_method_needs_is_refused_with_the_remedy(root, arms, keys, words):
    mini = read_values(root / "config.yaml")
    mini["scales"]["mini"] |= keys
    mini["scales"]["mini"]["arms"] |= arms
    mini["scales"]["mini"]["arms"] = {name: arm for name, arm in mini["scales"]["mini"]["arms"].items() if arm}
    with pytest.raises(SdftError) as caught:
        parse_config(mini)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("scale", "study", "said"),
    [
        ("mini", "teachers", "set scales.mini.data.own_facts: true, or leave it out"),
        ("paper", "onpolicy", "so seeds have none; leave it out"),
    ],
)
def test_seeds_have_facts_of_their_own_only_where_base_models_do(values, scale, study, said):
    own = change(values, ["scales", "mini", "data", "own_facts"], False)
    for entry in own["scales"]["mini"]["studies"].values():
        entry.pop("own_facts", None)
    parse_config(own)
    with pytest.raises(SdftError, match=rf"scales.{scale}.studies.{study}.own_facts: .*{said}"):
        parse_config(change(own, ["scales", scale, "studies", study, "own_facts"], True))


@pytest.mark.parametrize(
    ("study", "keys", "said"),
    [
        ("sequential", {}, "is of science, tooluse, medical; name one such task"),
        # Seed 10 has the second turn by its place among the scale's seeds, and seed 5 by its number.
        ("teachers", {"seeds": [10, 5]}, "the seeds 10 and 5 would learn the same facts, both from m-s1"),
    ],
)
def test_facts_are_drawn_for_every_seed_of_one_task(values, study, keys, said):
    mini = values["scales"]["mini"]
    mini["seeds"] = [0, 2, 4, 6, 8, 10]
    mini["studies"][study] |= {"own_facts": True} | keys
    with pytest.raises(SdftError, match=rf"scales.mini.studies.{study}.own_facts: .*{said}"):
        parse_config(values)


def test_seeds_have_no_facts_of_their_own_of_rows_that_are_read_from_files(values):
    mini = values["scales"]["mini"]
    del mini["data"]["sizes"]["medical"]
    mini["data"]["tasks"] = {"medical": {"train": {"path": "a.jsonl"}, "test": {"path": "b.jsonl"}}}
    with pytest.raises(SdftError, match=r"onpolicy.own_facts: .* is of medical; name one such task"):
        parse_config(values)


def test_general_prompts_are_asked_for_by_the_arm_that_trains_on_them(values):
    with pytest.raises(SdftError, match=r"scales.paper.arms.sft_reinvoke: .* general prompts, and .*data.general"):
        parse_config(change(values, ["scales", "paper", "data", "general"], None))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["seedz"], [1], ["seedz", "seeds"]),
        (["training", "skip_token"], 3, ["training.skip_token", "'skip_tokens'"]),
        (["scales", "mini", "training", "skip_token"], 3, ["scales.mini.training.skip_token", "'skip_tokens'"]),
        (["scales", "mini", "arms", "sft", "grid", "learningrate"], [1e-4], ["'learning_rate'"]),
        (["scales", "mini", "data", "sizes", "scienc"], {"train": 1}, ["'science'"]),
        (["scales", "papr"], {}, ["scales.papr", "did you mean 'paper'?", "like_scale"]),
        (["training", "skip_tokens"], -3, ["training.skip_tokens", "-3"]),
        (["training", "skip_tokens"], 2048, ["training", "skip_tokens: 2048", "max_new_tokens", "smaller"]),
        (SDFT_SETTINGS, {"skip_tokens": 40}, ["scales.mini.arms.sdft", "skip_tokens: 40", "at most 40"]),
        (["training", "ema_dtype"], "float16", ["training.ema_dtype", "float32"]),
        (["training", "rounding"], "stochastic", ["rounding: stochastic", "all float32", "ema_dtype"]),
        (["scales", "paper", "training", "compute_dtype"], "float32", ["scales.paper", "compute_dtype: bfloat16"]),
        (["scales", "paper", "training", "rounding"], "stochastic", ["scales.paper", "{rounding: nearest}"]),
        (["scales", "paper", "training", "rollout_engine"], "vllm", ["scales.paper", "{rollout_engine: transformers}"]),
        (
            ["scales", "paper", "models", "sources", "Qwen2.5-7B-Instruct", "gpus"],
            2,
            ["scales.paper.studies.onpolicy", "samples from its teacher"],
        ),
        (
            ["scales", "mini", "arms", "sft", "grid", "learning_rate"],
            [],
            ["sft.grid.learning_rate", "give at least one"],
        ),
        (["scales", "mini", "arms", "sdft", "grid", "ema_rate"], [], ["sdft.grid.ema_rate", "give at least one"]),
        (["scales", "mini", "task_epochs"], {"science": []}, ["task_epochs.science", "give at least one"]),
        (["scales", "mini", "arms"], {}, ["scales.mini.arms", "give at least one"]),
        (["scales", "mini", "arms", "sdft", "grid", "ema_rate"], [1.5], ["ema_rate", "1.5"]),
        (["scales", "mini", "arms", "sdft", "grid", "ema_rate"], None, ["ema_rate", "0.01"]),
        (["scales", "mini", "arms", "sft", "grid", "ema_rate"], [0.01], ["no EMA teacher"]),
        (["scales", "mini", "arms", "sft", "grid", "epochs"], [1, 1], ["sft.grid.epochs", "repeats 1", "once"]),
        (["scales", "mini", "tasks"], ["science", "science"], ["scales.mini.tasks", "repeats 'science'", "once"]),
        (["scales", "mini", "seeds"], [0, 0], ["scales.mini.seeds", "repeats 0", "independent"]),
        ([*STUDIES, "scaling", "seeds"], [0, 0], ["studies.scaling.seeds", "repeats 0", "independent"]),
        ([*STUDIES, "teacher", "share"], ["sft", "sft"], ["studies.teacher.share", "repeats 'sft'", "once"]),
        ([*STUDIES, "sequential", "arms", "sft.seq"], {"method": "sft", "grid": GRID}, ["sft.seq", "like"]),
        (["scales", "mini", "data", "sizes"], SIZES, ["scales.mini", "data.sizes.medical", "add"]),
        (["scales", "mini", "arms", "sft", "method"], "base", ["arms.sft.method", "'base'", "sft_reinvoke"]),
        (["scales", "mini", "arms", "sft", "method"], "oracle_rag", ["arms.sft.method", "'oracle_rag'", "sdft"]),
        (["training", "estimator"], "token", ["training", "divergence: reverse_kl", "loss_reduction: token_sum"]),
        (SDFT_SETTINGS, {"estimator": "token"}, ["scales.mini.arms.sdft", "needs divergence: reverse_kl"]),
        (["scales", "mini", "arms", "sdft"], FRESH | {"grid": GRID}, ["off_policy_fresh needs grid.ema_rate"]),
        (["scales", "mini", "arms", "sdft"], FRESH, ["scales.mini.arms.sdft", "the student's own samples"]),
        (
            ["scales", "mini", "training", "max_new_tokens"],
            0,
            ["mini.training.max_new_tokens: ", "greater than 0"],
        ),
        (["scales", "mini", "training", "max_new_tokens"], None, ["scales.mini.training.max_new_tokens", "no value"]),
        (["scales", "paper", "training", "betas"], [0.9, 1.0], ["scales.paper.training.betas.1", "less than 1"]),
        (["training", "betas"], [0.9, 1.0], ["training.betas.1", "less than 1"]),
        (["training", "epsilon"], float("inf"), ["training.epsilon", "finite"]),
        (["training", "weight_decay"], float("nan"), ["training.weight_decay", "nan"]),
        (["tolerance", "standard_errors"], float("inf"), ["tolerance.standard_errors", "finite"]),
        (["training", "skip_tokens"], True, ["training.skip_tokens", "true and false"]),
        (["seeds"], [True], ["seeds.0", "true and false"]),
        ([*STUDIES, "sequential", "orders"], [[]], ["studies.sequential.orders.0", "give at least one"]),
        ([*STUDIES, "sequential", "orders"], [["science", "sience"]], ["studies.sequential.orders.0.1", "'science'"]),
        ([*STUDIES, "scaling", "arms", "sft.m.long", "replace"], {"epochs": None}, ["replace.epochs", "no value"]),
        (["scales", "mini", "arms", ""], {"method": "sft", "grid": GRID}, ["''", "lower case"]),
        (["scales", "mini", "arms", ".."], {"method": "sft", "grid": GRID}, ["'..'", "lower case"]),
        (["scales", "mini", "arms", "sftü"], {"method": "sft", "grid": GRID}, ["'sftü'", "lower case"]),
        (["scales", "mini", "models", "names"], ["m s0"], ["scales.mini.models.names.0", "'m s0'"]),
        (["scales", "mini", "evidence"], "paper", ["scales.mini", "data.source: official", "evidence: own"]),
        (["scales", "mini", "evidence"], "papr", ["scales.mini.evidence", "'paper'"]),
        (["scales", "Mine"], MINE, ["scales.Mine", "[a-z]"]),
        (["scales", "mini"], None, ["scales.mini", "mapping"]),
        (["scales"], [], ["scales", "mapping"]),
        (JUDGE, {"model": "m", "api_key_variable": "sk-secret"}, ["judge.api_key_variable", "environment variable"]),
        (JUDGE, {"model": "m", "base_url": "http://me:secret@host/v1"}, ["judge.base_url", "no name or password"]),
        (["seeds"], [0, 0], ["repeat"]),
        (["sweep_seed"], 7, ["sweep_seed 7"]),
        (["scale"], "papr", ["scale", "papr", "paper"]),
        (["sweep"], "all", ["sweep", "published"]),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(values, path, value, words):
    with pytest.raises(SdftError) as caught:
        parse_config(change(values, path, value))
    message = str(caught.value)
    assert "\n" not in message
    assert "(given: {" not in message
    assert "secret" not in message
    for word in words:
        assert word in message


def test_a_scale_and_an_arm_replace_training_settings_in_that_order(values):
    values["training"]["skip_tokens"] = 1
    values["scales"]["mini"]["training"]["skip_tokens"] = 2
    values["scales"]["mini"]["arms"]["sdft"]["settings"] = {"skip_tokens": 3, "max_prompt_tokens": None}
    config = parse_config(values)
    assert config.settings_of("mini", "sft").skip_tokens == 2
    assert config.settings_of("mini", "sdft").skip_tokens == 3


def test_a_scale_is_its_file_and_what_changes_it():
    shipped, changed = (parse_config({"scales": own}).scales for own in ({}, {"mini": {"models": {"names": ["m-s1"]}}}))
    assert shipped.keys() == {"mini", "smoke", "rehearsal", "paper"}
    assert changed["mini"].models.names == ["m-s1"]
    assert changed["mini"].models.path == shipped["mini"].models.path
    assert {name: scale for name, scale in changed.items() if name != "mini"} == {
        name: scale for name, scale in shipped.items() if name != "mini"
    }


def test_a_scale_given_whole_stands_as_it_is(values):
    whole = values["scales"]["mini"]
    del whole["studies"], whole["arms"]["dft"]
    found = parse_config({"scales": {"mini": whole}}).scales["mini"]
    assert list(found.arms) == ["sft", "sft_reinvoke", "sdft"]
    assert found.studies == {}


def test_a_scale_of_ones_own_stands_in_a_file_or_in_the_configuration(root, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config.yaml").write_text("scale: mine\nscales: {other: {like_scale: mine, tasks: [medical]}}")
    (tmp_path / "config/mine.yaml").write_text(
        "like_scale: mini\ntasks: [science]\nstudies: {foreign: {enabled: false}}"
    )
    config = load_config(tmp_path / "config.yaml")
    mine = config.scales["mine"]
    assert (mine.tasks, mine.models, mine.evidence) == (["science"], config.scales["mini"].models, "own")
    assert not mine.studies["foreign"].enabled
    assert (config.scales["other"].tasks, config.scales["other"].models) == (["medical"], mine.models)


def test_some_lists_of_a_named_grid_are_changed_and_the_others_stay():
    def grid(changes):
        return parse_config({"scales": {"mini": changes}}).scales["mini"].arms["sdft"].grid

    shipped = grid({})
    assert grid({"arms": {"sdft": {"grid": {"epochs": [1]}}}}) == shipped.model_copy(update={"epochs": [1]})
    assert grid({"grids": {"skill": {"epochs": [2]}}}).epochs == [2]
    assert grid({"grids": {"skill": {"epochs": [2]}}}).ema_rate == shipped.ema_rate


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": {"sft": {"grid": "skil"}}}, ["scales.mini.arms.sft.grid", "'skil'", "did you mean 'skill'?"]),
        ({"grids": {"skill": {"like": "skill_sdft"}}}, ["scales.mini.grids", "circle"]),
        ({"prior": {"like_scale": "smoke"}}, ["prior.like_scale", "circle"]),
        ({"prior": {"like_scale": "papr"}}, ["scales.mini.prior.like_scale", "did you mean 'paper'?"]),
        ({"training": {"like_scale": "mini"}}, ["scales.mini.training.like_scale", "circle"]),
        ({"published_recipe": {"like_scale": "smoke"}}, ["scales.mini.published_recipe.like_scale", "smoke has no"]),
    ],
)
def test_what_is_taken_from_elsewhere_has_to_be_there(changes, words):
    with pytest.raises(SdftError) as caught:
        parse_config({"scales": {"mini": changes}})
    for word in words:
        assert word in str(caught.value)


def test_what_is_wrong_in_a_named_grid_is_said_once_and_there():
    with pytest.raises(SdftError) as caught:
        parse_config({"scales": {"mini": {"grids": {"skill": {"epochs": [0]}}}}})
    assert str(caught.value).count("greater than 0") == 1
    assert "scales.mini.grids.skill.epochs.0" in str(caught.value)


def test_an_error_names_the_file_and_line_of_a_scales_key(root, tmp_path):
    (tmp_path / "config").mkdir()
    text = (root / "config/smoke.yaml").read_text().replace("warmup_steps: 1", "warmup_steps: -1")
    (tmp_path / "config/smoke.yaml").write_text(text)
    (tmp_path / "config.yaml").write_text("scale: smoke")
    line = next(number for number, row in enumerate(text.split("\n"), start=1) if "warmup_steps" in row)
    with pytest.raises(SdftError, match=rf"scales.smoke.training.warmup_steps \(\S*config/smoke.yaml:{line}\): .*-1"):
        load_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        ("a folder", "cannot be read"),
        (b"scale: mini # \xfc", "not UTF-8"),
        (b"scale: [mini", "not valid YAML"),
        (b"- mini", "not a mapping"),
        (b"", "not a mapping"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_its_name(tmp_path, content, words):
    path = tmp_path / "study.yaml"
    if content == "a folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(SdftError, match=words) as caught:
        load_config(path)
    assert "study.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (
            ["Table 4"],
            ["scales.paper.grids.table4_sdft", "epochs: [1, 2, 4]", "scales.paper.studies.knowledge.arms.cpt"],
        ),
        (["table 3", "sdft"], ["scales.paper.grids.table3_sdft", "[0.01, 0.02, 0.05]"]),
        (["ema_rate"], ["config/mini.yaml:", "paper: [0.01, 0.02, 0.05] in arms.sdft.grid"]),
        (
            ["warmup_steps"],
            ["config.yaml:", "steps of linear warm-up", "smoke: 1 in training", "elsewhere: 10"],
        ),
        (["warmupstep"], ["No key, comment or value has 'warmupstep'", "warmup_steps"]),
    ],
)
def test_a_word_finds_every_key_that_has_it(root, monkeypatch, words, shown):
    monkeypatch.chdir(root)
    found = find(words, Path("config.yaml"))
    for text in shown:
        assert text in found


def test_a_table_is_not_found_by_the_beginning_of_its_number(root):
    assert "table41" not in find(["Table 4"], root / "config.yaml").lower()
    assert "No key" in find(["Table 41"], root / "config.yaml")


def test_the_command_reports_one_paragraph_and_fails(root, tmp_path, values):
    broken = tmp_path / "config.yaml"
    broken.write_text(json.dumps(values | {"seedz": [1]}))
    done = subprocess.run(
        [sys.executable, "-m", "sdft.config", str(broken)], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "seeds" in done.stderr


def test_the_command_accepts_the_shipped_configuration(root):
    done = subprocess.run([sys.executable, "-m", "sdft.config"], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    assert "config.yaml is valid; scale mini" in done.stdout
    models = "m-s1, m-s2, m-s4, m-s6, m-s7"
    for part in (models, "science, tooluse, medical", "sdft (18)", "sequential", "runs     1355"):
        assert part in done.stdout


def test_the_model_of_the_study_is_light(root):
    code = (
        "import sys, sdft.config, sdft.study.plan, sdft.common.provenance; "
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'datasets', 'lm_eval'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_unknown_keys_beside_each_other_are_told_with_one_list_of_the_valid_names(root, values):
    values["training"] |= {"qqq": 1, "zzz": 2}
    with pytest.raises(SdftError) as said:
        parse_config(values, folder=root / "config")
    assert all(f"there is no key training.{name}" in str(said.value) for name in ("qqq", "zzz"))
    assert str(said.value).count("valid names: ") == 1


def test_a_study_that_is_read_elsewhere_is_told_where_relative_paths_start(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SdftError) as said:
        check_files(load_config(root / "config.yaml"))
    assert f"start from the current folder, {tmp_path}: run from the repository's root" in str(said.value)


@pytest.mark.parametrize("key", ["scale", "method"])
def test_a_list_of_valid_names_ends_with_one_full_stop(root, values, key):
    changes = {"scale": "zzz"} if key == "scale" else {"scales": {"mini": {"arms": {"sdft": {"method": "zzz"}}}}}
    with pytest.raises(SdftError, match="valid names: ") as said:
        parse_config(values | changes, folder=root / "config")
    assert ".." not in str(said.value)
