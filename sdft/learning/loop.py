"""The training loop, the same for all methods. A step is rollout, teacher, loss, update and EMA (docs/method.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from sdft.common.errors import DivergedError, SdftError
from sdft.common.files import read_json, sha256_files, write_json, write_text
from sdft.common.progress import Progress, say
from sdft.common.provenance import Clock, manifest
from sdft.common.seeds import derived_seed
from sdft.common.stop import progressed
from sdft.learning.card import card
from sdft.learning.checkpoint import FINISHED, METRICS, Checkpoints, StopRequest
from sdft.learning.engines import GenerateEngine, stop_tokens
from sdft.learning.fixed_samples import draw
from sdft.learning.lora import add_adapters, whole_weights
from sdft.learning.metrics import DISTANCE_STEPS, Distances, Stopwatch, Totals, line, phase_sums
from sdft.learning.monitor import CollapseMonitor
from sdft.learning.optimization import batches, clip_gradients, learning_rate, make_optimizer
from sdft.learning.parts import parts, row_sizes
from sdft.learning.probe import Probe
from sdft.learning.processes import SingleProcess
from sdft.learning.samples import ROLLOUTS, keep, questions
from sdft.learning.snapshots import Snapshots, save_model
from sdft.learning.spec import Inputs, own_options
from sdft.learning.tracking import Tracking
from sdft.losses.encoding import Completions, Encoder, Example
from sdft.methods import find_method
from sdft.methods.base import Engine, MicroBatch
from sdft.models.attention import choose_attention
from sdft.models.files import load_model, load_tokenizer
from sdft.models.size import read_size
from sdft.records.record import read_records
from sdft.study.cards import tokens_beside
from sdft.study.plan import RunSpec
from sdft.study.rerun import train_code
from sdft.teacher import EMATeacher


class Training:
    """One run of `spec` (with hyper-parameters) into `out`, from the last of `checkpoints` if there is one.

    A step takes the rows of its batch, B sequences, through

    rollout  prompts [B, P] to completions: tokens, mask and log-probabilities, each [B, C]     Method.completions
    teacher  prompts with demonstrations to final hidden states [B, C, d], without gradient     Method.loss
    loss     the student's states [B, C, d] beside them to terms [B, C], reduced to a scalar     Method.loss
    update   the gradient clipped, AdamW, the learning rate of the schedule                     _update
    EMA      the teacher's weights moved towards the student's                                  _move_teacher

    P is the longest prompt and C the longest completion, in tokens; d is the model's width. Logits [B, C, V] over the
    vocabulary exist for a few tokens at a time (`sdft.divergence`). Teacher and loss take micro-batches of B. Methods
    without rollout or teacher leave these out.

    inputs: the checked files. engine: what samples; transformers' generate by default. The processes that train
    together are those of `checkpoints`.
    """

    def __init__(
        self,
        spec: RunSpec,
        inputs: Inputs,
        out: Path,
        checkpoints: Checkpoints,
        *,
        quiet: bool = False,
        engine: Engine | None = None,
    ) -> None:
        self.spec, self.inputs, self.out, self.checkpoints = spec, inputs, out, checkpoints
        self.settings, self.values = spec.settings, spec.hyperparameters
        self.processes: SingleProcess = checkpoints.processes
        self.quiet = quiet or not self.processes.main
        self._find_device()
        self._load_student()
        self._read_rows()
        self.engine = engine or self.processes.engine(self._engine())
        self.ema: EMATeacher | None = None
        self.teacher = self._teacher()
        anchored = self.method.anchored
        self.base = self._load(self.inputs.base.folder).requires_grad_(False) if anchored else None
        self.distances = Distances(self.student, self.processes, self.device)
        self._make_optimizer()
        self.most_tokens = self._most_tokens()
        self.snapshots = Snapshots(out, len(self.order), self.settings.snapshots)
        self.log: list[dict[str, Any]] = []
        follows = self.method.shows_demonstration and self.method.teacher in ("ema", "student")
        self.monitor = CollapseMonitor() if follows else None
        probed = self.records if self.processes.size == 1 else []
        self.probe = Probe(probed, spec.task, spec.demonstration, self.settings, len(self.order))
        self.saved = time.monotonic()

    def _find_device(self) -> None:
        self.processes.check(self.spec.method, self.settings)
        self.accelerator = self.processes.accelerator()
        self.device = self.accelerator.device
        self.clock = Clock(str(self.device), self.processes.size)
        self.weights_dtype = getattr(torch, self.settings.weights_dtype)

    def _load_student(self) -> None:
        """The student's weights, the tokenizer, and the method, which needs the id that fills up rows."""
        self.tokenizer = load_tokenizer(self.inputs.base.folder)
        self.student = self._load(self.inputs.start.folder)
        if self.settings.lora_rank:
            add_adapters(self.student, self.settings.lora_rank, self.spec.seed)
        if self.settings.gradient_checkpointing:
            if self.settings.lora_rank:
                self.student.enable_input_require_grads()
            self.student.gradient_checkpointing_enable()
        pad = self.tokenizer.pad_token_id
        self.pad = self.tokenizer.eos_token_id if pad is None else pad
        self.method = find_method(self.spec.method)(self.settings, self.pad, own_options(self.spec))

    def _load(self, folder: Path) -> Any:
        model = load_model(folder, str(self.device), self.settings.weights_dtype)
        choose_attention(model)
        _check_head(model, folder)
        return self.processes.shard(model)

    def _read_rows(self) -> None:
        """The rows as token ids, what the length limits did to them, and the rows of every step."""
        context = getattr(self.student.config, "max_position_embeddings", None) or 2**31
        encoder = Encoder(self.tokenizer, context, self.settings)
        prompts = read_records(self.inputs.prompts) if self.inputs.prompts else []
        records = self.method.arrange(read_records(self.inputs.rows), prompts, self.spec.seed)
        self.records = records
        found = [self.method.encode(record, encoder, self.spec.demonstration) for record in records]
        self.examples = [example for example in found if example is not None]
        self.left_out, self.cut = len(records) - len(self.examples), encoder.cut
        self.shown = questions(records, encoder, self.spec.demonstration, self.settings.max_new_tokens)
        if self.left_out:
            say(f"{self.left_out} of {len(records)} rows are too long and are left out")
        if self.cut:
            say(f"{len(self.cut)} of {len(records)} rows are too long and are cut from the left")
        self.order = self._order()

    def _order(self) -> list[list[int]]:
        rows, size = len(self.examples), self.values.batch_size
        order = batches(rows, size, self.values.epochs, self.spec.seed, self.settings.drop_last)
        if not order or (self.settings.drop_last and rows < size):
            raise SdftError(
                f"{self.inputs.rows} gives {rows} rows to train on, which do not fill one batch of {size}; choose a "
                "smaller batch_size, or check the file and training.overlong."
            )
        return order

    def _engine(self) -> Engine:
        stop = stop_tokens(self.student, self.tokenizer)
        if self.settings.rollout_engine == "vllm" and self.method.sampling is not None:
            from sdft.learning.vllm import VLLMEngine

            context = self.student.config.max_position_embeddings
            return VLLMEngine(self.inputs.start.folder, self.pad, stop, context)
        return GenerateEngine(self.pad, stop)

    def _teacher(self) -> Any:
        """The teacher's model: an average of the student, the frozen base model, the student itself, or none."""
        kind = self.method.teacher
        if kind == "ema":
            twin = self._load(self.inputs.start.folder) if self.processes.size > 1 else None
            dtype, stochastic = getattr(torch, self.settings.ema_dtype), self.settings.rounding == "stochastic"
            rate, trained = self.values.ema_rate, None
            if self.settings.lora_rank:
                trained = [name for name, value in self.student.named_parameters() if value.requires_grad]
            self.ema = EMATeacher(self.student, rate, dtype, twin, stochastic=stochastic, trained=trained)
            return self.ema.model
        if kind == "base":
            return self._load(self.inputs.base.folder).requires_grad_(False)
        return self.student if kind == "student" else None

    def _make_optimizer(self) -> None:
        trained = [parameter for parameter in self.student.parameters() if parameter.requires_grad]
        dtype = torch.float32 if self.settings.lora_rank else self.weights_dtype
        optimizer = make_optimizer(trained, self.settings, dtype)
        self.student.train()
        self.optimizer = self.accelerator.prepare(optimizer)

    def _most_tokens(self) -> int | None:
        """Tokens of a micro-batch: as set, or as many as the GPU holds beside everything else."""
        if self.settings.micro_batch_tokens != "auto":
            return self.settings.micro_batch_tokens
        if self.device.type != "cuda":
            return None
        size = read_size(self.inputs.base.folder)
        if size is None:
            # A row at a time.
            return 1
        # All processes cut their micro-batches alike, so the smallest card decides.
        card = min(self.processes.each(lambda: torch.cuda.get_device_properties(self.device).total_memory)) / 2**30
        return tokens_beside(self.spec.method, self.settings, size, card, self.processes.size)

    def run(self) -> dict[str, Any]:
        """Train to the end and return the content of model.json.

        Raises SystemExit(128 + signal) after SIGTERM or SIGINT, with a checkpoint saved; DivergedError when the loss,
        the gradient or the student's distribution is no longer finite; SdftError when the device's memory does not
        suffice, or when the disk is full.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        with StopRequest() as stop, torch.random.fork_rng(devices):
            done = self._resume()
            with self._explained():
                self.draw_samples(stop)
                if not done:
                    self._show("start")
                status = self._steps(done, stop)
            if status and len(self.log) < len(self.order):
                say(f"stopped after step {len(self.log)} of {len(self.order)}; repeat the command to continue")
                raise SystemExit(status)
            return self._finish()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what can go wrong within a step into an SdftError with the remedy."""
        try:
            yield
        except FloatingPointError as error:
            raise DivergedError(
                f"run {self.spec.id}, step {len(self.log) + 1} of {len(self.order)}: {error}; lower the learning "
                f"rate ({self.values.learning_rate:g}), or compute in float32 (training.compute_dtype)."
            ) from None
        except torch.OutOfMemoryError:
            raise SdftError(
                f"run {self.spec.id} does not fit into the memory of {self.device}; give a smaller "
                "--micro-batch-size or --micro-batch-tokens, or --gradient-checkpointing. None of them changes the "
                "result."
            ) from None

    def _steps(self, done: int, stop: StopRequest) -> int | None:
        """The steps from number `done` on, with snapshots and checkpoints between them; a signal's exit status."""
        progress = Progress(self.spec.id, len(self.order), done, self.quiet)
        kind = self.settings.tracker if self.processes.main else "none"
        tracking = Tracking(kind, self.spec.id, self.out, self.spec.hyperparameters.model_dump())
        try:
            with open(self.processes.writes(self.out / METRICS), "w", encoding="utf-8") as live:
                live.writelines(line(entry) for entry in self.log)
                for entry in self.log:
                    self._watch(entry)
                for number in range(done, len(self.order)):
                    entry = self.step(number)
                    self.log.append(entry)
                    live.write(line(entry))
                    live.flush()
                    tracking.log(entry)
                    self._watch(entry)
                    progress.step(loss=entry["loss"], entropy=entry["entropy"])
                    if status := self._between(number + 1, stop):
                        return status
        finally:
            progress.close()
            tracking.close()
        return None

    def _watch(self, entry: dict[str, Any]) -> None:
        if self.monitor is not None and (warning := self.monitor.look(entry)):
            say(f"{self.spec.id}: {warning}")

    def _between(self, done: int, stop: StopRequest) -> int | None:
        """Keep what is to be kept after `done` steps; returns the exit status where a signal asks to stop."""
        if done in self.snapshots.wanted:
            self._keep(done)
        status = self.processes.agree(stop.status)
        if done < len(self.order) and (status or self.processes.agree(self._due(done))):
            self._save(done)
        return status

    def step(self, number: int) -> dict[str, Any]:
        """One optimizer step, counted from 0, and its line of metrics.jsonl.

        Raises FloatingPointError when the loss, the gradient or the student's distribution is no longer finite.
        """
        begun, phase = time.perf_counter(), Stopwatch(self.device)
        torch.manual_seed(derived_seed(self.spec.seed, number, "loss"))
        with phase("rollout"):
            examples, completions = self._rollout(number)
        with phase("gradient"):
            totals = self._add_gradients(examples, completions)
            means = totals.means()
        with phase("update"):
            updated = self._update(number, means["loss"])
        with phase("ema"):
            self._move_teacher()
        distances = self._distances(number + 1)
        with self._autocast():
            probed = self.probe.measure(number + 1, self.tokenizer, self.student, self.teacher)
        seconds = time.perf_counter() - begun
        return {
            "step": number + 1,
            **means,
            **updated,
            "cut_rows": sum(self.examples[row].id in self.cut for row in self.order[number]),
            **distances,
            **probed,
            "tokens_per_second": round(totals.tokens / seconds, 1),
            "seconds": round(seconds, 4),
            "longest_completion": int(completions.mask.sum(-1).max()),
            "phases": phase.seconds,
        }

    def _rollout(self, number: int) -> tuple[list[Example], Completions]:
        """The step's rows, each as often as the method samples it, and what is trained on: B completions [B, C]."""
        examples = [self.examples[row] for row in self.order[number] for _ in range(self.method.samples)]
        seed = derived_seed(self.spec.seed, number, "rollout")
        with self._autocast():
            return examples, self.method.completions(examples, self.student, self.engine, seed, self.teacher)

    def _add_gradients(self, examples: list[Example], completions: Completions) -> Totals:
        """Teacher and loss, a micro-batch at a time, with its share of the step's gradient; sums for the metrics."""
        totals = Totals(completions)
        sizes = row_sizes(examples, completions)
        for rows, share in parts(sizes, self.processes, self.settings.micro_batch_size, self.most_tokens):
            batch = MicroBatch([examples[row] for row in rows], completions.part(rows), self.base)
            with self._autocast():
                part = self.method.loss(batch, self.student, self.teacher)
            # Sharded gradients are averages over the processes.
            self.accelerator.backward(part.loss * (share * self.processes.size))
            totals.add(part, share)
        totals.over(self.processes)
        return totals

    def _update(self, number: int, loss: float) -> dict[str, float]:
        """Move the student by the clipped gradient; the gradient's norm before that, and the learning rate."""
        steps = len(self.order)
        warmup = self.settings.warmup(steps)
        rate = learning_rate(number, steps, self.values.learning_rate, self.settings.schedule, warmup)
        norm = clip_gradients(self.student.parameters(), self.settings.max_grad_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FloatingPointError(f"the loss is {loss} and the gradient norm {norm}")
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {"gradient_norm": norm, "learning_rate": rate}

    def _move_teacher(self) -> None:
        if self.ema is not None:
            self.processes.settle(self.ema.model)
            self.ema.update(self.student)

    def _autocast(self) -> Any:
        """Narrower arithmetic for matrix products, where the settings ask for it."""
        narrow = self.settings.compute_dtype == "bfloat16" and self.weights_dtype == torch.float32
        # Narrow copies of weights that were gathered from shards would stay, and belong to no gradient.
        cache = self.processes.size == 1
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=cache) if narrow else nullcontext()

    def _distances(self, done: int) -> dict[str, float | None]:
        wanted = done % DISTANCE_STEPS == 0 or done in (1, len(self.order))
        found = self.distances.measure(wanted, self.student, None if self.ema is None else self.ema.average)
        if self.method.teacher == "student":
            found["teacher_distance"] = found["student_distance"]
        return found

    def draw_samples(self, stop: StopRequest | None = None) -> None:
        """Give each row its fixed completion, for the methods that train on samples drawn once, before the first step.

        They come from the base model shown the teacher's prompt, also where training starts from a parent. What was
        drawn before an interruption is read again from the folder state/. Raises SystemExit as `run` does.
        """
        if self.method.sampling != "once":
            return

        base = None

        def sample(examples: list[Example], seed: int) -> Completions:
            nonlocal base
            base = base or self._load(self.inputs.base.folder)
            with self._autocast():
                return self.engine.sample(
                    base,
                    [example.teacher_prompt for example in examples],
                    temperature=self.settings.temperature,
                    max_new_tokens=self.settings.max_new_tokens,
                    seed=seed,
                )

        path = self.out / "state" / "samples.jsonl"
        waiting = [example for example in self.examples if example.completion is None]
        found = draw(path, self.checkpoints.fingerprint, waiting, sample, self.spec.seed, stop)
        drawn = iter(found)
        self.examples = [next(drawn) if example.completion is None else example for example in self.examples]

    def _due(self, step: int) -> bool:
        steps = self.settings.checkpoint_steps
        late = time.monotonic() - self.saved > 60 * self.settings.checkpoint_minutes
        return late or bool(steps and step % steps == 0)

    def _save(self, step: int) -> None:
        state = {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "log": self.log,
            "seconds": time.time() - self.clock.start,
        }
        self.checkpoints.save(step, state)
        progressed()
        self.saved = time.monotonic()

    def _resume(self) -> int:
        """Take over the last whole checkpoint; returns how many steps are done."""
        found = self.checkpoints.load("cpu")
        if found is not None and not self.processes.first(lambda: self.snapshots.complete(found[0])):
            say("snapshots of steps that are done are asked for and were not taken; starting afresh")
            found = None
        if found is None:
            self.processes.first(self.snapshots.clear)
            return 0
        step, state = found
        state = self.processes.spread(state, self.student, self.optimizer, self.ema)
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.log = state["log"]
        self.clock.start -= state["seconds"]
        say(f"continuing {self.spec.id} after step {step} of {len(self.order)}")
        return step

    def _whole_weights(self) -> dict[str, Any] | None:
        """The weights to save, where the model does not have them as they are saved."""
        return whole_weights(self.student) if self.settings.lora_rank else self.processes.whole_weights(self.student)

    def _keep(self, step: int) -> None:
        whole = self._whole_weights()
        self.processes.first(lambda: self.snapshots.take(step, self.student, self.tokenizer, whole))

    def _show(self, at: Literal["start", "end"]) -> None:
        """Keep what student and teacher say, of a final run in one process."""
        if self.shown is None or self.spec.study == "sweep" or self.processes.size > 1:
            return
        engine = GenerateEngine(self.pad, stop_tokens(self.student, self.tokenizer))
        teacher = self.student if self.teacher is None else self.teacher
        models = (self.student, teacher, self.tokenizer)
        with self._autocast():
            keep(self.out / ROLLOUTS, at, self.shown, *models, engine, self.settings.temperature, self.spec.seed)

    def _finish(self) -> dict[str, Any]:
        """Write the weights, then the record that says they are whole; drop the checkpoints."""
        self._show("end")
        whole = self._whole_weights()
        self.processes.first(lambda: self._write(whole))
        return read_json(self.out / "model.json")

    def _write(self, whole: dict[str, Any] | None) -> None:
        state, weights = self.out / "state", self.out / "weights"
        for path in (self.out / "model.json", state / FINISHED):
            path.unlink(missing_ok=True)
        text = card(self.spec, self.inputs)
        save_model(self.student, self.tokenizer, state / "weights", weights, whole, text)
        for folder in (state, self.out):
            write_text(folder / METRICS, "".join(line(entry) for entry in self.log))
        config = self.spec.model_dump(mode="json")
        record = {
            "run": config,
            "weights": {"path": str(weights), "sha256": sha256_files(weights)},
            "snapshots": self.snapshots.record(),
            "steps": len(self.order),
            "rows": len(self.examples),
            "rows_cut": len(self.cut),
            "rows_left_out": self.left_out,
            "seconds": round(sum(entry["seconds"] for entry in self.log), 3),
            "phases": phase_sums(self.log),
            "final": self.log[-1],
            "collapse": self.monitor and self.monitor.warning,
            "fingerprint": self.checkpoints.fingerprint,
            "manifest": manifest(
                "train",
                clock=self.clock,
                code=train_code(self.spec.method),
                config=config,
                seeds={"run": self.spec.seed},
                inputs=self.inputs.record(self.spec),
            ),
        }
        write_json(state / FINISHED, record)
        write_json(self.out / "model.json", record)
        self.checkpoints.clear()


@torch.no_grad()
def _check_head(model: Any, folder: Path) -> None:
    """Refuse an architecture whose logits are not its final hidden states times its output embeddings."""
    head = model.get_output_embeddings()
    ids = torch.arange(8, device=model.device)[None]
    plain = head is not None and getattr(head, "bias", None) is None
    if plain:
        logits = model(input_ids=ids).logits.float()
        hidden = model.base_model(input_ids=ids).last_hidden_state
        plain = torch.allclose(logits, (hidden @ head.weight.T).float(), rtol=1e-2, atol=1e-3)
    if not plain:
        raise SdftError(
            f"the model in {folder} scales, caps or shifts its logits after the output layer, which the chunked losses "
            "do not do; take a model of a plain architecture, such as Qwen2, Llama or Olmo."
        )
