"""Methods compared on one's own data: trained, scored, and measured for what they forgot.

`python -m sdft compare`, and the same from Python:

    import sdft

    found = sdft.compare(
        model="Qwen/Qwen2.5-1.5B-Instruct",
        train="train.jsonl",
        test="test.jsonl",
        methods=["sft", "sdft"],
        scorer="exact_match",
        out="results/mine",
    )
    print(found["answer"])

It plans a run a method and takes the steps of the study, which keep what they finished: repeating the same command
continues. docs/own-data.md tells of it.
"""

from sdft.comparison.run import compare

__all__ = ["compare"]
