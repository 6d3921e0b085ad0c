"""Parts of a comparison side by side, a process each, forked from one that has the libraries already.

A toy model is too small for the threads of one process: two of them on one core each are faster than one on two, and
threads that wait for each other cost as much as threads that work.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing import connection, get_context
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.stop import starts_again

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@starts_again()
def side_by_side(parts: Mapping[str, Callable[[], Any]], most: int) -> dict[str, Any]:
    """What the parts return, by name, which must be picklable; at most `most` at a time, begun in their order.

    Each part has one thread. Where one fails or this process is told to stop, the others are told to stop too, and have
    ended when this returns. Raises the SdftError of a part, SystemExit(128 + signal) where SIGTERM or SIGINT stopped
    one, and SdftError where it ended in another way.
    """
    context = get_context("fork")
    waiting, found = list(parts.items()), {}
    working: dict[Any, tuple[str, Any]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < most:
                name, part = waiting.pop(0)
                result, told = context.Pipe(duplex=False)
                process = context.Process(target=_run, args=(part, told), name=name)
                process.start()
                told.close()
                working[result] = name, process
            for result in connection.wait(list(working)):
                name, process = working[result]
                found[name] = _received(name, process, result)
                del working[result]
    finally:
        for _, process in working.values():
            process.terminate()
        for _, process in working.values():
            process.join()
    return {name: found[name] for name in parts}


def _received(name: str, process: Any, result: Any) -> Any:
    try:
        value = result.recv()
    except EOFError:
        process.join()
        if process.exitcode in STOPPED:
            raise SystemExit(process.exitcode) from None
        how = f"signal {-process.exitcode}, perhaps for want of memory" if process.exitcode < 0 else "the error above"
        raise SdftError(
            f"the part {name} of the comparison was ended by {how}; the same command continues it."
        ) from None
    process.join()
    if isinstance(value, SdftError):
        raise value
    return value


class _Lines:
    """A stream for lines alone: the bars of several processes would overwrite each other on a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _run(part: Callable[[], Any], told: Any) -> None:
    """The part in its own process."""
    import torch

    torch.set_num_threads(1)
    sys.stderr = _Lines(sys.stderr)
    try:
        told.send(part())
    except SdftError as error:
        told.send(error)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
