"""Figure 6: one teacher, on the student's own samples and on the teacher's own, fixed or fresh."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 6", order=160, study="onpolicy", measures=("trajectory",))
