"""`python -m benchmarks.step [--trl PYTHON] [--out benchmarks/step.json]`: one training step, beside TRL's and SFT.

Contestants take steps in turn, each in a process of its own: SDFT and SFT of this project, and the SDFTTrainer of TRL
(experimental, Hugging Face) where `--trl` names the interpreter of an environment that has it (benchmarks/trl.txt).
All train the same random model on the same texts with the same settings: forward KL over the whole vocabulary, an
EMA teacher moved at every step, one sample a question, three tokens skipped, no importance correction, fused AdamW.
A ratio is the median over turns of SDFT's time by the other's.

On a CPU the time is CPU time on one thread, and memory the peak of the resident process; on a GPU the time is
wall-clock between synchronisations, memory the peak of torch's allocator, and a contestant has the card alone for all
its steps, since three do not fit. Parts: rollout; teacher and student, forward passes; loss, for this project with the
gradient of the output layer in it; backward; update, with clipping; EMA.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.loss import MIB, machine, resident
from sdft.common.errors import SdftError, run_main
from sdft.common.files import sha256_files, write_json
from sdft.common.provenance import Clock, manifest

PARTS = ("rollout", "teacher", "student", "loss", "backward", "update", "ema")
# Qwen2 with these dimensions; a step of so many questions; words of a question, of a demonstration, and new tokens.
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"model": (16, 2, 32, 2, 1, 300), "batch": 2, "question": 8, "demonstration": 6, "new": 5},
    "100m": {"model": (512, 8, 1408, 8, 2, 151_665), "batch": 4, "question": 124, "demonstration": 250, "new": 64},
    "qwen2.5-0.5b": {
        "model": (896, 24, 4864, 14, 2, 151_936),
        "batch": 8,
        "question": 160,
        "demonstration": 240,
        "new": 256,
    },
    "qwen2.5-7b": {
        "model": (3584, 28, 18944, 28, 4, 152_064),
        "batch": 32,
        "question": 200,
        "demonstration": 300,
        "new": 320,
    },
}
TEMPLATE = (
    "{% for message in messages %}<s> {{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant{% endif %}"
)
RATE, SKIPPED = 0.02, 3


class Timer:
    """Seconds by part: of the innermost one that is open, "loss" being the rest."""

    def __init__(self, device: str) -> None:
        self.device, self.parts, self.open, self.seen = device, Counter(), ["loss"], 0.0
        self.seen = self.now()

    def now(self) -> float:
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def book(self) -> None:
        now = self.now()
        self.parts[self.open[-1]] += now - self.seen
        self.seen = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.book()
        self.open.append(name)
        try:
            yield
        finally:
            self.book()
            self.open.pop()

    def watch(self, owner: Any, method: str, name: str, wanted: Callable[[], bool] = lambda: True) -> None:
        """Book the calls of a method as a part, where it is wanted."""
        call = getattr(owner, method)

        def timed(*arguments: Any, **options: Any) -> Any:
            if not wanted():
                return call(*arguments, **options)
            with self.part(name):
                return call(*arguments, **options)

        setattr(owner, method, timed)


def qwen2_config(shape: dict[str, Any]) -> Any:
    """The transformers config of a shape's model; below a width of 2048 the head is the embedding."""
    from transformers import Qwen2Config

    width, layers, inner, heads, groups, vocabulary = shape["model"]
    return Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=4096,
        tie_word_embeddings=width < 2048,
        bos_token_id=None,
        eos_token_id=3,
        pad_token_id=0,
    )


