"""Consent to run code from files."""

from __future__ import annotations

import pytest

from kaggle_digits.core import trust


@pytest.mark.parametrize(
    ("value", "enabled"), [("1", True), ("true", True), ("", False), ("0", False), ("No", False)]
)
def test_consent_is_an_environment_variable(
    value: str, enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trust.VARIABLE, value)
    assert trust.is_enabled() is enabled


def test_without_the_variable_there_is_no_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    assert not trust.is_enabled()
