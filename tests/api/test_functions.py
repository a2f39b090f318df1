"""The steps of the command line are functions with the same defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import kaggle_digits as kd
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.models.registry import FUNCTIONS
from tests.support.kaggle_server import FakeKaggle
from tests.support.labelled import write_labelled
from tests.support.pictures import draw_digit


def small_network(*hidden: int) -> Any:
    """Return a Keras model, as a user writes it."""
    import keras

    dense = map(keras.layers.Dense, (*hidden, 10))
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), *dense])


def test_a_recipe_is_a_name_a_recipe_or_a_function(dataset: Dataset, folder: Path) -> None:
    by_name = kd.train(dataset, "linear")
    assert by_name.name == "linear-1"
    assert by_name.config()["split"]["kind"] == "holdout"
    assert by_name.metrics()["n_val"] == 108
    assert kd.train(dataset, kd.Recipe("linear")).test().tolist() == by_name.test().tolist()

    keras_run = kd.train(dataset, small_network, epochs=2)
    assert keras_run.config()["model"] == "tests.api.test_functions:small_network"
    assert keras_run.predict(dataset.test.images).shape == (len(dataset.test), 10)
    assert list(keras_run.history.epoch) == [1, 2]

    forest = kd.train(dataset, lambda: RandomForestClassifier(5), kd.Split(folds=2), name="forest")
    assert isinstance(forest.model(1), RandomForestClassifier)
    assert np.allclose(forest.predict(dataset.test.images), forest.test())
    assert forest.accuracy is not None
    assert forest.accuracy > 0.8


def test_an_ensemble_is_a_run(dataset: Dataset, folder: Path) -> None:
    two = kd.Split(folds=2)
    runs = [kd.train(dataset, "linear", two), kd.train(dataset, "mlp", two, epochs=5)]
    run = kd.ensemble(*runs, method="stack")
    assert run.name == "ensemble-1"
    assert np.allclose(run.predict(), run.test(), atol=1e-5)
    assert run.accuracy == kd.evaluate(run).metrics.score.accuracy
    assert {one.run for one in kd.compare(run, "mlp-1")} == {"ensemble-1", "mlp-1"}
    of_a_list = kd.ensemble(["linear-1", runs[1]])
    assert {one.run for one in kd.compare([of_a_list, "mlp-1"])} == {"ensemble-2", "mlp-1"}
    for combine in (kd.ensemble, kd.compare):
        with pytest.raises(kd.UsageError, match=r"no run is given; kd\.runs\(\) lists them"):
            combine([])
    with pytest.raises(kd.RunError, match="share only"):
        kd.compare(*(kd.train(dataset, "linear", kd.Split(seed=seed)) for seed in (1, 2)))


def test_wrong_recipes_are_explained(dataset: Dataset) -> None:
    with pytest.raises(kd.UsageError, match="no recipe called 'nonsense'"):
        kd.train(dataset, "nonsense")
    with pytest.raises(kd.UsageError, match="has no setting epoch; it has: model, widths"):
        kd.train(dataset, "dense", epoch=3)
    with pytest.raises(kd.UsageError, match=r"`optimizer` would have no effect: model linear is"):
        kd.train(dataset, "linear", optimizer="adam")
    with pytest.raises(kd.UsageError, match=r"a function that .* such as lambda: LogisticRegr"):
        kd.train(dataset, LogisticRegression())


def test_arguments_of_other_types_are_explained(dataset: Dataset) -> None:
    with pytest.raises(kd.UsageError, match=r"`dataset` is of type str; kd\.load\(\) returns one"):
        kd.train("data", "dense")  # type: ignore[arg-type]
    with pytest.raises(kd.UsageError, match=r"`split` is of type int; give kd\.Split\(folds=3\)"):
        kd.train(dataset, "dense", 3)  # type: ignore[arg-type]
    with pytest.raises(kd.UsageError, match=r"of type object; derive .* early: `patience=3`"):
        kd.train(dataset, "dense", callback=object())  # type: ignore[arg-type]
    with pytest.raises(kd.UsageError, match="`time_limit='20m'` is not a number"):
        kd.train(dataset, "dense", time_limit="20m")  # type: ignore[arg-type]


def test_an_interrupted_run_of_a_function_resumes_with_the_same_function(
    dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = kd.train(
        dataset, small_network, kd.Split(folds=2), name="mine", epochs=1, optimizer="sgd"
    )
    (run.path / "metrics.json").unlink()
    (run.path / "members" / "1" / "member.json").unlink()
    with monkeypatch.context() as changed:
        changed.setitem(FUNCTIONS, run.config()["model"], lambda: small_network(5))
        with pytest.raises(kd.ModelError, match="was changed since member 1 was trained; undo"):
            kd.resume(dataset, name="mine")
    assert kd.resume(dataset, name="mine").score is not None


def test_runs_have_the_defaults_of_the_command_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [run.name for run in kd.runs()] == ["dense"]
    run = kd.open_run("dense")
    assert run.dataset.source.source == "sample"
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("KD_RUNS_DIR", str(folder / "runs"))
    monkeypatch.setenv("KD_DATA_DIR", str(folder / "data"))
    assert len(kd.load().train) == 1078
    assert kd.runs() == [kd.open_run("dense")]
    with pytest.raises(kd.RunError, match="no run called other"):
        kd.open_run("other")
    with pytest.raises(kd.UsageError, match="None cannot name a run"):
        kd.open_run(None)  # type: ignore[arg-type]


def test_frames_are_loaded(folder: Path) -> None:
    train, test = pd.read_csv("data/train.csv"), pd.read_csv("data/test.csv")
    run = kd.open_run("dense", dataset=kd.load(train, test))
    assert run.plot_confusion().axes
    with pytest.raises(kd.UsageError, match="give both DataFrames"):
        kd.load(train)


def test_each_step_is_a_function(folder: Path) -> None:
    dataset = kd.load()
    assert kd.inspect().train.rows == len(dataset.train)
    assert kd.evaluate("dense").metrics.score == kd.open_run("dense").score
    assert kd.predict("dense").shape == (len(dataset.test), 10)
    draw_digit(4).save("four.png")
    assert kd.classify("four.png").digit == kd.classify("four.png", "dense").digit == 4
    assert kd.classify_all("four.png").lines == kd.classify_all("four.png", "dense").lines == ("4",)
    linear = kd.train(dataset, "linear", kd.Split(val_fraction=0.2), name="linear")
    best, other = kd.compare("dense", linear)
    assert {best.run, other.run} == {"dense", "linear"}
    assert other.against_best is not None


def test_a_submission_of_ones_own_is_not_overwritten(dataset: Dataset, tmp_path: Path) -> None:
    labels = np.zeros(len(dataset.ids), np.uint8)
    path = tmp_path / "mine.csv"
    kd.write_submission(path, dataset.ids, labels)
    with pytest.raises(kd.SubmissionError, match=r"mine\.csv already exists; .*`force=True`"):
        kd.write_submission(path, dataset.ids, labels)
    kd.write_submission(path, dataset.ids, labels, force=True)
    assert (tmp_path / "mine-old-1.csv").is_file()


def test_a_search_is_a_function(dataset: Dataset, folder: Path) -> None:
    pytest.importorskip("optuna")
    split = kd.Split(folds=2, rows=200)
    recipe = kd.Recipe("dense", widths=(16,), epochs=1)
    result = kd.tune(dataset, recipe, split, vary=["dropout"], trials=1)
    assert result.done == 1
    with pytest.raises(kd.UsageError, match="best is an ensemble"):
        kd.tune(dataset, "best")


def test_a_run_is_submitted_once(
    kaggle: FakeKaggle, policy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kd.fetch("kaggle", "data")
    dataset = kd.load()
    run = kd.train(dataset, "linear", kd.Split("all"))
    with pytest.warns(UserWarning, match="of its rows have the label"):
        entry = run.submit(policy=policy, wait=True)
    assert entry.public_score is not None
    assert kaggle.submissions
    with (
        pytest.warns(UserWarning, match="of its rows have the label"),
        pytest.raises(kd.SubmissionError, match="the same predictions"),
    ):
        kd.submit("linear-1", policy=policy)


def test_training_takes_a_time_limit_and_rows_to_drop(dataset: Dataset, tmp_path: Path) -> None:
    drop = tmp_path / "drop.csv"
    drop.write_text("line\n2\n", encoding="utf-8")
    extra = write_labelled(tmp_path / "drawings", [7])
    folders: Any = {"drop_rows": drop, "extra": extra, "runs_dir": tmp_path}
    run = kd.train(dataset, "linear", time_limit=600, **folders)
    assert run.extra_rows() == 1
    assert run.summary()["data"] == "sample and 1 extra picture"
    assert run.config()["dropped_rows"]["lines"] == [2]
    assert run.metrics()["time_limit"]["seconds"] == 600
