"""Table 4: what knowledge acquisition sweeps and fixes."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Table 4", order=40, study="knowledge", sweeps=True)
