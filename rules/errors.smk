# What a failed step says is one paragraph with the remedy, and it says so into its log. Without this the terminal would
# show a command and the name of that log.

import sys

from workflow_scripts.failures import read_failures


onerror:
    for said in read_failures(*log):
        print(f"\n{said}", file=sys.stderr)
    print("\nWhat is finished is kept: the same command continues.", file=sys.stderr)
