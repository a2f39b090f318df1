"""Tests of kaggle_digits.tuning.search."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split, split
from kaggle_digits.metrics.calibration import apply_temperature, fit_temperature
from kaggle_digits.metrics.scores import score
from kaggle_digits.runs.store import list_runs
from kaggle_digits.training.fold import FoldTask, fit_fold, member_seed
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.results import SearchResult, Trial, TrialCallback, write_recipe
from kaggle_digits.tuning.search import load_search, search
from kaggle_digits.tuning.search_space import make_search_space
from tests.support.labelled import write_labelled
from tests.support.searches import RATES, SMALL, SPLIT, start_search


def without_seconds(result: SearchResult) -> list[tuple[object, ...]]:
    return [(t.number, t.state, t.values, t.score) for t in result.trials]


def test_first_trial_is_the_recipe_and_best_has_lowest_loss(result: SearchResult) -> None:
    assert [trial.number for trial in result.trials] == list(range(1, 13))
    assert result.base == 1
    assert result.trials[0].values == {"learning_rate": 1e-2}
    assert result.best is not None
    losses = [trial.log_loss for trial in result.trials]
    assert result.best.log_loss == min(losses) < losses[1]
    assert result.recipe == SMALL.with_changes(**result.best.values)
    assert result.importances == {"learning_rate": 1.0}
    assert result.done == 12


def test_extra_pictures_are_trained_on_in_each_trial(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "drawings", [1, 4, 7])
    plain = search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path, name="plain")
    more: dict[str, Any] = {"trials": 1, "runs_dir": tmp_path, "name": "more"}
    result = search(dataset, SMALL, RATES, SPLIT, extra=folder, **more)
    (one,), (other,) = plain.trials, result.trials
    assert one.score
    assert other.score
    assert one.log_loss != other.log_loss
    assert one.score.n == other.score.n, "validation has none of them"
    with pytest.raises(RunError, match="already exists with another `extra`"):
        search(dataset, SMALL, RATES, SPLIT, **more)


def test_resumed_search_equals_uninterrupted_search(dataset: Dataset, tmp_path: Path) -> None:
    whole = search(dataset, SMALL, RATES, SPLIT, trials=6, runs_dir=tmp_path, name="whole")
    first = search(dataset, SMALL, RATES, SPLIT, trials=4, runs_dir=tmp_path)
    assert first.done == 4
    resumed = search(dataset, SMALL, RATES, SPLIT, trials=6, runs_dir=tmp_path)
    assert without_seconds(resumed) == without_seconds(whole)
    complete = search(dataset, SMALL, RATES, SPLIT, trials=6, runs_dir=tmp_path)
    assert (
        without_seconds(complete)
        == without_seconds(resumed)
        == without_seconds(load_search(SMALL, RATES, runs_dir=tmp_path))
    )
    assert not list_runs(tmp_path)
    other_seed = Split("folds", folds=2, rows=200, seed=1)
    other = search(dataset, SMALL, RATES, other_seed, trials=2, runs_dir=tmp_path, name="other")
    assert other.trials[1].values != whole.trials[1].values


def test_no_trial_starts_after_the_time_limit(dataset: Dataset, tmp_path: Path) -> None:
    result = search(dataset, SMALL, RATES, SPLIT, trials=3, minutes=0, runs_dir=tmp_path)
    assert not result.trials
    with pytest.raises(RunError, match="no trial of study mlp has finished yet"):
        write_recipe(result)


@pytest.mark.parametrize(
    ("change", "different"),
    [
        ({"recipe": SMALL.with_changes(epochs=4)}, "another recipe"),
        ({"space": make_search_space(SMALL, "batch_size")}, "another `vary`"),
        ({"split_config": Split("folds", folds=2, rows=201)}, "another split"),
        ({"split_config": Split("folds", folds=2, rows=200, seed=1)}, "another split"),
    ],
)
def test_study_with_other_settings_is_refused(
    change: dict[str, object], different: str, dataset: Dataset, tmp_path: Path
) -> None:
    settings: dict[str, object] = {"recipe": SMALL, "space": RATES, "split_config": SPLIT}
    search(dataset, **settings, trials=1, runs_dir=tmp_path, name="one")  # type: ignore[arg-type]
    with pytest.raises(RunError, match=f"study one already exists with {different}.*`name`"):
        search(dataset, **(settings | change), trials=2, runs_dir=tmp_path, name="one")  # type: ignore[arg-type]


def test_study_with_other_data_or_of_other_program_is_refused(
    dataset: Dataset, tmp_path: Path
) -> None:
    search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path)
    other = Dataset(
        type(dataset.train)(dataset.train.images, dataset.labels, "another"),
        dataset.test,
        dataset.ids,
        dataset.source,
    )
    with pytest.raises(RunError, match=r"another train\.csv"):
        search(other, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path)
    url = f"sqlite:///{tmp_path / 'own.db'}"
    own = optuna.create_study(storage=url, study_name="theirs")
    own.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(RunError, match=r"study theirs was not made by `kd.tune"):
        search(
            dataset, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path, name="theirs", storage=url
        )


def test_search_continues_after_a_failed_trial(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picky_model.py").write_text(
        "from sklearn.neural_network import MLPClassifier\n"
        "def picky(widths=(8,)):\n"
        "    if widths == (13,):\n"
        "        raise ValueError('thirteen')\n"
        "    return MLPClassifier(widths)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    recipe = Recipe("picky_model:picky", epochs=2, batch_size=16)
    space = make_search_space(recipe, ["widths=8,13"])
    ended: list[Trial] = []

    class Recorder(TrialCallback):
        def on_trial_end(self, trial: Trial, best: Trial | None, done: int) -> None:
            ended.append(trial)
            assert done == len(ended)

    result = search(dataset, recipe, space, SPLIT, trials=8, runs_dir=tmp_path, callback=Recorder())
    assert tuple(ended) == result.trials
    assert result.name == "picky_model-picky"
    failed = [trial for trial in result.trials if trial.values == {"widths": "13"}]
    assert failed
    assert all(trial.state == "failed" and "thirteen" in trial.reason for trial in failed)
    assert all(trial.state != "failed" for trial in result.trials if trial not in failed)
    assert result.recipe == recipe.with_changes(widths=(8,))
    always_failing = make_search_space(recipe, ["widths=13,13-13"])
    doomed = search(
        dataset, recipe, always_failing, SPLIT, trials=1, runs_dir=tmp_path, name="doomed"
    )
    if doomed.best is None:
        with pytest.raises(
            RunError, match="no trial of study doomed finished; the last one failed"
        ):
            write_recipe(doomed)


def test_original_recipe_is_retried_if_its_process_was_killed(
    sample: Path, dataset: Dataset, tmp_path: Path
) -> None:
    process = start_search(sample, tmp_path, trials=3, pause=60, first_pause=1)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.kill()
    process.communicate()
    result = search(dataset, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path)
    assert [trial.state for trial in result.trials] == ["stopped", "finished", "finished"]
    assert result.base == 2
    assert result.trials[1].values == {"learning_rate": SMALL.learning_rate}


def test_interrupted_trial_is_retried_with_the_same_values(
    dataset: Dataset, tmp_path: Path
) -> None:
    class Interrupt(TrialCallback):
        def on_trial_begin(self, number: int, values: object, folds: int) -> None:
            if number == 3:
                raise KeyboardInterrupt

    whole = search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=tmp_path, name="whole")
    with pytest.raises(KeyboardInterrupt):
        search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=tmp_path, callback=Interrupt())
    resumed = search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=tmp_path)
    assert [trial.state for trial in resumed.trials[:3]] == ["finished", "finished", "stopped"]
    assert resumed.trials[3].values == whole.trials[2].values
    assert resumed.trials[3].score == whole.trials[2].score
    assert resumed.done == 3


def test_score_of_trial_equals_score_of_trained_recipe(
    result: SearchResult, dataset: Dataset
) -> None:
    assert result.recipe is not None
    assert result.best is not None
    probabilities = np.full((len(dataset.train), 10), np.nan, np.float32)
    for number, fold in enumerate(split(dataset.labels, SPLIT)):
        task = FoldTask(number, result.recipe, fold, member_seed(SPLIT.seed, number))
        fitted = fit_fold(task, dataset.train, dataset.test)
        probabilities[fold.val] = fitted.val_probabilities
    uncalibrated = score(probabilities, dataset.labels)
    temperature = fit_temperature(probabilities, dataset.labels)
    calibrated = score(apply_temperature(probabilities, temperature), dataset.labels)
    assert uncalibrated is not None
    assert calibrated is not None
    best = result.best.score
    assert best is not None
    expected = (200, uncalibrated.accuracy, uncalibrated.ci95)
    assert (best.n, best.accuracy, best.ci95) == expected
    assert best.log_loss == pytest.approx(calibrated.log_loss, abs=1e-6)
    assert best.log_loss <= uncalibrated.log_loss


def test_hopeless_trials_are_pruned(result: SearchResult) -> None:
    pruned = [trial for trial in result.study.trials if trial.state.name == "PRUNED"]
    complete = [trial for trial in result.study.trials if trial.state.name == "COMPLETE"]
    assert pruned
    assert len(complete) >= 5
    # Three epochs of the first fold, then one step for the second fold.
    assert all(list(trial.intermediate_values) == [1, 2, 3, 4] for trial in complete)
    # Not before two thirds of the first fold, and before the end.
    assert all(len(trial.intermediate_values) >= 2 for trial in pruned)
    assert any(len(trial.intermediate_values) <= 3 for trial in pruned)
    assert [trial.number + 1 for trial in pruned] == [
        trial.number for trial in result.trials if trial.state == "pruned"
    ]
    assert all(trial.score is None for trial in result.trials if trial.state == "pruned")


def test_study_whose_process_was_killed_at_once_starts_with_the_recipe(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kaggle_digits.tuning.search._enqueue", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path)
    result = search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path)
    assert result.base == 1
    assert result.trials[0].values == {"learning_rate": SMALL.learning_rate}


def test_each_combination_of_lists_is_tried_once(dataset: Dataset, tmp_path: Path) -> None:
    space = make_search_space(SMALL, ["learning_rate=0.001,0.01", "batch_size=32,16"])
    some = search(dataset, SMALL, space, SPLIT, trials=2, runs_dir=tmp_path)
    assert [trial.number for trial in some.trials] == [1, 2]
    result = search(dataset, SMALL, space, SPLIT, trials=30, runs_dir=tmp_path)
    tried = [tuple(trial.values.values()) for trial in result.trials]
    assert (tried[0], result.base) == ((0.01, 16), 1)
    assert sorted(tried) == [(0.001, 16), (0.001, 32), (0.01, 16), (0.01, 32)]
    assert search(dataset, SMALL, space, SPLIT, trials=30, runs_dir=tmp_path).done == 4


def test_two_processes_share_a_study(sample: Path, tmp_path: Path) -> None:
    processes = [
        start_search(sample, tmp_path, trials=9, pause=0.3, first_pause=0) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [err for _, err in outputs]
    result = load_search(SMALL, RATES, runs_dir=tmp_path)
    assert result.done == 9
    assert len({trial.values["learning_rate"] for trial in result.trials}) == len(result.trials)
    shares = [len(out.split()) for out, _ in outputs]
    assert min(shares) >= 1, "one process ran all trials"
    assert sum(shares) == 9


def test_missing_optuna_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name.startswith("kaggle_digits.tuning")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        UsageError, match=r"`kd\.tune\(\)` needs \w+; install it: pip install .*tune"
    ):
        importlib.import_module("kaggle_digits.tuning.search")
