"""Whatever one changes in the shipped configuration, it is a plan or a paragraph, and never a traceback.

SDFT_MUTATIONS is the number of changes that each test tries; without it a few, which take seconds. SDFT_SEED has other
ones drawn.
"""

from __future__ import annotations

import copy
import os
import random

import mutations
import pytest

from sdft.common.errors import SdftError
from sdft.study.values import read_values, read_yaml

TRIED, SEED = int(os.environ.get("SDFT_MUTATIONS", "12")), os.environ.get("SDFT_SEED", "")
# Of these scales all is planned, down to what each step is told.
LAUGHS = "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(8))
WALKED = ("smoke",) if TRIED <= 12 else ("smoke", "rehearsal")


@pytest.fixture(scope="module")
def shipped(request):
    return read_values(request.config.rootpath / "config.yaml")


def check(make, done):
    said = mutations.refusal(make, WALKED, sizes=TRIED > 12)
    assert said is None or ("\n" not in said and 20 < len(said) < 1500), f"{done}: {said}"


@pytest.mark.parametrize("part", range(5))
def test_a_changed_value_is_planned_or_refused_in_one_paragraph(root, shipped, part):
    for number in range(part, TRIED, 5):
        values = copy.deepcopy(shipped)
        done = mutations.mutate(values, random.Random(f"{SEED}values.{number}"))
        check(mutations.of_values(values, root / "config"), done)


@pytest.mark.parametrize("part", range(5))
def test_a_changed_file_is_planned_or_refused_in_one_paragraph(root, tmp_path, part):
    names = ["config.yaml", *(f"config/{path.name}" for path in sorted((root / "config").glob("*.yaml")))]
    for number in range(part, TRIED, 5):
        rng, path = random.Random(f"{SEED}text.{number}"), mutations.copied(root, tmp_path)
        name = rng.choice(names)
        content, done = mutations.mutate_text((root / name).read_text(encoding="utf-8"), rng)
        (tmp_path / name).write_bytes(content)
        check(mutations.of_file(path), f"{name} {done}")


@pytest.mark.parametrize("part", range(5))
def test_a_change_on_the_command_line_is_planned_or_refused_in_one_paragraph(root, shipped, part):
    plain = read_yaml(root / "config.yaml")
    for number in range(part, TRIED, 5):
        arguments = mutations.overrides(shipped, random.Random(f"{SEED}override.{number}"))
        check(mutations.of_values(mutations.of_command_line(plain, arguments), root / "config"), arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds: [0]\nscale: smoke\nseeds: [1]\n", "the key 'seeds' is given twice, the second time in line 3"),
        ("seeds: [0]\n<<: {mini: 1, mini: 2}\n", "the key 'mini' is given twice, the second time in line 2"),
        ("scales: {yes: a, true: b}\n", "the key 'true' is given twice"),
        ("scales:\n  1: a\n  1.0: b\n", "the key '1.0' is given twice, the second time in line 3"),
        ("scales: {mini: &a {x: 1}, smoke: {<<: *a, <<: *a}}\n", "the key '<<' is given twice"),
        ("training: &a {betas: *a}\n", "training.betas holds itself"),
        (LAUGHS, "more entries than"),
        ("seeds: [1000000000000000000000]\n", "seeds.0: Input should be less than or equal to 2147483647"),
        ("scales: {mini: {prior: {tasks: {mmlu: {task: ' mini_mmlu'}}}}}\n", "scales.mini.prior.tasks.mmlu.task"),
        ("scales: {mini: {arms: {sft: {grid: {null: 1}}}}}\n", "scales.mini.arms.sft: grid: "),
        ("scales: {mini: {judge: {model: x, api_key_variable: sk-abcdef0123456789}}}\n", "environment variable"),
    ],
)  # fmt: skip
def test_a_surprise_of_yaml_names_its_key(root, tmp_path, text, words):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    said = mutations.refusal(mutations.of_file(path))
    assert said is not None
    assert words in said
    assert "sk-abcdef0123456789" not in said


def test_half_of_a_surrogate_pair_on_the_command_line_is_refused_by_its_key(root):
    values = mutations.of_command_line({}, ['scales={paper: {notice: "\\ud800"}}'])
    with pytest.raises(SdftError, match=r"'scales.paper.notice' holds half of a surrogate pair"):
        mutations.of_values(values, root / "config")()


def test_a_name_without_end_is_cut_in_a_message():
    assert len(str(SdftError("there is no " + "x" * 5000 + "\nhere"))) < 100


@pytest.mark.slow
def test_a_scale_without_the_arms_of_a_table_plans_the_others(root):
    values = read_yaml(root / "config.yaml") | {"scales": {"mine": {"like_scale": "smoke", "arms": {}}}}
    smoke = read_yaml(root / "config/smoke.yaml")
    entry = {**smoke, "arms": {name: arm for name, arm in smoke["arms"].items() if name != "sdft"}}
    values["scales"] = {"mine": entry}
    assert mutations.refusal(mutations.of_values(values, root / "config"), ["mine"]) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("sizes: {medical: {test: 256000}}", "data.sizes.medical: the world has too few distinct questions"),
        (
            "benchmark_items: 900",
            "data: the world has too few questions for 900 items of .*; lower data.benchmark_items",
        ),
        pytest.param(
            "general_prompts: 90000",
            "data: the world has fewer than 90000 general prompts; lower data.general_prompts",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_scale_with_more_questions_than_its_world_has_is_refused(root, tmp_path, data, words):
    from sdft.config import main

    path = tmp_path / "config.yaml"
    path.write_text(f"scale: smoke\nscales: {{smoke: {{data: {{{data}}}}}}}\n", encoding="utf-8")
    with pytest.raises(SdftError, match=f"scales.smoke.{words}"):
        main([str(path)])


LOCAL = "models: {sources: {m-s1: {path: released/mini/m-s1}}}, training: {max_new_tokens: 256}"


@pytest.mark.parametrize(
    "text", ["training: {max_new_tokens: 256}", "arms: {sdft: {settings: {max_new_tokens: 256}}}", LOCAL]
)
def test_completions_that_fill_a_model_s_context_are_refused(root, tmp_path, text):
    from sdft.config import main

    path = tmp_path / "config.yaml"
    path.write_text(f"scale: mini\nscales: {{mini: {{{text}}}}}\n", encoding="utf-8")
    with pytest.raises(SdftError, match=r"arms\.\w+: max_new_tokens .* is 256, and the context of the base model m-s1"):
        main([str(path)])
    path.write_text(path.read_text().replace("256", "128"), encoding="utf-8")
    main([str(path)])
