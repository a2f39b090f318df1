"""Host names, origins and security headers."""

from __future__ import annotations

import socket

import httpx
import pytest

from kaggle_digits.app.middleware import SECURITY_HEADERS, SecurityMiddleware
from tests.app.test_api import CLASSIFY, assert_error
from tests.support.app_server import Address, get_raw
from tests.support.hostile_requests import FOREIGN_HOSTS, OWN_HOSTS
from tests.support.pictures import draw_digit, encode


def test_every_response_has_security_headers(client: httpx.Client) -> None:
    for path in ("/", "/page/app.js", "/healthz", "/api/runs", "/nothing"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' data: blob:")


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_own_host_names_are_accepted(address: Address, host: str) -> None:
    assert get_raw(address, "/api/runs", host).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_host_names_are_rejected(address: Address, host: str) -> None:
    response = get_raw(address, "/api/runs", host)
    assert response.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))
    assert b"dense" not in response


def test_rejected_host_name_gets_an_explanation(address: Address) -> None:
    response = get_raw(address, "/", "evil.example")
    assert b"content-security-policy" in response.lower()
    assert b"kd app --host 127.0.0.1 --allow-host evil.example" in response
    assert b"--allow-host NAME" in get_raw(address, "/", "<b>")


def test_hosts_of_forwarders_are_allowed_by_name() -> None:
    async def app(*_: object) -> None:
        """Do nothing."""

    middleware = SecurityMiddleware(app, "0.0.0.0", ["One.example:80", "two.example"])
    for host in ("one.example", "ONE.example:8000", "two.example."):
        assert middleware.is_allowed_host(host)
    assert not middleware.is_allowed_host("three.example")
    # The advice repeats the option that the app was started with.
    middleware = SecurityMiddleware(
        app, "0.0.0.0", ["https://one.example:8443/x/", "*.two.example"]
    )
    assert "kd app --host 0.0.0.0 --allow-host" in middleware._refusal("three.example")
    assert "--allow-host one.example" in middleware._refusal("three.example")
    assert "--allow-host three.example" in middleware._refusal("three.example")
    assert middleware.is_allowed_host("one.example")
    assert middleware.is_allowed_host("a-8000.two.example:443")
    assert not middleware.is_allowed_host("two.example.evil.example")


@pytest.mark.parametrize(
    ("served_at", "host_header", "allowed"),
    [
        ("digits.example", "digits.example:8000", True),
        ("digits.example", "localhost", True),
        ("digits.example", "192.0.2.7", False),
        ("192.0.2.7", "192.0.2.7:8000", True),
        ("0.0.0.0", "192.0.2.7:8000", True),
        ("::", "[2001:db8::1]:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", socket.gethostname(), True),
    ],
)
def test_allowed_hosts_depend_on_the_served_address(
    served_at: str, host_header: str, *, allowed: bool
) -> None:
    async def app(*_: object) -> None:
        """Do nothing."""

    assert SecurityMiddleware(app, served_at).is_allowed_host(host_header) is allowed


@pytest.mark.parametrize(
    "origin",
    [
        *("http://elsewhere.example", "null", "http://127.0.0.1:1", "http://[::1", "http://]", "x"),
        "http://127.0.0.1:port",
    ],
)
def test_cross_origin_requests_are_rejected(client: httpx.Client, origin: str) -> None:
    response = client.post(CLASSIFY, content=encode(draw_digit(1)), headers={"Origin": origin})
    assert_error(response, 403, "another site", "kd app --host 127.0.0.1 --allow-host ")
    assert response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "the app's own"},
        {"Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"},
        {},
    ],
)
def test_own_page_and_programs_are_accepted(client: httpx.Client, headers: dict[str, str]) -> None:
    if headers.get("Origin") == "the app's own":
        headers = {"Origin": str(client.base_url).rstrip("/")}
    response = client.post(CLASSIFY, content=encode(draw_digit(1)), headers=headers)
    assert response.status_code == 200
