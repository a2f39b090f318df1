"""kd app: as it is typed."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from kaggle_digits.app import run_server
from kaggle_digits.app.run_server import AddressError, bind, server_url
from kaggle_digits.cli.main import app


def kd(*words: str) -> Result:
    return CliRunner().invoke(app, ["app", *words])


def refused(result: Result, code: int, *words: str) -> None:
    """One line on stderr that says all ``words``, nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error:")
    assert all(word in line for word in words), line


@pytest.fixture
def not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app is made and its port taken, but nobody waits for visitors."""

    def end_at_once(app: object, listening: socket.socket, ready: Callable[[], None]) -> None:
        ready()
        listening.close()

    monkeypatch.setattr(run_server, "serve", end_at_once)


def test_a_port_in_use(runs_dir: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = kd("--port", str(port), "--runs-dir", str(runs_dir))
    refused(result, 1, f"port {port} is in use", "kd app --port")


def test_no_run_to_read_with(tmp_path: Path) -> None:
    refused(kd("--runs-dir", str(tmp_path)), 1, "no finished run", "kd train")


def test_an_unknown_run(runs_dir: Path) -> None:
    refused(kd("--run", "third", "--runs-dir", str(runs_dir)), 1, "third", "dense")


def test_another_machines_address(runs_dir: Path) -> None:
    words = ["--host", "192.0.2.1", "--port", "0", "--runs-dir", str(runs_dir)]
    refused(kd(*words), 1, "192.0.2.1", "kd app --host 127.0.0.1")
    words[1] = "no such host"
    refused(kd(*words), 1, "no such host", "kd app --host 127.0.0.1")


def test_a_port_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind_nothing(*words: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind_nothing)
    with pytest.raises(AddressError, match=r"no permission to use port 80.*kd app --port 8000"):
        bind("127.0.0.1", 80)


@pytest.mark.usefixtures("not_served")
def test_one_line_says_where(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    result = kd("--port", "0", "--runs-dir", str(runs_dir))
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert "dense" in line
    assert "http://127.0.0.1:" in line
    assert not result.stderr
    assert not opened
    kd("--port", "0", "--open", "--runs-dir", str(runs_dir))
    assert opened[0].startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("not_served")
def test_who_else_can_reach_it_is_said(runs_dir: Path) -> None:
    result = kd("--host", "0.0.0.0", "--port", "0", "--runs-dir", str(runs_dir))
    assert "http://127.0.0.1:" in result.stdout, "an address to type, not a pattern"
    assert "everybody in your network" in result.stderr


def test_an_address_of_the_sixth_version() -> None:
    try:
        listening = bind("::1", 0)
    except AddressError:
        pytest.skip("no IPv6 on this machine")
    with listening:
        assert server_url(listening).startswith("http://[::1]:")


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in list(sys.modules):
        if name.startswith("kaggle_digits.app."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    refused(kd(), 2, missing, "pip install 'kaggle-digits[web]'")


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_it_serves_until_ctrl_c(runs_dir: Path) -> None:
    command = [sys.executable, "-m", "kaggle_digits", "app", "--port", "0"]
    command += ["--runs-dir", str(runs_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            assert running.stdout
            address = next(word for word in running.stdout.readline().split() if "http" in word)
            with httpx.Client() as client:  # a page that stays open does not hold it
                assert client.get(f"{address}/healthz").json()["status"] == "ok"
                assert "server" not in client.get(address).headers
                running.send_signal(signal.SIGINT)
                rest, errors = running.communicate(timeout=20)
        finally:
            running.kill()
    assert (running.returncode, rest, errors) == (0, "", "")
