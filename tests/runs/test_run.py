"""One run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core import trust
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import RunError
from kaggle_digits.runs.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run folder with a config.json only."""
    folder = tmp_path / "mine"
    folder.mkdir()
    write_json(folder / "config.json", {"name": "mine", "members": 1})
    return Run(folder)


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00"])
def test_damaged_file_is_named(run: Run, damage: str) -> None:
    run.write_metrics({"val_accuracy": 1})
    for name in ("config.json", "metrics.json", "oof.npy"):
        (run.path / name).write_text(damage)
    for read in (run.config, run.metrics, run.oof):
        with pytest.raises(RunError, match=r"mine/(config|metrics|oof)\.\w+ is damaged"):
            read()


def test_missing_file_names_the_command_that_makes_it(run: Run) -> None:
    with pytest.raises(RunError, match="not finished; resume it: kd train --resume --name mine"):
        run.metrics()
    for read in (run.oof, run.test, run.history):
        with pytest.raises(RunError, match="is missing; finish the run"):
            read()


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 9), np.float32), np.zeros((3, 10)), np.zeros(30, np.float32)]
)
def test_array_of_wrong_shape_or_dtype_is_damaged(run: Run, wrong: np.ndarray) -> None:
    np.save(run.path / "test.npy", wrong)
    with pytest.raises(RunError, match=r"test\.npy is damaged"):
        run.test()


def test_pickled_array_is_not_loaded(run: Run) -> None:
    np.save(run.path / "test.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(RunError, match="damaged"):
        run.test()


@pytest.mark.parametrize("name", ["config.json", "members", "members/0/model.keras", "test.npy"])
def test_link_out_of_the_run_is_rejected_without_trust(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write_json(outside / "config.json", {"members": 1})
    folder = tmp_path / "run"
    (folder / name).parent.mkdir(parents=True)
    target = outside if name == "members" else outside / "config.json"
    if name != "config.json":
        write_json(folder / "config.json", {"members": 1})
    (folder / name).symlink_to(target)
    with pytest.raises(RunError, match="a link that leads out of the run"):
        Run(folder).config()
    monkeypatch.setenv(trust.VARIABLE, "1")
    assert Run(folder).config()["members"] == 1


def test_link_inside_the_run_and_link_to_the_run_are_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / "config.json", {"members": 1})
    (folder / "copy.json").symlink_to("config.json")
    (tmp_path / "elsewhere").symlink_to(folder)
    assert Run(tmp_path / "elsewhere").config()["members"] == 1
