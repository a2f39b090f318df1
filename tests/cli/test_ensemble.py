"""kd ensemble."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from kaggle_digits.cli import console
from kaggle_digits.cli.ensemble import print_ensemble
from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.data.dataset import load
from kaggle_digits.data.submission_csv import read_origin, read_submission
from kaggle_digits.ensembling.ensemble import Ensemble, combine
from kaggle_digits.kaggle_api.submission_log import LogEntry, update_log
from kaggle_digits.runs.run import Run
from tests.support.commands import QUICK, assert_error, kd
from tests.support.probabilities import noisy_probs, random_labels

LABELS = random_labels()
RUNS = ["strong-1", "cnn-1", "dense-deep-1"]


def combined(
    method: str, strengths: tuple[float, float, float], *, common: bool = True
) -> Ensemble:
    oofs = [noisy_probs(LABELS, strength, seed) for seed, strength in enumerate(strengths, 1)]
    tests = [oof[:10].copy() for oof in oofs]
    if not common:
        oofs[0][300:], oofs[1][:300] = np.nan, np.nan
    return combine(oofs, tests, LABELS, method)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal of 100 columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(console, "out", Console(width=100, color_system=None))


@pytest.mark.usefixtures("narrow")
def test_table_has_temperature_weight_and_contribution_of_each_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = combined("weighted", (1.5, 2.5, 7.0))
    assert found.weights_help
    print_ensemble(Run(Path("e")), RUNS, found, "weighted", Path("e.csv"), as_json=False)
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if "dense-deep-1" in line]
    assert len(rows) == 1, "wrapped"
    assert found.contributions and found.temperatures and found.weights
    cells = rows[0].split()
    gain = found.contributions[2]
    assert cells[6:] == [
        f"{found.temperatures[2]:.2f}",
        f"{found.weights[2]:.3f}",
        console.signed(gain.right, ".0f"),
        console.signed(gain.log_loss, ".4f"),
    ]
    assert "weigh the same" not in shown.err


@pytest.mark.usefixtures("narrow")
def test_useless_weights_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    found = combined("weighted", (2.5, 2.5, 2.5))
    assert found.weights_help is False
    print_ensemble(Run(Path("e")), RUNS, found, "weighted", Path("e.csv"), as_json=False)
    shown = capsys.readouterr()
    assert shown.out.count("0.333") == 3
    message = "weights do not lower the out-of-fold log loss, so all runs weigh the same\n"
    assert message in shown.err
    print_ensemble(Run(Path("e")), RUNS, found, "weighted", Path("e.csv"), as_json=True)
    assert json.loads(capsys.readouterr().out)["weights_help"] is False


@pytest.mark.usefixtures("narrow")
def test_without_common_rows_only_temperatures_are_fitted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = combined("mean", (2.5, 2.5, 2.5), common=False)
    print_ensemble(Run(Path("e")), RUNS, found, "mean", Path("e.csv"), as_json=False)
    shown = capsys.readouterr()
    assert "adds" not in shown.out + shown.err
    assert "cross-validated" not in shown.err
    assert "no row was held out by all of these runs" in shown.err
    print_ensemble(Run(Path("e")), RUNS, found, "mean", Path("e.csv"), as_json=True)
    read = json.loads(capsys.readouterr().out)
    assert read["ensemble"] is None
    assert [member["adds"] for member in read["members"]] == [None] * 3
    assert [member["temperature"] for member in read["members"]] == found.temperatures


@pytest.mark.usefixtures("work")
def test_ensembles_write_submissions(sample: Path) -> None:
    for name, seed in (("one", "0"), ("two", "0"), ("other", "1")):
        words = ["--folds", "3", "--seed", seed, "--name", name]
        widths = "16" if name == "one" else "24"
        assert (
            kd("train", "--model", "mlp", "--widths", widths, "--epochs", "3", *words).exit_code
            == 0
        )
    ids = load(sample).ids
    for number, method in enumerate(("mean", "vote", "weighted", "stack"), 1):
        result = kd("ensemble", "one", "two", "--method", method)
        assert result.exit_code == 0, result.output
        assert f"ensemble ({method})" in result.stdout
        assert result.stdout.count("1,078") == 3
        read_submission(Path(f"submissions/ensemble-{number}.csv"), ids)
    for method in ("weighted", "stack"):
        assert_error(
            kd("ensemble", "one", "other", "--method", method), 1, "held out different rows"
        )
    assert kd("ensemble", "one", "other").exit_code == 0
    assert kd("evaluate", "ensemble-3").exit_code == 0
    assert "weighted of 2 runs" in kd("runs", "--json").stdout
    assert_error(kd("ensemble", "one", "two", "--name", "ensemble-3"), 1, "ensemble-3.csv already")
    again = kd("ensemble", "ensemble-3", "other", "--name", "both", "--json")
    assert json.loads(again.stdout)["folder"] == "runs/both"
    assert "0 differ" in kd("predict", "both").stdout
    assert "ensemble-3" in kd("compare", "ensemble-3", "one", "both").stdout
    votes = kd("ensemble", "submissions/one.csv", "submissions/two.csv", "-o", "votes.csv")
    assert "majority of 2 files" in votes.stdout
    # Where two files differ there is a tie, so the first decides.
    assert Path("votes.csv").read_bytes() == Path("submissions/one.csv").read_bytes()
    assert_error(kd("ensemble", "one", "two", "-o", "votes.csv"), 1, "votes.csv already exists")
    found = json.loads(kd("ensemble", "one", "two", "--method", "weighted", "--json").stdout)
    assert sum(member["weight"] for member in found["members"]) == pytest.approx(1)
    assert found["weights_help"] in (True, False)
    for method, has_temperature in (("mean", True), ("vote", False)):
        words = ["one", "two", "--method", method]
        found = json.loads(kd("ensemble", *words, "--json").stdout)
        for member, left in zip(found["members"], reversed(found["members"]), strict=True):
            assert (member["temperature"] is not None) == has_temperature
            assert member["weight"] is None
            # Without this run, the ensemble is the other run alone.
            added = found["ensemble"]["accuracy"] - left["accuracy"]
            assert member["adds"]["right"] == round(1078 * added)
        assert found["weights_help"] is None
        shown = kd("ensemble", *words)
        assert "adds: this ensemble minus the ensemble without that run" in shown.stderr
        assert ("T: temperature" in shown.stderr) == has_temperature
        origin = read_origin(Path(found["submission"]))
        assert origin is not None
        assert (origin.runs, origin.method) == (["one", "two"], method)


@pytest.mark.usefixtures("work")
def test_invalid_ensembles_are_errors() -> None:
    kd("train", *QUICK, "--name", "one")
    assert_error(kd("ensemble", "one"), 2, "at least two different runs")
    assert_error(kd("ensemble", "one", "one"), 2, "at least two different runs")
    assert_error(kd("ensemble", "one", "absent"), 1, "no run called absent in runs; there are: one")
    assert_error(kd("ensemble", "one", "x.csv"), 2, "not both")
    assert_error(kd("ensemble", "a.csv", "b.csv"), 1, "a.csv is missing")
    assert_error(kd("predict", "one", "--tta", "2"), 2, "--tta 2 is not offered")
    Path("runs/one/members/0/model.skops").write_bytes(b"")
    assert_error(kd("predict", "one"), 1, "model.skops cannot be read")
    Path("runs/one/test.npy").write_bytes(b"")
    kd("train", *QUICK, "--name", "two")
    assert_error(kd("ensemble", "one", "two"), 1, "test.npy is damaged")


@pytest.mark.usefixtures("work")
def test_public_scores_decide_ties_and_are_listed() -> None:
    for name, seed in (("one", "0"), ("two", "1")):
        assert kd("train", *QUICK, "--seed", seed, "--name", name).exit_code == 0
    entry = LogEntry(
        time="2026-01-01T00:00:00+00:00",
        file="two.csv",
        sha256=sha256(Path("submissions/two.csv")),
        run="two",
        oof_accuracy=0.9,
        n_val=108,
        ref=1,
        status="complete",
        public_score=0.98765,
        message="two",
    )
    update_log(Path("submissions"), lambda entries: [*entries, entry])
    assert "0.98765" in kd("runs").stdout
    result = kd("ensemble", "submissions/one.csv", "submissions/two.csv", "-o", "votes.csv")
    assert "two.csv: public score 0.98765" in result.stdout
    assert Path("votes.csv").read_bytes() == Path("submissions/two.csv").read_bytes()
    files = ["submissions/one.csv", "submissions/two.csv"]
    found = json.loads(kd("ensemble", *files, "-o", "again.csv", "--json").stdout)
    assert [member["public_score"] for member in found["members"]] == [0.98765, None]
