"""What the commands that talk to Kaggle share: the time-out option, news, a download's progress."""

from __future__ import annotations

from types import TracebackType
from typing import Annotated, Any

import typer

from kaggle_digits.cli import console

SECONDS = 30.0
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        envvar="KD_KAGGLE_TIMEOUT",
        help="Seconds of Kaggle's silence to bear; pauses between tries are in proportion.",
    ),
]


class Display:
    """Progress on stderr: bars on a terminal, one line a file elsewhere."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._told: set[str] = set()

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def note(self, text: str) -> None:
        """One line of news."""
        console.note(text)

    def update(self, name: str, done: int, total: int | None) -> None:
        """Move the bar of ``name``."""
        if not console.err.is_terminal:
            if name not in self._told:
                size = f" ({total / 1e6:.1f} MB)" if total else ""
                console.note(f"downloading {name}{size}")
                self._told.add(name)
            return
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)


def _bars() -> Any:
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=console.err,
        redirect_stdout=False,  # kaggle's own chatter is being held there
        redirect_stderr=False,
    )
