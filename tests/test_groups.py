"""Tests of one group run in one process, which share what is dear to make."""

import os

import pytest


@pytest.mark.xdist_group("kept")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="the tests run in one process")
def test_pytest_xdist_knows_the_group_of_a_test(request):
    assert request.node.nodeid.endswith("@kept")
