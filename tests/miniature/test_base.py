"""Training a base model lowers the loss, and an interrupted training ends with the same weights."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from sdft.common.errors import SdftError
from sdft.miniature import pretrain as base
from sdft.miniature.pretrain import CHUNK, Recipe, new_model, steps, summed_loss, train
from sdft.miniature.tokenizer import encode, vocabulary
from sdft.miniature.world import make_world

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("base")]
# Three chunks, and one of the second stage.
SHORT = Recipe(documents=3 * CHUNK)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_padding_and_given_tokens_carry_no_loss():
    model = new_model("xs", 0).eval()
    inputs, labels = batch = next(steps(make_world(), 0, 0, Recipe(documents_per_step=16)))[-1]
    reference = 0.0
    for ids, wanted in zip(inputs, labels, strict=True):
        length = int((wanted != -100).nonzero().max()) + 1
        logs = torch.log_softmax(model(ids[None, :length]).logits[0].double(), -1)
        reference -= sum(logs[t - 1, wanted[t]].item() for t in range(1, length) if wanted[t] != -100)
    assert summed_loss(model, batch).item() == pytest.approx(reference, rel=1e-5)


def test_documents_depend_on_the_seed_alone():
    def read(seed):
        return [batch[0] for step in steps(make_world(), seed, 0, SHORT) for batch in step]

    first, again, other = read(0), read(0), read(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, other, strict=False))


def test_the_second_stage_reads_more_science():
    def shown(chunk):
        read = steps(make_world(), 0, chunk, SHORT)
        marks = [int((inputs == encode("<answer>")[0]).any(1).sum()) for step in read for inputs, _ in step]
        return sum(marks)

    first, second = SHORT.stages()
    assert (first.end, second.start, second.end) == (3, 3, 4)
    assert shown(3) > 1.3 * shown(2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of a base model that read four chunks of documents, in one thread as `python -m` would."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("base") / "xs-s0"
    return folder, train("xs", 0, folder, SHORT)


def test_training_lowers_the_loss_into_an_ordinary_folder(trained):
    folder, record = trained
    assert record["loss"] < 0.75 * math.log(len(vocabulary()))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.do_sample is False


def test_a_training_interrupted_in_both_stages_resumes_bit_for_bit(trained, tmp_path, monkeypatch):
    # The first stage's second chunk, and the only one of the second stage.
    for chunk in (1, 3):

        def interrupted(world, seed, number, recipe, chunk=chunk):
            if number == chunk:
                raise KeyboardInterrupt
            return steps(world, seed, number, recipe)

        monkeypatch.setattr(base, "steps", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("xs", 0, tmp_path, SHORT, save_minutes=0)
    monkeypatch.setattr(base, "steps", steps)
    train("xs", 0, tmp_path, SHORT)
    whole, parts = (load_file(folder / "model.safetensors") for folder in (trained[0], tmp_path))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_experts_words_get_embeddings_drawn_like_those_of_the_foreign_words(trained):
    words = make_world().symbols
    embedding = load_file(trained[0] / "model.safetensors")["model.embed_tokens.weight"].double()
    foreign, expert = (embedding[[encode(word)[0] for word in names]] for names in (words.foreign, words.expert))
    # A draw is the foreign words' mean and a sum of their deviations from it, so it lies in the span of these.
    span = torch.linalg.svd(foreign - foreign.mean(0), full_matrices=False).Vh[: len(foreign) - 1]
    drawn = expert - foreign.mean(0)
    assert (drawn - drawn @ span.T @ span).norm(dim=-1).max() < 1e-5 * drawn.norm(dim=-1).min()
    assert torch.pdist(expert).mean().item() == pytest.approx(torch.pdist(foreign).mean().item(), rel=0.2)


def test_a_state_of_another_recipe_is_refused(tmp_path):
    (tmp_path / "state").mkdir()
    torch.save({"what": {"size": "l"}}, tmp_path / "state" / "state.pt")
    with pytest.raises(SdftError, match="another base model"):
        train("xs", 0, tmp_path, SHORT)


def test_an_unknown_size_is_refused():
    with pytest.raises(SdftError, match="unknown size"):
        new_model("medium", 0)
