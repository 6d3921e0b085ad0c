"""Table 5's methods taught by an expert whose words the base model hardly shares: a factor of our own."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="The expert's words", order=220, study="foreign")
