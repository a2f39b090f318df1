"""The time-out option and the download progress of all commands that call Kaggle."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.core.progress import Progress

DEFAULT_TIMEOUT = 30.0
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        envvar="KD_KAGGLE_TIMEOUT",
        help="Seconds to wait for a response; pauses between attempts scale with it.",
    ),
]


class DownloadProgress(Progress):
    """Show downloads on stderr: a bar for each file on a terminal, otherwise one line."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> DownloadProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def note(self, text: str) -> None:
        """Print one line."""
        console.note(text)

    def update(self, name: str, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` bytes of ``name`` were downloaded."""
        if name not in self._tasks:
            self._tasks[name] = self._start(name, total)
        if self._bars is not None:
            self._bars.update(self._tasks[name], completed=done, total=total)

    def _start(self, name: str, total: int | None) -> Any:
        if not console.err.is_terminal:
            console.note(f"downloading {name}" + (f" ({total / 1e6:.1f} MB)" if total else ""))
            return None
        if self._bars is None:
            from rich import progress

            self._bars = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
                console=console.err,
                redirect_stdout=False,  # the kaggle client's output is suppressed there
                redirect_stderr=False,
            )
            self._bars.start()
        return self._bars.add_task(name, total=total)