def prepare(folder: Path, shape: dict[str, Any], device: str, dtype: str) -> None:
    """The model, its tokenizer and the rows, for all contestants."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

    from sdft.records.record import Record, write_records

    vocabulary = shape["model"][-1]
    special = ["<pad>", "<unk>", "<s>", "</s>", "user", "assistant"]
    words = [*special, *(f"w{number}" for number in range(vocabulary - len(special)))]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="</s>", padding_side="left"
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2ForCausalLM(qwen2_config(shape)).to(getattr(torch, dtype))
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    ready = {"path": str(folder / "model"), "sha256": sha256_files(folder / "model")}
    write_json(folder / "model.json", ready)
    count = shape["batch"] * 40

    def text(row: int, length: int) -> str:
        return " ".join(f"w{(row * 7919 + place * 104_729) % (vocabulary - 10)}" for place in range(length))

    rows = [
        Record(
            f"r{row}",
            [{"role": "user", "content": text(row, shape["question"] + row % 16)}],
            {"text": text(row + 1, shape["demonstration"] + row % 32)},
            "",
        )
        for row in range(count)
    ]
    write_records(folder / "train.jsonl", rows)


Step = Callable[[], int]


def own_training(method: str, folder: Path, shape: dict[str, Any], options: argparse.Namespace) -> Any:
    """A training of this project. options: compute, dtype, checkpointing, micro_batch_size, micro_batch_tokens."""
    from sdft.learning.checkpoint import Checkpoints
    from sdft.learning.loop import Training
    from sdft.learning.spec import Inputs
    from sdft.study.plan import RunSpec

    values = {"learning_rate": 1e-5, "batch_size": shape["batch"], "epochs": 1}
    spec = RunSpec.model_validate(
        {
            "id": f"{method}-step",
            "scale": "benchmark",
            "study": "step",
            "task": "science",
            "arm": method,
            "method": method,
            "seed": 0,
            "base": "model",
            "base_ready": str(folder / "model.json"),
            "demonstration": "text",
            "data": {"train": str(folder / "train.jsonl")},
            "hyperparameters": values | ({"ema_rate": RATE} if method == "sdft" else {}),
            "settings": {
                "max_new_tokens": shape["new"],
                "skip_tokens": SKIPPED,
                "importance_clip": None,
                "compute_dtype": options.compute,
                "weights_dtype": options.dtype,
                "micro_batch_size": options.micro_batch_size,
                "micro_batch_tokens": options.micro_batch_tokens,
                "gradient_checkpointing": options.checkpointing,
            },
        }
    )
    checkpoints = Checkpoints(folder / method / "state", "step")
    return Training(spec, Inputs(spec), folder / method, checkpoints, quiet=True)


def own(method: str, folder: Path, shape: dict[str, Any], options: argparse.Namespace, timer: Timer) -> Step:
    """Takes a step of a training of this project, and returns how many tokens it trained on."""
    training = own_training(method, folder, shape, options)
    timer.watch(training.engine, "sample", "rollout")
    timer.watch(training.student.base_model, "forward", "student", torch.is_grad_enabled)
    if training.teacher is not None:
        timer.watch(training.teacher.base_model, "forward", "teacher")
    timer.watch(training.accelerator, "backward", "backward")
    timer.watch(training, "_update", "update")
    timer.watch(training, "_move_teacher", "ema")
    numbers = iter(range(len(training.order)))
    return lambda: round(training.step(next(numbers))["completion_tokens"] * shape["batch"])


def foreign_trainer(folder: Path, shape: dict[str, Any], options: argparse.Namespace) -> Any:
    """TRL's SDFTTrainer. options: compute, dtype, checkpointing, device, micro_batch_size."""
    from datasets import Dataset
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer

    from sdft.models.files import load_tokenizer
    from sdft.records.record import read_records

    records = read_records(folder / "train.jsonl")
    data = Dataset.from_list(
        [{"prompt": each.prompt, "privileged_context": each.demonstrations["text"]} for each in records]
    )
    arguments = SDFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=options.micro_batch_size or shape["batch"],
        gradient_accumulation_steps=shape["batch"] // (options.micro_batch_size or shape["batch"]),
        learning_rate=1e-5,
        lr_scheduler_type="cosine",
        max_steps=40,
        num_generations=1,
        max_prompt_length=None,
        max_completion_length=shape["new"],
        temperature=1.0,
        teacher_model_kind="ema",
        teacher_update_rate=RATE,
        teacher_sync_steps=1,
        distillation_mode="full_logits",
        distillation_alpha=0.0,
        distillation_is_clip=None,
        num_loss_tokens_to_skip=SKIPPED,
        optim="adamw_torch_fused",
        gradient_checkpointing=options.checkpointing,
        bf16=options.compute == "bfloat16",
        use_cpu=options.device == "cpu",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        model_init_kwargs={"dtype": options.dtype},
    )
    return SDFTTrainer(
        model=str(folder / "model"),
        args=arguments,
        train_dataset=data,
        processing_class=load_tokenizer(folder / "model"),
    )


