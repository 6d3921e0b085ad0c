"""What a run is when it starts: its specification with the winner's hyper-parameters, and the files that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdft.common.errors import SdftError, no_file
from sdft.common.files import digest, read_json, sha256_file
from sdft.common.schema import Strict
from sdft.methods import find_method
from sdft.methods.hyperparameters import SWEPT, Hyperparameters, parse_options
from sdft.methods.settings import SPEED_SETTINGS
from sdft.models.files import ModelFiles, find_model
from sdft.study.plan import RunSpec
from sdft.study.rerun import train_code


def read_spec(path: str | Path) -> RunSpec:
    """The run that a file describes. Raises SdftError naming the file and the first wrong field."""
    return parse_spec(read_json(path), str(path))


def parse_spec(values: Any, source: str) -> RunSpec:
    """Check a decoded RUN.json. Raises SdftError naming `source` and the first wrong field."""
    try:
        return RunSpec.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the whole"
        raise SdftError(
            f"{source} is not a run: {field}: {problem['msg'].removeprefix('Value error, ')}. Compare it with the "
            "run.json that the workflow writes beside a model."
        ) from None


def resolve(spec: RunSpec) -> RunSpec:
    """The run with its hyper-parameters, which a final run takes from the sweep's winner in the file `selected`, with
    the values of `replace` in it.

    Raises SdftError when the method cannot be trained, or not with these settings or options, when there is no such
    file or no winner in it, or when an EMA teacher has no rate.
    """
    method = find_method(spec.method)
    try:
        method.check(spec.settings)
    except ValueError as error:
        raise SdftError(f"run {spec.id}: {error}.") from None
    if spec.hyperparameters is None:
        if spec.selected is None:
            raise SdftError(f"run {spec.id} has neither hyperparameters nor a file 'selected'; give one of them.")
        found = read_json(spec.selected)
        try:
            winner = Hyperparameters.model_validate(found["winner"] | spec.replace)
        except (KeyError, TypeError, ValidationError) as error:
            raise SdftError(
                f"{spec.selected} has no 'winner' with {', '.join(SWEPT)} "
                f"({str(error).splitlines()[0]}); delete it and let the selection make it again."
            ) from None
        spec = spec.model_copy(update={"hyperparameters": winner})
    if method.averages and spec.settings.teacher == "ema" and spec.hyperparameters.ema_rate is None:
        place = f"the winner in {spec.selected}" if spec.selected else "hyperparameters"
        raise SdftError(f"run {spec.id} has an EMA teacher, and {place} has no ema_rate; give one there, e.g. 0.02.")
    own_options(spec)
    return spec


def own_options(spec: RunSpec) -> Strict:
    """The options of a resolved run's method: those that the arm fixes, and those that the sweep varies.

    Raises SdftError for an option that the method does not have, or a value that it does not take.
    """
    try:
        return parse_options(spec.method, spec.options | spec.hyperparameters.options)
    except ValueError as error:
        raise SdftError(f"run {spec.id}: {error}.") from None


class Inputs:
    """The files that a run reads, checked against their records.

    base: the base model. start: the model that training starts from, the parent's or the base. rows: the data file.
    Raises SdftError for a missing or changed file.
    """

    def __init__(self, spec: RunSpec) -> None:
        self.base: ModelFiles = find_model(spec.base_ready)
        self.start: ModelFiles = find_model(spec.parent) if spec.parent else self.base
        name = find_method(spec.method).rows
        path = spec.data.get(name)
        if not path:
            raise SdftError(f"run {spec.id} of method {spec.method} needs data.{name}, the path of a records file.")
        self.rows = Path(path)
        if not self.rows.is_file():
            raise SdftError(f"{no_file(self.rows)}; make the data first (ask snakemake for it).")
        self.rows_sha256 = sha256_file(self.rows)
        self.prompts: Path | None = None
        if find_method(spec.method).replays:
            path = spec.data.get("prompts")
            if not path or not Path(path).is_file():
                raise SdftError(
                    f"run {spec.id} of method {spec.method} mixes in general prompts and needs data.prompts, the path "
                    f"of a records file that is there (given: {path})."
                )
            self.prompts = Path(path)

    def digests(self) -> dict[str, Any]:
        """SHA-256 of everything read, without paths."""
        found = {"base": self.base.sha256, "start": self.start.sha256, "rows": self.rows_sha256}
        return found | ({"prompts": sha256_file(self.prompts)} if self.prompts else {})

    def record(self, spec: RunSpec) -> dict[str, Any]:
        """What the manifest says of the inputs: paths with SHA-256."""
        found = {
            "base": {"path": spec.base_ready, "sha256": self.base.sha256},
            "rows": {"path": str(self.rows), "sha256": self.rows_sha256},
        }
        if self.prompts:
            found["prompts"] = {"path": str(self.prompts), "sha256": sha256_file(self.prompts)}
        if spec.parent:
            found["parent"] = {"path": spec.parent, "sha256": self.start.sha256}
        return found


def defining(spec: RunSpec) -> dict[str, Any]:
    """The part of a resolved run that decides its result: no paths, no labels, no settings of speed, no defaults.

    A default never changes (sdft/study/plan.py), so what is left out says what it was.
    """
    fields = {"method", "seed", "demonstration", "hyperparameters", "options", "settings"}
    values = spec.model_dump(mode="json", include=fields, exclude_defaults=True)
    settings = {key: value for key, value in values["settings"].items() if key not in SPEED_SETTINGS}
    return {**values, "settings": settings}


def fingerprint(spec: RunSpec, inputs: Inputs) -> str:
    """Digest of specification, code and inputs; equal for two commands that must give the same weights."""
    return digest({"run": defining(spec), "code": train_code(spec.method), "inputs": inputs.digests()}, 16)
