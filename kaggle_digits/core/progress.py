"""What a long step tells whoever asked for it; only the command line draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Where news goes."""

    def note(self, text: str) -> None:
        """One line of news."""

    def update(self, name: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` bytes of ``name`` are here; total is None while unknown."""


class NoProgress:
    """Tells nobody."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def update(self, name: str, done: int, total: int | None) -> None:
        """Draw nothing."""
