"""What the doctor looks at. A module here is a group of checks; a check is a function with the decorator `check`.

    @check("network", "model hub")
    def hub(doctor: Doctor) -> Finding: ...

A check gives a Finding or several, and never raises for what it was made to find. `doctor.run` runs a command,
`doctor.propose` suggests lines for a site's profile.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing, and what to do about it unless it is fine."""

    status: Status
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Answer:
    """What a command said. status: exit status, or 127 when there is no such command, 124 when it took too long."""

    status: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.status == 0


@dataclass
class Doctor:
    """What the checks share: options, commands, and the profile lines they propose (top-level key -> value)."""

    probe_seconds: float = 120.0
    profile: dict[str, Any] = field(default_factory=dict)
    proposals: dict[str, Any] = field(default_factory=dict)

    def run(self, *command: str, seconds: float = 30) -> Answer:
        """Run a command without a shell; it is given so many seconds."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            return Answer(127, "", f"{command[0]}: no such command")
        except subprocess.TimeoutExpired:
            return Answer(124, "", f"{command[0]} gave no answer in {seconds:.0f} s")
        return Answer(done.returncode, done.stdout.strip(), " ".join(done.stderr.split()))

    def propose(self, key: str, value: Any, under: str | None = None) -> None:
        """Suggest a profile key. A key `under` a mapping is added to the mapping that the profile has, since a site's
        profile replaces a top-level key as a whole."""
        if under is None:
            self.proposals[key] = value
        else:
            mapping = self.proposals.setdefault(under, {**self.profile.get(under, {})})
            old = mapping.get(key)
            mapping[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value


Check = Callable[[Doctor], Finding | Iterable[Finding]]
CHECKS: list[tuple[str, str, Check]] = []


def check(group: str, title: str) -> Callable[[Check], Check]:
    """Add a function to the doctor's checks, in the order of definition."""

    def add(function: Check) -> Check:
        CHECKS.append((group, title, function))
        return function

    return add
