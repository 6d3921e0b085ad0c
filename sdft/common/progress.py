"""How far a long step is: a bar on a terminal, a line every few seconds in a log; and what else it has to say."""

from __future__ import annotations

import os
import sys
import time


def say(message: str) -> None:
    """A line for the person or the log that watches; from the first process where several train a run."""
    if os.environ.get("RANK", "0") == "0":
        print(message, file=sys.stderr, flush=True)


class Progress:
    """Progress over `total` steps on stderr, starting at `done`. quiet: show nothing."""

    def __init__(self, label: str, total: int, done: int = 0, quiet: bool = False, seconds: float = 10.0) -> None:
        self.label, self.total, self.done, self.quiet, self.seconds = label, total, done, quiet, seconds
        self.start, self.begun = time.monotonic(), done
        self.shown = self.start
        self.bar = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, desc=label, unit="step", dynamic_ncols=True)

    def step(self, **values: float) -> None:
        """One more step is done; `values` are shown beside it."""
        self.done += 1
        text = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(1)
        elif not self.quiet and (time.monotonic() - self.shown >= self.seconds or self.done == self.total):
            self.shown = time.monotonic()
            pace = (self.shown - self.start) / (self.done - self.begun)
            left = pace * (self.total - self.done)
            print(
                f"{self.label}: step {self.done} of {self.total}, {text}, {pace:.2f} s a step, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
