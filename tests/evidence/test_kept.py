"""A benchmark that lost at most a point counts as kept."""

from __future__ import annotations

from sdft.evidence.kept import kept_benchmarks, kept_share
from sdft.evidence.names import PRIOR


def test_a_loss_of_a_point_is_kept_and_of_more_is_not():
    assert kept_share([-1.0, -1.01, 5.0, 0.0]) == 0.75


def test_an_arm_is_compared_with_the_base_model_of_its_own_task_and_a_missing_score_gives_none():
    rows = [
        {"task": task, "arm": arm, "metric": name, "mean": mean}
        for task, arm, mean in [("a", "base", 90.0), ("a", "sft", 89.5), ("b", "base", 95.0), ("b", "sft", 89.5)]
        for name in PRIOR
    ]
    assert kept_benchmarks(rows, "a", "sft") == (6, 6)
    assert kept_benchmarks(rows, "b", "sft") == (0, 6)
    assert kept_benchmarks(rows, "a", "base") is None
    rows[len(PRIOR)]["mean"] = None
    assert kept_benchmarks(rows, "a", "sft") is None
