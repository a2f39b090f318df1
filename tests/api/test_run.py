"""A run is an object to work with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

import kaggle_digits as kd
from tests.support.pictures import draw_digit

PLOTS = ("history", "confusion", "classes", "calibration", "errors", "unsure", "first_layer")


def test_predictions_are_those_saved_in_the_run(run: kd.Run) -> None:
    images = run.dataset.test.images
    expected = run.test()
    assert np.allclose(run.predict(images), expected, atol=1e-4)
    flat = images[:20].reshape(20, 784)
    for pixels in (flat, pd.DataFrame(flat), pd.DataFrame(flat).astype("int64")):
        assert np.allclose(run.predict(pixels), expected[:20], atol=1e-4)
    assert run.predict(images[:0]).shape == (0, 10)
    with pytest.raises(kd.DataError, match="expected whole numbers 0 to 255"):
        run.predict(flat / 255)


def test_metrics_are_attributes(run: kd.Run) -> None:
    labels, oof = run.dataset.labels, run.oof()
    rows = ~np.isnan(oof[:, 0])
    assert run.accuracy == accuracy_score(labels[rows], oof[rows].argmax(axis=1))
    assert run.score == kd.score(oof, labels)
    assert list(run.history.epoch) == list(range(1, 13))
    assert run.history.val_accuracy.iloc[-1] == pytest.approx(run.accuracy)


def test_pictures_are_classified(run: kd.Run, tmp_path: Path) -> None:
    picture = draw_digit(4)
    picture.save(tmp_path / "four.png")
    file = tmp_path / "four.png"
    array = np.asarray(picture.convert("L"))
    for source in (picture, file, str(file), file.read_bytes(), array):
        assert run.classify(source).digit == 4
    assert len(repr(run.classify(picture))) < 600, "a notebook shows it"
    assert run.classify(Image.new("L", (50, 50))).digit is None
    with pytest.raises(kd.DataError, match=r"none\.png: no such file"):
        run.classify("none.png")
    with pytest.raises(kd.DataError, match="the array is not a picture"):
        run.classify(array.astype(complex))


def test_models_can_be_loaded(run: kd.Run) -> None:
    images = run.dataset.test.images[:9]
    assert np.allclose(run.model()(images), run.predict(images), atol=1e-4)
    with pytest.raises(kd.UsageError, match="has models 0 to 0, no 1"):
        run.model(1)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_are_figures(run: kd.Run, name: str) -> None:
    assert getattr(run, f"plot_{name}")().axes


def test_weights_of_a_linear_model_have_digits(dataset: kd.Dataset, folder: Path) -> None:
    axes = kd.train(dataset, "linear").plot_first_layer().axes[0]
    assert [text.get_text() for text in axes.texts] == list("0123456789")


def test_evaluation_export_and_label_errors(folder: Path) -> None:
    run = kd.open_run("dense")
    evaluation = run.evaluate(tta=5)
    assert evaluation.tta[-1].views == 5
    assert Path("runs/dense/report.html").is_file()
    assert kd.export("dense").path == Path("exports/dense-litert/model.tflite")
    with pytest.raises(kd.UsageError, match="exports/dense-litert already exists"):
        run.export()
    assert kd.publish("dense") == "published/dense"
    assert Path("published/dense/README.md").read_text(encoding="utf-8").startswith("---\n")
    with pytest.raises(kd.UsageError, match="is neither hf:OWNER/NAME nor kaggle:OWNER/NAME"):
        run.publish("digits")
    pytest.importorskip("cleanlab")
    assert run.label_errors().rows == run.metrics()["n_val"]


def test_submissions_are_not_overwritten(folder: Path) -> None:
    run = kd.open_run("dense")
    path = run.write_submission()
    assert path == Path("submissions/dense.csv")
    assert np.array_equal(kd.read_submission(path, run.dataset.ids), run.test().argmax(axis=1))
    run.write_submission()  # the same again
    path.write_text("mine")
    with pytest.raises(kd.SubmissionError, match=r"dense\.csv already exists"):
        run.write_submission()
    run.write_submission(force=True)
    assert Path("submissions/dense-old-1.csv").read_text() == "mine"


def test_a_run_shows_itself_in_a_few_lines(run: kd.Run, tmp_path: Path) -> None:
    lines = repr(run).splitlines()
    assert lines[0] == "Run dense"
    assert "97.22 % of 216 rows (95 % interval 94.07–98.72)" in repr(run)
    assert len(lines) == 6
    assert run._repr_html_().startswith("<table>")
    (tmp_path / "broken").mkdir()
    assert "problem" in repr(kd.Run(tmp_path / "broken"))
