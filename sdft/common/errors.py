"""The one exception that users are meant to read, and how a command reports it."""

from __future__ import annotations

import argparse
import difflib
import errno
import itertools
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

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


def no_file(path: str | Path) -> str:
    """What is wrong with a path at which a file is needed, and none lies."""
    return f"{path} is a folder, and a file is needed" if Path(path).is_dir() else f"{path} does not exist"


def no_option(command: str, option: str, known: Iterable[str]) -> SdftError:
    """The error for an option that a command does not have, with the nearest one that it has."""
    return SdftError(f"{command} has no option {option}; {did_you_mean(option, known)} --help explains them.")


def near(path: Path) -> str:
    """In brackets what lies where `path` should, under a name like its own; empty where nothing does."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    found = sorted(difflib.get_close_matches(path.name, names, n=8))
    return f" (there is {', '.join(str(folder / name) for name in found)})" if found else ""


DISK_FULL = "the disk is full, or a quota is used up; free some space (unfinished runs keep checkpoints in state/)"
NO_RIGHT = (
    "this user may not do that; give it the right to (chmod, chown, the umask of whoever made the folder, a mount that "
    "is not read-only), or choose another folder"
)
NO_ANSWER = "its file system does not answer or has an error, such as a lost network share; have it mounted anew"
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), DISK_FULL),
    errno.EFBIG: "a limit on the size of files is reached; raise it (ulimit -f)",
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), NO_RIGHT),
    **dict.fromkeys((errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.EREMOTEIO), NO_ANSWER),
    **dict.fromkeys(
        (errno.EISDIR, errno.ENOTDIR, errno.EEXIST),
        "a folder stands where a file belongs, or a file where a folder; move it away",
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "too many files are open; raise the limit (ulimit -n)"),
    errno.ENAMETOOLONG: "a path is too long; choose a shorter one",
    errno.ENOENT: "it is gone, or never was there; check the path, and that its file system is mounted",
}
PASSING = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}
# Errors of a disk, whatever was read or written; and those of them that a connection to another machine has too.
DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ESTALE,
    errno.EIO,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.EREMOTEIO,
}
SOCKETS = {errno.ENOTCONN, errno.EHOSTDOWN}
# What libraries say that hide the system's error.
HIDDEN = {"PytorchStreamWriter failed": errno.ENOSPC, "unexpected pos": errno.ENOSPC}


def explained(error: BaseException) -> str | None:
    """The paragraph for an error of the file system, in whichever library noticed it; None for any other error."""
    found = _behind(error)
    if found is None:
        return None
    number, cause = found
    names = [str(name) for name in (getattr(cause, "filename", None), getattr(cause, "filename2", None)) if name]
    where = " -> ".join(names) or f"a file that this step reads or writes (in {os.getcwd()})"
    return f"{where}: {os.strerror(number)}: {REMEDIES[number]}, and run the same command again."


def _behind(error: BaseException) -> tuple[int, BaseException] | None:
    """The number of the file system's error behind an error, and the error that has it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        number = cause.errno if isinstance(cause, OSError) else None
        for known in REMEDIES:
            # As Rust writes it, and as shutil lists what it could not copy.
            written = f"(os error {known})" in str(cause)
            written |= isinstance(cause, shutil.Error) and f"[Errno {known}]" in str(cause)
            number = number or (known if written else None)
        for text, known in HIDDEN.items():
            number = number or (known if text in str(cause) else None)
        # What another error replaced may be no matter: a file that is not there is asked for again and again.
        if number in REMEDIES and (cause is error or number not in PASSING):
            return number, cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def _of_the_disk(error: SdftError) -> str | None:
    """The paragraph for an error of the disk that a step took for a damaged file, or for a network without an answer.

    Whoever was told so would delete what is whole.
    """
    if error.__cause__ is not None or error.__context__ is None:
        return None
    found = _behind(error.__context__)
    if found is None or found[0] not in DISK or (found[0] in SOCKETS and not getattr(found[1], "filename", None)):
        return None
    return explained(error.__context__)


@contextmanager
def _mistyped_options() -> Iterator[None]:
    """Every parser of this command line answers an option that it does not have with the nearest one.

    Here and not in the parsers, whose modules decide results and would count as changed (sdft/common/code.py).
    """
    say = argparse.ArgumentParser.error

    def error(parser: argparse.ArgumentParser, message: str) -> NoReturn:
        known = list(parser._option_string_actions)
        for word in itertools.takewhile(lambda word: word != "--", sys.argv[1:]):
            option = word.partition("=")[0]
            # As argparse reads it: a beginning stands for an option, a number or a word with blanks is a value.
            typed = re.match(r"--?[A-Za-z]", word) and " " not in word
            if typed and not any(name.startswith(option) for name in known):
                raise no_option(parser.prog, option, known)
        say(parser, message)

    argparse.ArgumentParser.error = error  # type: ignore[method-assign]
    try:
        yield
    finally:
        argparse.ArgumentParser.error = say  # type: ignore[method-assign]


def run_main(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and exit: status 2 with one paragraph on stderr for an `SdftError` and for an error of the
    file system, 130 for Ctrl-C."""
    try:
        with _mistyped_options():
            status = main() or 0
        sys.stdout.flush()
    except SdftError as error:
        status = _report(_of_the_disk(error) or str(error))
    except KeyboardInterrupt:
        print("interrupted; repeat the command to continue where it stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        # Who reads the output, for example `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Exception as error:
        paragraph = explained(error)
        if paragraph is None:
            raise
        status = _report(paragraph)
    sys.exit(status)


def _report(paragraph: str) -> int:
    # On a full disk a log may take nothing more.
    with suppress(OSError):
        # So that in a log of both streams the error stands last.
        sys.stdout.flush()
    with suppress(OSError):
        print(
            textwrap.fill(f"error: {masked(paragraph)}", width=110, break_long_words=False), file=sys.stderr, flush=True
        )
    return 2
