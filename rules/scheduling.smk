# Snakemake's own work beside the jobs.


def ease_scheduling():
    """Ask for no limit of jobs a second, unless the command line asks for another one.

    Under such a limit Snakemake looks at all waiting jobs again one time span after every look, for ever. Its default
    span of a second ends in looking without a pause: over hundreds of jobs, half a core's work. Cores and `jobs` bound
    what runs here.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