def foreign(folder: Path, shape: dict[str, Any], options: argparse.Namespace, timer: Timer, turn: Callable) -> None:
    """TRL's SDFTTrainer, which calls `turn(step)` for its steps until that says that it is enough."""
    from transformers import TrainerCallback

    class Turns(TrainerCallback):
        """Waits before each step until it may begin, and reports its end. The teacher's callback comes before."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if turn.wait():
                turn.begin()
            else:
                os._exit(0)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            turn.end(shape["batch"] * shape["new"])

    trainer = foreign_trainer(folder, shape, options)
    timer.watch(trainer, "_generate", "rollout")
    student = trainer.model
    timer.watch(student, "forward", "student", lambda: timer.open[-1] != "rollout" and torch.is_grad_enabled())
    timer.watch(trainer.teacher_model, "forward", "teacher")
    timer.watch(trainer.accelerator, "backward", "backward")
    timer.watch(trainer.accelerator, "clip_grad_norm_", "update")
    for callback in trainer.callback_handler.callbacks:
        if type(callback).__name__ == "SyncTeacherModelCallback":
            timer.watch(callback, "on_step_end", "ema")
    make = trainer.create_optimizer

    def with_timed_update(*given: Any, **named: Any) -> Any:
        optimizer = make(*given, **named)
        timer.watch(trainer.optimizer, "step", "update")
        return optimizer

    trainer.create_optimizer = with_timed_update
    trainer.add_callback(Turns())
    trainer.train()


class Turn:
    """One contestant's side of taking turns: lines on standard input ask for a step, each is answered by one."""

    def __init__(self, timer: Timer, answers: Any) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        self.timer, self.answers, self.steps = timer, answers, 0
        self.counter = FlopCounterMode(display=False)
        self.operations = 0

    def wait(self) -> bool:
        print("{}", file=self.answers, flush=True)
        return bool(sys.stdin.readline().strip())

    def begin(self) -> None:
        self.timer.seen = self.timer.now()
        self.timer.parts.clear()
        if self.steps == 1:
            # Counted in a step whose time is not taken.
            self.counter.__enter__()

    def end(self, tokens: int) -> None:
        self.timer.book()
        if self.steps == 1:
            self.operations = self.counter.get_total_flops()
            self.counter.__exit__(None, None, None)
        self.steps += 1
        peak = resident("VmHWM") if self.timer.device == "cpu" else torch.cuda.max_memory_allocated()
        answer = {"parts": dict(self.timer.parts), "tokens": tokens, "peak": peak, "operations": self.operations}
        print(json.dumps(answer), file=self.answers, flush=True)


