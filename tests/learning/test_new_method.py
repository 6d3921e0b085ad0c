"""A method is one file: with it alone an arm is planned, priced, swept, trained and named, and nothing else changes."""

from __future__ import annotations

import sys

import pytest
import yaml
from conftest import make_spec, read_metrics

from sdft import methods
from sdft.common import code
from sdft.common.errors import SdftError
from sdft.config import parse_config
from sdft.learning.spec import resolve
from sdft.methods import hyperparameters
from sdft.methods.hyperparameters import tie_key
from sdft.study import rerun
from sdft.study.forecast import forecast
from sdft.study.plan import Plan, RunSpec
from sdft.train import train

NUDGED = '''
from typing import Annotated, ClassVar

from pydantic import Field

from sdft.common.schema import Strict
from sdft.methods.sdft import SDFT


class Nudged(SDFT):
    """SDFT whose loss is multiplied by an option."""

    class Options(Strict):
        kl_weight: Annotated[float, Field(gt=0)] = 1.0
        note: str = "none"

    title: ClassVar[str] = "Nudged SDFT"
    look: ClassVar[tuple[str, str]] = ("#000000", "*")

    def loss(self, batch, student, teacher):
        found = super().loss(batch, student, teacher)
        return found._replace(loss=self.options.kl_weight * found.loss)
'''
CACHES = (methods.method_names, methods.find_method, hyperparameters.options_of)
GRID = {"learning_rate": [1e-3], "epochs": [5], "batch_size": [32], "ema_rate": [0.02]}


@pytest.fixture
def nudged(tmp_path, monkeypatch):
    """The registry with one file more."""
    folder = tmp_path / "more_methods"
    folder.mkdir()
    (folder / "nudged.py").write_text(NUDGED)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(folder)])
    reader = code.Code()
    reader._files["sdft.methods.nudged"] = folder / "nudged.py"
    monkeypatch.setattr(rerun, "here", lambda: reader)
    for cache in CACHES:
        cache.cache_clear()
    yield folder / "nudged.py"
    sys.modules.pop("sdft.methods.nudged", None)
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def values(root):
    return yaml.safe_load((root / "config.yaml").read_text())


def with_arms(values, **arms):
    return values | {"scales": {"mini": {"arms": arms}}}


def plan_of(values, **arms):
    return Plan(parse_config(with_arms(values, **arms) if arms else values), "mini")


def test_an_arm_of_a_new_method_is_planned_and_renames_no_other_run(values, nudged):
    before = {run.id for run in plan_of(values).runs()}
    arm = {"method": "nudged", "grid": GRID | {"kl_weight": [0.5, 2]}, "options": {"note": "b"}}
    plan = plan_of(values, nudged=arm)
    assert before < {run.id for run in plan.runs()}
    candidates = plan.candidates("science", "nudged")
    weights = [run.hyperparameters.options["kl_weight"] for run in candidates]
    assert set(weights) == {0.5, 2.0}
    assert all(run.options == {"note": "b"} for run in candidates)
    assert all(f"kl_weight{weight:g}-" in run.id for weight, run in zip(weights, candidates, strict=True))
    for run in candidates:
        assert RunSpec.model_validate_json(run.model_dump_json()) == run
    # What it takes nowhere else: SDFT's forecast, by the class that it derives from.
    jobs, fits = forecast(plan, "table5")
    assert {"nudged", "candidate:nudged"} <= {job.kind for job in jobs}
    assert (fits["nudged"].start, fits["nudged"].per_unit) == (fits["sdft"].start, fits["sdft"].per_unit)


def test_an_option_at_its_default_renames_nothing_and_another_value_does(values, nudged):
    arm = {"method": "nudged", "grid": GRID}
    plain, same, other = (
        [run.id for run in plan_of(values, nudged=arm | {"options": options}).finals("table5", "science", "nudged")]
        for options in ({}, {"kl_weight": 1}, {"kl_weight": 2})
    )
    assert plain == same
    assert not set(plain) & set(other)


def test_the_published_recipe_leaves_options_as_the_arm_has_them(values, nudged):
    recipe = {"learning_rate": 1e-4, "epochs": 1, "batch_size": 8, "ema_rate": 0.02}
    arm = {"method": "nudged", "grid": GRID | {"kl_weight": [0.5, 2.0]}, "options": {"note": "b"}}
    changed = with_arms(values, nudged=arm) | {"sweep": "published"}
    changed["scales"]["mini"] |= {"published_recipe": recipe, "sweep_seeds": [0]}
    (run,) = plan_of(changed).candidates("science", "nudged")
    assert (run.hyperparameters.options, run.options) == ({}, {"note": "b"})


