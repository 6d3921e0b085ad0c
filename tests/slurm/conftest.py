"""A cluster for the whole test session, and a working directory whose Snakemake uses it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import ROOT, Cluster, Unavailable, install
from study import Study

TOY = ROOT / "tests/slurm/toy"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all tests that need the cluster, so that there is one cluster."""
    for item in items:
        if "running_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    try:
        install()
        # The path holds a Unix socket, so it must be short.
        folder = Path(tempfile.mkdtemp(prefix="sdft-slurm-", dir="/tmp"))
        cluster = Cluster(folder)
        cluster.start()
    except Unavailable as reason:
        pytest.skip(f"no SLURM cluster: {reason}")
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """The session's cluster, with no job left over from the test."""
    yield running_cluster
    running_cluster.cancel_all()


@pytest.fixture
def toy(cluster: Cluster, tmp_path: Path) -> Iterator[Study]:
    """The toy workflow in an empty directory."""
    shutil.copy(TOY / "config.yaml", tmp_path)
    study = Study(cluster, tmp_path, TOY / "Snakefile")
    yield study
    study.stop()
