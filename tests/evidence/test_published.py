"""The paper's numbers are whole, and consistent up to the slips that are written down."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError
from sdft.evidence import published
from sdft.evidence.names import PRIOR

CELLS = published.document()["items"]["table5"]["rows"]
SLIPS = {("science", "sft_reinvoke"): 60.30, ("tooluse", "sft"): 56.32}


@pytest.mark.parametrize(("task", "method"), [(task, method) for task in CELLS for method in CELLS[task]])
def test_averages_of_table_5_follow_from_their_cells_but_for_the_known_slips(task, method):
    average = sum(published.lookup("table5", task, method, name).value for name in PRIOR) / 6
    printed = published.lookup("table5", task, method, "prior_average")
    if (task, method) in SLIPS:
        assert average == pytest.approx(SLIPS[task, method], abs=0.005)
        assert abs(average - printed.value) > 0.05
        assert printed.note
    else:
        assert abs(average - printed.value) <= 0.05 + 1e-9
        assert printed.note is None


def test_the_recorded_slips_say_what_was_recomputed():
    slips = published.document()["items"]["table5"]["slips"]
    assert {(slip["row"], slip["method"]): slip["recomputed"] for slip in slips} == SLIPS


def test_tables_1_2_and_5_and_all_figures_are_there_with_their_places():
    items = published.document()["items"]
    assert {"table1", "table2", "table5", *(f"figure{k}" for k in range(1, 9))} <= set(items)
    for entry in published.entries():
        assert entry.place, entry
        assert entry.unit, entry
        assert entry.version, entry


def test_numbers_read_off_plots_are_marked_and_printed_ones_are_not():
    assert published.lookup("figure8", "tooluse", "student_teacher", "new_task").loose
    assert not published.lookup("table1", "knowledge", "sdft", "strict").loose
    assert published.lookup("figure3", "sequential", "sft", "tooluse").value == (-0.4, -0.35)


def test_a_number_that_the_paper_does_not_print_is_none_and_an_unknown_item_is_refused():
    assert published.lookup("figure2", "tooluse", "base", "kl_to_base") is None
    with pytest.raises(SdftError, match="did you mean 'table5'"):
        published.lookup("tabel5", "science", "sft", "mmlu")
