import gc

import pytest

from sdft.common.imports import quick_imports


def test_collection_is_held_back_and_comes_back_whatever_happens():
    @quick_imports()
    def fail():
        assert not gc.isenabled()
        raise ImportError("no module")

    with pytest.raises(ImportError, match="no module"):
        fail()
    assert gc.isenabled()


def test_what_came_meanwhile_is_passed_by():
    before = gc.get_freeze_count()
    with quick_imports():
        kept = [[] for _ in range(1000)]
    assert gc.get_freeze_count() - before >= len(kept)
    gc.unfreeze()


def test_a_caller_s_own_choice_is_kept():
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
