"""Parts of a comparison in processes of their own: results come back, failures are told, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from sdft.common.errors import SdftError
from sdft.comparison.side_by_side import side_by_side

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="parts are forked on Linux alone")


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_part_has_a_process_and_a_thread_and_results_keep_the_order_of_the_parts():
    import torch

    def part(pause):
        time.sleep(pause)
        return os.getpid(), torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = side_by_side({"slow": lambda: part(0.2), "quick": lambda: part(0)}, 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert list(found) == ["slow", "quick"]
    assert len({os.getpid(), *(process for process, _ in found.values())}) == 3
    assert {threads for _, threads in found.values()} == {1}


def test_no_more_parts_run_at_once_than_are_allowed():
    def part():
        begun = time.monotonic()
        time.sleep(0.1)
        return begun, time.monotonic()

    (_, end), (begun, _) = side_by_side({"first": part, "second": part}, 1).values()
    assert begun >= end


def test_an_error_of_one_part_is_raised_and_ends_the_others(tmp_path):
    def lasts():
        (tmp_path / "pid").write_text(str(os.getpid()))
        time.sleep(300)

    def fails():
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        raise SdftError("the rows are too long")

    begun = time.monotonic()
    with pytest.raises(SdftError, match="the rows are too long"):
        side_by_side({"lasts": lasts, "fails": fails}, 2)
    assert not alive(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - begun < 250


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGKILL, "ended by signal 9"), (signal.SIGTERM, "143")], ids=["killed", "stopped"]
)
def test_a_part_that_is_ended_from_outside_is_told(number, raised):
    def ended():
        os.kill(os.getpid(), number)
        time.sleep(300)

    with pytest.raises((SdftError, SystemExit), match=raised):
        side_by_side({"sft": ended}, 2)
