"""Evaluating run folders: whole, partly held out, perfect, damaged."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.evaluation.evaluate import Evaluation, evaluate
from kaggle_digits.evaluation.report import TITLES
from kaggle_digits.runs import run as run_module
from kaggle_digits.runs.run import Run
from tests.support import small_runs

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Collects what a browser would fetch or jump to; fails where tags do not match."""

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
def found(
    tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, oof: NDArray[np.float32]
) -> Evaluation:
    """A whole run, evaluated."""
    return evaluate(small_runs.write_run(tmp_path_factory.mktemp("runs"), dataset, oof), dataset)


def test_a_whole_run(found: Evaluation, dataset: Dataset, oof: NDArray[np.float32]) -> None:
    assert found.run == "small"
    assert set(found.figures) == set(TITLES)
    assert all(path.parent == found.report.parent / "figures" for path in found.figures.values())
    assert all(path.stat().st_size > 5000 for path in found.figures.values())
    right = (oof.argmax(axis=1) == dataset.labels).sum()
    assert found.metrics.score.accuracy == right / len(oof)
    assert 0 < len(found.most_confident_errors) == min(24, len(oof) - right)
    assert (
        found.most_confident_errors[0].label == dataset.labels[found.most_confident_errors[0].row]
    )


def test_the_report_is_one_file_that_explains_itself(found: Evaluation) -> None:
    text = found.report.read_text(encoding="utf-8")
    page = Page(text)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert sum(link.startswith("data:image/png") for link in page.links) == len(TITLES)
    assert not re.search(r"https?://|url\(|@import", text)
    jumps = {link[1:] for link in page.links if link.startswith("#")}
    assert jumps <= set(page.ids)
    assert {f"line-{answer.line}" for answer in found.most_confident_errors} <= jumps
    assert len(set(page.ids)) == len(page.ids)
    score = found.metrics.score
    for expected in (
        f"{100 * score.accuracy:.2f} %",
        f"{100 * score.ci95[0]:.2f} %",
        f"{score.n:,}",
        "Seed 7",
        "1.5 seconds",
        "abacus",
        "the last one",
    ):
        assert expected in text


def test_only_held_out_rows_count(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    partial = oof.copy()
    partial[50:] = np.nan
    split = {"kind": "holdout", "val_fraction": 0.1, "seed": 0, "rows": None}
    found = evaluate(small_runs.write_run(tmp_path, dataset, partial, split=split), dataset)
    assert found.metrics.score.n == 50
    assert (
        max(answer.row for answer in (*found.most_confident_errors, *found.least_confident_correct))
        < 50
    )
    assert "10 % held out" in found.report.read_text(encoding="utf-8")


def test_a_perfect_run_has_no_mistakes_to_show(tmp_path: Path, dataset: Dataset) -> None:
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    run = small_runs.write_run(tmp_path, dataset, perfect)
    stale = run.path / "figures" / "worst-mistakes.png"
    stale.parent.mkdir()
    stale.write_bytes(b"of an earlier evaluation")
    (run.member_folder(0) / "first_layer.npy").unlink()
    (run.path / run_module.HISTORY_FILE).write_text(",".join(run_module.HISTORY_COLUMNS) + "\n")
    found = evaluate(run, dataset)
    assert found.most_confident_errors == ()
    assert set(TITLES) - set(found.figures) == {"worst-mistakes", "learning-curves", "first-layer"}
    assert not stale.exists()
    Page(found.report.read_text(encoding="utf-8"))


def test_what_a_run_says_is_never_taken_for_html(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    evil = "<script>alert(1)</script>"
    run = small_runs.write_run(tmp_path, dataset, oof, model=evil, machine={"processor": evil})
    text = evaluate(run, dataset).report.read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_sparse_config_still_makes_a_page(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    run = small_runs.write_run(tmp_path, dataset, oof)
    run.write_config({"data": {"train_sha256": dataset.train.sha256}})
    run.write_metrics({})
    Page(evaluate(run, dataset).report.read_text(encoding="utf-8"))


def refusal(run: Run, dataset: Dataset) -> str:
    with pytest.raises(RunError) as caught:
        evaluate(run, dataset)
    assert "\n" not in str(caught.value)
    assert not (run.path / "report.html").exists()
    assert not (run.path / "figures").exists()
    return str(caught.value)


def test_other_data_is_refused(tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]) -> None:
    run = small_runs.write_run(tmp_path, dataset, oof, data={"train_sha256": "0" * 64})
    assert "another train.csv" in refusal(run, dataset)


def test_a_run_on_all_rows_has_nothing_to_measure(
    tmp_path: Path, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    nothing = np.full_like(oof, np.nan)
    for name, split in (("a", {"kind": "all"}), ("b", {"kind": "holdout"})):
        run = small_runs.write_run(tmp_path, dataset, nothing, name, split=split)
        assert "--all-rows" in refusal(run, dataset)
    run = small_runs.write_run(tmp_path, dataset, nothing, "c", split={"kind": "all"})
    (run.path / run_module.OOF_FILE).unlink()
    assert "--all-rows" in refusal(run, dataset)


def test_an_unfinished_run(run: Run, dataset: Dataset) -> None:
    (run.path / run_module.METRICS_FILE).unlink()
    assert "not finished" in refusal(run, dataset)


@pytest.mark.parametrize(
    "name",
    [run_module.CONFIG_FILE, run_module.METRICS_FILE, run_module.OOF_FILE, run_module.HISTORY_FILE],
)
def test_a_damaged_run(name: str, run: Run, dataset: Dataset) -> None:
    (run.path / name).write_bytes(b"a,b\n1,?\n")
    assert f"{name} " in refusal(run, dataset)


def test_predictions_of_another_length(run: Run, dataset: Dataset) -> None:
    run_module.write_probabilities(
        run.path / run_module.OOF_FILE, np.full((7, 10), 0.1, np.float32)
    )
    assert "7 rows" in refusal(run, dataset)


def test_a_history_without_its_columns(run: Run, dataset: Dataset) -> None:
    (run.path / run_module.HISTORY_FILE).write_text("a,b\n1,2\n")
    assert "lacks columns" in refusal(run, dataset)


def test_damaged_first_layer(run: Run, dataset: Dataset) -> None:
    path = run.member_folder(0) / "first_layer.npy"
    np.save(path, np.zeros((3, 3)))
    assert "first_layer.npy" in refusal(run, dataset)
    path.write_bytes(b"no array")
    assert "damaged" in refusal(run, dataset)


def test_an_evaluation_of_other_predictions(
    run: Run, dataset: Dataset, oof: NDArray[np.float32]
) -> None:
    perfect = np.eye(10, dtype=np.float32)[dataset.labels]
    found = evaluate(run, dataset, lambda *_: {1: oof, 5: perfect})
    assert found.metrics.score.accuracy == 1
    assert found.most_confident_errors == ()
    assert [item.views for item in found.tta] == [1, 5]
    assert "the mean over 5 views of the image" in found.report.read_text(encoding="utf-8")
    own = evaluate(run, dataset)
    assert own.tta == ()
    assert own.metrics.score == found.tta[0].score
    assert "views of the image" not in own.report.read_text(encoding="utf-8")


def test_a_run_that_held_nothing_out_is_refused_before_anything_is_predicted(
    run: Run, dataset: Dataset
) -> None:
    run.write_config({**run.config(), "split": {"kind": "all"}})

    def predict(run: Run, dataset: Dataset) -> dict[int, NDArray[np.float32]]:
        raise AssertionError("predicted in vain")

    with pytest.raises(RunError, match="--all-rows"):
        evaluate(run, dataset, predict)
