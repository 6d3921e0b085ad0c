"""Figure 3: one model through several tasks, in several orders."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 3", order=130, study="sequential", measures=("trajectory",))
