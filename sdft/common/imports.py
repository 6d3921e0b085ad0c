"""A quicker start for steps that import the large libraries."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Switch the cyclic garbage collector off meanwhile; objects that exist at the end are never examined again.

    torch, transformers and lm_eval make a million objects that stay; going through them again and again while they come
    takes a fifth of the time that the imports take. Works as a decorator too.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
