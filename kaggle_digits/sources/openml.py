"""OpenML's mnist_784, dealt as Kaggle dealt it: for those without an account.

It is not the competition's own split: its rows contain the competition's test images.
"""

from __future__ import annotations

import contextlib
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.errors import DataError, KaggleError
from kaggle_digits.data.digits import PIXELS
from kaggle_digits.kaggle_api.errors import one_line
from kaggle_digits.kaggle_api.retry import RetryPolicy, call_with_timeout
from kaggle_digits.sources.competition_csvs import write_competition_csvs

NAME, VERSION = "mnist_784", 1
SEED = 70_000
TRIES = 3
SLOWER = 2  # than Kaggle
# Times the seconds of silence that are borne, 30 of Kaggle: an hour, in which the slowest line
# that is borne from there brings all 15 MB.
WHOLE = 120


def write_openml(folder: Path, policy: RetryPolicy | None = None) -> None:
    """Download the 70,000 digits and write 42,000 labelled and 28,000 unlabelled ones.

    Args:
        folder: where they go; must exist.
        policy: as with Kaggle; OpenML is given twice the time.

    Raises:
        KaggleError: OpenML cannot be reached.
        DataError: what it sent are not 28 × 28 digits.
        StorageError: the disk is full or not writable.
    """
    policy = policy or RetryPolicy()
    instead = "try again later, or take kd fetch --source sample"
    try:
        with _time_out(SLOWER * policy.read_timeout):
            pixels, labels = call_with_timeout(
                lambda: _fetched(folder, policy), WHOLE * policy.read_timeout
            )
    except TimeoutError:
        raise KaggleError(f"OpenML did not answer in time; {instead}") from None
    except OSError as error:  # every error of urllib is one
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise
        reason = one_line(str(getattr(error, "reason", error)))
        raise KaggleError(f"OpenML cannot be reached ({reason}); {instead}") from error
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise DataError(f"OpenML did not send {NAME} as expected ({reason}); {instead}") from error
    try:
        values = np.asarray(pixels, np.float32)
        digits = np.asarray(labels).astype(np.int64)
    except ValueError:
        raise DataError(f"OpenML's {NAME} holds something else than numbers; {instead}") from None
    sound = np.array_equal(values, np.clip(np.rint(values), 0, 255))
    if not sound or not np.isin(digits, range(10)).all():
        raise DataError(f"OpenML's {NAME} holds values outside 0 to 255 or 0 to 9; {instead}")
    write_competition_csvs(folder, values.astype(np.uint8), digits.astype(np.uint8), seed=SEED)


def _fetched(folder: Path, policy: RetryPolicy) -> tuple[Any, Any]:
    from sklearn.datasets import fetch_openml

    # What it warns of is what it then fails by; this thread may be left while it does.
    warnings.filterwarnings("ignore", module=r"sklearn\.datasets")
    pixels, labels = fetch_openml(
        NAME,
        version=VERSION,
        as_frame=False,
        return_X_y=True,
        data_home=str(folder / "openml"),
        n_retries=TRIES,
        delay=SLOWER * policy.backoff,
        parser="pandas",
        # Left to itself it reads the labels as categories, which pandas 3.1 makes whole
        # numbers, over which scikit-learn 1.9 stumbles; and pixels as 8 bytes each.
        read_csv_kwargs={"dtype": dict.fromkeys(range(PIXELS), "float32") | {PIXELS: str}},
    )
    return pixels, labels


@contextlib.contextmanager
def _time_out(seconds: float) -> Iterator[None]:
    """scikit-learn opens its addresses without one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
