"""What the measuring and learning steps are told, each step's options as one typed object.

The workflow gives it as `--spec`, a person as flags of the same names. `sdft/study/steps` fills it from the plan.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from sdft.common.schema import LARGEST, NUMBER, FolderName, NonNegative, Positive, Rate, Strict
from sdft.methods.settings import TrainingSettings
from sdft.models.devices import check_device
from sdft.models.schema import Evaluation
from sdft.study.schema import Judge

MODEL = "model folder, a run's model.json or a base's ready.json"
PRIOR = "how to run the prior benchmarks: mini (data in DATA_ROOT/benchmarks), paper, a JSON file or JSON text"
WAIT = "minutes to wait for another process that writes the same result"
# What is smaller is greedy decoding, and divides logits out of the range of floats.
LEAST_TEMPERATURE = 1e-3


def _temperature(value: float) -> float:
    if 0 < value < LEAST_TEMPERATURE:
        raise ValueError(f"a temperature is 0 (greedy), or at least {LEAST_TEMPERATURE}")
    return value


Temperature = Annotated[float, AfterValidator(_temperature), Field(ge=0), NUMBER]
Seed = Annotated[int, Field(ge=0, lt=2**63), NUMBER]
Minutes = Annotated[float, Field(ge=0, le=LARGEST), NUMBER]
Gpus = Annotated[NonNegative, Field(description="refuse to work with fewer usable GPUs; 0: take what there is")]
Dtype = Literal["auto", "float32", "bfloat16"]
Overlong = Annotated[
    Literal["error", "truncate_left"],
    Field(description="what to do with longer prompts; truncate_left cuts them from the left, and counts them"),
]


class Drawing(Strict):
    """How responses of a model are drawn, and on what machine."""

    limit: Annotated[Positive | None, Field(description="only the first N items of every task and benchmark")] = None
    max_new_tokens: Annotated[Positive, Field(description="longest response, in tokens")] = 2048
    batch_size: Annotated[Positive, Field(description="prompts at a time")] = 16
    max_prompt_tokens: Annotated[
        Positive | None, Field(description="longest prompt, in tokens; default: what the model's context holds")
    ] = None
    overlong: Overlong = "truncate_left"
    dtype: Annotated[Dtype, Field(description="of the weights; auto: as stored")] = "auto"
    tokenizer: Annotated[str | None, Field(description="tokenizer folder; default: the model's")] = None
    device: Annotated[
        str, AfterValidator(check_device), Field(description="auto (a GPU where there is one), cpu, cuda, cuda:1 ...")
    ] = "auto"
    gpus: Gpus = 0


class Shown(Strict):
    """What stands in the prompt beside the question."""

    context: Annotated[
        str | None,
        Field(
            description="show each record's own demonstration of that style, through the teacher's template; the style "
            "article is put ahead of the question instead, as plain context; default: the question alone"
        ),
    ] = None
    template: Annotated[
        Literal["official", "paper"],
        Field(description="the teacher's template: of the released code, or as the paper prints it"),
    ] = "official"


class EvaluateSpec(Drawing, Shown):
    """`python -m sdft.evaluate`."""

    model: Annotated[str, Field(description=MODEL)]
    task: Annotated[
        list[str], Field(description="new tasks; {task}_{split} is another split of one, as in knowledge_ood")
    ] = []
    split: Annotated[
        FolderName,
        Field(description="split of the tasks' data; results of another tested split go to {task}_{split}.json"),
    ] = "test"
    out: Annotated[str, Field(description="folder for the results")]
    data_root: Annotated[str, Field(description="{task}/{split}.jsonl lie here")] = "results/mini/data"
    data: Annotated[
        str | None,
        Field(description="the one task's data instead: records (.jsonl), or an official arrow folder or JSON"),
    ] = None
    scorer: Annotated[
        str | None,
        Field(
            description="how the responses to --data are scored, where the task has no file in sdft/tasks/: "
            "exact_match, contains, choice, react, judge, or module:function of a Python function"
        ),
    ] = None
    temperature: Annotated[Temperature, Field(description="0 is greedy")] = 0.0
    top_p: Annotated[Rate, Field(description="nucleus, for temperature above 0")] = 1.0
    seed: Annotated[Seed, Field(description="of the sampling, for temperature above 0")] = 0
    benchmarks: Annotated[list[str], Field(description="all, none or some of the six names")] = ["none"]
    prior_config: Annotated[str | dict[str, Any], Field(description=PRIOR)] = "mini"


class TrajectorySpec(Drawing, Shown):
    """`python -m sdft.evaluate.trajectory`; what is shown is shown at the end alone, beside the same without it."""

    model: Annotated[str, Field(description="the run's model.json")]
    task: Annotated[list[str], Field(description="new tasks", min_length=1)]
    split: Annotated[FolderName, Field(description="split of the tasks' data")] = "test"
    out: Annotated[str, Field(description="the result, a json file")]
    data_root: Annotated[str, Field(description="{task}/{split}.jsonl lie here")] = "results/mini/data"
    prior_config: Annotated[str | dict[str, Any] | None, Field(description=PRIOR)] = None
    prior_limit: Annotated[Positive | None, Field(description="only the first N items of every prior benchmark")] = None
    wait: Annotated[Minutes, Field(description=WAIT)] = 0


class OneTask(Drawing, Shown):
    """A measure of one model on one task's records."""

    model: Annotated[str, Field(description=MODEL)]
    task: Annotated[str, Field(description="a new task")]
    data: Annotated[str, Field(description="records (.jsonl), or an official arrow folder or JSON")]
    out: Annotated[str, Field(description="the result, a json file")]
    seed: Annotated[Seed, Field(description="of the sampling")] = 0
    wait: Annotated[Minutes, Field(description=WAIT)] = 0


