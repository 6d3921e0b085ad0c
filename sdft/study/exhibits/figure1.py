"""Figure 1: the new task against prior capabilities, as an average over the tasks."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 1", order=110)
