"""Figure 4: new task against prior capabilities, every trained model a point."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 4", order=140)
