"""The methods, one small file each. A method says what a row becomes, what a step trains on and with which loss.

A file in this folder is a method, and its name is the method's identifier: nothing else lists them.
"""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from sdft.common.errors import SdftError, did_you_mean

if TYPE_CHECKING:
    from sdft.methods.base import Method

# Modules of this folder that are no method.
SHARED = ("base", "hyperparameters", "settings")


@cache
def method_names() -> tuple[str, ...]:
    """Identifiers of all methods, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED))


@cache
def find_method(name: str) -> type[Method]:
    """The class of a method, which imports no torch. Raises SdftError where no file has that name."""
    if name not in method_names():
        raise SdftError(f"the method {name!r} cannot be trained; {did_you_mean(name, method_names())}")
    module = import_module(f"sdft.methods.{name}")
    own = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__]
    found = [value for value in own if hasattr(value, "encode") and not inspect.isabstract(value)]
    if len(found) != 1:
        raise SdftError(
            f"sdft/methods/{name}.py must define one class that derives from Method with all that it leaves abstract; "
            f"it defines {len(found)}."
        )
    return found[0]
