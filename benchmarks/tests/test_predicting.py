"""The prediction benchmark prints its table and fails if the predictions differ."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import predicting


def test_quick(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["predicting", "--quick", "--networks", "dense", "fast"])
    assert predicting.main() == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    assert [line.split("|")[1:3] for line in table] == [
        [f" `{name}` ", f" {call} "] for name in ("dense", "fast") for call in ("first", "later")
    ]
    monkeypatch.setattr(predicting, "_predict_kd", lambda _, images: np.zeros((len(images), 10)))
    assert predicting.main() == 1
