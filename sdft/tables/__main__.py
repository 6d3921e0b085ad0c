"""`python -m sdft.tables`."""

from sdft.errors import run_main
from sdft.tables import main

if __name__ == "__main__":
    run_main(main)
