from __future__ import annotations

import pytest
import requests

from kaggle_digits.kaggle_api.http import TimeoutAdapter, mount_timeouts, send_request
from kaggle_digits.kaggle_api.retry import RetryPolicy
from tests.support.kaggle_server import FakeKaggle, Fault


def test_requests_time_out(kaggle: FakeKaggle) -> None:
    url = f"http://127.0.0.1:{kaggle.port}/blob/test.csv"
    kaggle.fail("blob", Fault("silent"))
    policy = RetryPolicy(connect_timeout=0.1, read_timeout=0.1)
    with pytest.raises(requests.Timeout):
        send_request("GET", url, policy)
    assert send_request("GET", url, policy).content == kaggle.files["test.csv"]


def test_other_sessions_are_not_changed(kaggle: FakeKaggle) -> None:
    with requests.Session() as ours, requests.Session() as other:
        mount_timeouts(ours, RetryPolicy())
        assert isinstance(ours.get_adapter("https://www.kaggle.com"), TimeoutAdapter)
        assert isinstance(ours.get_adapter("http://localhost"), TimeoutAdapter)
        assert not isinstance(other.get_adapter("https://www.kaggle.com"), TimeoutAdapter)


def test_kagglesdk_client_still_has_the_session_that_we_change() -> None:
    from kagglesdk import KaggleClient, KaggleEnv

    with KaggleClient(KaggleEnv.PROD, username="someone", password="key") as client:
        assert isinstance(client.http_client()._session, requests.Session)
