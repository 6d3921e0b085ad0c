"""The one exception that users are meant to read, and how a command reports it."""

from __future__ import annotations

import difflib
import os
import sys
import textwrap
from collections.abc import Callable, Iterable

from sdft.common.secrets import masked

# A longer word is no name that a reader has to see in full.
LONGEST_WORD = 300


class SdftError(Exception):
    """Something the user can mend. The message is one paragraph: what is wrong, where, and the remedy.

    Line breaks in it become blanks, and what it quotes without end is cut.
    """

    def __init__(self, message: str) -> None:
        words = (word if len(word) <= LONGEST_WORD else f"{word[:60]}..." for word in message.split())
        super().__init__(" ".join(words))


class DivergedError(SdftError):
    """A training whose loss, gradient or distribution is no longer a number: of a sweep, a candidate that lost."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return a phrase that names the nearest valid name to `name`, or lists all of them when none is near."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"valid names: {', '.join(known)}." if known else "there is none to name."


def run_main(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and exit: status 2 with one paragraph on stderr for an `SdftError`, 130 for Ctrl-C."""
    try:
        status = main() or 0
        sys.stdout.flush()
    except SdftError as error:
        # So that in a log of both streams the error stands last.
        sys.stdout.flush()
        print(textwrap.fill(f"error: {masked(str(error))}", width=110, break_long_words=False), file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted; repeat the command to continue where it stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        # Who reads the output, for example `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
