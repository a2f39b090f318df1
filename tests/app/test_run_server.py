"""The command kd app and its server."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from typer.testing import CliRunner, Result

from kaggle_digits.app import run_server
from kaggle_digits.app.middleware import SecurityMiddleware
from kaggle_digits.app.run_server import AddressError, bind, network_url, server_url
from kaggle_digits.cli.main import app

ABOUT_THE_SAMPLE = (
    "run dense was trained on the sample's digits of 8 × 8 pixels, so it reads fewer pictures than "
    "its accuracy says\n"
)


def kd_app(*words: str) -> Result:
    return CliRunner().invoke(app, ["app", *words])


def assert_error(result: Result, code: int, *words: str) -> None:
    """Assert one line on stderr that contains all ``words``, and nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error:")
    assert all(word in line for word in words), line


@pytest.fixture
def without_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create the app and bind its port, but do not serve."""

    def return_at_once(app: object, server_socket: socket.socket) -> None:
        server_socket.close()

    monkeypatch.setattr(run_server, "serve", return_at_once)


def test_port_in_use_is_reported(runs_dir: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = kd_app("--port", str(port), "--runs-dir", str(runs_dir))
    assert_error(result, 1, f"port {port} is in use", f"kd app --runs-dir {runs_dir} --port 0")


def test_missing_run_is_reported(tmp_path: Path) -> None:
    assert_error(kd_app("--runs-dir", str(tmp_path)), 1, "no finished run", "kd train")


def test_unknown_run_is_reported(runs_dir: Path) -> None:
    assert_error(kd_app("--run", "third", "--runs-dir", str(runs_dir)), 1, "third", "dense")


def test_address_of_another_machine_is_reported(runs_dir: Path) -> None:
    words = ["--host", "192.0.2.1", "--port", "0", "--runs-dir", str(runs_dir)]
    advice = f"kd app --runs-dir {runs_dir} --host 127.0.0.1"
    assert_error(kd_app(*words), 1, "192.0.2.1", advice)
    words[1] = "no such host"
    assert_error(kd_app(*words), 1, "no such host", advice)


@pytest.mark.usefixtures("without_serving")
def test_folder_of_drawings_that_cannot_be_written_is_reported(
    runs_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "drawings"
    result = kd_app("--port", "0", "--runs-dir", str(runs_dir), "--drawings-dir", str(folder))
    assert result.exit_code == 0, result.output
    assert "warning: drawings cannot be saved: cannot write" in " ".join(result.stderr.split())


def test_forbidden_port_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", deny)
    with pytest.raises(AddressError, match=r"no permission to use port 80.*kd app --port 8000"):
        bind("127.0.0.1", 80)


@pytest.mark.usefixtures("without_serving")
def test_url_is_printed(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    result = kd_app("--port", "0", "--runs-dir", str(runs_dir))
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert "dense" in line
    assert "http://127.0.0.1:" in line
    assert result.stderr == ABOUT_THE_SAMPLE
    assert not opened
    kd_app("--port", "0", "--open", "--runs-dir", str(runs_dir))
    assert opened[0].startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("without_serving")
def test_warning_if_the_network_can_connect(runs_dir: Path) -> None:
    result = kd_app("--host", "0.0.0.0", "--port", "0", "--runs-dir", str(runs_dir))
    assert "http://127.0.0.1:" in result.stdout, "a URL for the browser, not the wildcard address"
    assert "everybody in your network" in result.stderr


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_url_for_other_devices(wildcard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        server_socket = bind(wildcard, 0)
    except AddressError:
        pytest.skip("no IPv6 on this machine")
    with server_socket:
        port = server_socket.getsockname()[1]
        url = urlsplit(network_url(server_socket))
        assert url.hostname not in {None, wildcard, "127.0.0.1", "::1"}
        assert SecurityMiddleware(_no_app, wildcard).is_allowed_host(url.netloc)
        # Without a network there is only a name.
        monkeypatch.setattr(socket.socket, "connect", _no_route)
        assert network_url(server_socket) == f"http://{socket.gethostname()}:{port}"
    with bind("127.0.0.1", 0) as server_socket:
        assert network_url(server_socket) == server_url(server_socket)


async def _no_app(*_: object) -> None:
    raise AssertionError


def _no_route(*_: object) -> None:
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


def test_ipv6_address() -> None:
    try:
        server_socket = bind("::1", 0)
    except AddressError:
        pytest.skip("no IPv6 on this machine")
    with server_socket:
        assert server_url(server_socket).startswith("http://[::1]:")


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_missing_web_extra_is_reported(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in list(sys.modules):
        if name.startswith("kaggle_digits.app."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert_error(kd_app(), 2, f"kd app needs {missing}; install it: pip install")


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_stops_the_server(runs_dir: Path) -> None:
    command = [sys.executable, "-m", "kaggle_digits", "app", "--port", "0"]
    command += ["--runs-dir", str(runs_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout
            address = next(word for word in process.stdout.readline().split() if "http" in word)
            with httpx.Client() as client:  # an open connection does not delay the end
                assert client.get(f"{address}/healthz").json()["status"] == "ok"
                assert "server" not in client.get(address).headers
                # Nor does a request that takes long; it causes no traceback either.
                url = httpx.URL(address)
                slow = socket.create_connection((url.host, url.port or 80))
                slow.sendall(
                    b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na"
                )
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, stdout) == (0, "")
    # While it started.
    assert stderr in (ABOUT_THE_SAMPLE, f"working …\n{ABOUT_THE_SAMPLE}")
