"""The true cause of a failed connection is named at once, without useless retries."""

import errno
import shutil
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from urllib3.util import connection

from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.credentials import Credential
from kaggle_digits.kaggle_api.errors import KaggleApiError, explain
from kaggle_digits.kaggle_api.http import RetryPolicy, certificates, send_request
from kaggle_digits.kaggle_api.network_problems import CA_VARIABLES
from tests.support.fixtures import RecordingProgress
from tests.support.kaggle_server import KEY, FakeKaggle, Fault
from tests.support.other_host import OtherHost
from tests.support.proxies import RefusingProxy, tls_server

Failure = Callable[..., tuple[KaggleApiError, int]]
SECRET = "pr0xy-password"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture
def failure(home: Path, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch) -> Failure:
    """Call Kaggle in the given environment; return the error and the number of retries."""
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", KEY)

    def call(**env: str) -> tuple[KaggleApiError, int]:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        progress = RecordingProgress()
        # Nothing here is slow, unless the computer is.
        patient = replace(policy, connect_timeout=20, read_timeout=20, call_timeout=60)
        with pytest.raises(KaggleApiError) as caught:
            CompetitionClient(policy=patient, progress=progress).list_files()
        assert SECRET not in str(caught.value)
        return caught.value, len(progress.notes)

    return call


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_proxy_that_needs_a_password(failure: Failure, scheme: str) -> None:
    name = f"{scheme.upper()}_PROXY"
    env = {"KAGGLE_API_ENVIRONMENT": "LOCALHOST"} if scheme == "http" else {}
    with RefusingProxy(407) as proxy:
        error, retries = failure(**{name: proxy.url}, **env)
        assert f"the proxy in {name} asks for a name and a password" in str(error)
        assert f"set {name}=http://NAME:PASSWORD@HOST:PORT" in str(error)
        assert (retries, len(proxy.requests), error.not_applied) == (0, 1, True)
        address = proxy.url.replace("//", f"//me:{SECRET}@")
        error, _ = failure(**{name: address}, **env)
        assert "does not accept those there (407)" in str(error)


def test_proxy_that_refuses_or_cannot_connect(failure: Failure) -> None:
    with RefusingProxy(403) as proxy:
        error, retries = failure(HTTPS_PROXY=proxy.url)
    assert "forbids it (403); ask the network's administrator" in str(error)
    assert retries == 0
    with RefusingProxy(503) as proxy:
        error, retries = failure(HTTPS_PROXY=proxy.url)
    assert "the proxy in HTTPS_PROXY has an error (503)" in str(error)
    assert retries > 0


@pytest.mark.parametrize(
    ("address", "message"),
    [
        pytest.param(
            f"socks5://me:{SECRET}@127.0.0.1:1",
            "HTTPS_PROXY names a SOCKS proxy, for which a package is missing; pip install pysocks",
            marks=pytest.mark.skipif(find_spec("socks") is not None, reason="PySocks is installed"),
        ),
        (f"http://me:{SECRET}@127.0.0.1:port", "HTTPS_PROXY is not the address of a proxy; set it"),
        (f"ftp://me:{SECRET}@127.0.0.1:1", "HTTPS_PROXY is not the address of a proxy; set it"),
        (f"http://me:{SECRET}@127.0.0.1:9", "connection refused by the proxy in HTTPS_PROXY; corr"),
    ],
)
def test_unusable_proxy(failure: Failure, address: str, message: str) -> None:
    error, retries = failure(HTTPS_PROXY=address)
    assert message in str(error)
    assert (retries, error.not_applied) == (0, True)


def test_proxy_without_tls(failure: Failure) -> None:
    with RefusingProxy(407) as proxy:
        error, retries = failure(https_proxy=proxy.url.replace("http:", "https:"))
    assert "write http:// instead of https:// in https_proxy" in str(error)
    assert retries == 0


@pytest.mark.parametrize(
    ("code", "message", "is_retried"),
    [
        (socket.EAI_NONAME, "the name server (DNS) does not know its host; check the netw", False),
        (socket.EAI_AGAIN, "the name server (DNS) does not answer; check the network", True),
    ],
)
def test_name_server(
    failure: Failure,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    message: str,
    is_retried: bool,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error, retries = failure()
    assert message in str(error)
    assert (retries > 0, error.not_applied) == (is_retried, True)


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_no_route(failure: Failure, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(connection, "create_connection", fail)
    error, retries = failure()
    assert "there is no route to its host" in str(error)
    assert "IPv6" in str(error)
    assert (retries, error.not_applied) == (0, True)


@pytest.mark.parametrize("variable", CA_VARIABLES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"", "[X509: NO_CERTIFICATE_OR_CRL_FOUND]"),
        (b"\x30\x82\x03", "[X509: NO_CERTIFICATE_OR_CRL_FOUND]"),
    ],
)
def test_unusable_certificates(
    failure: Failure, tmp_path: Path, variable: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / "office.pem"
    if content is not None:
        path.write_bytes(content)
    error, retries = failure(**{variable: str(path)})
    assert f"{path}, named by {variable}, is no file of certificates in PEM format" in str(error)
    assert message in str(error)
    assert f"; correct or unset {variable}" in str(error)
    assert (retries, error.not_applied) == (0, True)


@needs_openssl
def test_intercepted_tls(
    home: Path, tmp_path: Path, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explained(url: str) -> KaggleApiError:
        with pytest.raises(Exception, match="CERTIFICATE") as caught:
            send_request("GET", url, policy)
        return explain(caught.value, "testing", Credential("key", "here"))

    with tls_server(tmp_path) as url:
        error = explained(url)
        assert "the TLS certificate is not trusted: self-signed certificate" in str(error)
        assert "set REQUESTS_CA_BUNDLE to a file with the certificate of your n" in str(error)
        assert (error.retryable, error.not_applied) == (False, True)
        for variable in CA_VARIABLES:
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(tmp_path / "certificate.pem"))
                assert send_request("GET", url, policy).status_code == 204
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    assert certificates() == str(tmp_path / "certificate.pem")
    (tmp_path / "other").mkdir()
    with tls_server(tmp_path / "other") as url:
        assert "; REQUESTS_CA_BUNDLE does not contain its issuer" in str(explained(url))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other" / "certificate.pem"))
        assert "login page" in str(explained(url.replace("127.0.0.1", "localhost")))


def test_wrong_clock() -> None:
    expired = ssl.SSLCertVerificationError("certificate verify failed")
    expired.verify_code, expired.verify_message = 10, "certificate has expired"
    error = explain(requests.exceptions.SSLError(expired), "testing", Credential("key", "here"))
    assert "certificate has expired; check the date and the clock of this" in str(error)


def test_netrc_is_not_used(
    kaggle: FakeKaggle, policy: RetryPolicy, home: Path, tmp_path: Path
) -> None:
    """requests would send its login to Kaggle's file server and after a redirect."""
    (home / ".netrc").write_text(f"default login someone password {SECRET}\n")
    client = CompetitionClient(policy=policy)
    client.download_file(client.list_files()[0], tmp_path)
    client.upload("a.csv", b"content")
    sent = {call.method: call.authorization for call in kaggle.calls}
    assert (sent["blob"], sent["upload"]) == (None, None)
    with OtherHost() as other:
        kaggle.fail("DownloadDataFile", Fault("elsewhere", 302, to=other.url), times=9)
        with pytest.raises(KaggleApiError):
            client.download_file(client.list_files()[0], tmp_path)
    assert other.requests
    assert not any(b"uthorization" in one for one in other.requests)
