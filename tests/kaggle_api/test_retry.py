from __future__ import annotations

import threading

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.kaggle_api.http import RetryPolicy, call_with_timeout


def test_call_with_timeout_abandons_an_endless_call() -> None:
    forever = threading.Event()
    with pytest.raises(TimeoutError):
        call_with_timeout(forever.wait, 0.05)
    forever.set()


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_timeout_must_be_positive(timeout: float) -> None:
    with pytest.raises(UsageError):
        RetryPolicy.from_timeout(timeout)
