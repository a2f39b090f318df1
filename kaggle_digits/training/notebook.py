"""Show the progress of a training in a Jupyter, Colab or Kaggle notebook.

One output of the cell is replaced again and again by its display id. Unlike the widgets of tqdm and
rich, that needs no ipywidgets, survives reloading the page in Colab, and a saved notebook keeps it.
"""

import html
import sys
from typing import Any

from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback, describe_epoch

MOST_LINES = 12


def default_callback() -> TrainingCallback:
    """Return a callback that shows the progress in a notebook, and nothing elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return NotebookProgress() if hasattr(shell, "kernel") else TrainingCallback()


class NotebookProgress(TrainingCallback):
    """A bar, what is done now, and the last epochs."""

    def __init__(self) -> None:
        self._name, self._members, self._done = "", 1, 0
        self._epochs: dict[int, int] = {}  # by member
        self._shares: dict[int, float] = {}
        self._lines: list[str] = []
        self._output: Any = None

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        self._name, self._members, self._done = name, members, done
        self._show("starting")

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        self._epochs[member] = epochs
        self._show(f"epoch {first_epoch + 1}/{epochs}")

    def on_epoch_end(self, row: EpochMetrics) -> None:
        epochs = self._epochs[row.member]
        self._shares[row.member] = row.epoch / epochs
        self._lines.append(describe_epoch(row, epochs, self._members))
        self._show(f"epoch {min(row.epoch + 1, epochs)}/{epochs}")

    def on_predict_begin(self, member: int, images: int, views: int) -> None:
        self._show(f"predicting {images:,} images")

    def on_member_end(self, member: int, seconds: float) -> None:
        self._shares[member] = 1.0
        self._show("finished")

    def on_message(self, text: str) -> None:
        self._lines.append(text)
        self._show("starting")

    on_warning = on_message

    def _show(self, status: str) -> None:
        display = sys.modules["IPython"].display.display
        share = (self._done + sum(self._shares.values())) / self._members
        title = f"run {self._name}: {status}" if self._name else status
        lines = "\n".join(self._lines[-MOST_LINES:])
        data = {
            "text/plain": f"{title}\n{lines}",
            "text/html": f"<progress value='{share:.3f}'></progress> {html.escape(title)}"
            f"<pre>{html.escape(lines)}</pre>",
        }
        if self._output is None:
            self._output = display(data, raw=True, display_id=True)
        else:
            self._output.update(data, raw=True)
