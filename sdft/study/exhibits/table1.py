"""Table 1: new facts from texts."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Table 1", order=10, study="knowledge")
