"""Fixtures for tests that call the fake Kaggle server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api.http import RetryPolicy
from tests.support.competition_files import competition_files
from tests.support.kaggle_server import FakeKaggle


def isolate(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Hide the credentials and proxies of the computer that the tests run on."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name.lower().endswith(
            ("_proxy", "_ca_bundle", "ssl_cert_file")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder without credentials."""
    folder = tmp_path / "home"
    folder.mkdir()
    isolate(monkeypatch, folder)
    return folder


@pytest.fixture
def kaggle(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """A fake Kaggle server with small files; the client of this process is directed to it."""
    with FakeKaggle(competition_files()) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KD_KAGGLE_TIMEOUT", "0.5")
        yield server


@pytest.fixture
def policy() -> RetryPolicy:
    """Time-outs of fractions of a second."""
    return RetryPolicy(
        connect_timeout=0.5,
        read_timeout=0.4,
        call_timeout=1.0,
        max_attempts=3,
        backoff=0.01,
        max_retry_after=0.5,
        poll_interval=0.01,
        score_timeout=1.0,
    )


class RecordingProgress(Progress):
    """A Progress that records everything."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.updates: list[tuple[str, int, int | None]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def update(self, name: str, done: int, total: int | None) -> None:
        self.updates.append((name, done, total))
