"""What is neither printed nor recorded: passwords in addresses, and the values of variables that hold secrets."""

from __future__ import annotations

import os
import re
from typing import Any

LOGIN = re.compile(r"(?<=://)[^/\s@]*@")
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)S?$", re.IGNORECASE)
# A shorter value is no key, and hiding it would hide ordinary words.
SHORTEST = 8
# Keys of the configuration into which a secret may be pasted by mistake.
HIDDEN = ("_variable", "base_url")


def masked(text: str, *secrets: str | None) -> str:
    """A text with *** in the place of logins in addresses, of `secrets`, and of what secret variables hold."""
    held = [value for name, value in os.environ.items() if SECRET.search(name)]
    for value in sorted({*held, *filter(None, secrets)}, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, "***")
    return LOGIN.sub("***@", text)


def given(key: str, value: Any) -> str:
    """What was given for a key, as the end of a message; nothing where it is too long to show, or may be a secret."""
    hidden = not key or key.endswith(HIDDEN) or isinstance(value, dict | list | set | tuple)
    return "" if hidden else f" (given: {value!r:.80})"
