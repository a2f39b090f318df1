"""Evaluate run folders: complete, partly held out, without errors, damaged."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation import evaluate as evaluate_module
from kaggle_digits.evaluation.evaluate import TITLES, best_tta, compare_tta, evaluate
from kaggle_digits.metrics.scores import McNemarResult
from kaggle_digits.runs import files
from kaggle_digits.runs import run as run_module
from kaggle_digits.runs.run import Run
from tests.support import small_runs
from tests.support.probabilities import LABELS, wrong_on

METHOD = Path(__file__).parents[2] / "docs" / "method.md"


def test_evaluate_writes_all_figures(
    run: Run, dataset: Dataset, oof: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "MOST_SHOWN", 24)  # as without tests/conftest.py
    evaluation = evaluate(run, dataset)
    assert evaluation.run == "small"
    assert set(evaluation.figures) == set(TITLES) - {"saliency"}
    folder = evaluation.report.parent / "figures"
    assert all(path.parent == folder for path in evaluation.figures.values())
    assert all(path.stat().st_size > 5000 for path in evaluation.figures.values())
    correct = (oof.argmax(axis=1) == dataset.labels).sum()
    assert evaluation.metrics.score.accuracy == correct / len(oof)
    assert 0 < len(evaluation.most_confident_errors) == min(24, len(oof) - correct)
    worst = evaluation.most_confident_errors[0]
    assert worst.label == dataset.labels[worst.row]


def test_the_method_page_computes_the_same_metrics(
    tmp_path: Path,
    dataset: Dataset,
    oof: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    small_runs.write_data(Path("data"))
    partial = np.where(np.arange(len(oof))[:, None] < 200, oof, np.float32("nan"))
    run = small_runs.write_run(Path("runs"), dataset, partial, "two")
    (code,) = re.findall(r"```python\n(.*?)```", METHOD.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, METHOD, "exec"), {})
    metrics = evaluate(run, dataset).metrics
    expected = (metrics.score.accuracy, metrics.score.log_loss)
    assert [float(line) for line in capsys.readouterr().out.split()] == pytest.approx(expected)


def test_only_held_out_rows_count(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    partial = oof.copy()
    partial[50:] = np.nan
    split = {"kind": "holdout", "val_fraction": 0.1, "seed": 0, "rows": None}
    evaluation = evaluate(small_runs.write_run(tmp_path, dataset, partial, split=split), dataset)
    assert evaluation.metrics.score.n == 50
    shown = (*evaluation.most_confident_errors, *evaluation.least_confident_correct)
    assert max(prediction.row for prediction in shown) < 50
    assert "10 % held out" in evaluation.report.read_text(encoding="utf-8")


def test_a_run_without_errors_gets_fewer_figures(tmp_path: Path, dataset: Dataset) -> None:
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    run = small_runs.write_run(tmp_path, dataset, perfect)
    stale = run.path / "figures" / "worst-mistakes.png"
    stale.parent.mkdir()
    stale.write_bytes(b"of an earlier evaluation")
    (run.member_folder(0) / "first_layer.npy").unlink()
    (run.path / run_module.HISTORY_FILE).write_text(",".join(files.HISTORY_COLUMNS) + "\n")
    evaluation = evaluate(run, dataset)
    assert evaluation.most_confident_errors == ()
    missing = set(TITLES) - set(evaluation.figures)
    assert missing == {"worst-mistakes", "saliency", "learning-curves", "first-layer"}
    assert not stale.exists()


def test_predictions_with_tta_are_evaluated_instead_of_the_saved_ones(
    run: Run, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    with_tta = evaluate(run, dataset, lambda *_: {1: oof, 5: perfect})
    assert with_tta.metrics.score.accuracy == 1
    assert with_tta.most_confident_errors == ()
    assert [item.views for item in with_tta.tta] == [1, 5]
    assert "the mean over 5 views of the image" in with_tta.report.read_text(encoding="utf-8")
    saved = evaluate(run, dataset)
    assert saved.tta == ()
    assert saved.metrics.score == with_tta.tta[0].score
    assert "views of the image" not in saved.report.read_text(encoding="utf-8")


def test_a_run_without_held_out_rows_is_refused_before_anything_is_predicted(
    run: Run, dataset: Dataset
) -> None:
    run.write_config({**run.config(), "split": {"kind": "all"}})

    def predict_oof(run: Run, dataset: Dataset) -> dict[int, NDArray[np.float32]]:
        raise AssertionError("predicted although there are no held-out rows")

    with pytest.raises(RunError, match="trained on all labelled rows"):
        evaluate(run, dataset, predict_oof)


def refusal(run: Run, dataset: Dataset) -> str:
    """Return the error message of an evaluation that must not write anything."""
    with pytest.raises(RunError) as caught:
        evaluate(run, dataset)
    assert "\n" not in str(caught.value)
    assert not (run.path / "report.html").exists()
    assert not (run.path / "figures").exists()
    return str(caught.value)


def test_other_data_is_refused(tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]) -> None:
    run = small_runs.write_run(tmp_path, dataset, oof, data={"train_sha256": "0" * 64})
    assert "another train.csv" in refusal(run, dataset)


def test_a_run_trained_on_all_rows_is_refused(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    nothing = np.full_like(oof, np.nan)
    for name, split in (("a", {"kind": "all"}), ("b", {"kind": "holdout"})):
        run = small_runs.write_run(tmp_path, dataset, nothing, name, split=split)
        assert "trained on all labelled rows" in refusal(run, dataset)
    run = small_runs.write_run(tmp_path, dataset, nothing, "c", split={"kind": "all"})
    (run.path / run_module.OOF_FILE).unlink()
    assert "trained on all labelled rows" in refusal(run, dataset)


def test_an_unfinished_run_is_refused(run: Run, dataset: Dataset) -> None:
    (run.path / run_module.METRICS_FILE).unlink()
    assert "not finished" in refusal(run, dataset)


@pytest.mark.parametrize(
    "name",
    [run_module.CONFIG_FILE, run_module.METRICS_FILE, run_module.OOF_FILE, run_module.HISTORY_FILE],
)
def test_the_damaged_file_is_named(name: str, run: Run, dataset: Dataset) -> None:
    (run.path / name).write_bytes(b"a,b\n1,?\n")
    assert f"{name} " in refusal(run, dataset)


def test_predictions_of_another_length_are_refused(run: Run, dataset: Dataset) -> None:
    files.write_probabilities(run.path / run_module.OOF_FILE, np.full((7, 10), 0.1, np.float32))
    assert "it holds float32 (7, 10) instead of float32 (300, 10)" in refusal(run, dataset)


def test_a_history_with_missing_columns_is_refused(run: Run, dataset: Dataset) -> None:
    (run.path / run_module.HISTORY_FILE).write_text("a,b\n1,2\n")
    assert "lacks columns" in refusal(run, dataset)


def test_damaged_first_layer_weights_are_refused(run: Run, dataset: Dataset) -> None:
    path = run.member_folder(0) / "first_layer.npy"
    np.save(path, np.zeros((3, 3)))
    assert "first_layer.npy" in refusal(run, dataset)
    path.write_bytes(b"no array")
    assert "damaged" in refusal(run, dataset)


def test_tta_rows_that_change_are_counted_and_tested() -> None:
    missing = range(199, 200)
    by_views = {5: wrong_on(range(8, 12), missing), 1: wrong_on(range(10), missing)}
    one, five = compare_tta(by_views, LABELS)
    assert (one.views, one.changed, one.mcnemar) == (1, 0, McNemarResult(0, 0, 1.0))
    assert (five.views, five.changed, five.mcnemar.gained, five.mcnemar.lost) == (5, 10, 8, 2)
    # Of 10 rows, 8 or more in one direction: (45 + 10 + 1) / 1024, and the same in the other.
    assert five.mcnemar.p_value == pytest.approx(2 * 56 / 1024)
    assert not five.mcnemar.significant
    assert one.score.n == five.score.n == 199
    assert one.score.accuracy == pytest.approx(189 / 199)
    assert best_tta([one, five]) is five


def test_best_tta_prefers_lower_log_loss_then_fewer_views() -> None:
    sharper = np.where(wrong_on(range(3)) > 0.5, np.float32(0.991), np.float32(0.001))
    scores = compare_tta({1: wrong_on(range(3)), 5: sharper, 9: sharper}, LABELS)
    assert [item.mcnemar.p_value for item in scores] == [1.0, 1.0, 1.0]
    assert scores[0].score.log_loss != scores[1].score.log_loss
    best = min(scores, key=lambda item: item.score.log_loss)
    assert best_tta(scores) is best
    with pytest.raises(RunError, match="no predictions"):
        compare_tta({1: np.full((200, 10), np.nan, np.float32)}, LABELS)
