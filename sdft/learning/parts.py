"""The micro-batches of a step: which of its rows go through the models at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sdft.learning.processes import SingleProcess
from sdft.losses.encoding import Completions, Example


def row_sizes(examples: Iterable[Example], completions: Completions) -> list[tuple[int, int]]:
    """Tokens of each row's longest prompt, the student's or the teacher's, and of its completion."""
    prompts = [max(len(example.prompt), len(example.teacher_prompt or ())) for example in examples]
    return list(zip(prompts, completions.mask.sum(-1).tolist(), strict=True))


def cuts(
    rows: Iterable[int], sizes: Sequence[tuple[int, int]], most: int | None, tokens: int | None
) -> list[list[int]]:
    """Micro-batches of these rows: at most `most` rows, and at most `tokens` tokens, padding included.

    sizes: as `row_sizes`, of all rows of the step. Bounded by tokens, rows of like length come together, the longest
    first, so that little is padded and memory that does not suffice is noticed at once. A row that is longer than the
    bound is a micro-batch of its own. Without that bound rows keep their order.
    """
    ordered = list(rows) if tokens is None else sorted(rows, key=lambda row: (-sum(sizes[row]), row))
    found: list[list[int]] = []
    prompt = completion = 0
    for row in ordered:
        part = found[-1] if found else []
        prompt, completion = max(prompt, sizes[row][0]), max(completion, sizes[row][1])
        full = len(part) == most or (tokens is not None and (len(part) + 1) * (prompt + completion) > tokens)
        if full or not part:
            found.append([])
            prompt, completion = sizes[row]
        found[-1].append(row)
    return found


def parts(
    sizes: Sequence[tuple[int, int]], processes: SingleProcess, most: int | None, tokens: int | None
) -> Iterator[tuple[list[int], float]]:
    """The micro-batches of this process's rows of a step: row numbers, and the share of the step that they are.

    Gathering weights needs every process, so one that has fewer micro-batches goes on with a row of no share.
    """
    each = [cuts(range(*processes.rows(len(sizes), rank)), sizes, most, tokens) for rank in range(processes.size)]
    own = each[processes.rank]
    for part in own:
        yield part, len(part) / len(sizes)
    for _ in range(max(map(len, each)) - len(own)):
        yield [0], 0.0
