"""The study at paper scale and its rehearsal: sizes, pins, and one complete plan each."""

from __future__ import annotations

import copy
import re
from itertools import product

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config, parse_config
from sdft.evidence.published import document, lookup
from sdft.miniature.data import SIZES
from sdft.miniature.schema import BENCHMARK_ITEMS, GENERAL_PROMPTS
from sdft.study.exhibits.build import exhibit, files
from sdft.study.plan import Plan
from sdft.study.values import read_values
from sdft.tasks.benchmarks import BENCHMARKS


@pytest.fixture(scope="module")
def values(request):
    return read_values(request.config.rootpath / "config.yaml")


@pytest.fixture
def config(root):
    return load_config(root / "config.yaml")


def test_the_sweeps_have_the_sizes_of_the_papers_table_3(config):
    plan = Plan(config, "paper")
    sizes = {arm: len(plan.hyperparameters(arm)) for arm in plan.arms}
    # 3 learning rates, 2 numbers of epochs, 3 batch sizes; SDFT also 3 EMA rates.
    assert sizes["sft"] == sizes["dft"] == 3 * 2 * 3 == 18
    assert sizes["sdft"] == 3 * 2 * 3 * 3 == 54
    runs = [run for task in plan.tasks for arm in plan.arms for run in plan.candidates(task, arm)]
    assert len({run.id for run in runs}) == 3 * (18 + 18 + 54 + sizes["sft_reinvoke"])


def test_the_published_sweep_is_the_recipe_of_the_official_readme(values):
    plan = Plan(parse_config(values | {"sweep": "published"}), "paper")
    for arm in plan.arms:
        (only,) = plan.hyperparameters(arm)
        assert (only.learning_rate, only.epochs, only.batch_size) == (5e-5, 2, 32)
        assert only.ema_rate == (0.01 if plan.arm(arm).method == "sdft" else None)


def test_everything_that_is_downloaded_is_pinned(config):
    scale = config.scales["paper"]
    for source in scale.models.sources.values():
        assert re.fullmatch("[0-9a-f]{40}", source.revision)
    for task in filter(None, map(scale.data.files, scale.data.tasks)):
        for source in task.sources:
            assert re.fullmatch("[0-9a-f]{40}", source.revision)
            assert source.sha256 or source.rows
    assert scale.data.general.source.revision


def test_the_prior_protocol_is_the_authors(config):
    prior = config.scales["paper"].prior
    assert {name: (entry.task, entry.metric) for name, entry in prior.tasks.items()} == {
        "hellaswag": ("hellaswag", "acc"),
        "humaneval": ("humaneval", "pass@1,create_test"),
        "ifeval": ("ifeval", "inst_level_loose_acc"),
        "mmlu": ("mmlu", "acc"),
        "truthfulqa": ("truthfulqa_mc1", "acc"),
        "winogrande": ("winogrande", "acc"),
    }
    assert (prior.apply_chat_template, prior.num_fewshot, prior.limit) == (False, None, None)
    # Candidates, whose prior scores choose nothing, are measured in batches on a part of the items.
    plan = Plan(config, "paper")
    final, candidate = plan.prior_config(), plan.prior_config(sweep=True)
    assert (final["batch_size"], final["limit"]) == (1, None)
    assert candidate["batch_size"] >= 16
    assert candidate["limit"] <= 200


def test_table_5_has_a_row_in_the_official_arithmetic_beside_the_float32_average(config):
    plan = Plan(config, "paper")
    ours, official = ([run for run in plan.runs() if run.arm == arm] for arm in ("sdft", "sdft.official"))
    assert {run.task for run in official} == {run.task for run in ours} == set(plan.scale.tasks)
    assert {run.settings.ema_dtype for run in ours} == {"float32"}
    assert {run.settings.ema_dtype for run in official} == {"bfloat16"}
    assert {run.settings.rounding for run in official} == {"nearest"}
    assert dict(plan.scale.arms["sdft.official"].replace) == dict(plan.scale.published_recipe)


def test_a_step_by_hand_makes_the_rows_that_the_configuration_says(config):
    mini = config.scales["mini"]
    assert {task: size.model_dump() for task, size in mini.data.sizes.items()} == {
        task: vars(size) for task, size in SIZES.items()
    }
    assert (mini.data.benchmark_items, mini.data.general_prompts) == (BENCHMARK_ITEMS, GENERAL_PROMPTS)


