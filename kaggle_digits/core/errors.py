"""The errors that a user can cause or meet.

Every message is one line: what is wrong, where, and what to do next, in Python. Only the command
line prints it, with options instead (``core.advice``), and turns it into an exit code.
"""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

LARGEST_SETTING = 10**9


class DigitsError(Exception):
    """Base of every error that this package explains; ``exit_code`` is the exit code of ``kd``."""

    exit_code = 1


class UsageError(DigitsError):
    """A value that is invalid for any data: 0 epochs, an unknown model."""

    exit_code = 2


class DataError(DigitsError):
    """A data file that is missing, damaged or not in the competition's format."""


class ModelError(DigitsError):
    """A model that cannot be built, trained, saved or loaded."""


class RunError(DigitsError):
    """A run folder that is missing, damaged or in use, or whose name is taken."""


class SubmissionError(DigitsError):
    """A submission that must not be sent to Kaggle."""


class KaggleError(DigitsError):
    """Kaggle could not be reached or rejected a request."""


class StorageError(DigitsError):
    """A disk that is full, read-only or not writable for this user."""


class NotWritableError(StorageError):
    """A folder that is read-only or belongs to another user."""


def one_line(error: object, length: int = 200) -> str:
    """Return a message of another program as one printable line of at most ``length`` characters.

    Of Keras' paragraphs, which print the reason in bold or last, only the reason is kept.
    """
    text = str(error).rpartition("Error encountered:")[2].partition("Arguments received by")[0]
    bold = re.search(r"\x1b\[1m(.+?)\x1b\[0m", text, re.DOTALL)
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", bold[1] if bold else text)  # without colours
    plain = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return "did you mean CHOICE? " for the choice most like ``name``; "" if none is like it."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    close = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.65)
    return f"did you mean {by_lower_case[close[0]]}? " if close else ""


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise UsageError if the value of the setting ``name`` is none of ``choices``."""
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise UsageError(f"`{name}={value!r}` is unknown; {hint}one of: {', '.join(choices)}")


def check_number(name: str, value: Any, kind: type[int] | type[float]) -> Any:
    """Return the value of the setting ``name``, a number of NumPy as one of Python; None stays.

    Raises UsageError if it is not a number, or not a whole one where ``kind`` is int.
    """
    if value is None or isinstance(value, int | kind):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and kind is float:
        return float(value)
    raise UsageError(f"`{name}={value!r}` is not a {'whole ' * (kind is int)}number")


def check_at_least(name: str, value: float | None, minimum: float) -> None:
    """Raise UsageError if the value of the setting ``name`` is not None and below ``minimum``.

    Nor may it be larger than a billion, which later steps could not count or allocate.
    """
    if value is not None and not value >= minimum:
        raise UsageError(f"`{name}={value}` is too small; at least {minimum}")
    if value is not None and value > LARGEST_SETTING:
        raise UsageError(f"`{name}={value}` is too large; at most {LARGEST_SETTING:,}")
