"""A run folder that may be a stranger's: values of the wrong kind, links that lead out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.core import signing
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.schema import CONFIG, METRICS, Odd, check_form


@pytest.mark.parametrize(
    ("content", "rules", "words"),
    [
        ({"members": "two"}, CONFIG, "members is not"),
        ({"members": None}, CONFIG, "members is not"),
        ({"members": 10**9}, CONFIG, "members is not"),
        ({"members": True}, CONFIG, "members is not"),
        ({"model": ["x"]}, CONFIG, "model is not"),
        ({"split": []}, CONFIG, "split holds no settings"),
        ({"data": {"n_train": "1"}}, CONFIG, "data.n_train is not"),
        ({"n_val": 10**400}, METRICS, "n_val is not"),
        ({"val_accuracy_ci95": [0.1]}, METRICS, "val_accuracy_ci95 is not"),
        ({"designs": {}}, METRICS, "designs is no list"),
        ({"designs": [{"weight": "1"}]}, METRICS, "designs.0.weight is not"),
        ({"failed": [7]}, METRICS, "failed.0 holds no settings"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(
    content: dict[str, Any], rules: dict[str, Any], words: str
) -> None:
    with pytest.raises(Odd, match=words):
        check_form(content, rules)


def test_what_is_missing_is_no_fault() -> None:
    check_form({}, CONFIG)
    check_form({"val_accuracy": None, "val_loss": float("nan"), "more": object()}, METRICS)


def test_a_run_of_another_form_is_damaged(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"members": "two"})
    with pytest.raises(RunError, match=r"config\.json is damaged \(members is not"):
        Run(tmp_path).config()
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(RunError, match="is damaged"):
        Run(tmp_path).config()


@pytest.mark.parametrize("name", ["config.json", "members", "members/0/model.keras", "test.npy"])
def test_links_that_lead_out_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write_json(outside / "config.json", {"members": 1})
    run = tmp_path / "run"
    (run / name).parent.mkdir(parents=True)
    target = outside if name == "members" else outside / "config.json"
    if name != "config.json":
        write_json(run / "config.json", {"members": 1})
    (run / name).symlink_to(target)
    with pytest.raises(RunError, match="a link that leads out of the run"):
        Run(run).config()
    monkeypatch.setenv(signing.VARIABLE, "1")
    assert Run(run).config()["members"] == 1


def test_links_inside_and_a_linked_run_are_none_of_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write_json(run / "config.json", {"members": 1})
    (run / "copy.json").symlink_to("config.json")
    (tmp_path / "elsewhere").symlink_to(run)
    assert Run(tmp_path / "elsewhere").config()["members"] == 1
