"""Figure 5: SDFT against SFT by the size of the model, and pass@k."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 5", order=150, study="scaling", measures=("passk",))
