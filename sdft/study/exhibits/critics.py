"""Controls that readers ask for: plain remedies against forgetting, mismatched demonstrations, an anchor."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Controls that readers ask for", order=230, study="critics")
