"""The interface through which long operations report progress; only the command line shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A receiver of notes and of the progress of downloads."""

    def note(self, text: str) -> None:
        """Receive a note of one line."""

    def update(self, name: str, done: int, total: int | None) -> None:
        """Receive that ``done`` of ``total`` bytes of ``name`` arrived; None if unknown."""


class NoProgress:
    """Discards everything."""

    def note(self, text: str) -> None:
        """Discard the note."""

    def update(self, name: str, done: int, total: int | None) -> None:
        """Discard the progress."""
