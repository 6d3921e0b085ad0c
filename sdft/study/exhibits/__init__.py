"""The tables and figures, one light file each. A file in this folder is one, and its name is its identifier.

To add an exhibit (a table or a figure), say `figure9`:

1. `sdft/study/exhibits/figure9.py` defines EXHIBIT, a `Declaration`: whether it is a table or a figure, its title, the
   study it shows and what is measured for it. The workflow, the forecast and the pages find it by that.
2. `sdft/evidence/exhibits/figure9.py` turns scores into its numbers, and may list STATEMENTS: the sentences that its
   numbers test, which then stand in the ledger.
3. `sdft/pages/figures/figure9.py` (or `sdft/pages/tables/...`) has a function `figure9` that draws the numbers.
4. `sdft/evidence/published.yaml` gets what the paper prints there: its place, its subject and its numbers.

Files in this folder import neither numpy nor matplotlib, since the workflow reads them before anything runs.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from sdft.common.errors import SdftError, did_you_mean
from sdft.study.exhibits.base import Declaration, Kind

# Modules of this folder that are no exhibit.
SHARED = ("base", "build", "schema")


@cache
def _declared() -> dict[str, Declaration]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED)
    found = {}
    for name in names:
        declaration = getattr(import_module(f"{__name__}.{name}"), "EXHIBIT", None)
        if not isinstance(declaration, Declaration):
            raise SdftError(f"sdft/study/exhibits/{name}.py must define EXHIBIT, a Declaration.")
        found[name] = declaration
    return dict(sorted(found.items(), key=lambda entry: entry[1].order))


@cache
def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Identifiers of the tables, of the figures, or of both, in the order in which they are shown."""
    return tuple(name for name, declared in _declared().items() if kind in (None, declared.kind))


def describe(name: str) -> str:
    """A table or figure in a line: its title, and what its file says that it shows."""
    said = (import_module(f"{__name__}.{name}").__doc__ or "").split("\n")[0].rstrip(".")
    return said.strip() or find(name).title


def find(name: str) -> Declaration:
    """What a table or figure declares. Raises SdftError where no file has that name."""
    if name not in _declared():
        raise SdftError(f"There is no table or figure {name!r}; {did_you_mean(name, names())}")
    return _declared()[name]
