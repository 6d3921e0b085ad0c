"""Figure 2: the base model with a demonstration in its context, and how far each model is from the base."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="figure", title="Figure 2", order=120, study="teacher", measures=("divergence",))
