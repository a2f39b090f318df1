"""Callbacks: what a training reports while it runs."""

import html
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Called with (batches done in this epoch, running loss, running accuracy).
OnStep = Callable[[int, float, float], None]
MOST_LINES = 12  # that a notebook shows


@dataclass(frozen=True)
class EpochMetrics:
    """One row of history.csv: the metrics of a member after one epoch.

    Losses are mean log losses in nats, accuracies fractions, NaN if nothing was measured. ``loss``
    and ``accuracy`` are running means while the weights changed, with dropout. ``epoch`` counts
    from 1.
    """

    member: int
    epoch: int
    loss: float = np.nan
    accuracy: float = np.nan
    val_loss: float = np.nan
    val_accuracy: float = np.nan
    learning_rate: float = np.nan
    seconds: float = np.nan


def describe_epoch(row: EpochMetrics, epochs: int, members: int) -> str:
    """Return one line about an epoch of ``epochs``, with the member if there are several."""
    which = f"member {row.member + 1}/{members}, " if members > 1 else ""
    measured = f"validation {100 * row.val_accuracy:.2f} %"
    if math.isnan(row.val_accuracy):
        measured = f"accuracy {100 * row.accuracy:.2f} %"
    numbers = f"loss {row.loss:.4f}, {measured}, {row.seconds:.1f} s"
    return f"{which}epoch {row.epoch}/{epochs}: {numbers}"


class TrainingCallback:
    """Base class whose methods do nothing; override those you need."""

    def on_run_begin(self, name: str, members: int, done: int) -> None:
        """A run starts or resumes; ``done`` of its ``members`` are finished."""

    def on_member_begin(self, member: int, epochs: int, steps: int, first_epoch: int) -> None:
        """A member starts at ``first_epoch``: 0, or later if it resumes."""

    def on_step(self, member: int, step: int, loss: float, accuracy: float) -> None:
        """``step`` batches of the current epoch are done."""

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """An epoch ended."""

    def on_predict_begin(self, member: int, images: int, views: int) -> None:
        """A trained member predicts ``images``, each from ``views`` views."""

    def on_member_end(self, member: int, seconds: float) -> None:
        """A member is trained, has predicted and is saved."""

    def on_member_error(self, member: int, reason: str, attempts: int) -> None:
        """A member failed for good after ``attempts`` attempts."""

    def on_run_end(self, name: str) -> None:
        """The run ended: its folder says whether it is finished; or it failed or was stopped."""

    def on_message(self, text: str) -> None:
        """Anything else that the user should know."""

    def on_warning(self, text: str) -> None:
        """Something that makes the results worse or less valid than they look."""


class ForwardingCallback(TrainingCallback):
    """Pass each event on to ``forward`` as (name of the method, its arguments)."""

    def __init__(self, forward: Callable[[str, tuple[Any, ...]], object]) -> None:
        self._forward = forward

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda *arguments: self._forward(name, arguments)


class CallbackList(ForwardingCallback):
    """Call several callbacks in order."""

    def __init__(self, *callbacks: TrainingCallback) -> None:
        def call_all(name: str, arguments: tuple[Any, ...]) -> None:
            for callback in callbacks:
                getattr(callback, name)(*arguments)

        super().__init__(call_all)


class PythonWarnings(TrainingCallback):
    """Issue warnings as Python's, which a script shows on stderr, and report nothing else."""

    def on_warning(self, text: str) -> None:
        warnings.warn(text, stacklevel=4)  # the line that calls kd.train


def default_callback() -> TrainingCallback:
    """Return a callback that shows the progress in a notebook, and only warnings elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return NotebookProgress() if hasattr(shell, "kernel") else PythonWarnings()


class NotebookProgress(TrainingCallback):
    """Show a bar, what is done now, and the last epochs in a Jupyter, Colab or Kaggle notebook.

    One output of the cell is replaced again and again by its display id. Unlike the widgets of tqdm
    and rich, that needs no ipywidgets, survives reloading the page in Colab, and a saved notebook
    keeps it.
    """

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