def test_the_winner_of_a_sweep_brings_its_options_and_replace_changes_them(values, nudged, world, tmp_path):
    arm = {"method": "nudged", "grid": GRID | {"kl_weight": [0.5, 2.0]}}
    plan = plan_of(values, nudged=arm, twice={"method": "nudged", "like": "nudged", "replace": {"kl_weight": 4.0}})
    assert plan.finals("table5", "science", "twice")[0].replace == {"kl_weight": 4.0}
    chosen = tmp_path / "selected.json"
    winner = plan.candidates("science", "nudged")[1].hyperparameters
    chosen.write_text(f'{{"winner": {winner.model_dump_json()}}}')
    spec = make_spec(world, "nudged", hyperparameters=None, selected=str(chosen))
    assert resolve(spec).hyperparameters == winner
    replaced = resolve(spec.model_copy(update={"replace": {"kl_weight": 4.0}}))
    assert replaced.hyperparameters.options == {"kl_weight": 4.0}
    assert replaced.hyperparameters.learning_rate == winner.learning_rate


def test_equal_candidates_are_told_apart_by_their_options_last():
    first, second = {"learning_rate": 1.0, "kl_weight": 0.5}, {"learning_rate": 1.0, "kl_weight": 2}
    assert tie_key(first) < tie_key(second) < tie_key(first | {"learning_rate": 2.0})


@pytest.mark.slow
def test_a_few_steps_of_a_new_method_train_with_its_options(world, nudged, tmp_path):
    runs = {}
    for name, method, options in [
        ("sdft", "sdft", {}),
        ("plain", "nudged", {}),
        ("fixed", "nudged", {"options": {"kl_weight": 3.0}}),
    ]:
        record = train(make_spec(world, method, **options), tmp_path / name, quiet=True)
        runs[name] = (record["fingerprint"], [entry["loss"] for entry in read_metrics(tmp_path / name)])
    assert runs["plain"][1] == runs["sdft"][1]
    assert runs["fixed"][1][0] == pytest.approx(3 * runs["plain"][1][0])
    assert len({fingerprint for fingerprint, _ in runs.values()}) == 3


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (
            {"method": "nudged", "grid": GRID | {"kl_weigth": [1]}},
            ["arms.x", "'kl_weigth'", "did you mean"],
        ),
        ({"method": "nudged", "grid": GRID, "options": {"kl_weigth": 1}}, ["options", "did you mean 'kl_weight'"]),
        ({"method": "nudged", "grid": GRID, "options": {"kl_weight": -1}}, ["kl_weight", "greater than 0", "-1"]),
        ({"method": "nudged", "grid": GRID | {"kl_weight": [1, "a"]}}, ["arms.x", "kl_weight", "number", "'a'"]),
        ({"method": "nudged", "grid": GRID | {"kl_weight": []}}, ["x.grid.kl_weight", "give at least one"]),
        ({"method": "nudged", "grid": GRID | {"kl_weight": [1, 1]}}, ["kl_weight", "repeats 1"]),
        ({"method": "sft", "grid": {**GRID, "ema_rate": None}, "options": {"kl_weight": 1}}, ["one of nudged"]),
        ({"method": "nudged", "grid": GRID | {"kl_weight": [1]}, "options": {"kl_weight": 1}}, ["one of the two"]),
        ({"method": "nudged", "like": "sdft", "replace": {"kl_weigth": 1}}, ["replace", "did you mean 'kl_weight'"]),
    ],
)
def test_a_wrong_option_is_refused_with_the_remedy(values, nudged, arm, words):
    with pytest.raises(SdftError) as caught:
        plan_of(values, x=arm)
    for word in words:
        assert word in str(caught.value)


def test_a_winner_with_options_cannot_go_to_a_method_without_them(values, nudged):
    arm = {"method": "nudged", "grid": GRID | {"kl_weight": [0.5, 2.0]}}
    with pytest.raises(SdftError, match="arm x: it takes the winner of nudged, .* it is one of nudged"):
        plan_of(values, nudged=arm, x={"method": "off_policy_fresh", "like": "nudged"})
    with pytest.raises(SdftError, match="put the value into replace"):
        plan_of(values, nudged=arm, x={"method": "nudged", "like": "nudged", "options": {"kl_weight": 1.0}})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("= 1.0", "", "the option kl_weight needs a default"),
        ("kl_weight: ", "skip_tokens: ", "the option skip_tokens is a setting of every method"),
        ("kl_weight: ", "ema_rate: ", "the option ema_rate is a setting of every method"),
    ],
)
def test_a_file_whose_options_cannot_be_told_apart_is_refused(values, nudged, old, new, words):
    nudged.write_text(NUDGED.replace(old, new))
    with pytest.raises(SdftError, match=words):
        plan_of(values, x={"method": "nudged", "grid": GRID})
