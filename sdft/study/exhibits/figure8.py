"""Figure 8: which weights the teacher has."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 8", order=180, study="teachers", measures=("trajectory",))
