"""What SDFT costs beside SFT, in FLOPs and in seconds."""

from sdft.study.exhibits.base import Declaration

EXHIBIT = Declaration(kind="table", title="Cost", order=230, arms=("sft", "sdft"), measures=("flops",))
