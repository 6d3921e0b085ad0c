"""The methods, one small file each. A method says what a row becomes, what a step trains on and with which loss."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sdft.errors import SdftError, did_you_mean

if TYPE_CHECKING:
    from sdft.methods.base import Method

# Classes by name, imported when they are needed: torch takes seconds to import.
CLASSES = {
    "cpt": "CPT",
    "dft": "DFT",
    "off_policy_fresh": "OffPolicyFresh",
    "offline_distillation": "OfflineDistillation",
    "sdft": "SDFT",
    "sft": "SFT",
    "sft_from_teacher": "SFTFromTeacher",
    "sft_reinvoke": "SFTReinvoke",
}

# The records file that each method reads, as a key of a run's `data`.
ROWS = dict.fromkeys(CLASSES, "train") | {"cpt": "corpus", "sft_reinvoke": "prompts"}


def check_method(name: str) -> None:
    """Raise SdftError unless `name` is a method that can be trained."""
    if name not in CLASSES:
        raise SdftError(f"the method {name!r} cannot be trained; {did_you_mean(name, CLASSES)}")


def find_method(name: str) -> type[Method]:
    """The class of a method. Raises SdftError for one that cannot be trained."""
    check_method(name)
    return getattr(import_module(f"sdft.methods.{name}"), CLASSES[name])
