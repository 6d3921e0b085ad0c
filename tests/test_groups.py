"""Tests of one group run in one process, which share what is dear to make."""

import os

import pytest

pytestmark = pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="the tests run in one process")


@pytest.mark.xdist_group("kept")
def test_pytest_xdist_knows_the_group_of_a_test(request):
    assert request.node.nodeid.endswith("@kept")


def test_the_tests_of_a_file_are_a_group(request):
    assert request.node.nodeid.endswith("@tests/test_groups.py")
