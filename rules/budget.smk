# A start that would cost more than budget.device_hours is refused; a dry run says what it would cost.

from dataclasses import replace

from sdft.study.forecast import check_budget, device_hours, forecast

# What the budget knows each target by; a target of several tables or figures is theirs.
BUDGETED = {
    **{name: (name,) for name in ("all", "gate", "released_checkpoints", *exhibits.names())},
    "tables": exhibits.names("table"),
    "figures": exhibits.names("figure"),
    "claims": ("all",),
    "report": ("all",),
}


def forecast_jobs(names):
    """The jobs behind some targets, each once, with their forecasts."""
    found = {} if CONFIG.partial else {job.output: job for name in names for job in forecast(PLAN, name)[0]}
    return list(found.values())


if workflow.is_main_process and {"-n", "--dry-run", "--dryrun"} & set(sys.argv):
    asked = [word for word in sys.argv[1:] if word in BUDGETED] or ["all"]
    hours = device_hours(forecast_jobs(dict.fromkeys(name for word in asked for name in BUDGETED[word])))
    print(
        f"forecast: {hours:.1f} device-hours for {', '.join(asked)} at scale {PLAN.name} "
        f"(python workflow_scripts/budget.py {BUDGETED[asked[0]][0]} says more)",
        file=sys.stderr,
    )


def refuse_dear_start():
    """Raise WorkflowError where what Snakemake is about to run exceeds the configured budget, whatever was asked for."""
    if CONFIG.budget.device_hours is None:
        return
    wanted = {str(path) for job in workflow.dag.needrun_jobs() for path in job.output}
    known = forecast_jobs(["all", *(["released_checkpoints"] if PLAN.scale.released else [])])
    try:
        # What is to be made again counts, though it is there.
        check_budget(PLAN, device_hours([replace(job, done=False) for job in known if job.output in wanted]))
    except SdftError as error:
        raise WorkflowError(str(error)) from None
