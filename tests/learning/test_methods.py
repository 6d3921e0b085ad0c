"""What tells the methods apart, and what they share."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from conftest import make_base, make_model, make_records, make_spec, make_tokenizer, read_metrics

from sdft import divergence
from sdft.common.errors import SdftError
from sdft.common.seeds import derived_seed
from sdft.divergence import token_divergence
from sdft.learning.checkpoint import Checkpoints
from sdft.learning.engines import GenerateEngine
from sdft.learning.fixed_samples import ROWS as SAMPLED_AT_A_TIME
from sdft.learning.fixed_samples import draw
from sdft.learning.loop import Training
from sdft.learning.spec import Inputs
from sdft.losses.encoding import Completions, Encoder, Example, completion_hidden, completions_of
from sdft.methods import find_method, method_names
from sdft.methods.base import MicroBatch
from sdft.records.prompts import teacher_messages
from sdft.records.record import Record
from sdft.train import train

CPU = torch.device("cpu")


def make_method(world, name, **changes):
    return find_method(name)(make_spec(world, name, **changes).settings, pad=0)


def encode(world, name, records, **changes):
    settings = make_spec(world, name, **changes).settings
    encoder = Encoder(make_tokenizer(), 128, settings)
    method = find_method(name)(settings, pad=0)
    return method, [method.encode(record, encoder, "shared") for record in records]


def step(method, examples, student, teacher=None):
    completions = method.completions(examples, student, GenerateEngine(0, [3]), 0)
    return method.loss(MicroBatch(examples, completions), student, teacher)


def test_the_teacher_sees_the_demonstration_and_the_student_does_not(world):
    record, tokenizer = make_records(1)[0], make_tokenizer()
    _, [example] = encode(world, "sdft", [record])
    assert tokenizer.decode(example.prompt) == f"<s> user {record.prompt[0]['content']} </s> <s> assistant"
    expected = tokenizer.apply_chat_template(
        teacher_messages(record.prompt, record.demonstrations["shared"]), add_generation_prompt=True, return_dict=False
    )
    assert example.teacher_prompt == expected
    assert example.completion is None


class Perturbed(GenerateEngine):
    """An engine whose weights are not quite the student's, as another implementation's numbers are not."""

    def sample(self, model, prompts, **options):
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(1.1)
        return super().sample(other, prompts, **options)


def test_samples_of_an_engine_with_other_weights_are_weighed_by_the_students_probabilities(world):
    method, examples = encode(world, "sdft", make_records(8), importance_clip=1.5)
    student, teacher = make_model(), make_model(1)
    completions = method.completions(examples, student, Perturbed(0, [3]), 0)
    found = method.loss(MicroBatch(examples, completions), student, teacher)
    expected = []
    for row, example in enumerate(examples):
        length = int(completions.mask[row].sum())
        tokens = completions.tokens[row, :length]
        logits = student(torch.tensor([[*example.prompt, *tokens.tolist()]])).logits[0, len(example.prompt) - 1 : -1]
        own = logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
        expected.append((own - completions.log_probs[row, :length]).exp().clamp(max=1.5).mean())
    expected = torch.stack(expected)[:, None]
    assert (expected - 1).abs().max() > 0.05
    torch.testing.assert_close(found.weights, expected, rtol=1e-4, atol=1e-4)
    # The same samples without the correction are weighed alike, and the loss is another one.
    plain, _ = encode(world, "sdft", [], importance_clip=None)
    uncorrected = plain.loss(MicroBatch(examples, completions), student, teacher)
    assert uncorrected.weights is None
    assert (uncorrected.loss - found.loss).detach().abs() > 1e-4


def test_supervised_methods_train_on_the_demonstration_and_its_end_alone(world):
    record, tokenizer = make_records(1)[0], make_tokenizer()
    method, [example] = encode(world, "sft", [record])
    assert tokenizer.decode(example.completion) == record.demonstrations["shared"] + " </s>"
    student = make_model()
    result = step(method, [example], student)
    logits = student(torch.tensor([example.prompt + example.completion])).logits[0, len(example.prompt) - 1 : -1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(example.completion))
    torch.testing.assert_close(result.loss, expected)


def test_a_demonstration_stands_after_the_thinking_that_the_prompt_opens(world):
    record = make_records(1)[0]
    tokenizer = make_tokenizer()
    tokenizer.chat_template += "{% if add_generation_prompt %} <think>{% endif %}"
    tokenizer.add_tokens(["<think>", "</think>"])
    settings = make_spec(world, "sft").settings
    example = find_method("sft")(settings, pad=0).encode(record, Encoder(tokenizer, 128, settings), "shared")
    whole = tokenizer.decode(example.prompt + example.completion)
    assert whole.endswith(f"<s> assistant <think> </think> {record.demonstrations['shared']} </s>")
    # The teacher is shown the demonstration as it is, and thinks for itself.
    sdft = find_method("sdft")(settings, pad=0).encode(record, Encoder(tokenizer, 128, settings), "shared")
    shown = tokenizer.decode(sdft.teacher_prompt)
    assert "</think>" not in shown
    assert shown.endswith("<s> assistant <think>")


def test_dft_weighs_each_token_by_its_probability(world):
    student = make_model()
    sft, examples = encode(world, "sft", make_records(4))
    dft, _ = encode(world, "dft", make_records(4))
    plain, weighted = step(sft, examples, student), step(dft, examples, student)
    torch.testing.assert_close(weighted.terms.value, plain.terms.value * plain.terms.log_prob.exp() * plain.trained)


def test_sdft_is_the_divergence_from_the_conditioned_teacher_on_the_students_own_samples(world):
    student, teacher = make_model(0), make_model(1)
    method, examples = encode(world, "sdft", make_records(3), skip_tokens=2, max_new_tokens=8)
    completions = method.completions(examples, student, GenerateEngine(0, [3]), 0)
    result = method.loss(MicroBatch(examples, completions), student, teacher)
    losses = []
    for row, example in enumerate(examples):
        tokens = completions.tokens[row][completions.mask[row]].tolist()
        parts = []
        for model, prompt in ((student, example.prompt), (teacher, example.teacher_prompt)):
            parts.append(model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1])
        values = token_divergence(*parts)[2:]
        losses.append(values.mean() if len(values) else torch.tensor(0.0))
    torch.testing.assert_close(result.loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.weights, torch.ones(3, 1), rtol=1e-4, atol=1e-4)


def public_loss(method, examples, completions, student, teacher):
    """The loss of the public functions of sdft.divergence on the hidden states of a training step."""
    settings, head = method.settings, student.get_output_embeddings().weight
    hidden = completion_hidden(student, [example.prompt for example in examples], completions, 0)
    if not method.averages:
        weighting = method.weighting
        return divergence.supervised_loss(hidden, head, completions.tokens, completions.mask, weighting)
    target = completion_hidden(teacher, [example.teacher_prompt for example in examples], completions, 0)
    return divergence.distillation_loss(
        hidden,
        head,
        target,
        teacher.get_output_embeddings().weight,
        completions.mask,
        settings.divergence,
        settings.skip_tokens,
        beta=settings.jsd_weight,
        temperature=settings.temperature,
        reduction=settings.loss_reduction,
    )


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sdft", {}),
        ("sdft", {"divergence": "jsd", "jsd_weight": 0.3, "temperature": 0.7, "skip_tokens": 2}),
        ("off_policy_fresh", {"divergence": "reverse_kl", "loss_reduction": "token_sum"}),
        ("sft", {}),
        ("dft", {}),
    ],
)
def test_the_public_losses_are_the_ones_that_train(world, monkeypatch, name, changes):
    student, teacher = make_model(0), make_model(1)
    method, examples = encode(world, name, make_records(4), importance_clip=None, **changes)
    completions = method.completions(examples, student, GenerateEngine(0, [3]), 0, teacher)

    def both():
        trained = method.loss(MicroBatch(examples, completions), student, teacher).loss
        return trained.item(), public_loss(method, examples, completions, student, teacher).item()

    trained, public = both()
    assert trained == public != 0
    # There is one function behind both: what changes the one changes the other.
    shared = "distill" if method.averages else "supervise"
    real = getattr(divergence, shared)
    monkeypatch.setattr(divergence, shared, lambda *a, **k: (found := real(*a, **k))._replace(loss=3 * found.loss))
    assert both() == pytest.approx((3 * trained, 3 * trained))


def full_logits_loss(method, examples, completions, student, teacher):
    """A training step's loss, with its gradient, from the logits of one sequence after another."""
    settings, losses = method.settings, []
    for row, example in enumerate(examples):
        tokens = completions.tokens[row][completions.mask[row]]
        logs = [
            (model(torch.tensor([prompt + tokens.tolist()])).logits[0, len(prompt) - 1 : -1] / heat).log_softmax(-1)
            for model, prompt, heat in (
                (student, example.prompt, settings.temperature if teacher else 1),
                (teacher, example.teacher_prompt, settings.temperature),
            )
            if model
        ]
        log_prob = logs[0].gather(-1, tokens[:, None])[:, 0]
        if teacher is None:
            values = -log_prob * (log_prob.detach().exp() if method.weighting == "dft" else 1)
        else:
            values = token_divergence(*logs, settings.divergence, settings.jsd_weight)[method.skip_tokens :]
        if teacher and settings.importance_clip:
            ratios = (log_prob.detach() - completions.log_probs[row, : len(tokens)]).exp()
            values = values * ratios.clamp(max=settings.importance_clip).mean()
        total = values.sum() if len(values) else torch.zeros(())
        losses.append(total / (max(1, len(values)) if settings.loss_reduction == "sequence_mean" else 1))
    return torch.stack(losses).mean()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sft", {}),
        ("dft", {"loss_reduction": "token_sum"}),
        ("cpt", {}),
        ("sdft", {"importance_clip": 1.02}),
        ("sdft", {"divergence": "reverse_kl", "temperature": 0.7, "skip_tokens": 2, "importance_clip": None}),
        ("sdft", {"divergence": "jsd", "jsd_weight": 0.3, "loss_reduction": "token_sum"}),
    ],
)
def test_a_steps_loss_and_gradients_are_those_of_full_logits(world, name, changes):
    found = []
    for form in ("step", "full"):
        student, teacher = make_model(0).double(), make_model(1).double()
        method, examples = encode(world, name, make_records(5), **changes)
        completions = method.completions(examples, student, Perturbed(0, [3]), 0)
        if form == "step":
            loss = method.loss(MicroBatch(examples, completions), student, teacher).loss
        else:
            loss = full_logits_loss(method, examples, completions, student, teacher if method.averages else None)
        loss.backward()
        found.append((loss.item(), [parameter.grad for parameter in student.parameters()]))
    (loss, gradients), (expected, slopes) = found
    assert loss == pytest.approx(expected, rel=1e-6)
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert (gradient - slope).norm() <= 1e-6 * slope.norm()