def test_the_rehearsal_has_the_papers_arms_tasks_and_metrics(config):
    paper, rehearsal = config.scales["paper"], config.scales["rehearsal"]
    assert list(paper.arms) == list(rehearsal.arms)
    assert [arm.method for arm in paper.arms.values()] == [arm.method for arm in rehearsal.arms.values()]
    assert paper.tasks == rehearsal.tasks
    for study, entry in rehearsal.studies.items():
        own = paper.studies[study]
        assert (entry.tasks, entry.share, list(entry.arms)) == (own.tasks, own.share, list(own.arms))
        for name, arm in entry.arms.items():
            assert (arm.method, arm.demonstration) == (own.arms[name].method, own.arms[name].demonstration)
    assert {name: paper.prior.tasks[name].metric for name in BENCHMARKS} == {
        name: rehearsal.prior.tasks[name].metric for name in BENCHMARKS
    }


def changed(values, path, value):
    values = copy.deepcopy(values)
    node = values
    for part in path[:-1]:
        node = node[part]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return values


DATA = ["scales", "paper", "data", "tasks"]
SOURCES = ["scales", "paper", "models", "sources"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ([*DATA, "science", "train", "revision"], "main", ["science.train.revision"]),
        ([*DATA, "science", "train", "revision"], None, ["revision", "40 hex digits"]),
        ([*DATA, "science", "train", "hub"], "a/b", ["github or hub"]),
        ([*DATA, "tooluse", "test_rows"], 98, ["97 rows"]),
        ([*DATA, "tooluse", "test_sample"], 10, ["test_sample"]),
        ([*DATA, "sciense"], {}, ["sciense", "'science'"]),
        (["scales", "paper", "models", "names"], ["Qwen2.5-7B"], ["'Qwen2.5-7B'", "Qwen2.5-7B-Instruct"]),
        (["scales", "paper", "models", "sources", "Qwen2.5-7B-Instruct", "revision"], None, ["revision"]),
        (["scales", "rehearsal", "models", "sources", "random-qwen2", "architecture"], "qwen", ["qwen2"]),
        (["scales", "paper", "prior", "generated_code"], "yes", ["generated_code", "sandbox"]),
        (["scales", "paper", "judge"], {"modell": "x"}, ["modell", "'model'"]),
        ([*DATA, "science", "test_row"], 9, ["data.tasks.science.test_row", "'test_rows'"]),
        ([*DATA, "knowledge", "writter"], {}, ["data.tasks.knowledge.writter", "'writer'"]),
        ([*SOURCES, "Olmo-3-7B-Think", "evaluation"], {"max_new_token": 9}, ["'max_new_tokens'"]),
        ([*SOURCES, "Olmo-3-7B-Think", "evaluation"], {"max_new_tokens": None}, ["scales.paper", "max_new_tokens"]),
        ([*SOURCES, "Olmo-3-7B-Think", "thinking"], True, ["Olmo-3-7B-Think", "chat template"]),
        ([*SOURCES, "Qwen2.5-3B-Instruct", "size"], "small", ["size", "small"]),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(values, path, value, words):
    with pytest.raises(SdftError) as caught:
        parse_config(changed(values, path, value))
    for word in words:
        assert word in str(caught.value)


def test_a_file_elsewhere_renames_no_run_and_other_content_does(values):
    def names(values):
        return {run.id for run in Plan(parse_config(values), "paper").candidates("science", "sft")}

    before = names(values)
    assert names(changed(values, [*DATA, "science", "train", "path"], "/data/science")) == before
    assert not names(changed(values, [*DATA, "science", "train", "rows"], 99)) & before
    assert not names(changed(values, ["scales", "paper", "data", "split_seed"], 1)) & before


def test_with_a_judge_medical_scores_come_from_its_verdicts(values):
    judged = Plan(parse_config(changed(values, ["scales", "paper", "judge"], {"model": "gpt-5-mini"})), "paper")
    offline = Plan(parse_config(values), "paper")
    for plan, folder in ((judged, "judged"), (offline, "scores")):
        assert plan.scores_folder(plan.finals("table5", "medical", "sft")[0]).startswith(f"results/paper/{folder}/")
        assert plan.base_scores_folder("m") == f"results/paper/{folder}/base/m"
        assert plan.scores_folder(plan.finals("table5", "science", "sft")[0]).startswith("results/paper/scores/")


@pytest.mark.parametrize(("judge", "folder"), [({"model": "gpt-5-mini"}, "judged"), (None, "scores")])
@pytest.mark.parametrize("name", ["table1", "figure7"])
def test_every_cell_of_the_knowledge_study_is_judged_on_both_splits_or_none_is(values, judge, folder, name):
    scales = values["scales"] | {"paper": values["scales"]["paper"] | {"judge": judge}}
    plan = Plan(parse_config(values | {"scales": scales}), "paper")
    scores = [path for path in files(plan, name) if path.endswith(("/knowledge.json", "/knowledge_ood.json"))]
    cells = score_folders(exhibit(plan, name))
    assert sorted(scores) == sorted(f"{cell}/knowledge{split}.json" for cell in cells for split in ("", "_ood"))
    assert {path.split("/")[2] for path in scores} == {folder}
    # The base model with the article (Oracle RAG), and alone.
    assert {cell.split("/")[5] for cell in cells if "/context/" in cell} == {"article", "none"}


def score_folders(found):
    """The folders of every cell's scores, untrained models included."""
    runs = [run for cell in (*found.cells, *found.contexts) for run in cell.runs]
    return {run.scores for run in (*found.base, *runs)}


def test_table_2_is_olmo_alone_taught_with_answers_and_given_room_to_think(values):
    plan = Plan(parse_config(values | {"seeds": [0, 4]}), "paper")
    found = exhibit(plan, "table2")
    assert {entry.model for entry in found.base} == {"Olmo-3-7B-Think"}
    assert [cell.arm for cell in found.cells] == ["sft.answer_only", "sdft.answer_only"]
    runs = [plan.find(run.run) for cell in found.cells for run in cell.runs]
    assert [run.seed for run in runs] == [0, 4, 0, 4]
    assert {(run.task, run.base, run.demonstration) for run in runs} == {("medical", "Olmo-3-7B-Think", "answer")}
    # The longest mean that Table 2 prints is 4612 tokens; Table 5's models need no such length.
    longest = lookup("table2", "medical", "base", "generated_tokens").value
    assert plan.scale.evaluation_of("Olmo-3-7B-Think").max_new_tokens > 3 * longest
    assert plan.scale.evaluation_of(plan.bases[0]) == plan.scale.evaluation
    assert plan.config.settings_of("paper", "sdft.answer_only").max_new_tokens > longest


@pytest.mark.parametrize("scale", ["paper", "rehearsal"])
def test_figure_5_has_the_papers_sizes_with_a_base_model_each(config, scale):
    plan = Plan(config, scale)
    found = exhibit(plan, "figure5")
    sizes = list(dict.fromkeys(cell.size for cell in found.cells))
    assert sizes == document()["items"]["figure5"]["columns"] == ["3b", "7b", "14b"]
    for size in sizes:
        cells = [cell for cell in found.cells if cell.size == size]
        assert [cell.method for cell in cells] == ["sft", "sdft"]
        seeds = [entry.seed for entry in found.base if entry.size == size]
        assert seeds == [run.seed for run in cells[0].runs] == plan.seeds
    # pass@k is of Table 5's models and of what they started from.
    measured = [run for cell in found.cells if cell.size == "7b" for run in cell.runs]
    assert sum(path.startswith(f"{plan.root}/passk/") for path in files(plan, "figure5")) == len(measured) + len(
        plan.bases
    )


@pytest.mark.parametrize("scale", ["paper", "rehearsal"])
def test_figure_2_asks_for_demonstrations_where_the_official_data_has_them(config, scale):
    plan = Plan(config, scale)
    found = exhibit(plan, "figure2")
    measured = [*found.base, *(model for shown in found.contexts for model in shown.runs)]
    # The base model answers the same questions alone, so that the two can be compared.
    asked = {"task": "tooluse", "split": "validation"}
    assert {entry.scores for entry in measured} == {
        plan.context_scores_folder(context=context, model=model, **asked)
        for context, model in product(("none", "expert"), plan.bases)
    }


@pytest.mark.slow
def test_what_a_model_is_used_for_renames_none_of_its_runs(values):
    def names(values):
        return {run.id for run in Plan(parse_config(values), "paper").runs()}

    model = [*SOURCES, "Olmo-3-7B-Think"]
    assert names(changed(values, [*model, "evaluation"], {"max_new_tokens": 99})) == names(values)
    assert names(changed(values, [*model, "gpus"], 2)) == names(values)
    assert names(changed(values, [*model, "revision"], "0" * 40)) != names(values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "target", "jobs"),
    [("paper", "table5", 350), ("paper", "table2", 40), ("paper", "all", 900), ("rehearsal", "all", 170)],
)
def test_the_whole_study_is_listed_in_a_few_times_snakemakes_own_start(against_its_start, scale, target, jobs):
    done, times = against_its_start("-n", "-p", "--nolock", "--config", f"scale={scale}", "--", target)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(re.search(r"^total +(\d+)", done.stdout, re.MULTILINE)[1]) > jobs
    if (scale, target) == ("paper", "table2"):
        # Final runs and the base model are all decoded at the length that their model needs. The gate before them is
        # of the reference model, whose own length is another.
        evaluations = re.findall(r"python -m sdft\.evaluate (?!.*/base/Qwen2\.5-7B-Instruct/).*", done.stdout)
        assert {length for line in evaluations for length in re.findall(r'max_new_tokens":(\d+)', line)} == {"16384"}
    measured = re.findall(r"python -m sdft\.(?:evaluate(?:\.\w+)?|learning\.candidate) .*", done.stdout)
    assert measured
    assert times < 12
