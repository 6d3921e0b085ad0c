"""Figure 7: what the teacher's context holds."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 7", order=170, study="knowledge")
