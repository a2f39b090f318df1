"""The types and ranges of the values in config.json, metrics.json and member.json.

A run folder may come from another version or person. Keys may be missing, unknown or null; any
other value must have its type and range, so that the readers need not check it again. A reader gets
DEFAULTS for those that are missing or null. Importing pydantic takes 0.1 s, so this module is
imported when a file is read.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError

from kaggle_digits._version import __version__
from kaggle_digits.core.atomic_io import read_json

LARGEST_INT, MAX_MEMBERS = 10**12, 100_000

# InstanceOf, because pydantic's own check refuses a str with a path whose bytes are not UTF-8.
Text = InstanceOf[str] | None
Mapping = InstanceOf[dict] | None  # type: ignore[type-arg]
Number = float | None
NotNegative = Annotated[float, Field(ge=0)] | None
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Fraction | None
Temperature = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0, le=LARGEST_INT)] | None
# fail_fast, because the file may hold millions of wrong values.
Numbers = Annotated[list[Number], Field(fail_fast=True)] | None
Shares = Annotated[list[Share], Field(fail_fast=True)] | None
Interval = Annotated[list[Fraction], Field(min_length=2, max_length=2, fail_fast=True)] | None


class SchemaError(ValueError):
    """A value has the wrong type; the message names its key, but not the file."""


class Schema(BaseModel):
    """The base class: a value is never converted to its type, so "1" is not a number."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    DEFAULTS: ClassVar[dict[str, Any]] = {}

    @classmethod
    def read(cls, path: Path) -> dict[str, Any]:
        """Read a JSON file, check it, and fill in DEFAULTS.

        Raises OSError if it cannot be read, ValueError if it is not JSON, SchemaError for a value.
        """
        content = read_json(path)
        cls.check(content)
        given = {key: value for key, value in content.items() if value is not None}
        return {**content, **cls.DEFAULTS, **given}

    @classmethod
    def check(cls, content: Any) -> None:
        """Raise SchemaError for the first value of a parsed JSON file with a wrong type or range.

        It also names the version that wrote the file, if that is another one.
        """
        try:
            cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(map(str, first["loc"])) or "the file"
            message = first["msg"].removeprefix("Input ").partition(" or instance of")[0]
            version = content.get("kd_version") if isinstance(content, dict) else None
            if isinstance(version, str) and version != __version__:
                message += f", and kaggle-digits {version} wrote it; this is {__version__}"
            raise SchemaError(f"{key} {message}") from error


class Split(Schema):
    kind: Literal["holdout", "folds", "all", "mixed"] | None = None
    repeats: Count = None
    folds: Count = None
    val_fraction: Share = None
    rows: Count = None
    seed: Count = None


class Data(Schema):
    source: Text = None
    train_sha256: Text = None
    test_sha256: Text = None
    n_train: Count = None
    n_test: Count = None


class PseudoLabels(Schema):
    run: Text = None  # that predicted the labels of test rows
    # That run, the run that made its pseudo-labels, and so on; absent in older versions.
    teachers: list[str] | None = None
    held_out_apart: bool | None = None
    extra_rows: Count = None  # Run.extra_rows of that run


class BaseRun(Schema):
    run: str
    sha256: str


class Ensemble(Schema):
    method: Literal["mean", "vote", "weighted", "stack"]
    runs: Annotated[list[BaseRun], Field(min_length=2, fail_fast=True)]


class DroppedRows(Schema):
    file: Text = None
    sha256: Text = None
    lines: Annotated[list[int], Field(fail_fast=True)]


class ExtraRows(Schema):
    folder: Text = None  # None of an ensemble, of which rows are those of all its runs
    rows: Annotated[int, Field(ge=1)]
    sha256: Text = None


class Config(Schema):
    DEFAULTS = {
        **{"name": "", "model": "", "recipe": {}, "split": {}, "split_fingerprint": None},
        **{"seed": None, "members": 1, "data": {}, "versions": {}, "machine": {}},
        "trained_by": {},
    }

    name: Text = None
    model: Text = None
    recipe: Mapping = None
    split: Split | None = None
    split_fingerprint: Text = None
    val_rows_also_trained_on: Count = None
    seed: Number = None
    members: Annotated[int, Field(ge=1, le=MAX_MEMBERS)] = 1
    data: Data | None = None
    versions: Mapping = None
    machine: Mapping = None
    trained_by: Mapping = None
    pseudo: PseudoLabels | None = None
    ensemble: Ensemble | None = None  # of a run that combines others
    leak: Text = None  # of an ensemble; see Run.leak
    dropped_rows: DroppedRows | None = None
    extra: ExtraRows | None = None
    time_limit: Mapping = None
    remote: Mapping = None


class Contribution(Schema):
    right: Number = None
    log_loss: Number = None


class Architecture(Schema):
    model: Text = None
    weight: Fraction
    temperature: Temperature
    val_accuracy: Share = None
    adds: Contribution | None = None  # what the ensemble gains from it


class FailedMember(Schema):
    member: Count = None
    reason: Text = None


class Metrics(Schema):
    DEFAULTS = {
        **{"val_accuracy": None, "val_accuracy_ci95": None, "val_loss": None, "n_val": 0},
        **{"temperature": 1.0, "train_seconds": None, "epoch_choice": ""},
    }

    val_accuracy: Share = None
    val_accuracy_ci95: Interval = None
    val_loss: NotNegative = None
    n_val: Count = None
    temperature: Temperature | None = None
    models_per_row: Count = None
    member_val_accuracies: Shares = None
    n_train_rows: Count = None
    epochs: Numbers = None
    kept_epochs: Numbers = None
    epoch_choice: Text = None
    train_seconds: NotNegative = None
    designs: Annotated[list[Architecture], Field(fail_fast=True)] | None = None
    failed: Annotated[list[FailedMember], Field(fail_fast=True)] | None = None
    submission_sha256: Text = None  # of its predictions as a submission
    time_limit: Mapping = None
    leak: Text = None
    leaked_accuracy: Share = None


class Member(Schema):
    DEFAULTS = {"kept_epoch": None, "ended": None, "peak_memory_mb": None, "val_fingerprint": None}

    kept_epoch: Count = None
    seconds: Annotated[float, Field(ge=0)]
    ended: NotNegative = None
    peak_memory_mb: NotNegative = None
    val_fingerprint: Text = None
    history: Annotated[list[dict[str, Number]], Field(min_length=1, fail_fast=True)]
