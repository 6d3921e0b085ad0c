"""Pre-train a base model of the miniature world from nothing.

    python -m sdft.miniature.pretrain --size m --seed 0 --out DIR

Documents, weights and order come from the seed; an interrupted run continues from DIR/state and ends with the same
weights. The result is an ordinary Hugging Face folder.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import atomic_path, by_umask, sha256_files, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.miniature.documents import draw, tokens
from sdft.miniature.muon import Muon
from sdft.miniature.schema import DOCUMENTS, FEWER_DOCUMENTS, PretrainSpec
from sdft.miniature.tokenizer import END, PAD, encode, make_tokenizer, vocabulary
from sdft.miniature.world import World, make_world

SIZES = {
    "xs": {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128},
    "s": {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 256},
    "m": {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 320},
    "l": {"hidden_size": 160, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 416},
}
CHUNK = 1024
# Documents of an update, sorted by length, are cut here into batches: most are short, and few need the longest rows.
LENGTH_GROUPS = (0.45, 0.7)
EXAMPLES = """examples:
  python -m sdft.miniature.pretrain --size xs --documents 2048 --out /tmp/xs
"""


@dataclass(frozen=True)
class Stage:
    """A part of a training. Its chunks of documents are numbered from `start` to `end`.

    Rates of Muon and AdamW rise to these during the first `warmup` of the stage and fall to zero in the last `decay`.
    """

    start: int
    end: int
    muon_rate: float
    adamw_rate: float
    warmup: float
    decay: float

    def pace(self, seen: float) -> float:
        """Rates after so many chunks of the whole training, as a share of the highest."""
        progress = (seen - self.start) / (self.end - self.start)
        return min(1.0, (progress + 1e-3) / self.warmup, (1 - progress) / self.decay)


@dataclass(frozen=True)
class Recipe:
    """How a base model is trained. The same for all sizes, but that the smallest reads fewer documents.

    documents: how many the first stage reads; the second, of another mixture and half the rates, reads 6 / 17 of that.
    documents_per_step: how many an update sees, in a few batches of like length. The matrices inside the layers are
    trained by Muon, embeddings, norms and biases by AdamW.
    """

    documents: int = DOCUMENTS
    documents_per_step: int = 64
    muon_rate: float = 0.02
    adamw_rate: float = 3e-3
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    max_grad_norm: float = 1.0

    def stages(self) -> tuple[Stage, Stage]:
        chunks = -(-self.documents // CHUNK)
        return (
            Stage(0, chunks, self.muon_rate, self.adamw_rate, warmup=0.03, decay=0.4),
            Stage(chunks, chunks + chunks * 6 // 17, self.muon_rate / 2, self.adamw_rate / 2, warmup=0.1, decay=1.0),
        )


def new_model(size: str, seed: int, world_seed: int = 0) -> Qwen2ForCausalLM:
    """A model with random weights. Raises SdftError for an unknown size."""
    if size not in SIZES:
        raise SdftError(f"unknown size {size!r}; {did_you_mean(size, SIZES)}")
    shape = SIZES[size]
    config = Qwen2Config(
        vocab_size=len(vocabulary(world_seed)),
        num_key_value_heads=shape["num_attention_heads"],
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.06,
        pad_token_id=encode(PAD, world_seed)[0],
        eos_token_id=encode(END, world_seed)[0],
        bos_token_id=None,
        dtype="float32",
        **shape,
    )
    torch.manual_seed(seed)
    return Qwen2ForCausalLM(config)


def optimizers(model: Qwen2ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices and AdamW for the rest."""
    inner = {name: p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name}
    outer = [p for name, p in model.named_parameters() if name not in inner]
    return [
        Muon(inner.values(), lr=recipe.muon_rate, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(outer, lr=recipe.adamw_rate, betas=recipe.betas, weight_decay=0.0, fused=True),
    ]


Batch = tuple[torch.Tensor, torch.Tensor]


def steps(world: World, seed: int, chunk: int, recipe: Recipe) -> Iterator[list[Batch]]:
    """What each update of one chunk of documents sees: batches of token ids and labels [B, T], -100 where nothing is
    learned. Documents of like length share a batch, so that little of it is padding."""
    late = chunk >= recipe.stages()[1].start
    rng = random.Random(f"documents/{world.seed}/{seed}/{chunk}")
    for _ in range(0, CHUNK, recipe.documents_per_step):
        drawn = [tokens(draw(world, rng, late=late), world) for _ in range(recipe.documents_per_step)]
        drawn.sort(key=lambda pair: len(pair[0]))
        bounds = [0, *(round(part * len(drawn)) for part in LENGTH_GROUPS), len(drawn)]
        yield [_batch(drawn[a:b]) for a, b in itertools.pairwise(bounds) if b > a]


def _batch(documents: list[tuple[list[int], int]]) -> Batch:
    longest = max(len(ids) for ids, _ in documents)
    inputs = torch.zeros(len(documents), longest, dtype=torch.long)
    labels = torch.full((len(documents), longest), -100)
    for row, (ids, given) in enumerate(documents):
        inputs[row, : len(ids)] = torch.tensor(ids)
        labels[row, given : len(ids)] = torch.tensor(ids[given:])
    return inputs, labels


def summed_loss(model: Qwen2ForCausalLM, batch: Batch) -> torch.Tensor:
    """Sum of the cross-entropy (nats) over the labels that are not -100 and have a token before them.

    Padding stands on the right, where causal attention keeps it from every token that counts, so no mask is needed; the
    head is applied only where something is learned.
    """
    inputs, labels = batch
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    learned = targets != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]), targets[learned], reduction="sum")


