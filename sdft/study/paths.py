"""Where everything that the DAG makes lies: each path once, a template with its {wildcards}.

Rules take the templates as outputs, inputs and logs; the plan fills them in (`Plan.path`). A path is never taken apart
again: what it is about has a folder of its own, and a run's task, base model and study come from the plan.

    {run}      a readable slug and eight hex digits over the fields that define it (sdft/study/plan.py)
    {study}    the study that trains a run: table5, or one of scales.*.studies
    {context}  what a base model sees beside each question; none for the question alone
    {measured} the study for which a trajectory is measured
"""

from __future__ import annotations

ROOT = "results/{scale}"

# Records of a task, of `general` (prompts of no task) and items of the prior benchmarks.
# {draw} is empty or, where base models or seeds have facts of their own to learn, -1, -2, ...
DATA_ROOT = ROOT + "/data{draw}"
DATA_FOLDER = DATA_ROOT + "/{task}"
DATA = DATA_FOLDER + "/{split}.jsonl"
DATA_MANIFEST = DATA_FOLDER + "/manifest.json"
LENGTHS = ROOT + "/data/{task}/lengths-{model}.json"
BENCHMARKS_FOLDER = ROOT + "/data/benchmarks"
BENCHMARK_ITEMS = BENCHMARKS_FOLDER + "/{benchmark}.jsonl"
BENCHMARKS_MANIFEST = BENCHMARKS_FOLDER + "/manifest.json"
# Data sets of the hub that lm_eval's own tasks read, fetched once.
PRIOR_DATA_FOLDER = ROOT + "/data/prior"
PRIOR_DATA = PRIOR_DATA_FOLDER + "/manifest.json"

# A model is used through its ready.json, which names its folder and its bytes.
BASE_FOLDER = ROOT + "/base/{model}"
BASE = BASE_FOLDER + "/ready.json"
BASE_WEIGHTS = BASE_FOLDER + "/weights"
REQUIREMENTS = BASE_FOLDER + "/requirements.json"
RELEASED_FOLDER = ROOT + "/released/{model}"
RELEASED = RELEASED_FOLDER + "/ready.json"

# A candidate of a sweep, the winner with the whole ranking, and a final run.
CANDIDATE_FOLDER = ROOT + "/sweep/{task}/{arm}/{run}"
CANDIDATE = CANDIDATE_FOLDER + "/run.json"
# Of one that is trained on several GPUs, until it is scored on one.
CANDIDATE_TRAINING = CANDIDATE_FOLDER + "/training.json"
CANDIDATE_MODEL = CANDIDATE_FOLDER + "/model.json"
VALIDATION = CANDIDATE_FOLDER + "/validation.json"
REPLIES = CANDIDATE_FOLDER + "/replies.json.gz"
# Of a sweep by halving: what a candidate has shown after its first part, and which go on.
RUNG = CANDIDATE_FOLDER + "/rung.json"
RUNG_RUN = CANDIDATE_FOLDER + "/rung-run.json"
PROMOTED = ROOT + "/promoted/{task}/{arm}.json"
SELECTED = ROOT + "/selected/{task}/{arm}.json"
RUN_FOLDER = ROOT + "/runs/{study}/{run}"
RUN = RUN_FOLDER + "/run.json"
MODEL = RUN_FOLDER + "/model.json"
METRICS = RUN_FOLDER + "/metrics.jsonl"

# Scores of a run, of a base model, of one with something in its context, and of a released checkpoint. {scored} is
# `scores`, what evaluations write, or `judged`, the same with a judge's verdicts in it; {draw} is empty where a base
# model is asked about the facts that are its own.
RUN_SCORES = ROOT + "/{scored}/{study}/{run}"
BASE_SCORES = ROOT + "/{scored}/base/{model}"
CONTEXT_SCORES = ROOT + "/{scored}/context/{task}/{context}/{split}{draw}/{model}"
RELEASED_SCORES = RELEASED_FOLDER + "/{task}"
# In each of these folders.
SCORE = "/{benchmark}.json"
RESPONSES = "/responses.jsonl.gz"

# Measures beside the scores: of a run, or of a base model on a task.
TRAJECTORY = ROOT + "/trajectories/{measured}/{study}/{run}.json"
RUN_PASSK = ROOT + "/passk/{study}/{run}.json"
BASE_PASSK = ROOT + "/passk/base/{task}/{context}/{split}{draw}/{model}.json"
RUN_DIVERGENCE = ROOT + "/divergence/{study}/{run}.json"
BASE_DIVERGENCE = ROOT + "/divergence/base/{task}/{context}/{split}{draw}/{model}.json"
FLOPS = ROOT + "/flops/{study}/{run}.json"
ESTIMATORS = ROOT + "/estimators.json"
GATE = ROOT + "/gate/{model}.json"

# What to read: a table or figure with the plan of what it is made of, the ledger of all claims, and the reports.
TABLE_FOLDER = ROOT + "/tables/{table}"
TABLE_PLAN = TABLE_FOLDER + "/plan.json"
VERDICT = TABLE_FOLDER + "/verdict.json"
TABLE = TABLE_FOLDER + "/table.{kind}"
FIGURE = ROOT + "/figures/{figure}.{kind}"
FIGURE_PLAN = ROOT + "/figures/{figure}.plan.json"
LEDGER_FOLDER = ROOT + "/claims"
LEDGER = LEDGER_FOLDER + "/ledger.{kind}"
# An entry page, the plan of what it shows, and the folder of its other pages.
REPORT = ROOT + "/reports/report.html"
REPORT_PLAN = ROOT + "/reports/report.plan.json"
REPORT_PAGES = ROOT + "/reports/report"
RESULTS = ROOT + "/reports/results.html"
RESULTS_PLAN = ROOT + "/reports/results.plan.json"
RESULTS_PAGES = ROOT + "/reports/results"

LOGS = ROOT + "/logs"


def scores(folder: str, *names: str, scored: str = "scores") -> list[str]:
    """The templates of the files in a folder of scores: one a name, and every item's outcome beside them."""
    files = [SCORE.format(benchmark=name) for name in names] + [RESPONSES]
    return [folder.replace("{scored}", scored) + file for file in files]


def log(path: str) -> str:
    """The template of a log, by its place below a scale's logs."""
    return f"{LOGS}/{path}.log"
