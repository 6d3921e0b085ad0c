"""Appendix A.1: estimators, the direction of the divergence, rollouts a prompt, and skipped tokens."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Appendix A.1", order=210, study="ablations", measures=("estimators",))
