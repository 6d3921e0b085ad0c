# A start that would cost more than budget.device_hours is refused; a dry run says what it would cost.

from sdft.cost import device_hours, forecast

TARGET = next((word for word in sys.argv if word in ("all", "gate", *items.STUDY_OF)), "table5")


def forecast_hours():
    """Device-hours that the target still needs at the configured scale."""
    return 0.0 if CONFIG.partial else device_hours(forecast(PLAN, TARGET)[0])


if workflow.is_main_process and {"-n", "--dry-run", "--dryrun"} & set(sys.argv):
    print(
        f"forecast: {forecast_hours():.1f} device-hours for {TARGET} at scale {PLAN.name} "
        f"(python workflow_scripts/budget.py {TARGET} says more)",
        file=sys.stderr,
    )


def refuse_dear_start():
    """Raise WorkflowError where the forecast exceeds the configured budget."""
    if CONFIG.budget.device_hours is not None and (hours := forecast_hours()) > CONFIG.budget.device_hours:
        raise WorkflowError(
            f"the forecast of {hours:.1f} device-hours exceeds budget.device_hours: {CONFIG.budget.device_hours:g}; "
            "raise that key in config.yaml, or do less (sweep: published, fewer seeds or tasks)"
        )
