"""`python -m sdft.figures`."""

from sdft.errors import run_main
from sdft.figures import main

if __name__ == "__main__":
    run_main(main)
