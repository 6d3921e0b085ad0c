"""One decoding loop for rollouts, evaluation and pass@k: rows that end make room for others, or are dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sdft.common.progress import say
from sdft.decoding.foreign import generated
from sdft.decoding.plain import Plain, is_plain
from sdft.decoding.sampling import Draw, choose

# Tokens of prompts that are read at once.
PROMPT_TOKENS = 16384
# What a GPU does before it is asked which rows have ended, and by how much the part of the cache that it sees grows: a
# question makes it wait, and each length needs a captured graph of its own.
GPU_STEPS, GPU_LENGTH = 8, 512
# Rows are dropped when so many are left of those that are decoded: a copy of the cache costs as much as half a step.
LEFT = {"cpu": 0.75, "cuda": 0.5}


class Decoded(NamedTuple):
    """tokens: ids [B, C], each row's own followed by zeros. lengths: tokens of each row [B], the stop token included.

    ended: [B], whether a stop token ended the row. log_probs: of the tokens, float32 [B, C] in nats, at the temperature
    that was sampled at (at 1 for greedy ones), zero behind a row's end.
    """

    tokens: Tensor
    lengths: Tensor
    ended: Tensor
    log_probs: Tensor


def decode(
    model: Any,
    prompts: list[list[int]],
    *,
    stop: Sequence[int],
    limits: Sequence[int],
    draw: Draw,
    numbers: Tensor | None = None,
    slots: int | None = None,
    advance: Callable[[int], Any] | None = None,
) -> Decoded:
    """A completion for each prompt, which may not be empty, in the model's weights as they are.

    stop: ids that end a completion. limits: the most tokens of each row, at least one. numbers: a uniform number for
    each row and step (`sampling.uniforms`), [B, C], which greedy decoding needs not. slots: rows that are decoded at
    the same time, all of them by default; prompts are taken in their order. advance: is told how many rows ended.

    The model's own generation config (penalties, sampling) has no say, and its training mode stays what it was.
    Raises FloatingPointError when a distribution is not a number.
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            if numbers is None:
                numbers = torch.zeros(1, 1).expand(len(prompts), max(limits))
            run = decoded_plainly if is_plain(model) else generated
            found = run(model, prompts, stop, limits, draw, numbers, slots or len(prompts), advance or (lambda _: None))
    finally:
        model.train(training)
    # Copies, since what inference mode makes cannot take part in a training step.
    decoded = Decoded(*(tensor.clone() for tensor in found))
    if decoded.log_probs.isnan().any():
        raise FloatingPointError("the model's next-token distribution is not a number")
    return decoded


