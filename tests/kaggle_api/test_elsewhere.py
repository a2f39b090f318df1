"""A call that is answered by redirected to another host: nothing secret goes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.retry import RetryPolicy
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from tests.support.faults import Fault
from tests.support.kaggle_server import KEY, TOKEN, FakeKaggle
from tests.support.other_host import OtherHost


@pytest.fixture
def elsewhere() -> Iterator[OtherHost]:
    with OtherHost() as server:
        yield server


def failure(action: object) -> str:
    with pytest.raises(KaggleError) as caught:
        action()  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_call_does_not_follow(
    kaggle: FakeKaggle, policy: RetryPolicy, elsewhere: OtherHost, status: int
) -> None:
    client = CompetitionClient(policy=policy)
    client.list_files()
    kaggle.fail("ListDataFiles", Fault("elsewhere", status, to=elsewhere.url))
    message = failure(client.list_files)
    assert "redirected to another host (127.0.0.1)" in message
    assert "https://www.kaggle.com" in message
    assert not elsewhere.heard
    assert not kaggle.strangers


@pytest.mark.parametrize("status", [302, 307])
def test_the_token_in_a_body_does_not_follow(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    elsewhere: OtherHost,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    kaggle.fail("IntrospectToken", Fault("elsewhere", status, to=elsewhere.url), times=9)
    assert "redirected to another host" in failure(CompetitionClient(policy=policy).list_files)
    assert not elsewhere.heard
    assert not kaggle.strangers


@pytest.mark.parametrize("status", [302, 307])
def test_an_upload_does_not_follow(
    kaggle: FakeKaggle, policy: RetryPolicy, elsewhere: OtherHost, status: int
) -> None:
    kaggle.fail("upload", Fault("elsewhere", status, to=elsewhere.url), times=9)
    client = CompetitionClient(policy=policy)
    assert "redirected to another host" in failure(lambda: client.upload("a.csv", b"content"))
    assert not elsewhere.heard
    assert not kaggle.strangers


def test_a_notebook_does_not_follow(
    kaggle: FakeKaggle, policy: RetryPolicy, elsewhere: OtherHost
) -> None:
    kaggle.fail("GetKernelSessionStatus", Fault("elsewhere", 302, to=elsewhere.url))
    assert "redirected to another host" in failure(
        lambda: NotebookClient(policy=policy).session_state("someone/kd-far")
    )
    assert not elsewhere.heard
    assert not kaggle.strangers


def test_a_file_comes_from_elsewhere_without_the_credential(
    kaggle: FakeKaggle, policy: RetryPolicy, elsewhere: OtherHost, tmp_path: Path
) -> None:
    client = CompetitionClient(policy=policy)
    file = client.list_files()[0]
    kaggle.fail("DownloadDataFile", Fault("elsewhere", 302, to=elsewhere.url), times=9)
    failure(lambda: client.download_file(file, tmp_path))
    # The proxy is asked for it.
    assert kaggle.strangers
    assert not any(KEY.encode() in one or b"uthorization" in one for one in kaggle.strangers)
    before = len(kaggle.strangers)
    kaggle.heal()
    kaggle.fail("DownloadDataFile", Fault("elsewhere", 307, to=elsewhere.url), times=9)
    assert "redirected to another host" in failure(lambda: client.download_file(file, tmp_path))
    assert len(kaggle.strangers) == before
    assert not elsewhere.heard
    assert not list(tmp_path.glob("*.csv"))
