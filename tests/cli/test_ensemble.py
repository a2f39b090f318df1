"""How kd ensemble shows what it found: legible in a terminal, and nothing that was not measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from kaggle_digits.cli import console
from kaggle_digits.cli.ensemble import print_ensemble
from kaggle_digits.ensembling.ensemble import Ensemble, combine
from kaggle_digits.runs.run import Run
from tests.support.probabilities import noisy_probs, random_labels

LABELS = random_labels()
RUNS = [Run(Path(name)) for name in ("strong-1", "cnn-1", "dense-deep-1")]


def combined(
    method: str, strengths: tuple[float, float, float], *, common: bool = True
) -> Ensemble:
    oofs = [noisy_probs(LABELS, strength, seed) for seed, strength in enumerate(strengths, 1)]
    tests = [oof[:10].copy() for oof in oofs]
    if not common:
        oofs[0][300:], oofs[1][:300] = np.nan, np.nan
    return combine(oofs, tests, LABELS, method)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns."""
    monkeypatch.setattr(console, "print_table", lambda table: Console(width=100).print(table))


@pytest.mark.usefixtures("narrow")
def test_each_run_has_its_temperature_weight_and_what_it_adds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = combined("weighted", (1.5, 2.5, 7.0))
    assert found.weights_help
    print_ensemble(RUNS, found, "weighted", Path("e.csv"), as_json=False)
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if "dense-deep-1" in line]
    assert len(rows) == 1, "wrapped"
    assert found.contributions and found.temperatures and found.weights
    cells = [cell.strip() for cell in rows[0].strip("│").split("│")]
    gain = found.contributions[2]
    assert cells[4:] == [
        f"{found.temperatures[2]:.2f}",
        f"{found.weights[2]:.3f}",
        console.signed(gain.right, ".0f"),
        console.signed(gain.log_loss, ".4f"),
    ]
    assert "weigh the same" not in shown.err


@pytest.mark.usefixtures("narrow")
def test_weights_that_do_not_help_are_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = combined("weighted", (2.5, 2.5, 2.5))
    assert found.weights_help is False
    print_ensemble(RUNS, found, "weighted", Path("e.csv"), as_json=False)
    shown = capsys.readouterr()
    assert shown.out.count("0.333") == 3
    message = "weights do not lower the out-of-fold log loss, so all runs weigh the same\n"
    assert message in shown.err
    print_ensemble(RUNS, found, "weighted", Path("e.csv"), as_json=True)
    assert json.loads(capsys.readouterr().out)["weights_help"] is False


@pytest.mark.usefixtures("narrow")
def test_without_a_common_row_nothing_is_measured_but_temperatures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = combined("mean", (2.5, 2.5, 2.5), common=False)
    print_ensemble(RUNS, found, "mean", Path("e.csv"), as_json=False)
    shown = capsys.readouterr()
    assert "adds" not in shown.out + shown.err
    assert "cross-validated" not in shown.err
    assert "no row was held out by all of these runs" in shown.err
    print_ensemble(RUNS, found, "mean", Path("e.csv"), as_json=True)
    read = json.loads(capsys.readouterr().out)
    assert read["ensemble"] is None
    assert [member["adds"] for member in read["members"]] == [None] * 3
    assert [member["temperature"] for member in read["members"]] == found.temperatures


def test_changes_carry_their_sign() -> None:
    changes = [(3, ".0f"), (-2, ".0f"), (0, ".0f"), (-0.00041, ".4f"), (-0.000001, ".4f")]
    shown = [console.signed(value, form) for value, form in changes]
    assert shown == ["+3", "−2", "0", "−0.0004", "0.0000"]
