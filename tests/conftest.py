"""What every test shares: one thread a process, no network, and the folder of real data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real test sets and tokenizers that SDFT_REAL_DATA names; the test is skipped without it."""
    folder = os.environ.get("SDFT_REAL_DATA")
    if not folder:
        pytest.skip("SDFT_REAL_DATA does not name a folder with the real data files")
    return Path(folder)
