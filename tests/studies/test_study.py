"""Comparison of a measured accuracy with the published one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.data.dataset import SAMPLE_SOURCE, Source, load
from kaggle_digits.metrics.scores import Score, wilson_interval
from kaggle_digits.studies.runner import find_study
from kaggle_digits.studies.study import Context, Published, StudyOutput
from tests.support import small_runs


@pytest.mark.parametrize(
    ("correct", "reached", "comparison"),
    [(990, True, "higher than"), (975, True, "within the 95 %"), (930, False, "lower than")],
)
def test_published_accuracy_is_reached_within_the_interval(
    correct: int, reached: bool, comparison: str, tmp_path: Path
) -> None:
    output = StudyOutput(find_study("models"), tmp_path)
    score = Score(correct / 1000, wilson_interval(correct, 1000), 0.1, 1000)
    output.add_accuracy("A2", "x", score, Published(0.975, "97.50 %"), "because")
    output.add_accuracy("A2", "x", score)
    compared, alone = output.experiments
    assert compared.reached is reached
    assert comparison in compared.row[-1]
    assert "because" in compared.row[-1]
    assert compared.published == "97.50 %"
    assert alone.reached is None


def test_context_names_the_sample_and_the_command(tmp_path: Path) -> None:
    dataset = load(small_runs.write_data(tmp_path))
    published = Context(dataset)
    assert (published.differences, published.command("scikit")) == ("", "kd study scikit")
    sample = replace(dataset, source=Source(SAMPLE_SOURCE))
    context = Context(sample, quick=True, seed=3, noise="uniform")
    assert context.differences == (
        "scikit-learn's small digits instead of MNIST's; shorter training because of --quick"
    )
    assert context.command("denoise") == "kd study denoise --quick --seed 3 --noise uniform"


def test_note_of_several_results_is_shown_once(tmp_path: Path) -> None:
    output = StudyOutput(find_study("models"), tmp_path)
    output.add_result("A1", "x", "1", "both", "own")
    output.add_result("A2", "y", "2", "", "both", figures=["curve"])
    assert output.shared_notes == {"both": ("A1", "A2")}
    assert output.experiments[1].row[3:] == ("figure: curve; 2", None, None, "both")
