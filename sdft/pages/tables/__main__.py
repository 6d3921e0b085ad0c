"""`python -m sdft.pages.tables`: a table of the study as csv, Markdown, LaTeX and verdict.json."""

from sdft.common.errors import run_main
from sdft.pages.tables import main

if __name__ == "__main__":
    run_main(main)
