"""One run on several GPUs of a node: weights, gradients, Adam's moments and the teacher cut into equal shards (FSDP2).

Every process takes its rows of each batch, gathers one layer's weights at a time, and keeps an N-th of everything else.
The numbers are those of one device up to the order of float32 sums: the same rows make a step, and rollouts are drawn
with the very random numbers that one device would use.

Never run where it is meant for: it was tested with two processes on CPUs, and no GPU has run it yet.

This is torch's `fully_shard`, which accelerate's FSDP version 2 applies too. Accelerate's own wrapper takes a single
model, always with its optimizer, and only on GPUs, whereas here a teacher is sharded as well and the tests have CPUs.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map

from sdft.common.errors import SdftError
from sdft.learning.engines import GenerateEngine
from sdft.learning.processes import SingleProcess
from sdft.losses.encoding import Completions
from sdft.methods.settings import check_shards

# The others wait that long while the first process loads, checks or writes files of many gigabytes.
PATIENCE_MINUTES = 120.0


class ShardedProcesses(SingleProcess):
    """The processes of `torchrun --standalone --nproc-per-node N`, one GPU each (or, for tests, one CPU process each).

    Raises SdftError when there are fewer GPUs than processes.
    """

    def __init__(self, wait_minutes: float = 0) -> None:
        self.size, self.rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
        gpus = torch.cuda.device_count()
        if 0 < gpus < int(os.environ.get("LOCAL_WORLD_SIZE", self.size)):
            raise SdftError(
                f"{self.size} processes were started but there are {gpus} GPUs here; start as many processes as GPUs "
                "(gpus in config.yaml, --nproc-per-node of torchrun)."
            )
        patience = InitProcessGroupKwargs(timeout=timedelta(minutes=max(wait_minutes, PATIENCE_MINUTES)))
        if not dist.is_initialized():
            # Left to the interpreter's end, processes may wait for each other there.
            atexit.register(dist.destroy_process_group)
        self._accelerator = Accelerator(cpu=not gpus, kwargs_handlers=[patience])
        self.device = self._accelerator.device
        self.mesh = init_device_mesh(self.device.type, (self.size,))

    def accelerator(self) -> Any:
        return self._accelerator

    def check(self, method: str, settings: Any) -> None:
        try:
            check_shards(method, settings)
        except ValueError as error:
            raise SdftError(f"{error}.") from None

    def first(self, make: Callable[[], Any]) -> Any:
        answer = [_attempt(make) if self.main else None]
        dist.broadcast_object_list(answer, src=0)
        return _outcome(answer[0])

    def each(self, make: Callable[[], Any]) -> list[Any]:
        answers: list[Any] = [None] * self.size
        dist.all_gather_object(answers, _attempt(make))
        return [_outcome(answer) for answer in answers]

    def held(self, context: Callable[[], AbstractContextManager]) -> AbstractContextManager:
        return context() if self.main else nullcontext()

    def agree(self, value: Any) -> Any:
        largest = torch.tensor(int(value or 0), device=self.device)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return int(largest) or None

    def total(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return self.total(torch.tensor(value, dtype=torch.float64, device=self.device)).item()
        value = value.to(self.device, copy=True)
        dist.all_reduce(value)
        return value

    def shard(self, model: Any) -> Any:
        for layer in model.base_model.layers:
            fully_shard(layer, mesh=self.mesh)
        fully_shard(model, mesh=self.mesh)
        # The losses enter the model below its head, and multiply by the head themselves. Only what is entered through
        # the whole model has its weights gathered.
        model.hidden_states = lambda **inputs: model.base_model(**inputs)
        register_fsdp_forward_method(model, "hidden_states")
        return model

    def settle(self, model: Any) -> None:
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    @contextmanager
    def gathered(self, model: Any) -> Iterator[None]:
        """All of a model's weights in every process: gathered once for a rollout, not once for each token."""
        modules = [module for module in model.modules() if isinstance(module, FSDPModule)]
        for module in modules:
            module.unshard()
            module.set_reshard_after_forward(False, recurse=False)
        try:
            yield
        finally:
            for module in modules:
                module.reshard()
                module.set_reshard_after_forward(module is not model, recurse=False)

    def engine(self, engine: Any) -> Any:
        return SharedEngine(engine, self)

    def local(self, tensors: Any) -> Any:
        return tree_map(_local, tensors)

    def spread(self, state: dict[str, Any], student: Any, optimizer: Any, ema: Any) -> dict[str, Any]:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        adam = {
            number: {name: _like(value, parameters[number]) for name, value in values.items()}
            for number, values in state["optimizer"]["state"].items()
        }
        found = state | {
            "student": _like_all(state["student"], student.state_dict()),
            "optimizer": state["optimizer"] | {"state": adam},
        }
        if ema is not None:
            like = ema.state_dict()
            tensors = {part: _like_all(state["ema"][part], like[part]) for part in ("average", "buffers")}
            found["ema"] = state["ema"] | tensors
        return found

    @torch.no_grad()
    def whole_weights(self, model: Any) -> dict[str, Any]:
        """One tensor at a time is gathered and, in the first process, put into the host's memory."""
        # A tensor under two names stays one tensor, which is how tied weights are known when they are saved.
        tensors = dict(model.named_parameters(remove_duplicate=False))
        gathered, whole = {}, {}
        for name, value in model.state_dict().items():
            key = id(tensors.get(name, value))
            if key not in gathered:
                full = value.full_tensor() if isinstance(value, DTensor) else value
                gathered[key] = full.to("cpu", copy=True) if self.main else None
            whole[name] = gathered[key]
        return whole


