"""Types of the values in config.json and metrics.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.schema import Config, Metrics, Schema, SchemaError


@pytest.mark.parametrize(
    ("content", "schema", "message"),
    [
        ({"members": "two"}, Config, "members should be a valid integer"),
        ({"members": None}, Config, "members should be a valid integer"),
        ({"members": 10**9}, Config, "members should be less than"),
        ({"members": True}, Config, "members should be a valid integer"),
        ({"model": ["x"]}, Config, "model should be an instance of str"),
        ({"split": []}, Config, "split should be a valid dictionary$"),
        ({"data": {"n_train": "1"}}, Config, r"data\.n_train should be a valid integer"),
        ({"n_val": 10**400}, Metrics, "n_val should be less than"),
        ({"val_accuracy_ci95": [0.1]}, Metrics, "val_accuracy_ci95 .* at least 2 items"),
        ({"designs": {}}, Metrics, "designs should be a valid list"),
        ({"designs": [{"weight": "1"}]}, Metrics, r"designs\.0\.weight should be a valid"),
        ({"failed": [7]}, Metrics, r"failed\.0 should be a valid dictionary"),
        ({"val_loss": float("nan")}, Metrics, "val_loss should be a finite number"),
        ({"val_accuracy": 99.5}, Metrics, "val_accuracy should be less than or equal to 1"),
        ({"temperature": 0.0}, Metrics, "temperature should be greater than 0"),
        (
            {"split": {"kind": "groups"}},
            Config,
            r"split\.kind should be 'holdout', 'folds', 'all' or 'mixed'",
        ),
        ({"split": {"kind": 1}, "kd_version": "9.0"}, Config, "and kaggle-digits 9.0 wrote it"),
    ],
)
def test_value_of_wrong_type_is_named(
    content: dict[str, Any], schema: type[Schema], message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        schema.check(content)


def test_missing_null_and_unknown_keys_are_allowed() -> None:
    Config.check({})
    Metrics.check({"val_accuracy": None, "more": object()})


def test_path_with_bytes_that_are_not_utf8_is_allowed() -> None:
    Config.check({"data": {"source": "caf\udce9"}, "recipe": {"\udce9": 1}})


@pytest.mark.parametrize("content", ['{"members": "two"}', "[" * 100_000])
def test_run_with_invalid_config_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    reason = r" \(members should" if "two" in content else ""
    with pytest.raises(RunError, match=rf"config\.json is damaged{reason}"):
        Run(tmp_path).config()


def test_metrics_of_another_version_are_returned_with_defaults_for_missing_ones(
    tmp_path: Path,
) -> None:
    metrics = {"val_accuracy": 1, "n_val": None, "figure_of_old": [1]}
    write_json(tmp_path / "config.json", {})
    write_json(tmp_path / "metrics.json", metrics)
    assert Run(tmp_path).metrics() == {**Metrics.DEFAULTS, "val_accuracy": 1, "figure_of_old": [1]}
