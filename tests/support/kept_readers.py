"""Processes that prepare pictures, kept for the next test: each takes a second to start."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.imaging import reader as module
from kaggle_digits.imaging.reader import PictureReader


def keep_readers(patch: pytest.MonkeyPatch) -> None:
    """Give a new reader the process of one that is no longer used, instead of starting another."""
    # What holds the process, the command that started it, and the reader that uses it.
    kept: list[tuple[PictureReader, str, weakref.ref[PictureReader]]] = []
    start, request = PictureReader._start, PictureReader._request

    def start_or_take_over(reader: PictureReader) -> None:
        for entry in [each for each in kept if each[2]() is None]:
            kept.remove(entry)
            owner, command, _ = entry
            is_alive = not owner._closed and owner._process.poll() is None
            if is_alive and command == module.COMMAND:
                break
        else:
            owner = object.__new__(PictureReader)
            owner._closed = False
            start(owner)  # the process ends with `owner`, not with `reader`
        reader.__dict__ = vars(owner)  # so that `owner` knows when it is closed
        kept.append((owner, module.COMMAND, weakref.ref(reader)))

    def request_absolute(reader: PictureReader, source: Path | bytes, *rest: Any) -> Any:
        # The process may have been started in another folder.
        return request(reader, source.absolute() if isinstance(source, Path) else source, *rest)

    patch.setattr(PictureReader, "_start", start_or_take_over)
    patch.setattr(PictureReader, "_request", request_absolute)
