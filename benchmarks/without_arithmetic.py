"""Run a step with all its tensors and none of its arithmetic: what memory it takes, whatever the processor can do.

Operations on large tensors make a result of the right size that nobody fills, so the system hands out no pages for it.
A step of a model of seven billion parameters passes in seconds on a laptop, and every tensor that the program makes or
keeps is counted from its first operation to its end. What a kernel takes for itself is not.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

# Numbers of a large tensor. Larger allocations come straight from the system, and are zero.
LARGE = 1 << 16
M_MMAP_THRESHOLD = -3


class WithoutArithmetic(TorchDispatchMode):
    """Counts bytes of tensors: `held` now, and `peak` since the last `restart`."""

    def __init__(self) -> None:
        super().__init__()
        ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, LARGE)
        self.held = self.peak = 0
        self.known: set[int] = set()

    def restart(self) -> None:
        self.peak = self.held

    def count(self, found: Any) -> None:
        """Count the memory of tensors that is not counted yet, as long as it lives."""
        for tensor in tree_flatten(found)[0]:
            if not isinstance(tensor, Tensor) or tensor.device.type == "meta":
                continue
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self.known and size:
                self.known.add(key)
                self.held += size
                self.peak = max(self.peak, self.held)
                weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.held -= size

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = self._run(function, args, kwargs or {})
        self.count(found)
        return found

    def _run(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        returns = function._schema.returns
        alias = [value.alias_info for value in returns]
        view = any(info is not None and not info.is_write for info in alias)
        wanted = args[0] if args and isinstance(args[0], list | tuple) and not given else ()
        large = any(tensor.numel() >= LARGE for tensor in given)
        large = large or (all(isinstance(size, int) for size in wanted) and torch.Size(wanted).numel() >= LARGE)
        if view or not large or function.__name__.startswith(("empty", "new_empty")):
            return function(*args, **kwargs)
        if any(info is not None for info in alias) or not returns:
            return self._written(function, args, kwargs)
        try:
            shapes = function(*_on_meta(args), **_on_meta(kwargs) | ({"device": "meta"} if "device" in kwargs else {}))
        except RuntimeError:
            # What it makes depends on numbers, or torch knows no shapes for it: only with its arithmetic is it counted.
            return function(*args, **kwargs)
        return tree_map_only(Tensor, _unfilled, shapes)

    @staticmethod
    def _written(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What an operation returns that writes into what it was given."""
        names = [argument.name for argument in function._schema.arguments]
        values = dict(zip(names, args, strict=False)) | kwargs
        written = [
            values[argument.name]
            for argument in function._schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        if not function._schema.returns:
            return None
        return written[0] if len(function._schema.returns) == 1 else tuple(written)


def _on_meta(values: Any) -> Any:
    def shape(tensor: Tensor) -> Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")

    return tree_map_only(Tensor, shape, values)


def _unfilled(tensor: Tensor) -> Tensor:
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return made if made.numel() >= LARGE else made.zero_()
