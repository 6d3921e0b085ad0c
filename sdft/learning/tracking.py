"""Steps shown in a tracker that people use: TensorBoard, Weights & Biases, MLflow or Trackio, through accelerate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError

PROJECT = "sdft"


class Tracking:
    """What a run tells a tracker; nothing for the kind "none".

    It is told what metrics.jsonl holds, which stays the record of the run. A tracker that writes files has them in
    `out`/tracking. Raises SdftError where the tracker's library is not installed.
    """

    def __init__(self, kind: str, run: str, out: Path, config: dict[str, Any]) -> None:
        self.tracker = None
        if kind == "none":
            return
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        if kind not in map(str, get_available_trackers()):
            raise SdftError(
                f"training.tracker: {kind} needs the library of that name, which this project does not require; "
                f"install it (pip install {kind}), or set tracker: none. metrics.jsonl has every step in any case."
            )
        found = LOGGER_TYPE_TO_CLASS[kind]
        if found.requires_logging_directory:
            self.tracker = found(run, logging_dir=str(out / "tracking"))
        elif kind == "mlflow":
            self.tracker = found(experiment_name=PROJECT, run_name=run)
        else:
            self.tracker = found(PROJECT, name=run)
        if hasattr(self.tracker, "start"):
            self.tracker.start()
        self.tracker.store_init_configuration(
            {key: value for key, value in config.items() if isinstance(value, str | int | float | bool)}
        )

    def log(self, entry: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        if self.tracker is not None:
            values = {name: value for name, value in entry.items() if name != "step" and value is not None}
            self.tracker.log(values, step=entry["step"])

    def close(self) -> None:
        if self.tracker is not None:
            self.tracker.finish()
