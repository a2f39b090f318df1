"""Fixtures around the fake Kaggle, for every test that talks to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_digits.kaggle_api.retry import Patience
from tests.support.competition_files import competition_files
from tests.support.kaggle_server import FakeKaggle


def isolate(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No credential and no proxy of the machine that the tests run on."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    isolate(monkeypatch, folder)
    return folder


@pytest.fixture
def kaggle(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """A Kaggle with small files, to which the client of this process is sent."""
    with FakeKaggle(competition_files()) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KD_KAGGLE_TIMEOUT", "0.5")
        yield server


@pytest.fixture
def patience() -> Patience:
    """Hundredths of a second instead of seconds."""
    return Patience(
        connect=0.5,
        read=0.4,
        call=1.0,
        tries=3,
        first_pause=0.01,
        longest_pause=0.5,
        poll=0.01,
        score=1.0,
        grace=0.3,
    )


class Heard:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.moves: list[tuple[str, int, int | None]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def update(self, name: str, done: int, total: int | None) -> None:
        self.moves.append((name, done, total))
