"""Tests of benchmarks.augmentation."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks import augmentation


def test_quick(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["augmentation", "--quick"])
    assert augmentation.main() == 0
    printed = capsys.readouterr().out
    rows = re.findall(r"^\| ([a-z ]+) \| \d+\.\d \| (\d+\.\d) \(", printed, re.MULTILINE)
    assert [name for name, _ in rows] == list(augmentation.AUGMENTATIONS)
    assert all(float(ms) > 0 for _, ms in rows)
    assert "cores" in printed
    assert "tensorflow" in printed