def test_the_gradient_reaches_the_student_and_never_the_teacher(world):
    student, teacher = make_model(0), make_model(1)
    method, examples = encode(world, "sdft", make_records(3))
    step(method, examples, student, teacher).loss.backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in student.parameters())
    assert all(value.grad is None for value in teacher.parameters())


def test_with_the_student_as_teacher_the_gradient_is_that_of_a_constant_target(world):
    student, twin = make_model(0), make_model(0)
    method, examples = encode(world, "sdft", make_records(3), teacher="student")
    step(method, examples, student, student).loss.backward()
    other = make_model(0)
    step(method, examples, other, twin).loss.backward()
    for one, two in zip(student.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("name", method_names())
def test_the_loss_of_a_batch_is_the_mean_over_its_micro_batches(world, name):
    records = make_records(6)
    method, examples = encode(world, name, records, loss_reduction="token_sum")
    if method.sampling == "once":
        examples = [replace(example, completion=[7 + row, 8, 3]) for row, example in enumerate(examples)]
    completions = method.completions(examples, make_model(), GenerateEngine(0, [3]), 0, make_model(1))
    gradients = []
    for size in (6, 2):
        student = make_model()
        for first in range(0, 6, size):
            rows = slice(first, first + size)
            batch = MicroBatch(examples[rows], completions.part(rows), make_model(2))
            (method.loss(batch, student, make_model(1)).loss * size / 6).backward()
        gradients.append([value.grad for value in student.parameters()])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_reinvoke_has_nothing_to_learn_while_the_student_is_the_base(world, tmp_path):
    record = train(make_spec(world, "sft_reinvoke", warmup_steps=4), tmp_path, quiet=True)
    first = read_metrics(tmp_path)[0]
    assert first["loss"] == pytest.approx(0, abs=1e-6)
    assert first["gradient_norm"] < 1e-4
    assert record["manifest"]["inputs"]["rows"]["path"].endswith("prompts.jsonl")


@pytest.mark.slow
def test_reinvoke_starts_from_its_parent_and_returns_towards_the_base(world, tmp_path):
    train(make_spec(world, "sft", epochs=4), tmp_path / "sft", quiet=True)
    parent = str(tmp_path / "sft" / "model.json")
    train(make_spec(world, "sft_reinvoke", parent=parent, epochs=6), tmp_path / "again", quiet=True)
    steps = read_metrics(tmp_path / "again")
    assert steps[0]["loss"] > 0.05
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert steps[0]["student_distance"] == 0


class Watch(GenerateEngine):
    """Notes the prompts that are sampled from."""

    def __init__(self, seen):
        super().__init__(0, [3])
        self.seen = seen

    def sample(self, model, prompts, **options):
        self.seen.append(prompts)
        return super().sample(model, prompts, **options)


@pytest.mark.slow
def test_all_methods_see_the_rows_in_the_same_order(world, tmp_path):
    orders = {}
    for name in (name for name in method_names() if find_method(name).rows == "train"):
        spec = make_spec(world, name)
        run = Training(spec, Inputs(spec), tmp_path, Checkpoints(tmp_path, "x"), quiet=True)
        orders[name] = [[run.examples[row].prompt for row in rows] for rows in run.order]
        if name == "sdft":
            run.engine = Watch(sampled := [])
            run.run()
            assert sampled == orders[name]
    assert orders["sft"] == orders["dft"] == orders["sdft"]


def test_rollouts_per_prompt_multiply_the_sequences(world, tmp_path):
    train(make_spec(world, "sdft", rollouts_per_prompt=3, epochs=1), tmp_path / "three", quiet=True)
    train(make_spec(world, "sdft", epochs=1), tmp_path / "one", quiet=True)
    three, one = (
        sum(entry["completion_tokens"] for entry in read_metrics(tmp_path / name)) for name in ("three", "one")
    )
    assert three == pytest.approx(one, rel=0.5)
    assert len(read_metrics(tmp_path / "three")) == len(read_metrics(tmp_path / "one"))


def test_a_missing_style_or_an_unknown_method_is_named(world):
    with pytest.raises(SdftError, match=r"row-0.*no demonstration of style 'shared'"):
        encode(world, "sdft", [Record("row-0", [{"role": "user", "content": "w1"}], {"foreign": "w2"})])
    with pytest.raises(SdftError, match="did you mean 'sdft'"):
        find_method("sdtf")


@pytest.mark.parametrize("name", ["sft", "sdft"])
def test_rows_longer_than_the_context_are_refused_cut_or_dropped(world, name):
    long = Record("long", [{"role": "user", "content": "w1 " * 124}], {"shared": "w2 w3"})
    with pytest.raises(
        SdftError, match=r"record 'long': the (student's )?prompt has 12\d tokens; .* context holds 128"
    ):
        encode(world, name, [long], max_new_tokens=10, overlong="error")
    with pytest.raises(SdftError, match="max_prompt_tokens is 20"):
        encode(world, name, [long], max_prompt_tokens=20, overlong="error")
    _, [cut] = encode(world, name, [long], max_prompt_tokens=20, overlong="truncate_left")
    assert len(cut.prompt) == 20
    assert cut.prompt[-2:] == [2, 6]
    _, kept = encode(world, name, [long, *make_records(2)], max_prompt_tokens=100, overlong="drop")
    assert [example and example.id for example in kept] == [None, "row-0", "row-1"]


def test_a_demonstration_longer_than_the_context_is_refused_whatever_the_policy(world):
    long = Record("long", [{"role": "user", "content": "w1"}], {"shared": "w2 " * 200})
    with pytest.raises(SdftError, match="record 'long'"):
        encode(world, "sft", [long], overlong="truncate_left")


def test_demonstrations_are_padded_on_the_right():
    found = completions_of([Example("a", [2], [7, 3]), Example("b", [2], [7, 8, 3])], 0, CPU)
    assert found.tokens.tolist() == [[7, 3, 0], [7, 8, 3]]
    assert found.mask.sum(-1).tolist() == [2, 3]
    part = Completions(found.tokens, found.mask, found.tokens).part(slice(0, 1))
    assert part.tokens.tolist() == part.log_probs.tolist() == [[7, 3]]


def test_a_teacher_that_stays_the_base_is_the_base_of_the_family(world, tmp_path):
    make_base(tmp_path / "other", seed=5)
    spec = make_spec(world, "sdft", teacher="base", parent=str(tmp_path / "other.json"))
    run = Training(spec, Inputs(spec), tmp_path / "run", Checkpoints(tmp_path, "x"), quiet=True)
    assert torch.equal(run.teacher.lm_head.weight, make_model(0).lm_head.weight)
    assert torch.equal(run.student.lm_head.weight, make_model(5).lm_head.weight)


@pytest.mark.parametrize("name", method_names())
def test_every_method_starts_from_its_parent_and_keeps_the_base_of_the_family(world, tmp_path, name):
    make_base(tmp_path / "other", seed=5)
    spec = make_spec(world, name, teacher="base", parent=str(tmp_path / "other.json"))
    run = open_run(spec, tmp_path / "run")
    assert torch.equal(run.student.lm_head.weight, make_model(5).lm_head.weight)
    assert run.teacher is None or torch.equal(run.teacher.lm_head.weight, make_model(0).lm_head.weight)


def open_run(spec, folder):
    return Training(spec, Inputs(spec), folder, Checkpoints(folder / "state", "x"), quiet=True)


def test_fixed_samples_are_the_conditioned_bases_and_the_same_for_both_methods_of_a_seed(world, tmp_path):
    make_base(tmp_path / "other", seed=5)
    found = {}
    for name, changes in {
        "offline_distillation": {},
        "sft_from_teacher": {"batch_size": 3, "parent": str(tmp_path / "other.json")},
        "offline_distillation ": {"seed": 1},
    }.items():
        run = open_run(make_spec(world, name.strip(), **changes), tmp_path / name)
        run.draw_samples()
        found[name] = [example.completion for example in run.examples]
    expected = GenerateEngine(0, [3]).sample(
        make_model(),
        [example.teacher_prompt for example in run.examples],
        temperature=1.0,
        max_new_tokens=6,
        seed=derived_seed(0, 0, "samples"),
    )
    assert len(run.examples) < SAMPLED_AT_A_TIME
    expected = [tokens[mask].tolist() for tokens, mask in zip(expected.tokens, expected.mask, strict=True)]
    assert found["offline_distillation"] == found["sft_from_teacher"] == expected
    assert found["offline_distillation "] != expected


def test_samples_drawn_before_an_interruption_are_not_drawn_again(tmp_path):
    calls, path, examples = [], tmp_path / "samples.jsonl", [Example(str(row), [row]) for row in range(70)]

    class Stop:
        status = None

    stop = Stop()

    def sample(part, seed):
        calls.append(part[0].id)
        stop.status = 143 if len(calls) == 2 else None
        return Completions(torch.full((len(part), 2), seed % 97), torch.ones(len(part), 2).bool())

    with pytest.raises(SystemExit) as caught:
        draw(path, "mark", examples, sample, 0, stop)
    assert caught.value.code == 143
    stop.status = None
    found = draw(path, "mark", examples, sample, 0)
    assert calls == ["0", "32", "64"]
    assert [example.completion for example in found] == [
        [derived_seed(0, row // 32 * 32, "samples") % 97] * 2 for row in range(70)
    ]
    path.write_text(path.read_text()[:-5])
    assert draw(path, "mark", examples, sample, 0) == found
    assert calls[3:] == ["64"]
    draw(path, "another", examples, sample, 0)
    assert calls[4:] == ["0", "32", "64"]


@pytest.mark.parametrize("name", ["offline_distillation", "off_policy_fresh"])
def test_off_policy_losses_are_sdfts_along_other_tokens_without_importance_weights(world, name):
    student, teacher = make_model(0), make_model(1)
    method, examples = encode(world, name, make_records(3))
    sdft, _ = encode(world, "sdft", make_records(3), importance_clip=None)
    examples = [replace(example, completion=[9, 10, 11, 3]) for example in examples]
    completions = method.completions(examples, student, GenerateEngine(0, [3]), 0, teacher)
    found = method.loss(MicroBatch(examples, completions), student, teacher)
    assert found.weights is None
    torch.testing.assert_close(found.loss, sdft.loss(MicroBatch(examples, completions), student, teacher).loss)


def test_fresh_samples_come_from_the_moving_teacher_which_sees_the_demonstration(world, tmp_path):
    spec = make_spec(world, "off_policy_fresh", ema_rate=0.5, rollouts_per_prompt=2)
    run = open_run(spec, tmp_path)
    heads = []

    class Heads(Watch):
        def sample(self, model, prompts, **options):
            heads.append(model.lm_head.weight.clone())
            assert model is run.teacher is not run.student
            return super().sample(model, prompts, **options)

    run.engine = Heads(sampled := [])
    run.run()
    assert sampled == [[run.examples[row].teacher_prompt for row in rows for _ in range(2)] for rows in run.order]
    assert not torch.equal(heads[1], heads[-1])


def test_pretraining_goes_on_with_whole_texts_as_they_are(world):
    record, tokenizer = make_records(1)[0], make_tokenizer()
    method, [example] = encode(world, "cpt", [record])
    assert tokenizer.decode(example.prompt + example.completion) == record.prompt[-1]["content"] + " </s>"
    student = make_model()
    ids = torch.tensor([example.prompt + example.completion])
    torch.testing.assert_close(step(method, [example], student).loss, student(ids, labels=ids).loss)
    long = Record("long", [{"role": "user", "content": "w1 " * 200}])
    with pytest.raises(SdftError, match=r"record 'long': the text has 201 tokens, and the model's context holds 128"):
        encode(world, "cpt", [long], overlong="error")
    _, [cut] = encode(world, "cpt", [long], overlong="truncate_left", max_prompt_tokens=5)
    assert len(cut.prompt + cut.completion) == 128
    assert encode(world, "cpt", [long], overlong="drop")[1] == [None]
    with pytest.raises(SdftError, match="'empty' has no text"):
        encode(world, "cpt", [Record("empty", [{"role": "user", "content": ""}])])


def test_sampled_estimators_have_the_value_and_gradient_of_their_formulas(world):
    changes = {"divergence": "reverse_kl", "loss_reduction": "token_sum", "skip_tokens": 1, "importance_clip": None}
    completions = None
    for name in ("token", "rao_blackwell"):
        method, examples = encode(world, "sdft", make_records(3), estimator=name, **changes)
        completions = completions or method.completions(examples, make_model(), GenerateEngine(0, [3]), 0)
        student, other, teacher = make_model(0), make_model(0), make_model(1)
        found = method.loss(MicroBatch(examples, completions), student, teacher)
        found.loss.backward()
        value = surrogate = 0
        for row, example in enumerate(examples):
            tokens = completions.tokens[row][completions.mask[row]]
            own, their = (
                model(torch.tensor([prompt + tokens.tolist()])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
                for model, prompt in ((other, example.prompt), (teacher, example.teacher_prompt))
            )
            scores = own.gather(-1, tokens[:, None])[:, 0]
            ratios = (scores - their.gather(-1, tokens[:, None])[:, 0]).detach()
            divergences = (own.exp() * (own - their.detach())).sum(-1)
            values = ratios if name == "token" else divergences
            for t in range(len(tokens)):
                later = values[max(t if name == "token" else t + 1, 1) :].sum().detach()
                surrogate = surrogate + scores[t] * later / 3
                if name == "rao_blackwell" and t >= 1:
                    surrogate = surrogate + divergences[t] / 3
            value = value + values[1:].sum().detach() / 3
        surrogate.backward()
        torch.testing.assert_close(found.loss.detach(), value, rtol=1e-4, atol=1e-5)
        for one, two in zip(student.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-4)
