"""The HTML report of a run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation.evaluate import TITLES, Evaluation, evaluate
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.runs import files
from kaggle_digits.runs import run as run_module
from tests.support import small_runs

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Collect the links and ids of a page; fail if a tag is not closed or is a script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        assert tag != "script"
        for name, value in attrs:
            if name in ("src", "href"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def evaluation(
    tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, oof: NDArray[np.float32]
) -> Evaluation:
    return evaluate(small_runs.write_run(tmp_path_factory.mktemp("runs"), dataset, oof), dataset)


def test_the_report_is_one_file_that_opens_offline(evaluation: Evaluation) -> None:
    text = evaluation.report.read_text(encoding="utf-8")
    page = Page(text)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert sum(link.startswith("data:image/png") for link in page.links) == len(TITLES) - 1
    assert "saliency" not in page.ids
    assert not re.search(r"https?://|url\(|@import", text)
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids)
    assert {f"line-{error.line}" for error in evaluation.most_confident_errors} <= anchors
    assert len(set(page.ids)) == len(page.ids)
    score = evaluation.metrics.score
    for expected in (
        f"{100 * score.accuracy:.2f} %",
        f"{100 * score.ci95[0]:.2f} %",
        f"{score.n:,}",
        f"<td>{100 * (evaluation.metrics.classes[3].recall or 0):.2f} %</td>",
        "Seed 7",
        "1.5 seconds",
        "abacus",
        "the last one",
        f"kd show {evaluation.most_confident_errors[0].line} --run small",
        "Grey: correct. Orange: errors",
    ):
        assert expected in text
    assert "nats" not in text


def test_calibration_is_shown_after_temperature_scaling(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    smoothed = apply_temperature(oof, 3)
    recipe = {"normalize": "unit", "label_smoothing": 0.1}
    evaluation = evaluate(small_runs.write_run(tmp_path, dataset, smoothed, recipe=recipe), dataset)
    metrics = evaluation.metrics
    assert metrics.calibrated.error < 0.5 * metrics.calibration.error
    text = " ".join(evaluation.report.read_text(encoding="utf-8").split())
    assert f"<b>{metrics.calibrated.error:.4f}</b>" in text
    assert f"divided by {metrics.temperature:.2f}" in text
    assert "label smoothing lowers confidences on purpose" in text


def test_a_run_without_errors_gets_a_valid_page(tmp_path: Path, dataset: Dataset) -> None:
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    run = small_runs.write_run(tmp_path, dataset, perfect)
    (run.member_folder(0) / "first_layer.npy").unlink()
    (run.path / run_module.HISTORY_FILE).write_text(",".join(files.HISTORY_COLUMNS) + "\n")
    page = Page(evaluate(run, dataset).report.read_text(encoding="utf-8"))
    assert not {"worst-mistakes", "learning-curves", "first-layer"} & set(page.ids)


def test_text_from_the_run_is_escaped(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    script = "<script>alert(1)</script>"
    run = small_runs.write_run(tmp_path, dataset, oof, model=script, machine={"processor": script})
    text = evaluate(run, dataset).report.read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_config_without_optional_keys_gets_a_valid_page(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    run = small_runs.write_run(tmp_path, dataset, oof)
    run.write_config({"data": {"train_sha256": dataset.train.sha256}})
    run.write_metrics({})
    Page(evaluate(run, dataset).report.read_text(encoding="utf-8"))
