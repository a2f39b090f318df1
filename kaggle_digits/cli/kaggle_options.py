"""The time-out option and the download progress of all commands that call Kaggle."""

from __future__ import annotations

from typing import Annotated, Any

from kaggle_digits.cli import console
from kaggle_digits.cli.options import option
from kaggle_digits.core.progress import Progress

DEFAULT_TIMEOUT = 30.0
_HELP = "Seconds to wait for a response; pauses between attempts scale with it."
Timeout = Annotated[
    float, option(_HELP, "--timeout", envvar="KD_KAGGLE_TIMEOUT", show_default=True)
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
        console.note(text)

    def update(self, name: str, done: int, total: int | None) -> None:
        if not console.err.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = None
                console.note(f"downloading {name}" + (f" ({total / 1e6:.1f} MB)" if total else ""))
            return
        if self._bars is None:
            from rich import progress

            self._bars = progress.Progress(
                "{task.description}",
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
                console=console.err,
                redirect_stdout=False,  # the kaggle client's output is suppressed there
                redirect_stderr=False,
            )
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(console.safe(name), total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