def decoded_plainly(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `decode`, over a static cache: the fields of `Decoded`."""
    run = _Run(*arguments)
    try:
        return run.all()
    finally:
        # Graphs hold the run's own step, so its cache would stay until Python looks for circles.
        run.graphs = None


class _Run:
    """The decoding of one list of prompts. A slot holds one row; tensors over slots stay where they are in memory."""

    def __init__(
        self,
        model: Any,
        prompts: list[list[int]],
        stop: Sequence[int],
        limits: Sequence[int],
        draw: Draw,
        numbers: Tensor,
        slots: int,
        advance: Callable[[int], Any],
    ) -> None:
        self.device = next(model.parameters()).device
        self.prompts, self.limits, self.draw, self.advance = prompts, list(limits), draw, advance
        self.waiting = deque(range(len(prompts)))
        slots, most = min(slots, len(prompts)), max(limits)
        length = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
        self.model = Plain(model, slots, length)
        self.length = length
        self.stop = torch.tensor(sorted(stop), device=self.device)
        self.numbers = torch.nn.functional.pad(numbers[:, :most], (0, 0, 0, 1)).to(self.device)
        # The last row takes what slots without a row write.
        self.tokens = torch.zeros(len(prompts) + 1, most, dtype=torch.long, device=self.device)
        self.log_probs = torch.zeros(self.tokens.shape, device=self.device)
        self.lengths = torch.zeros(len(prompts) + 1, dtype=torch.long, device=self.device)
        # The place of each row's last token, where no stop token comes before it.
        self.last = torch.tensor([*limits, 1], device=self.device) - 1
        self.row = torch.full((slots,), len(prompts), device=self.device)
        self.token, self.place = torch.zeros(2, slots, dtype=torch.long, device=self.device)
        self.done = torch.ones(slots, dtype=torch.bool, device=self.device)
        # The row of each slot, and how many of its tokens are in the cache at most.
        self.rows: list[int | None] = [None] * slots
        self.seen: dict[int, int] = {}
        self.graphs = Graphs(self._step) if self.device.type == "cuda" else None

    def all(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode every row."""
        self._fill()
        while self._live():
            longest = max(self.seen[row] for row in self.rows if row is not None)
            steps = 1 if self.graphs is None else GPU_STEPS
            for number in range(steps):
                self._advance(min(longest + number + 1, self.length))
            for row in self.rows:
                if row is not None:
                    self.seen[row] += steps
            self._take_out()
        rows, width = len(self.prompts), max(1, int(self.lengths[:-1].max()))
        tokens, lengths = self.tokens[:rows, :width], self.lengths[:rows]
        ended = torch.isin(tokens.gather(-1, lengths[:, None] - 1)[:, 0], self.stop)
        return tokens, lengths, ended, self.log_probs[:rows, :width]

    def _live(self) -> bool:
        return any(row is not None for row in self.rows)

    def _advance(self, length: int) -> None:
        if self.graphs is None:
            self._step(length)
        else:
            self.graphs.run(min(-(-length // GPU_LENGTH) * GPU_LENGTH, self.length))

    def _step(self, length: int) -> None:
        """One token more in every slot. Slots whose row has ended write the same again where nobody looks."""
        states = self.model.step(self.token, self.place, length)
        token, going, ended = self._choose(states, self.row, self.done)
        self.place.add_(going)
        self.token.copy_(token)
        self.done.logical_or_(ended)

    def _choose(self, states: Tensor, row: Tensor, done: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Write a token more for the rows of some slots, from its final states.

        Returns, for each slot, the token, by how many places its row goes on, and whether it ends with the token.
        """
        written = self.lengths[row].clamp(max=self.tokens.shape[1] - 1)
        token, log_prob = choose(self.model.logits(states), self.numbers[row, written], self.draw)
        target = row.masked_fill(done, len(self.prompts))
        self.tokens[target, written] = token
        self.log_probs[target, written] = log_prob
        going = (~done).long()
        self.lengths.index_add_(0, target, going)
        return token, going, (token[:, None] == self.stop).any(-1) | (written >= self.last[row])

    def _fill(self) -> None:
        """Read the next prompts into the slots that are free; rows that end with their first token make room again."""
        while self.waiting and (free := [slot for slot, row in enumerate(self.rows) if row is None]):
            chosen: list[int] = []
            while self.waiting and len(chosen) < len(free):
                width = max(len(self.prompts[row]) for row in [*chosen, self.waiting[0]])
                if chosen and width * (len(chosen) + 1) > PROMPT_TOKENS:
                    break
                chosen.append(self.waiting.popleft())
            self._read(chosen, free[: len(chosen)])
            self._retire()

    def _read(self, rows: list[int], slots: list[int]) -> None:
        prompts = [self.prompts[row] for row in rows]
        width = max(map(len, prompts))
        ids = torch.tensor([prompt + [0] * (width - len(prompt)) for prompt in prompts], device=self.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        where = torch.tensor(slots, device=self.device)
        taken = torch.tensor(rows, device=self.device)
        for slot, row in zip(slots, rows, strict=True):
            self.rows[slot], self.seen[row] = row, len(self.prompts[row])
        states = self.model.prompt(ids, lengths, where)
        token, going, ended = self._choose(states, taken, torch.zeros_like(taken, dtype=torch.bool))
        self.row[where], self.place[where] = taken, lengths - 1 + going
        self.token[where], self.done[where] = token, ended

    def _retire(self) -> None:
        """Let go of the rows that have ended."""
        ended = 0
        for slot, done in enumerate(self.done.tolist()):
            if done and self.rows[slot] is not None:
                self.rows[slot] = None
                ended += 1
        if ended:
            self.advance(ended)

    def _take_out(self) -> None:
        """Fill the slots of rows that have ended, or drop them when nothing waits."""
        self._retire()
        kept = [slot for slot, row in enumerate(self.rows) if row is not None]
        if self.waiting:
            if len(kept) <= LEFT[self.device.type] * len(self.rows):
                self._fill()
        elif kept and len(kept) <= LEFT[self.device.type] * len(self.rows):
            slots = torch.tensor(kept, device=self.device)
            self.model.keep(slots)
            self.row, self.token, self.place = self.row[slots], self.token[slots], self.place[slots]
            self.done, self.rows = self.done[slots], [self.rows[slot] for slot in kept]
            if self.graphs is not None:
                self.graphs = Graphs(self._step)


class Graphs:
    """A step as a captured CUDA graph for each length, which a replay starts as one launch instead of hundreds.

    The step's tensors must stay where they are. Where a graph cannot be captured, the step runs as it is.
    """

    def __init__(self, step: Callable[[int], None]) -> None:
        self.step = step
        self.graphs: dict[int, torch.cuda.CUDAGraph | None] = {}

    def run(self, length: int) -> None:
        """One step over `length` positions. The first of a length runs as it is: a capture needs what it warms up."""
        if length not in self.graphs:
            self.step(length)
            self.graphs[length] = self._captured(length)
        elif (graph := self.graphs[length]) is not None:
            graph.replay()
        else:
            self.step(length)

    def _captured(self, length: int) -> torch.cuda.CUDAGraph | None:
        graph = torch.cuda.CUDAGraph()
        pool = next((other.pool() for other in self.graphs.values() if other is not None), None)
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, pool=pool):
                self.step(length)
        except RuntimeError as error:
            say(f"decoding runs without a captured graph ({str(error).splitlines()[0]})")
            with suppress(RuntimeError):
                torch.cuda.synchronize()
            return None
        return graph
