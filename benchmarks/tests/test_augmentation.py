"""Tests of benchmarks.augmentation."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks import augmentation
from kaggle_digits.training.recipes import MODEL_RECIPES


def test_quick(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = MODEL_RECIPES["dense"].with_changes(widths=(8,), batch_size=32)
    monkeypatch.setattr(augmentation, "MODEL_RECIPES", {"strong": small})
    monkeypatch.setattr(sys, "argv", ["augmentation", "--quick"])
    assert augmentation.main() == 0
    printed = capsys.readouterr().out
    rows = re.findall(r"^\| ([a-z ]+) \| \d+\.\d \| (\d+\.\d) \(", printed, re.MULTILINE)
    assert [name for name, _ in rows] == list(augmentation.AUGMENTATIONS)
    assert all(float(ms) > 0 for _, ms in rows)
    assert "cores" in printed
    assert "tensorflow" in printed
