"""lm_eval's benchmarks of programs, with the programs in the cage (sdft/common/cage).

lm_eval scores HumanEval with the metric `code_eval` of the evaluate library, which runs programs as the user.
`install` puts this module in its place, for every lm_eval task that asks for it; the programs and the verdict (the
tests pass within the time limit) stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sdft.common import cage
from sdft.common.errors import SdftError
from sdft.common.imports import quick_imports


def run_program(program: str, mode: str = "sandbox", seconds: float = cage.SECONDS) -> str:
    """Run a Python program without tests: "passed" when it ran to its end, "timed out", or "failed: " and why.

    Raises SdftError when the cage cannot be had (see `sdft.common.cage.run`).
    """
    check_available(mode)
    return cage.run(program, mode=mode, seconds=seconds).verdict


def check_available(mode: str) -> None:
    """Raise SdftError when programs cannot be run in this mode here."""
    cage.check_mode(mode)
    if not available(mode):
        raise SdftError(cage.why_not(mode) or "there is no cage for generated programs.")


def available(mode: str = "sandbox") -> bool:
    """Whether programs can be run in this mode here, tried once."""
    return cage.why_not(mode) is None


class CodeEval:
    """The `code_eval` metric with its programs in the cage."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def compute(
        self,
        references: Sequence[str],
        predictions: Sequence[Sequence[str]],
        k: Sequence[int] = (1, 10, 100),
        num_workers: int = 2,
        timeout: float = cage.SECONDS,
    ) -> tuple[dict[str, float], dict[int, list[str]]]:
        """pass@k for each k that has enough samples, by the unbiased estimator, and each program's outcome.

        references: a program of tests for each problem; predictions: the candidate programs of each problem.
        Raises CageError where the programs could not be run.
        """
        from sdft.statistics import pass_at_k

        check_available(self.mode)
        jobs = [
            (number, candidate, tests)
            for number, (tests, candidates) in enumerate(zip(references, predictions, strict=True))
            for candidate in candidates
        ]
        with ThreadPoolExecutor(num_workers) as pool:
            found = list(pool.map(lambda job: cage.run(job[1], job[2], mode=self.mode, seconds=timeout), jobs))
        outcomes: dict[int, list[str]] = {number: [] for number in range(len(references))}
        for (number, *_), outcome in zip(jobs, found, strict=True):
            outcomes[number].append(outcome.verdict)
        counts = [(len(results), results.count("passed")) for results in outcomes.values()]
        return {
            f"pass@{size}": sum(pass_at_k(n, c, size) for n, c in counts) / len(counts)
            for size in k
            if counts and all(n >= size for n, _ in counts)
        }, outcomes


def install(mode: str) -> None:
    """Make `evaluate.load("code_eval")` give the metric of the cage, also to tasks that lm_eval has loaded already."""
    with quick_imports():
        import evaluate

    original = getattr(evaluate.load, "original", evaluate.load)

    def load(path: str, *arguments: Any, **options: Any) -> Any:
        return CodeEval(mode) if path == "code_eval" else original(path, *arguments, **options)

    load.original = original
    evaluate.load = load
