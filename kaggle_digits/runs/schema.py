"""The types of the values in config.json and metrics.json.

A run folder may come from another version or from another person. Keys that are missing, unknown or
null are allowed; any other value must have its type, so that the readers need not check it again.
Import this module where a file is read, not at the top of a module: importing pydantic takes 0.1 s.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import Field, InstanceOf, Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic accepts typing's only from Python 3.12 on

LARGEST_INT, MAX_MEMBERS = 10**12, 100_000

# InstanceOf, because a path whose bytes are not UTF-8 is a str that pydantic's own check refuses.
Text = InstanceOf[str] | None
Mapping = InstanceOf[dict] | None  # type: ignore[type-arg]
Number = Annotated[float, Strict()] | None
Count = Annotated[int, Strict(), Field(ge=0, le=LARGEST_INT)] | None
Numbers = list[Number] | None


class SplitSchema(TypedDict, total=False):
    """How rows were held out."""

    kind: Text
    repeats: Count
    folds: Count
    val_fraction: Number
    rows: Count
    seed: Number


class DataSchema(TypedDict, total=False):
    """The data that the run was trained on."""

    source: Text
    train_sha256: Text
    test_sha256: Text
    n_train: Count
    n_test: Count


class PseudoLabelSchema(TypedDict, total=False):
    """The run whose predictions were used as labels, and the number of rows for each member."""

    run: Text
    rows: Numbers


class ConfigSchema(TypedDict, total=False):
    """config.json."""

    name: Text
    model: Text
    recipe: Mapping
    split: SplitSchema | None
    split_fingerprint: Text
    seed: Number
    members: Annotated[int, Strict(), Field(ge=1, le=MAX_MEMBERS)]
    data: DataSchema | None
    versions: Mapping
    machine: Mapping
    trained_by: Mapping
    pseudo: PseudoLabelSchema | None
    remote: Mapping


class ContributionSchema(TypedDict, total=False):
    """How much one architecture adds to an ensemble."""

    right: Number
    log_loss: Number


class ArchitectureSchema(TypedDict, total=False):
    """One architecture of an ensemble recipe."""

    model: Text
    weight: Number
    temperature: Number
    val_accuracy: Number
    adds: ContributionSchema | None


class FailedMemberSchema(TypedDict, total=False):
    """A member whose training failed."""

    member: Count
    reason: Text
    tries: Count
    rows_held_out: Count


class MetricsSchema(TypedDict, total=False):
    """metrics.json."""

    val_accuracy: Number
    val_accuracy_ci95: (
        Annotated[list[Annotated[float, Strict()]], Field(min_length=2, max_length=2)] | None
    )
    val_loss: Number
    n_val: Count
    temperature: Number
    models_per_row: Count
    member_val_accuracies: Numbers
    n_train_rows: Count
    epochs: Numbers
    kept_epochs: Numbers
    epoch_choice: Text
    train_seconds: Number
    designs: list[ArchitectureSchema] | None
    failed: list[FailedMemberSchema] | None


class SchemaError(ValueError):
    """A value has the wrong type; names its key, but not the file."""


def validate(content: Any, schema: type) -> None:
    """Check the values of a parsed JSON file.

    Args:
        content: the parsed file.
        schema: ConfigSchema or MetricsSchema.

    Raises:
        SchemaError: a value has the wrong type; names the first one.
    """
    try:
        _adapter(schema).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Input ")
        raise SchemaError(f"{key or 'the file'} {message}") from error


@cache
def _adapter(schema: type) -> TypeAdapter[Any]:
    return TypeAdapter(schema)
