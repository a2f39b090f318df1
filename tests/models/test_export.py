"""Formats of exported networks. tests/training/test_export.py writes and reads each of them."""

from __future__ import annotations

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.export import check_format


def test_formats_that_need_tensorflow_are_refused_under_jax(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    check_format("saved_model")
    for kind in ("onnx", "litert"):
        with pytest.raises(UsageError, match="put KERAS_BACKEND=tensorflow before"):
            check_format(kind)
