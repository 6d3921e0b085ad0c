"""Whether the files of a scale have the rows that are drawn from them, as far as their numbers of rows are known."""

from __future__ import annotations

from sdft.common.errors import SdftError
from sdft.data.fetch import local_path
from sdft.data.invented import INVENTED_ROWS
from sdft.data.schema import OfficialData, Source
from sdft.study.plan import Plan
from sdft.study.rows import stated_rows


def check_drawn(plan: Plan) -> None:
    """Raise SdftError where more test rows or general prompts are asked for than their files have."""
    data, place = plan.scale.data, f"scales.{plan.name}.data"
    invents = isinstance(data, OfficialData) and data.absent == "invent"
    for task in data.tasks:
        if (files := data.files(task)) is None:
            continue
        asked = {"test_sample": files.test_sample}
        if not (invents and _absent(files.test)):
            # Of invented rows, heads are as long as these are.
            asked |= {"test_rows": files.test_rows, "test_versions": max(files.test_versions, default=None)}
        for key, wanted in asked.items():
            _check(f"{place}.tasks.{task}.{key}", "test file", wanted, _rows(files.test, invents))
    general = data.general if isinstance(data, OfficialData) else None
    if general is not None:
        _check(f"{place}.general.prompts", "file of general prompts", general.prompts, _rows(general.source, invents))


def _absent(source: Source) -> bool:
    path = local_path(source)
    return path is None or not path.exists()


def _rows(source: Source, invents: bool) -> int | None:
    """Rows of a file; None where nobody has stated them."""
    return INVENTED_ROWS if invents and _absent(source) else stated_rows(source)


def _check(key: str, what: str, wanted: int | None, rows: int | None) -> None:
    if wanted is not None and rows is not None and wanted > rows:
        raise SdftError(f"{key}: the {what} has {rows} rows, fewer than {wanted}; give at most {rows}.")
