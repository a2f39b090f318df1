"""A call that is answered by another host's address: nothing secret goes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.client import Kaggle
from kaggle_digits.kaggle_api.retry import Patience
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from tests.support.elsewhere import Elsewhere
from tests.support.faults import Fault
from tests.support.kaggle_server import KEY, TOKEN, FakeKaggle


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        yield server


def failure(action: object) -> str:
    with pytest.raises(KaggleError) as caught:
        action()  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_call_does_not_follow(
    kaggle: FakeKaggle, patience: Patience, elsewhere: Elsewhere, status: int
) -> None:
    client = Kaggle(patience=patience)
    client.files()
    kaggle.fail("ListDataFiles", Fault("elsewhere", status, to=elsewhere.url))
    message = failure(client.files)
    assert "another host's address (127.0.0.1)" in message
    assert "https://www.kaggle.com" in message
    assert not elsewhere.heard
    assert not kaggle.strangers


@pytest.mark.parametrize("status", [302, 307])
def test_the_token_in_a_body_does_not_follow(
    kaggle: FakeKaggle,
    patience: Patience,
    elsewhere: Elsewhere,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    kaggle.fail("IntrospectToken", Fault("elsewhere", status, to=elsewhere.url), times=9)
    assert "another host's address" in failure(Kaggle(patience=patience).files)
    assert not elsewhere.heard
    assert not kaggle.strangers


@pytest.mark.parametrize("status", [302, 307])
def test_an_upload_does_not_follow(
    kaggle: FakeKaggle, patience: Patience, elsewhere: Elsewhere, status: int
) -> None:
    kaggle.fail("upload", Fault("elsewhere", status, to=elsewhere.url), times=9)
    client = Kaggle(patience=patience)
    assert "another host's address" in failure(lambda: client.upload("a.csv", b"content"))
    assert not elsewhere.heard
    assert not kaggle.strangers


def test_a_notebook_does_not_follow(
    kaggle: FakeKaggle, patience: Patience, elsewhere: Elsewhere
) -> None:
    kaggle.fail("GetKernelSessionStatus", Fault("elsewhere", 302, to=elsewhere.url))
    assert "another host's address" in failure(
        lambda: NotebookClient(patience=patience).state("someone/kd-far")
    )
    assert not elsewhere.heard
    assert not kaggle.strangers


def test_a_file_comes_from_elsewhere_without_the_credential(
    kaggle: FakeKaggle, patience: Patience, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    client = Kaggle(patience=patience)
    file = client.files()[0]
    kaggle.fail("DownloadDataFile", Fault("elsewhere", 302, to=elsewhere.url), times=9)
    failure(lambda: client.download(file, tmp_path))
    # The proxy is asked for it.
    assert kaggle.strangers
    assert not any(KEY.encode() in one or b"uthorization" in one for one in kaggle.strangers)
    before = len(kaggle.strangers)
    kaggle.heal()
    kaggle.fail("DownloadDataFile", Fault("elsewhere", 307, to=elsewhere.url), times=9)
    assert "another host's address" in failure(lambda: client.download(file, tmp_path))
    assert len(kaggle.strangers) == before
    assert not elsewhere.heard
    assert not list(tmp_path.glob("*.csv"))
