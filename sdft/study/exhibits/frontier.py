"""What the whole sweep shows, so that a claim does not hang on the one candidate that was chosen."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="The whole sweep", order=230, selections=True)
