# Repeating the command after a kill -9 of Snakemake continues. The lock is held for as long as the process lives.

if workflow.is_main_process:
    internals.say_untested()
    try:
        RUNNING = internals.recover()
    except SdftError as error:
        raise WorkflowError(str(error)) from None