class PassKSpec(OneTask):
    """`python -m sdft.evaluate.passk`; the defaults of the sampling are the paper's."""

    samples: Annotated[Positive, Field(description="responses a question")] = 128
    temperature: Annotated[Temperature, Field(description="above 0")] = 1.0
    top_p: Annotated[Rate, Field(description="nucleus")] = 0.95


class DivergenceSpec(OneTask):
    """`python -m sdft.evaluate.distance`."""

    base: Annotated[str, Field(description="the base model, given likewise")]
    samples: Annotated[Positive, Field(description="responses a question")] = 1


class Validated(Strict):
    """A candidate that is trained and measured on validation."""

    run: Annotated[str, Field(description="RUN.json of the candidate")]
    validation: Annotated[str, Field(description="records of the validation split")]
    out: Annotated[str, Field(description="the result, a json file; the run trains in the same folder")]
    limit: Annotated[Positive | None, Field(description="only the first N validation records")] = None
    max_new_tokens: Annotated[Positive, Field(description="longest response, in tokens")] = 2048
    batch_size: Annotated[Positive, Field(description="prompts at a time")] = 16
    max_prompt_tokens: Annotated[Positive | None, Field(description="longest prompt, in tokens")] = None
    overlong: Overlong = "truncate_left"
    dtype: Annotated[Dtype, Field(description="of the weights when scored")] = "auto"
    gpus: Gpus = 0
    wait: Annotated[Minutes, Field(description=WAIT)] = 0


class CandidateSpec(Validated):
    """`python -m sdft.learning.candidate`."""

    prior_config: Annotated[str | dict[str, Any], Field(description=PRIOR)]
    keep_weights: Annotated[bool, Field(description="leave the weights beside the result")] = False
    processes: Annotated[Positive, Field(description="one a GPU; torchrun starts them")] = 1
    promoted: Annotated[
        str | None,
        Field(description="sweep by halving: which candidates go on; one that does not stands as its rung left it"),
    ] = None


class RungSpec(Validated):
    """`python -m sdft.learning.rung`."""


class PromoteSpec(Strict):
    """`python -m sdft.learning.promote`."""

    candidates: Annotated[list[str], Field(description="rung.json of each candidate")] = []
    out: Annotated[str, Field(description="which go on, a json file")]


class BenchmarkDataSpec(Strict):
    """`python -m sdft.evaluate.benchmark_data`."""

    prior_config: Annotated[str | dict[str, Any], Field(description=PRIOR)] = "paper"
    revisions: Annotated[dict[str, str], Field(description="commits of data sets by repository, as JSON")] = {}
    out: Annotated[str, Field(description="folder for the data")]


class SelectSpec(Strict):
    """`python -m sdft.learning.select`."""

    candidates: Annotated[list[str], Field(description="validation.json of each candidate")] = []
    out: Annotated[str, Field(description="selected/{task}/{arm}.json")]
    task: Annotated[str | None, Field(description="default: the folder of --out")] = None
    arm: Annotated[str | None, Field(description="default: the name of --out")] = None
    method: Annotated[str | None, Field(description="default: what the candidates say, else the arm")] = None
    validation: Annotated[
        str | list[str] | None,
        Field(
            description="records that the candidates answered, in one file or a file for each candidate, to score "
            "again what another scorer has scored"
        ),
    ] = None
    limit: Annotated[Positive | None, Field(description="only the first N of these")] = None
    prior_config: Annotated[str | dict[str, Any], Field(description=PRIOR)] = "mini"
    judge: Annotated[
        Judge | None,
        Field(description="who decides the validation answers of a judged task, as JSON; default: offline"),
    ] = None


class LengthsSpec(Strict):
    """`python -m sdft.learning.lengths`."""

    model: Annotated[str, Field(description="base model (ready.json) whose tokenizer and context count")]
    data: Annotated[str, Field(description="a task's folder of records")]
    demonstration: Annotated[str, Field(description="style of what the teacher is shown")]
    settings: Annotated[TrainingSettings, Field(description="of the training, as JSON")]
    evaluation: Annotated[Evaluation, Field(description="how models are measured, as JSON")] = Evaluation()
    out: Annotated[str, Field(description="the result, a json file")]


class Unshown(Strict):
    """A table or figure that a site does not show: why, the command that makes it, and about what that costs."""

    name: str
    title: str
    reason: str
    command: str
    hours: float | None = None


class SiteSpec(Strict):
    """What the pages of a scale show: the tables and figures by name, those that they leave out, and the command.

    root: the folder of the scale's results. entry: the name of the entry page, beside which a folder of that name holds
    the others. hours: device-hours of all that the study of a shown table or figure alone trains and scores, by name.
    """

    scale: str
    root: str
    entry: str
    command: str
    evidence: Literal["paper", "own", "none"]
    notice: str
    shown: list[str]
    unshown: list[Unshown] = []
    hours: dict[str, float] = {}


def as_text(spec: BaseModel) -> str:
    """A specification as the JSON text that a step takes: what is set in it, and no default."""
    return spec.model_dump_json(exclude_unset=True)
