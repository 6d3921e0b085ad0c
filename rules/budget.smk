# A start that would cost more than budget.device_hours is refused (Snakefile, onstart); a dry run says what it would cost,
# when it ends and its jobs are known.

import atexit

if workflow.is_main_process:
    atexit.register(internals.say_forecast, workflow, PLAN)
    atexit.register(internals.say_nearest, workflow)
