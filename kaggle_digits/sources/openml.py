"""OpenML's mnist_784 in the format of the competition: no account needed.

Its split is not the competition's: the training rows contain the competition's test images.
"""

import socket
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import getproxies, proxy_bypass

import numpy as np

from kaggle_digits.core.errors import DataError, KaggleError, one_line
from kaggle_digits.core.library_settings import variables
from kaggle_digits.data.digits import PIXELS
from kaggle_digits.kaggle_api.http import RetryPolicy, call_with_timeout, certificates
from kaggle_digits.kaggle_api.network_problems import PROXY_ADDRESS, find_problem, proxy_variable
from kaggle_digits.sources.sample import write_competition_csvs

HOST, NAME, VERSION = "www.openml.org", "mnist_784", 1
SEED = 70_000
ATTEMPTS = 4
READ_TIMEOUT_FACTOR = 2  # OpenML is slower than Kaggle
TOTAL_TIMEOUT_FACTOR = 120  # times the read time-out of 30 s: one hour to download 15 MB
SAMPLE = "use `kd.fetch('sample')`"
ADVICE = f"try again later, or {SAMPLE}"


def write_openml(folder: Path, policy: RetryPolicy | None = None) -> None:
    """Download the 70,000 digits and write 42,000 labelled and 28,000 unlabelled ones.

    OpenML is given twice the time-outs and pauses of ``policy``. Raises KaggleError if it cannot be
    reached, DataError if it sent something else than 28 × 28 digits.
    """
    policy = policy or RetryPolicy()
    certificate_variables = _certificate_variables()
    previous_timeout = socket.getdefaulttimeout()  # scikit-learn sets none
    try:
        socket.setdefaulttimeout(READ_TIMEOUT_FACTOR * policy.read_timeout)
        with variables(certificate_variables), _new_opener():
            pixels, labels = call_with_timeout(
                lambda: _fetch_with_retries(folder, policy),
                TOTAL_TIMEOUT_FACTOR * policy.read_timeout,
            )
    except TimeoutError:
        raise KaggleError(f"OpenML did not answer in time; {ADVICE}") from None
    except OSError as error:  # urllib's errors are OSErrors without an errno
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise
        if problem := find_problem(error):
            raise KaggleError(
                f"OpenML cannot be reached: {problem.cause}; {problem.remedy}, or {SAMPLE}"
            ) from error
        reason = one_line(getattr(error, "reason", error))
        raise KaggleError(f"OpenML cannot be reached ({reason}); {ADVICE}") from error
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise DataError(f"OpenML did not send {NAME} as expected ({reason}); {ADVICE}") from error
    finally:
        socket.setdefaulttimeout(previous_timeout)
    try:
        values = np.asarray(pixels, np.float32)
        digits = np.asarray(labels).astype(np.int64)
    except ValueError:
        raise DataError(f"OpenML's {NAME} contains values that are not numbers; {ADVICE}") from None
    valid_pixels = np.array_equal(values, np.clip(np.rint(values), 0, 255))
    if not valid_pixels or not np.isin(digits, range(10)).all():
        fault = "pixels outside 0 to 255 or labels outside 0 to 9"
        raise DataError(f"OpenML's {NAME} contains {fault}; {ADVICE}")
    write_competition_csvs(folder, values.astype(np.uint8), digits.astype(np.uint8), seed=SEED)


def _certificate_variables() -> dict[str, str | None]:
    """Return the user's certificates as variables of urllib; KaggleError if it cannot use them."""
    if getproxies().get("https", "").startswith("socks") and not proxy_bypass(HOST):
        raise KaggleError(
            f"{proxy_variable()} names a SOCKS proxy, which cannot be used here; set HTTPS_PROXY="
            f"{PROXY_ADDRESS}, or {SAMPLE}"
        )
    path = certificates()
    if not isinstance(path, str):
        return {}
    return {"SSL_CERT_DIR" if Path(path).is_dir() else "SSL_CERT_FILE": path}


@contextmanager
def _new_opener() -> Iterator[None]:
    """Let urllib use the proxy and the certificates of now, not those of its first download."""
    previous = getattr(urllib.request, "_opener", None)
    urllib.request.install_opener(urllib.request.build_opener())
    try:
        yield
    finally:
        urllib.request.install_opener(previous)


def _fetch_with_retries(folder: Path, policy: RetryPolicy) -> Any:
    """Retry what may succeed; scikit-learn retries everything. It keeps what has arrived."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _fetch_openml(folder)
        except HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise
        except (URLError, TimeoutError) as error:
            if (problem := find_problem(error)) and not problem.retryable:
                raise
        time.sleep(READ_TIMEOUT_FACTOR * policy.backoff)
    return _fetch_openml(folder)


def _fetch_openml(folder: Path) -> Any:
    from sklearn import config_context
    from sklearn.datasets import fetch_openml

    # Each warning is followed by an error. The filter is not undone, because this thread may be
    # abandoned.
    warnings.filterwarnings("ignore", module=r"sklearn\.datasets")
    with config_context(skip_parameter_validation=True):  # which allows no n_retries of 0
        return fetch_openml(
            NAME,
            version=VERSION,
            as_frame=False,
            return_X_y=True,
            data_home=str(folder / "openml"),
            n_retries=0,
            parser="pandas",
            # By default the labels are read as categories, which pandas 3.1 turns into integers and
            # scikit-learn 1.9 rejects, and the pixels as 8 bytes each.
            read_csv_kwargs={"dtype": dict.fromkeys(range(PIXELS), "float32") | {PIXELS: str}},
        )
