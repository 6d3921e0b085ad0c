"""What the study will cost: its jobs, their seconds by a model fitted on measured ones, and disk.

Light on purpose: nothing here imports torch, and nothing is trained or read but small json files.
"""

from sdft.study.forecast.assumptions import assumptions, job_start, setting_of
from sdft.study.forecast.disk import disk
from sdft.study.forecast.fits import Comparison, Fit, comparisons, fit, forecast
from sdft.study.forecast.jobs import Job, jobs, rollout_engine, trainings
from sdft.study.forecast.sizes import model_size
from sdft.study.forecast.totals import check_budget, device_hours, devices, every_job, hours_of, makespan, study_hours

__all__ = [
    "Comparison",
    "Fit",
    "Job",
    "assumptions",
    "check_budget",
    "comparisons",
    "device_hours",
    "devices",
    "disk",
    "every_job",
    "fit",
    "forecast",
    "hours_of",
    "job_start",
    "jobs",
    "makespan",
    "model_size",
    "rollout_engine",
    "setting_of",
    "study_hours",
    "trainings",
]
