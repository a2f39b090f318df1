"""The errors a user can cause or meet.

Every message is one line that says what was wrong, where, and what to type next.
Only the command line turns them into a printed line and an exit code.
"""

from __future__ import annotations


class DigitsError(Exception):
    """Base of every error this package explains; ``exit_code`` is what ``kd`` exits with."""

    exit_code = 1


class UsageError(DigitsError):
    """A value that can never work, whatever the data: 0 epochs, an unknown model."""

    exit_code = 2


class DataError(DigitsError):
    """A data file that is missing, damaged or not in the competition's form."""


class ModelError(DigitsError):
    """A model that cannot be built, trained, saved or read."""


class RunError(DigitsError):
    """A run folder that is missing, taken, in use or damaged."""


class SubmissionError(DigitsError):
    """A submission that must not leave this machine."""


class KaggleError(DigitsError):
    """Kaggle could not be reached or did not do what was asked."""


class StorageError(DigitsError):
    """The disk refused: full, read-only, no permission."""


def check_at_least(option: str, value: float | None, least: float) -> None:
    """Raise UsageError where the value of ``--option`` is given and smaller than ``least``."""
    if value is not None and not value >= least:
        raise UsageError(f"--{option} {value} is too small; at least {least}")
