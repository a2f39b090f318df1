"""Model cards: metadata that the Hub reads, limits, and no result that something was chosen on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.publishing.card import (
    biases,
    check_kind,
    check_licence,
    default_kind,
    make_card,
    write_folder,
)
from kaggle_digits.runs.run import Run
from tests.support import small_runs

yaml: Any = pytest.importorskip("yaml")
METRICS: dict[str, Any] = {
    **{"val_accuracy": 0.95, "val_accuracy_ci95": [0.93, 0.97], "val_loss": 0.2, "n_val": 300},
    **{"train_seconds": 1.5, "epoch_choice": "last epoch, fixed beforehand"},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(small_runs.write_data(tmp_path_factory.mktemp("data")))


@pytest.fixture
def run(small: Dataset, tmp_path: Path) -> Run:
    recipe = {"model": "linear"}
    run = small_runs.write_run(tmp_path, small, small_runs.linear_oof(small), recipe=recipe)
    run.write_metrics(METRICS)
    return run


def parts(card: str) -> tuple[dict[str, Any], str]:
    """Return the metadata and the text of a card."""
    _, metadata, text = card.split("---\n", 2)
    return yaml.safe_load(metadata), text


def test_card_has_metadata_metrics_and_limits(run: Run) -> None:
    card = make_card(run, "litert", "mit", "Input: images", Path("model.tflite"))
    metadata, text = parts(card)
    assert (metadata["license"], metadata["library_name"]) == ("mit", "tflite")
    (result,) = metadata["model-index"][0]["results"]
    (metric,) = result["metrics"]
    assert metric["value"] == 0.95
    assert metric["args"] == {"n": 300, "ci95": [0.93, 0.97]}
    assert "| 300 (3 folds) | 95.00 % | 93.00–97.00 % | 0.2000 |" in text
    for sentence in ("says nothing about them", "chosen among several", "Seed 7", "Input: images"):
        assert sentence in text
    assert run.sha256() in text
    assert "pseudo-labels" not in text
    run.write_config(run.config() | {"pseudo": {"run": "cnn-1", "held_out_apart": True}})
    _, taught = parts(make_card(run, "litert", "mit", "", Path("model.tflite")))
    assert "Confident predictions of cnn-1 for the test images were used as labels" in taught
    assert "\n\n\n" not in text


def test_the_hub_reads_the_metadata(run: Run) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    data = hub.ModelCard(make_card(run, "onnx", "apache-2.0", "", Path("model.onnx"))).data
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value, result.task_type) == (
        *("accuracy", 0.95),
        "image-classification",
    )
    assert data.model_name == run.name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"epoch_choice": "best loss: chosen on the same rows"},
            "The epoch was chosen on the held",
        ),
        ({"val_rows_also_trained_on": 7}, "7 held-out rows have the same image"),
        ({"recipe": {"model": "cnn", "views": 5}}, "The accuracy is that of the mean over 5 views"),
        ({"failed": [{"member": 0, "reason": "x"}]}, "Some models failed"),
        ({"leak": "labels leaked"}, "There is no clean accuracy: labels leaked"),
    ],
)
def test_an_accuracy_that_may_be_too_high_is_no_result(
    change: dict[str, Any], expected: str, run: Run
) -> None:
    in_config = {"leak", "recipe", "val_rows_also_trained_on"} & change.keys()
    if in_config:
        run.write_config(run.config() | change)
    else:
        run.write_metrics(METRICS | change)
    assert len(biases(run)) == 1
    metadata, text = parts(make_card(run, "litert", "mit", "", Path("model.tflite")))
    assert f"**{expected}" in text
    assert "model-index" not in metadata


def test_a_folder_made_from_this_run_is_kept(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    card = make_card(run, "litert", "mit", "", Path("model.tflite"))
    (folder / "README.md").write_text(card + "Edited by hand.\n", encoding="utf-8")
    assert not write_folder(run, folder, kind="litert", licence="mit")
    with pytest.raises(UsageError, match=r"already exists; .* or as another format"):
        write_folder(run, folder, kind="onnx", licence="mit")
    run.write_metrics(METRICS | {"train_seconds": 3.0})
    with pytest.raises(
        UsageError, match=r"already exists; it was made from another run or version"
    ):
        write_folder(run, folder, kind="litert", licence="mit")


def test_scikit_learn_models_are_published_as_onnx(run: Run) -> None:
    for member in run.member_folders():
        member.mkdir(parents=True, exist_ok=True)
    assert default_kind(run) == "onnx"
    for member in run.member_folders():
        (member / "model.keras").touch()
    assert default_kind(run) == "litert"


def test_unknown_licence_and_format() -> None:
    with pytest.raises(UsageError, match=r"did you mean apache-2\.0"):
        check_licence("apache-2")
    with pytest.raises(UsageError, match=r"no single file; choose litert or onnx"):
        check_kind("saved_model")
