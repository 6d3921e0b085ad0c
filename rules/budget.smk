# A start that would cost more than budget.device_hours is refused; a dry run says what it would cost.

from sdft.cost import check_budget, device_hours, forecast

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
    if CONFIG.budget.device_hours is not None:
        try:
            check_budget(PLAN, forecast_hours())
        except SdftError as error:
            raise WorkflowError(str(error)) from None
