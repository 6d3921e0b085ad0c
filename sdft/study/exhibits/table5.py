"""Table 5: skill learning, and what is left of the prior capabilities."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Table 5", order=0, measures=("versions",))
