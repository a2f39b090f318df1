"""The real fetch_openml against a fake OpenML server."""

from __future__ import annotations

import os
import shutil
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.core.errors import DataError, KaggleError
from kaggle_digits.data.dataset import load
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.sources import openml
from kaggle_digits.sources.fetch import fetch
from tests.support.faults import Fault
from tests.support.openml_server import CALLS, FakeOpenML
from tests.support.proxies import RefusingProxy, tls_server

QUICK = RetryPolicy(read_timeout=0.5, backoff=0.005)


def point_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    from sklearn.datasets import _openml

    for name, value in vars(_openml).copy().items():
        if isinstance(value, str) and value.startswith("https://") and name.isupper():
            monkeypatch.setattr(_openml, name, value.replace("https://www.openml.org/", url))
    monkeypatch.setattr(openml, "ATTEMPTS", 2)


def test_openml_is_split_like_the_competition(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenML(rows=50) as server:
        point_at(monkeypatch, server.url)
        report = fetch("openml", tmp_path / "data", policy=QUICK)
    assert [file.rows for file in report.files] == [30, 20, 20]
    assert "cannot be submitted" in report.warnings[0]
    dataset = load(tmp_path / "data")
    assert not dataset.source.is_competition
    # Every digit occurs once, and the labelled ones have their own label.
    by_pixels = {row.astype(np.uint8).tobytes(): n for n, row in enumerate(server.pixels)}
    found = [by_pixels[image.tobytes()] for image in dataset.train.images]
    assert (server.labels[found] == dataset.labels).all()
    found += [by_pixels[image.tobytes()] for image in dataset.test.images]
    assert sorted(found) == list(range(50))
    assert not (tmp_path / "data" / ".fetch").exists()
    assert list(home.iterdir()) == []  # scikit-learn's own cache is not used


def test_invalid_pixel_values(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenML(highest=300) as server:
        point_at(monkeypatch, server.url)
        with pytest.raises(DataError, match="outside"):
            fetch("openml", tmp_path / "data", policy=QUICK)
    assert not list((tmp_path / "data").glob("*.csv"))


@pytest.mark.parametrize("status", [404, 500])
def test_server_errors(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with FakeOpenML(status=status) as server:
        point_at(monkeypatch, server.url)
        with pytest.raises(KaggleError, match=r"OpenML cannot be reached.*sample"):
            fetch("openml", tmp_path / "data", policy=QUICK)


def test_no_network(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "http://127.0.0.1:9/")
    with pytest.raises(KaggleError, match=r"OpenML cannot be reached: .*refused"):
        fetch("openml", tmp_path / "data", policy=QUICK)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["silent", "trickle"])
def test_slow_server_times_out(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, fault: str
) -> None:
    monkeypatch.setattr(openml, "TOTAL_TIMEOUT_FACTOR", 2)
    with FakeOpenML() as server:
        server.fail(call, Fault(fault), times=9)
        point_at(monkeypatch, server.url)
        with pytest.raises((KaggleError, DataError), match=r"OpenML .*sample"):
            fetch("openml", tmp_path / "data", policy=RetryPolicy(read_timeout=0.2, backoff=0.005))
    assert not list((tmp_path / "data").glob("*.csv"))


def test_proxy_that_needs_a_password(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once; urllib remembers the proxies of its first request."""
    fetch_openml, folders = openml._fetch_openml, list[Path]()

    def count(folder: Path) -> object:
        folders.append(folder)
        return fetch_openml(folder)

    monkeypatch.setattr(openml, "_fetch_openml", count)
    with RefusingProxy(407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener())
        with pytest.raises(KaggleError, match=r"asks for a name and a password, .*407") as caught:
            fetch("openml", tmp_path / "data", policy=QUICK)
    assert "set HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT" in str(caught.value)
    assert "`kd.fetch('sample')`" in str(caught.value)
    # Abandoned threads of the tests above may still try.
    assert [tmp_path in folder.parents for folder in folders].count(True) == 1


def test_settings_that_cannot_work_are_named_at_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(KaggleError, match="HTTPS_PROXY names a SOCKS proxy, which cannot be used"):
        fetch("openml", tmp_path / "data", policy=QUICK)
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "no-such.pem")
    with pytest.raises(
        KaggleError, match=r"REQUESTS_CA_BUNDLE, is no file of .*; correct or unset"
    ):
        fetch("openml", tmp_path / "data", policy=QUICK)


def test_variables_that_were_changed_after_a_download_count(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib reads those of proxies and certificates once, for its first download."""
    stale = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "127.0.0.1:9"}))
    monkeypatch.setattr(urllib.request, "_opener", stale)
    with FakeOpenML(rows=50) as server:
        point_at(monkeypatch, server.url)
        fetch("openml", tmp_path / "data", policy=QUICK)
    assert vars(urllib.request)["_opener"] is stale


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_certificate_of_the_network(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(tmp_path) as url:
        point_at(monkeypatch, url)
        with pytest.raises(KaggleError, match="not trusted: self-signed certificate, as behind"):
            fetch("openml", tmp_path / "data", policy=QUICK)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
        with pytest.raises(DataError, match="did not send"):  # the server's response is empty
            fetch("openml", tmp_path / "data", policy=QUICK)
    assert "SSL_CERT_FILE" not in os.environ
