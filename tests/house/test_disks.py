"""Every step on a full, read-only or lost disk ends in one paragraph with the remedy, with nothing half written.

Each step meets one of these, in turn; with `SDFT_DISKS=12` all, at so many moments at which a disk gets full, or lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

MOMENTS = os.environ.get("SDFT_DISKS")


@pytest.mark.slow
def test_a_spoiled_disk_ends_every_step_in_a_paragraph_and_with_room_it_continues(root, tmp_path):
    mounts = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False)
    if mounts.returncode != 0:
        pytest.skip("this machine lets no user mount a file system of its own (unshare --map-root-user --mount)")
    out = tmp_path / "found.json"
    command = [sys.executable, str(root / "tests/house/disks.py"), "--out", str(out)]
    command += ["--moments", MOMENTS] if MOMENTS else ["--quick"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr[-4000:]
    found = json.loads(out.read_text())
    assert [fault for step in found.values() for fault in step["faults"]] == []
