# Repeating the command after a kill -9 of Snakemake continues, without --unlock or --rerun-incomplete.

import shutil
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError

from sdft.common.errors import SdftError
from sdft.common.locks import try_lock

# The kernel drops this lock with the process that holds it, unlike the files by which Snakemake marks a running
# workflow. Whoever gets it knows that such files are left over from a run that was killed. The marks of incomplete
# outputs go with them: every step writes its outputs by rename, so what is there is whole.
if workflow.is_main_process:
    state = Path(".snakemake")
    state.mkdir(exist_ok=True)
    RUNNING = open(state / "running", "w")
    try:
        alone = try_lock(RUNNING, state / "running")
    except SdftError as error:
        raise WorkflowError(str(error)) from None
    if alone and any(state.glob("locks/*.lock")):
        shutil.rmtree(state / "locks")
        shutil.rmtree(state / "incomplete", ignore_errors=True)