class SharedEngine:
    """Samples as `GenerateEngine` does in one process: each process its rows, with the same random numbers."""

    def __init__(self, engine: GenerateEngine, processes: ShardedProcesses) -> None:
        self.engine, self.processes = engine, processes

    def sample(
        self, model: Any, prompts: list[list[int]], *, temperature: float, max_new_tokens: int, seed: int
    ) -> Completions:
        """As `Engine.sample`: the completions of all prompts, in every process."""
        first, last = self.processes.rows(len(prompts))
        # A process without rows repeats the first one, because a rollout needs every process.
        own = slice(first, last) if last > first else slice(0, 1)
        with torch.no_grad(), self.processes.gathered(model):
            found = self.engine.sample(
                model,
                prompts[own],
                temperature=temperature,
                max_new_tokens=max_new_tokens,
                seed=seed,
                first_row=own.start,
            )
        count = last - first
        mine = tuple(tensor[:count].cpu() for tensor in (found.tokens, found.mask, found.log_probs))
        parts = self.processes.each(lambda: mine)
        width = max(tokens.shape[1] for tokens, _, _ in parts if len(tokens))
        columns = [
            torch.cat([_widen(part[number], width, fill) for part in parts if len(part[0])]).to(self.processes.device)
            for number, fill in enumerate((self.engine.pad, False, 0.0))
        ]
        return Completions(*columns)


def _widen(rows: Tensor, width: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=fill)


def _local(value: Any) -> Any:
    return value.to_local() if isinstance(value, DTensor) else value


def _like(value: Any, like: Any) -> Any:
    """A shard as the part of a tensor that is cut as `like` is; anything else as it is."""
    if not (isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.to_local().shape):
        return value
    value = value.to(like.to_local().device)
    return DTensor.from_local(value, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())


def _like_all(values: dict[str, Any], likes: dict[str, Any]) -> dict[str, Any]:
    return {name: _like(value, likes[name]) for name, value in values.items()}


def _attempt(make: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return make(), None
    except Exception as error:
        return None, error


def _outcome(answer: tuple[Any, Exception | None]) -> Any:
    value, error = answer
    if error is not None:
        raise error
    return value
