"""`python -m sdft.pages.figures`."""

from sdft.common.errors import run_main
from sdft.pages.figures import main

if __name__ == "__main__":
    run_main(main)
