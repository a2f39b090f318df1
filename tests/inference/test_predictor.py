"""Predictions with a finished run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.core.errors import ModelError, RunError
from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.imaging.labelled_folder import read_labels
from kaggle_digits.imaging.loading import NO_DIGIT
from kaggle_digits.imaging.reader import PictureReader
from kaggle_digits.inference.predictor import (
    Predictor,
    classify_picture,
    finished_runs,
    load_predictor,
    score_folder,
)
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.metrics.scores import predicted_rows
from kaggle_digits.models.formats import LiteRTClassifier
from kaggle_digits.runs.run import Run
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.train import train
from tests.support.labelled import write_labelled
from tests.support.pictures import draw_digit


def test_predictions_equal_those_of_test_csv(trained_run: Run, sample: Path) -> None:
    predictor = load_predictor(trained_run.path.parent)
    assert predictor.run_name == "dense"
    assert predictor.val_accuracy == trained_run.metrics()["val_accuracy"]
    assert all(isinstance(model, LiteRTClassifier) for model in predictor._models)
    probabilities = predictor.predict_proba(load(sample).test.images)
    temperature = trained_run.metrics()["temperature"]
    assert np.allclose(probabilities, apply_temperature(trained_run.test(), temperature), atol=1e-4)


def test_ensemble_recipe_uses_its_weights_and_tta(sample: Path, tmp_path: Path) -> None:
    dataset = load(sample)
    small = Recipe("dense", widths=(8,), epochs=1, batch_size=64, optimizer="sgd", views=5)
    two = EnsembleRecipe("two", (small, Recipe("mlp", widths=(16,), epochs=3, batch_size=100)))
    run = train(dataset, two, Split("folds", folds=2), runs_dir=tmp_path)
    probabilities = load_predictor(tmp_path, "two-1").predict_proba(dataset.test.images)
    temperature = run.metrics()["temperature"]
    assert np.allclose(probabilities, apply_temperature(run.test(), temperature), atol=1e-4)


def test_finished_runs_are_sorted_by_accuracy(trained_run: Run, tmp_path: Path) -> None:
    for name, accuracy in (("good", 0.9), ("better", 0.95), ("unknown", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_bytes(
            (trained_run.path / "config.json").read_bytes()
        )
        Run(tmp_path / name).write_metrics({"val_accuracy": accuracy})
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.json").write_text("{}")
    assert [run.name for run in finished_runs(tmp_path)] == ["better", "good", "unknown"]


def test_better_run_that_cannot_be_loaded_is_skipped(trained_run: Run, tmp_path: Path) -> None:
    for name in ("best", "good"):
        shutil.copytree(trained_run.path, tmp_path / name)
    metrics = trained_run.metrics()
    Run(tmp_path / "best").write_metrics({**metrics, "val_accuracy": 1.0})
    model = tmp_path / "best" / "members" / "0" / "model.tflite"
    model.write_bytes(b"damaged")
    predictor = load_predictor(tmp_path)
    assert predictor.run_name == "good"
    (message,) = predictor.skipped
    assert str(model) in message
    with pytest.raises(ModelError, match="cannot be read"):
        load_predictor(tmp_path, "best")
    shutil.rmtree(tmp_path / "good")
    with pytest.raises(ModelError, match="cannot be read"):
        load_predictor(tmp_path)


def test_best_run_is_not_the_luckiest(trained_run: Run, tmp_path: Path) -> None:
    for name, accuracy, interval in (("lucky", 1.0, [0.88, 1.0]), ("sure", 0.99, [0.98, 0.995])):
        shutil.copytree(trained_run.path, tmp_path / name)
        metrics = {"val_accuracy": accuracy, "val_accuracy_ci95": interval}
        Run(tmp_path / name).write_metrics({**trained_run.metrics(), **metrics})
    assert load_predictor(tmp_path).run_name == "sure"
    assert [run.name for run in finished_runs(tmp_path)] == ["lucky", "sure"]
    assert "run sure was trained on the sample's digits" in load_predictor(tmp_path).caveat
    config = trained_run.config()
    Run(tmp_path / "lucky").write_config({**config, "data": config["data"] | {"source": "kaggle"}})
    predictor = load_predictor(tmp_path)
    assert (predictor.run_name, predictor.caveat) == ("lucky", ""), "those of the sample are last"


def test_missing_run_is_reported_with_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"`kd\.train\(dataset, 'cnn'\)`"):
        load_predictor(tmp_path)
    with pytest.raises(RunError, match="no run called gone"):
        load_predictor(tmp_path, "gone")


def test_enlarged_pictures_are_classified_nearly_as_accurately(
    trained_run: Run, sample: Path
) -> None:
    predictor, dataset = load_predictor(trained_run.path.parent), load(sample)
    rows = predicted_rows(trained_run.oof())[:100]
    images, labels = dataset.train.images[rows], dataset.labels[rows]
    accuracy = (predictor.predict_proba(images).argmax(axis=1) == labels).mean()
    large = [Image.fromarray(255 - image).resize((140, 140)) for image in images]
    digits = [classify_picture(predictor, picture).digit for picture in large]
    assert (np.array(digits) == labels).mean() > accuracy - 0.12  # the sample was scanned at 8 × 8


def test_prediction_has_confidence_and_runner_up(trained_run: Run) -> None:
    prediction = classify_picture(load_predictor(trained_run.path.parent), draw_digit(1))
    assert prediction.digit is not None
    assert prediction.confidence == pytest.approx(float(prediction.probabilities.max()))
    assert prediction.runner_up == int(np.argsort(prediction.probabilities)[-2])
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert list(prediction.steps)[-1] == "what the network sees"


def test_empty_picture_has_no_digit(trained_run: Run) -> None:
    blank = Image.new("L", (50, 50), 255)
    prediction = classify_picture(load_predictor(trained_run.path.parent), blank)
    assert (prediction.digit, prediction.confidence, prediction.runner_up) == (None, None, None)
    assert prediction.note == NO_DIGIT
    assert not prediction.probabilities.any()


def test_what_is_not_read_is_wrong(trained_run: Run, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "drawings", [1, 4, 7, 1])
    predictor = Predictor(trained_run)
    score = score_folder(predictor, PictureReader(), read_labels(folder))
    truth = dict(read_labels(folder))
    assert score.n == 4
    assert score.accuracy == pytest.approx(1 - len(score.wrong) / 4)
    assert score.ci95[0] < score.accuracy <= score.ci95[1]
    right = [path for path in truth if str(path) not in {one.file for one in score.wrong}]
    (folder / right[0].name).write_bytes(b"damaged")
    again = score_folder(predictor, PictureReader(), read_labels(folder))
    (added,) = [one for one in again.wrong if one not in score.wrong]
    assert (added.digit, added.confidence, added.label) == (None, None, truth[right[0]])
    assert "not a readable picture" in added.note
