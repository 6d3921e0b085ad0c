"""The data are the same each time, repeat no item across splits, and hold demonstrations that the scorers accept."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import asdict

import pytest

from sdft.common.errors import SdftError
from sdft.common.files import digest
from sdft.evaluate.requirements import QUESTIONED
from sdft.miniature import style
from sdft.miniature.data import BENCHMARKS, SIZES, TASKS, Size, benchmark_rows, general_records, main, task_records
from sdft.miniature.documents import MIXTURE
from sdft.miniature.tokenizer import encode
from sdft.miniature.world import make_world
from sdft.records.record import read_records
from sdft.tasks import score_record


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def records(world):
    return {task: task_records(world, task, SIZES[task]) for task in TASKS}


def test_a_second_call_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        for part in ("science", "knowledge", "benchmarks"):
            assert main(["--out", str(tmp_path / name), "--task", part]) == 0
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jsonl"))
    assert len(files) == 3 + 5 + 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_written_records_can_be_read(tmp_path):
    main(
        [
            "--out",
            str(tmp_path),
            "--task",
            "tooluse",
            "--symbols",
            "8",
            "--train",
            "16",
            "--test",
            "8",
            "--validation",
            "8",
        ]
    )
    assert len(read_records(tmp_path / "tooluse" / "train.jsonl")) == 16


@pytest.mark.parametrize("task", TASKS)
def test_splits_share_no_question(records, task):
    asked = {split: [row.prompt[-1]["content"] for row in rows] for split, rows in records[task].items()}
    distinct = {split: set(questions) for split, questions in asked.items()}
    assert sum(map(len, distinct.values())) == len(set.union(*distinct.values()))
    # Knowledge has one wording a fact for validation, and twice as many rows as facts: each is asked twice.
    repeated = {"validation": 2} if task == "knowledge" else {}
    for split, questions in asked.items():
        assert set(Counter(questions).values()) == {repeated.get(split, 1)}


def test_science_is_tested_on_pairs_that_were_not_shown(records):
    pairs = {s: {frozenset(r.meta["key"]) for r in records["science"][s]} for s in ("train", "validation", "test")}
    assert not pairs["train"] & (pairs["validation"] | pairs["test"])
    assert {n for pair in pairs["test"] for n in pair} <= {n for pair in pairs["train"] for n in pair}


@pytest.mark.parametrize("task", ["tooluse", "medical", "knowledge"])
def test_whatever_is_tested_was_shown(records, task):
    def known(split):
        width = 1 if task == "tooluse" else 2
        return {tuple(r.meta["key"][:width]) for r in records[task][split]}

    assert known("test") == known("train")


@pytest.mark.parametrize("style_name", style.EXPERTS)
@pytest.mark.parametrize("task", TASKS)
def test_scorers_accept_demonstrations_in_no_style_of_the_base(records, task, style_name):
    for record in records[task]["train"]:
        text = record.demonstration(style_name)
        assert score_record(task, text, record) == 1.0
        assert not style.is_own(text, task)


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_alone_is_right_and_part_of_every_expert_s_words(records, task):
    for split, rows in records[task].items():
        for record in rows if split != "corpus" else ():
            text = record.demonstration("answer")
            assert score_record(task, text, record) == 1.0
            assert all(f" {text} " in record.demonstration(name) for name in style.EXPERTS)


def test_answers_alone_and_clusters_change_nothing_else_in_the_data(world):
    """The digest is that of the data before they had either: whatever else is drawn must not notice them."""
    splits = [task_records(world, task, QUESTIONED[task]) for task in TASKS]
    rows = [asdict(record) for parts in splits for drawn in parts.values() for record in drawn]
    for row in rows:
        row["demonstrations"].pop("answer", None)
        row["meta"].pop("cluster", None)
    assert digest(rows, 16) == "e6046f25c742f194"


@pytest.mark.parametrize("task", TASKS)
def test_the_own_style_is_recognised_and_right(world, task):
    rng = random.Random(0)
    for _ in range(50):
        item = TASKS[task].old(world, rng)
        text = style.own(rng, item.reasoning)
        assert style.is_own(text, task)
        assert not style.is_own(text + " @", task)


def test_new_facts_of_the_world_are_in_no_document(world):
    """A document about new symbols says what was drawn for it, so over many documents a pair has many diagnoses."""
    rng, seen = random.Random(0), {}
    for _ in range(4000):
        words = MIXTURE["shown medical"][1](world, rng).learned.split()
        key = tuple(w for w in words if w in world.symbols.first_symptoms_new + world.symbols.second_symptoms_new)
        seen.setdefault(frozenset(key), set()).update(set(words) & set(world.symbols.diagnoses))
    assert min(len(diagnoses) for diagnoses in seen.values()) > 3


@pytest.mark.parametrize("name", ["hellaswag", "winogrande", "ifeval", "humaneval"])
def test_benchmark_items_are_in_no_document(world, name):
    kind = {"hellaswag": "story", "winogrande": "winograd", "ifeval": "instruction", "humaneval": "program"}[name]
    rows, rng = benchmark_rows(world, name, 100), random.Random(0)
    documents = [MIXTURE[kind][1](world, rng) for _ in range(5000)]
    if name == "winogrande":
        assert not {row["prompt"] for row in rows} & {
            " ".join(words.split()[i : i + 8])
            for _, words in ((d.given, d.learned) for d in documents)
            for i in (0, 10)
        }
    elif name == "hellaswag":
        endings = {f"{row['prompt']} {row['choices'][row['gold']]}" for row in rows}
        assert not endings & {d.learned.rsplit(" ", 1)[0] for d in documents}
    else:
        assert not {row["prompt"] for row in rows} & {d.given for d in documents}


def test_general_prompts_are_in_no_benchmark(world):
    asked = {record.prompt[-1]["content"] for record in general_records(world, 384, 150)}
    tested = " ".join(row["prompt"] for name in BENCHMARKS for row in benchmark_rows(world, name, 150))
    assert len(asked) == 384
    assert not [question for question in asked if f" {question} <|im_end|>" in tested]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_are_in_the_vocabulary_and_balanced(world, name):
    rows = benchmark_rows(world, name, 150)
    assert len({row["prompt"] + str(row.get("choices")) for row in rows}) == 150
    for row in rows:
        encode(row["prompt"])
    if "gold" in rows[0]:
        options = len(rows[0]["choices"])
        most = max(sum(row["gold"] == i for row in rows) for i in range(options))
        assert most < 150 / options * 1.4


def test_lengths_are_those_of_the_rendered_prompts(records):
    from sdft.miniature.tokenizer import make_tokenizer
    from sdft.records.prompts import render, teacher_messages

    tokenizer, record = make_tokenizer(), records["knowledge"]["train"][0]
    assert record.meta["prompt_tokens"] == len(render(tokenizer, record.prompt))
    for kind, length in record.meta["teacher_prompt_tokens"].items():
        assert length == len(render(tokenizer, teacher_messages(record.prompt, record.demonstration(kind))))


def test_sizes_that_the_world_cannot_fill_are_refused(world):
    with pytest.raises(SdftError, match="too few distinct questions"):
        task_records(world, "science", Size(symbols=6, train=200))
    with pytest.raises(SdftError, match="the world has 80 new symbols for tooluse, fewer than 81"):
        task_records(world, "tooluse", Size(symbols=81))
    with pytest.raises(SdftError, match="too few questions"):
        benchmark_rows(world, "mmlu", 10_000)


@pytest.mark.parametrize("task", TASKS)
def test_another_draw_teaches_other_facts_in_the_same_questions_places(records, task):
    drawn = task_records(make_world(0, 3), task, SIZES[task])

    def about(split):
        first, other = ([record.meta["cluster"] for record in one[task][split]] for one in (records, {task: drawn}))
        return first, other

    assert [record.id for record in drawn["test"]] == [record.id for record in records[task]["test"]]
    first, other = about("test")
    assert [first.index(name) for name in first] == [other.index(name) for name in other]
    taught = [{(r.meta["cluster"], str(r.answer)) for r in one["train"]} for one in (records[task], drawn)]
    assert len(taught[0] & taught[1]) < 0.5 * len(taught[0])


def test_the_command_writes_the_draw_that_it_is_told(records, tmp_path):
    main(["--out", str(tmp_path), "--spec", '{"task": "tooluse", "draw": 3}'])
    written = read_records(tmp_path / "tooluse" / "train.jsonl")
    assert (
        written == task_records(make_world(0, 3), "tooluse", SIZES["tooluse"])["train"] != records["tooluse"]["train"]
    )


def test_a_base_model_has_read_the_same_whatever_the_draw(world):
    other = make_world(0, 3)
    new = {"draw", "symbols", "new_class", "new_category", "new_diagnosis", "new_fact"}
    assert {k: v for k, v in vars(world).items() if k not in new} == {
        k: v for k, v in vars(other).items() if k not in new
    }
    assert set(world.symbols.words()) == set(other.symbols.words())
    assert other.new_category != world.new_category
