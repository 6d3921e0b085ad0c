"""Running a model against the tasks' scorers and the prior-capability benchmarks."""

from __future__ import annotations

import os
import sys


def set_environment(local: bool) -> None:
    """Settings that the libraries read when they are imported, so call it before.

    local: all models and data are on this machine, so nothing should look for a network. Where nobody watches, a log
    shows the progress of long steps only, twice a minute.
    """
    if local:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "30")
        os.environ.setdefault("TQDM_DELAY", "30")
