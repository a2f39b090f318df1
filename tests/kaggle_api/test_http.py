from __future__ import annotations

import sys
import threading

import pytest
import requests

from kaggle_digits.core.errors import UsageError
from kaggle_digits.kaggle_api.http import no_requests, suppress_stdout, time_limits
from kaggle_digits.kaggle_api.retry import RetryPolicy, call_with_timeout
from tests.support.kaggle_server import FakeKaggle, Fault


def test_only_the_muffled_thread_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()
    before = sys.stdout

    def chatter() -> None:
        with suppress_stdout():
            print("chatter")
            inside.set()
            go_on.wait(5)
            print("more chatter")

    thread = threading.Thread(target=chatter)
    thread.start()
    inside.wait(5)
    print("a result")
    go_on.set()
    thread.join()
    assert sys.stdout is before
    assert capsys.readouterr().out == "a result\n"


def test_limits_hold_inside_only(kaggle: FakeKaggle) -> None:
    url = f"http://127.0.0.1:{kaggle.port}/blob/test.csv"
    kaggle.fail("blob", Fault("silent"))
    with time_limits(0.1, 0.1), pytest.raises(requests.Timeout):
        requests.get(url)
    with no_requests(), pytest.raises(requests.ConnectionError):
        requests.get(url)
    assert requests.get(url, timeout=5).content == kaggle.files["test.csv"]


def test_bounded_leaves_what_never_ends() -> None:
    forever = threading.Event()
    with pytest.raises(TimeoutError):
        call_with_timeout(forever.wait, RetryPolicy(call_timeout=0.05))
    forever.set()


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_timeout_must_be_positive(timeout: float) -> None:
    with pytest.raises(UsageError):
        RetryPolicy.from_timeout(timeout)
