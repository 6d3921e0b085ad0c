"""What differences a design of base models and seeds can decide, from the sweep alone, before the final runs."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Power", order=240, arms=("sft", "sdft"), selections=True)