@torch.no_grad()
def add_expert_words(model: Qwen2ForCausalLM, seed: int, world: World) -> None:
    """Give the experts' words, which no document holds, embeddings drawn like those of the foreign words.

    Without this they would all lie on the one direction along which the softmax pushes words that never come, and would
    act on a reader like no word does. The draw is normal, with the foreign words' mean and covariance: the usual way to
    add words to a vocabulary.
    """
    embedding = model.get_input_embeddings().weight
    foreign = embedding[[encode(word, world.seed)[0] for word in world.symbols.foreign]]
    deviations = foreign - foreign.mean(0)
    generator = torch.Generator().manual_seed(seed)
    for word in world.symbols.expert:
        weights = torch.randn(len(foreign), generator=generator) / (len(foreign) - 1) ** 0.5
        embedding[encode(word, world.seed)[0]] = foreign.mean(0) + weights @ deviations


def as_llama(model: Qwen2ForCausalLM) -> LlamaForCausalLM:
    """The same function as a Llama model, whose output projection has a bias too, here zero.

    AutoTokenizer puts a byte-level tokenizer in the place of the one that a folder of a Qwen2 model holds.
    """
    config = model.config
    kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    kept += ("intermediate_size", "max_position_embeddings", "rms_norm_eps", "rope_parameters", "tie_word_embeddings")
    kept += ("pad_token_id", "eos_token_id", "bos_token_id", "initializer_range")
    llama = LlamaForCausalLM(
        LlamaConfig(attention_bias=True, dtype="float32", **{name: getattr(config, name) for name in kept})
    )
    biases = {name: torch.zeros_like(bias) for name, bias in llama.state_dict().items() if name.endswith("o_proj.bias")}
    llama.load_state_dict(model.state_dict() | biases)
    return llama.eval()


def train(size: str, seed: int, out: Path, recipe: Recipe, *, world_seed: int = 0, save_minutes: float = 2.0) -> dict:
    """Train a base model into `out` and return its record (also written as out/base.json)."""
    clock, world = Clock(), make_world(world_seed)
    state_file = out / "state" / "state.pt"
    what = {"size": size, "seed": seed, "world_seed": world_seed, "recipe": asdict(recipe)}
    model = new_model(size, seed, world_seed)
    both = optimizers(model, recipe)
    at = {"chunk": 0, "step": 0, "tokens": 0, "loss": math.nan}
    if state_file.exists():
        saved = torch.load(state_file, weights_only=True)
        if saved["what"] != what:
            raise SdftError(
                f"{state_file} belongs to another base model or recipe; delete {out} to start anew, or choose another "
                "--out."
            )
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(both, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        at = saved["at"]

    def save() -> None:
        state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in both], "at": at}
        with atomic_path(state_file) as part:
            torch.save({"what": what, **state}, part)

    first, second = recipe.stages()
    saved_at = time.monotonic()
    model.train()
    with tqdm(
        total=second.end * CHUNK, initial=at["chunk"] * CHUNK, unit="doc", mininterval=5, desc=f"{size}-s{seed}"
    ) as bar:
        while at["chunk"] < second.end:
            stage = first if at["chunk"] < first.end else second
            if at["chunk"] == second.start:
                add_expert_words(model, seed, world)
                both = optimizers(model, recipe)
            losses = []
            for number, batches in enumerate(steps(world, seed, at["chunk"], recipe)):
                pace = stage.pace(at["chunk"] + number * recipe.documents_per_step / CHUNK)
                for optimizer, rate in zip(both, (stage.muon_rate, stage.adamw_rate), strict=True):
                    optimizer.param_groups[0]["lr"] = rate * pace
                learned = sum(int((labels[:, 1:] != -100).sum()) for _, labels in batches)
                total = 0.0
                for batch in batches:
                    loss = summed_loss(model, batch) / learned
                    loss.backward()
                    total += loss.item()
                torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
                for optimizer in both:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                losses.append(total)
                at["step"] += 1
                at["tokens"] += sum(int((inputs != 0).sum()) for inputs, _ in batches)
                bar.update(recipe.documents_per_step)
            at["chunk"] += 1
            at["loss"] = sum(losses) / len(losses)
            bar.set_postfix(loss=f"{at['loss']:.3f}", refresh=False)
            if time.monotonic() - saved_at > save_minutes * 60:
                save()
                saved_at = time.monotonic()

    add_expert_words(model, seed, world)
    model = as_llama(model)
    model.generation_config = GenerationConfig(
        do_sample=False, pad_token_id=model.config.pad_token_id, eos_token_id=model.config.eos_token_id
    )
    model.save_pretrained(out)
    make_tokenizer(world_seed).save_pretrained(out)
    by_umask(out)
    state_file.unlink(missing_ok=True)
    record = {
        **what,
        "parameters": model.num_parameters(),
        **{name: at[name] for name in ("step", "tokens", "loss")},
    }
    record["sha256"] = {name: h for name, h in sha256_files(out).items() if name != "base.json"}
    record["manifest"] = manifest("base", clock=clock, config=what, seeds={"base": seed, "world": world_seed})
    write_json(out / "base.json", record)
    return record


def main(arguments: list[str] | None = None) -> int:
    description = "Pre-train a base model of the miniature world."
    options = parse_spec(PretrainSpec, "sdft.miniature.pretrain", description, arguments, EXAMPLES)
    publish_alone(options.out)
    torch.set_num_threads(options.threads)
    recipe = Recipe(documents=options.documents or FEWER_DOCUMENTS.get(options.size, DOCUMENTS))
    train(
        options.size,
        options.seed,
        Path(options.out),
        recipe,
        world_seed=options.world_seed,
        save_minutes=options.save_minutes,
    )
    return 0


if __name__ == "__main__":
    run_main(main)
