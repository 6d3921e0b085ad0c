"""`python -m sdft.pages.figures`: a figure of the study as pdf, svg, png and the numbers that it draws."""

from sdft.common.errors import run_main
from sdft.pages.figures import main

if __name__ == "__main__":
    run_main(main)