def take_part(options: argparse.Namespace) -> None:
    """Be a contestant."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    timer, folder, shape = Timer(options.device), Path(options.folder), SHAPES[options.shape]
    turn = Turn(timer, answers)
    if options.contestant == "trl":
        foreign(folder, shape, options, timer, turn)
        return
    step = own(options.contestant, folder, shape, options, timer)
    while turn.wait():
        turn.begin()
        turn.end(step())


class Contestant:
    """A process that takes part."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace) -> None:
        interpreter = options.trl if name == "trl" else sys.executable
        command = [interpreter, "-m", "benchmarks.step", "--contestant", name, "--folder", str(folder)]
        for option in ("shape", "device", "dtype", "compute", "micro_batch_size", "micro_batch_tokens"):
            if (value := getattr(options, option)) is not None:
                command += [f"--{option.replace('_', '-')}", str(value)]
        command += ["--checkpointing"] if options.checkpointing else []
        self.name, self.steps = name, []
        self.log = open(folder / f"{name}.log", "w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            last = " ".join(self.log.read().split()[-60:])
            raise SdftError(f"the contestant {self.name} has ended: {last}. Give a smaller --shape, or leave it out.")
        return json.loads(line)

    def step(self) -> None:
        self.process.stdin.write("step\n")
        self.steps.append(self._answer())
        self._answer()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def matmul_peak(device: str, dtype: torch.dtype) -> float:
    """Operations a second of the best of several square matrix products."""
    size = 1024 if device == "cpu" else 8192
    one, two = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    timer, best = Timer(device), float("inf")
    for _ in range(8):
        start = timer.now()
        one @ two
        best = min(best, timer.now() - start)
    return 2 * size**3 / best


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The steps of all contestants."""
    names = ["sdft", *(["trl"] if options.trl else []), "sft"]
    # Two steps before: the first loads what libraries load late, the second is counted.
    turns = options.repeats + 2
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, SHAPES[options.shape], options.device, options.dtype)
        contestants = []
        if options.device == "cpu":
            contestants = [Contestant(name, folder, options) for name in names]
            for _ in range(turns):
                for contestant in contestants:
                    contestant.step()
            for contestant in contestants:
                contestant.end()
        else:
            for name in names:
                contestant = Contestant(name, folder, options)
                contestants.append(contestant)
                for _ in range(turns):
                    contestant.step()
                contestant.end()
    computed = torch.bfloat16 if options.compute == "bfloat16" else getattr(torch, options.dtype)
    peak = matmul_peak(options.device, computed)
    return {
        "matmul_peak": peak,
        "contestants": {each.name: summary(each, contestants[0], peak) for each in contestants},
    }


def summary(contestant: Contestant, first: Contestant, peak: float) -> dict[str, Any]:
    """Medians over the steps that count, and the ratio of the first contestant's time to this one's."""
    steps = contestant.steps[2:]
    seconds = [sum(step["parts"].values()) for step in steps]
    ratios = [sum(ours["parts"].values()) / theirs for ours, theirs in zip(first.steps[2:], seconds, strict=True)]
    median = statistics.median(seconds)
    return {
        "seconds": round(median, 4),
        "parts": {part: round(statistics.median(step["parts"].get(part, 0.0) for step in steps), 4) for part in PARTS},
        "tokens_per_second": round(statistics.median(step["tokens"] for step in steps) / median, 1),
        "operations": steps[0]["operations"],
        "share_of_peak": round(steps[0]["operations"] / median / peak, 4),
        "peak_mib": round(max(step["peak"] for step in contestant.steps) / MIB, 1),
        "sdft_by_this": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
    }


def table(content: dict[str, Any]) -> str:
    """The measures as text."""
    columns = ("", *PARTS, "all", "tok/s", "of peak", "MiB", "SDFT / it")
    lines = [" ".join(f"{column:>9}" for column in columns)]
    for name, found in content["contestants"].items():
        cells = [*(f"{found['parts'][part]:.3f}" for part in PARTS), f"{found['seconds']:.3f}"]
        cells += [f"{found['tokens_per_second']:.1f}", f"{found['share_of_peak']:.1%}"]
        cells += [f"{found['peak_mib']:.0f}", f"{found['sdft_by_this']:.3f}"]
        lines.append(" ".join(f"{cell:>9}" for cell in [name, *cells]))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("--out", metavar="F.json", help="record to write")
    add("--shape", choices=tuple(SHAPES), default="100m", help="model and batch (default: %(default)s)")
    add("--trl", metavar="PYTHON", help="interpreter of an environment with TRL; without it TRL is left out")
    add("--repeats", type=int, default=5, help="steps of which the median is taken (default: %(default)s)")
    add("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights (default: %(default)s)")
    add("--compute", choices=("float32", "bfloat16"), help="of the products (default: bfloat16 on a GPU, else float32)")
    add("--micro-batch-size", type=int, metavar="N", help="sequences that pass at once (default: all)")
    add("--micro-batch-tokens", type=int, metavar="N", help="tokens that pass at once; this project's alone")
    add("--checkpointing", action="store_true", help="recompute activations")
    add("--contestant", help=argparse.SUPPRESS)
    add("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.compute = options.compute or ("bfloat16" if options.device == "cuda" else "float32")
    if options.contestant:
        take_part(options)
        return
    torch.set_num_threads(1)
    clock = Clock(options.device)
    settings = {
        name: value for name, value in vars(options).items() if name not in ("out", "contestant", "folder", "trl")
    }
    content = {"settings": settings, "machine": machine(options.device), **measure(options)}
    print(table(content))
    if options.out:
        write_json(options.out, content | {"manifest": manifest("step", clock=clock, config=settings)})


if __name__ == "__main__":
    run_main(main)
