# Repeating the command after a kill -9 of Snakemake continues. The lock is held for as long as the process lives.

from snakemake_interface_common.exceptions import WorkflowError

from sdft.common.errors import SdftError, explained
from workflow_scripts import internals

if workflow.is_main_process:
    internals.say_untested()
    internals.trust_outputs()
    try:
        RUNNING = internals.recover(dryrun=internals.is_dry(workflow))
    except SdftError as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        raise WorkflowError(explained(error) or str(error)) from None
