from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kaggle_digits.core.errors import KaggleError, UsageError
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.http import (
    RetryPolicy,
    TimeoutAdapter,
    call_with_timeout,
    mount_timeouts,
    send_request,
)
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from tests.support.kaggle_server import KEY, TOKEN, FakeKaggle, Fault
from tests.support.other_host import OtherHost


@pytest.fixture
def other_host() -> Iterator[OtherHost]:
    with OtherHost() as server:
        yield server


def failure(action: object) -> str:
    with pytest.raises(KaggleError) as caught:
        action()  # type: ignore[operator]
    return str(caught.value)


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_calls_do_not_follow_a_redirect_to_another_host(
    kaggle: FakeKaggle, policy: RetryPolicy, other_host: OtherHost, status: int
) -> None:
    client = CompetitionClient(policy=policy)
    client.list_files()
    kaggle.fail("ListDataFiles", Fault("elsewhere", status, to=other_host.url))
    message = failure(client.list_files)
    assert "redirected to another host (127.0.0.1)" in message
    assert "https://www.kaggle.com" in message
    assert not other_host.requests
    assert not kaggle.foreign_requests


@pytest.mark.parametrize("status", [302, 307])
def test_a_token_in_the_body_is_not_sent_to_another_host(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    other_host: OtherHost,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    kaggle.fail("IntrospectToken", Fault("elsewhere", status, to=other_host.url), times=9)
    assert "redirected to another host" in failure(CompetitionClient(policy=policy).list_files)
    assert not other_host.requests
    assert not kaggle.foreign_requests


@pytest.mark.parametrize("status", [302, 307])
def test_uploads_do_not_follow_a_redirect_to_another_host(
    kaggle: FakeKaggle, policy: RetryPolicy, other_host: OtherHost, status: int
) -> None:
    kaggle.fail("upload", Fault("elsewhere", status, to=other_host.url), times=9)
    client = CompetitionClient(policy=policy)
    assert "redirected to another host" in failure(lambda: client.upload("a.csv", b"content"))
    assert not other_host.requests
    assert not kaggle.foreign_requests


def test_notebook_calls_do_not_follow_a_redirect_to_another_host(
    kaggle: FakeKaggle, policy: RetryPolicy, other_host: OtherHost
) -> None:
    kaggle.fail("GetKernelSessionStatus", Fault("elsewhere", 302, to=other_host.url))
    assert "redirected to another host" in failure(
        lambda: NotebookClient(policy=policy).session_state("someone/kd-far")
    )
    assert not other_host.requests
    assert not kaggle.foreign_requests


def test_file_from_another_host_is_requested_without_the_credential(
    kaggle: FakeKaggle, policy: RetryPolicy, other_host: OtherHost, tmp_path: Path
) -> None:
    client = CompetitionClient(policy=policy)
    file = client.list_files()[0]
    kaggle.fail("DownloadDataFile", Fault("elsewhere", 302, to=other_host.url), times=9)
    failure(lambda: client.download_file(file, tmp_path))
    assert other_host.requests
    assert not any(KEY.encode() in one or b"uthorization" in one for one in other_host.requests)
    before = len(other_host.requests)
    kaggle.clear_faults()
    kaggle.fail("DownloadDataFile", Fault("elsewhere", 307, to=other_host.url), times=9)
    assert "redirected to another host" in failure(lambda: client.download_file(file, tmp_path))
    assert len(other_host.requests) == before
    assert not kaggle.foreign_requests
    assert not list(tmp_path.glob("*.csv"))


def test_call_with_timeout_abandons_an_endless_call() -> None:
    forever = threading.Event()
    with pytest.raises(TimeoutError):
        call_with_timeout(forever.wait, 0.05)
    forever.set()


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_timeout_must_be_positive(timeout: float) -> None:
    with pytest.raises(UsageError):
        RetryPolicy.from_timeout(timeout)
