# Repeating the command after a kill -9 of Snakemake continues, without --unlock or --rerun-incomplete.

import fcntl
from pathlib import Path

# The kernel drops this lock with the process that holds it, unlike the files by which Snakemake marks a running
# workflow. Whoever gets it knows that such files are left over from a run that was killed.
if workflow.is_main_process:
    workflow.dag_settings.force_incomplete = True
    Path(".snakemake").mkdir(exist_ok=True)
    RUNNING = open(".snakemake/running", "w")
    try:
        fcntl.flock(RUNNING, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        for stale in Path(".snakemake/locks").glob("*.lock"):
            stale.unlink(missing_ok=True)
