"""The checks of `benchmarks/first_contact.py`, by subject.

Each is a function that takes a `Bench` and yields verdicts. None of its modules needs pydantic, datasets, lm_eval or
snakemake, except the check `loop`, which trains with the project's own loop and is skipped without pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from benchmarks.contact.bench import Bench


class Verdict(NamedTuple):
    """One line of the record. expected: in words; measured: numbers; good: None where there is nothing to expect."""

    name: str
    expected: str
    measured: Any
    good: bool | None


class Check(NamedTuple):
    """module: of this folder, where a function has the check's name. seconds: its share of the time on a GPU.

    gpu: whether it says nothing on a CPU. needs: packages that a machine for GPUs may lack.
    """

    name: str
    module: str
    seconds: int
    gpu: bool = False
    needs: tuple[str, ...] = ()


# By value: what decides a first study's numbers and its price comes first.
CHECKS = (
    Check("machine", "hardware", 10),
    Check("refusal", "hardware", 20),
    Check("reference", "numbers", 20),
    Check("step", "training", 100),
    Check("decoding", "decoding", 70),
    Check("agreement", "decoding", 15),
    Check("attention", "numbers", 20),
    Check("update", "numbers", 15),
    Check("peaks", "hardware", 15, gpu=True),
    Check("determinism", "training", 25),
    Check("recomputation", "training", 25),
    Check("storage", "files", 45),
    Check("loop", "files", 40, needs=("pydantic", "yaml")),
    Check("prefill", "decoding", 20),
    Check("graphs", "decoding", 60, gpu=True),
)


def absent(check: Check) -> list[str]:
    """What a check needs that cannot be imported here."""
    from importlib import util

    def is_there(name: str) -> bool:
        try:
            return util.find_spec(name) is not None
        except ImportError:
            return False

    return [name for name in check.needs if not is_there(name)]


def find(name: str) -> Callable[[Bench], Iterator[Verdict]]:
    """The function of a check."""
    from importlib import import_module

    check = next(check for check in CHECKS if check.name == name)
    return getattr(import_module(f"benchmarks.contact.{check.module}"), name)
