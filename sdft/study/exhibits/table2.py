"""Table 2: a reasoning model that is taught with answers alone."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Table 2", order=20, study="reasoning")
