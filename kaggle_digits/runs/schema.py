"""The types of the values in config.json and metrics.json.

A run folder may come from another version or person. Keys may be missing, unknown or null; any
other value must have its type, so that the readers need not check it again. Importing pydantic
takes 0.1 s, so this module is imported when a file is read.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError

LARGEST_INT, MAX_MEMBERS = 10**12, 100_000

# InstanceOf, because pydantic's own check refuses a str with a path whose bytes are not UTF-8.
Text = InstanceOf[str] | None
Mapping = InstanceOf[dict] | None  # type: ignore[type-arg]
Number = float | None
Count = Annotated[int, Field(ge=0, le=LARGEST_INT)] | None
# fail_fast, because the file may hold millions of wrong values.
Numbers = Annotated[list[Number], Field(fail_fast=True)] | None
Interval = Annotated[list[float], Field(min_length=2, max_length=2, fail_fast=True)] | None


class SchemaError(ValueError):
    """A value has the wrong type; the message names its key, but not the file."""


class Schema(BaseModel):
    """The base class: a value is never converted to its type, so "1" is not a number."""

    model_config = ConfigDict(strict=True)

    @classmethod
    def check(cls, content: Any) -> None:
        """Raise SchemaError for the first value of a parsed JSON file with a wrong type."""
        try:
            cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(map(str, first["loc"])) or "the file"
            message = first["msg"].removeprefix("Input ").partition(" or instance of")[0]
            raise SchemaError(f"{key} {message}") from error


class Split(Schema):
    kind: Text = None
    repeats: Count = None
    folds: Count = None
    val_fraction: Number = None
    rows: Count = None
    seed: Number = None


class Data(Schema):
    source: Text = None
    train_sha256: Text = None
    test_sha256: Text = None
    n_train: Count = None
    n_test: Count = None


class PseudoLabels(Schema):
    run: Text = None  # that predicted the labels of test rows
    rows: Numbers = None  # of each member


class Config(Schema):
    name: Text = None
    model: Text = None
    recipe: Mapping = None
    split: Split | None = None
    split_fingerprint: Text = None
    seed: Number = None
    members: Annotated[int, Field(ge=1, le=MAX_MEMBERS)] = 1
    data: Data | None = None
    versions: Mapping = None
    machine: Mapping = None
    trained_by: Mapping = None
    pseudo: PseudoLabels | None = None
    remote: Mapping = None


class Contribution(Schema):
    right: Number = None
    log_loss: Number = None


class Architecture(Schema):
    model: Text = None
    weight: Number = None
    temperature: Number = None
    val_accuracy: Number = None
    adds: Contribution | None = None  # what the ensemble gains from it


class FailedMember(Schema):
    member: Count = None
    reason: Text = None
    tries: Count = None
    rows_held_out: Count = None


class Metrics(Schema):
    val_accuracy: Number = None
    val_accuracy_ci95: Interval = None
    val_loss: Number = None
    n_val: Count = None
    temperature: Number = None
    models_per_row: Count = None
    member_val_accuracies: Numbers = None
    n_train_rows: Count = None
    epochs: Numbers = None
    kept_epochs: Numbers = None
    epoch_choice: Text = None
    train_seconds: Number = None
    designs: Annotated[list[Architecture], Field(fail_fast=True)] | None = None
    failed: Annotated[list[FailedMember], Field(fail_fast=True)] | None = None
