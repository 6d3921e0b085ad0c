# A start that would cost more than budget.device_hours is refused; a dry run says what it would cost.

from sdft.cost import device_hours, forecast


def forecast_hours():
    """Device-hours that Table 5 still needs at the configured scale."""
    return device_hours(forecast(PLAN)[0])


if workflow.is_main_process and {"-n", "--dry-run", "--dryrun"} & set(sys.argv):
    print(
        f"forecast: {forecast_hours():.1f} device-hours for table5 at scale {PLAN.name} "
        "(python workflow_scripts/budget.py says more)",
        file=sys.stderr,
    )


onstart:
    if CONFIG.budget.device_hours is not None and (hours := forecast_hours()) > CONFIG.budget.device_hours:
        raise WorkflowError(
            f"the forecast of {hours:.1f} device-hours exceeds budget.device_hours: {CONFIG.budget.device_hours:g}; "
            "raise that key in config.yaml, or do less (sweep: published, fewer seeds or tasks)"
        )
