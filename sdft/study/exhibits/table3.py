"""Table 3: what skill learning sweeps and fixes."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Table 3", order=30, sweeps=True)
