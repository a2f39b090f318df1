"""Find why a connection failed: the proxy, a certificate, the host's name or the route to it.

The errors of requests, urllib3 and urllib contain those of the standard library.
"""

import errno
import os
import re
import socket
import ssl
from typing import NamedTuple

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
PROXY_VARIABLES = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY")
PROXY_ADDRESS = "http://HOST:PORT"
PROXY_LOGIN = (
    "http://NAME:PASSWORD@HOST:PORT, with percent codes for special characters, such as %40 for @"
)
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
BAD_PROXY_ADDRESS = {"InvalidProxyURL", "LocationParseError", "ProxySchemeUnknown"}
# Errors of urllib3 that are raised before a request is sent.
NEVER_SENT = {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}
# OpenSSL's X509_V_ERR_… for a certificate that is not yet valid, expired or of another host.
WRONG_TIME_OR_HOST = (9, 10, 62)


class NetworkProblem(NamedTuple):
    """The cause and what to do about it, as parts of a message."""

    cause: str
    remedy: str
    retryable: bool = False  # whether it may be over in a few seconds
    never_sent: bool = True  # whether it is certain that the request was not sent


def find_problem(error: BaseException) -> NetworkProblem | None:
    """Return the cause of ``error``; None if it is unknown."""
    chain = _chain(error)
    names = {type(one).__name__ for one in chain}
    text = " ".join(map(str, chain))
    variable = proxy_variable()
    if "SOCKS support" in text:
        cause = f"{variable} names a SOCKS proxy, for which a package is missing"
        return NetworkProblem(cause, "pip install pysocks")
    if names & BAD_PROXY_ADDRESS:
        cause = f"{variable} is not the address of a proxy"
        return NetworkProblem(cause, f"set it to {PROXY_ADDRESS} or unset it")
    if match := re.search(r"Tunnel connection failed: (\d{3})", text):
        return proxy_response(int(match[1]))
    proxy = variable if "ProxyError" in names else ""
    never_sent = bool(names & NEVER_SENT)
    found = (_system_problem(one, proxy, never_sent) for one in chain if isinstance(one, OSError))
    return next(filter(None, found), None)


def _system_problem(error: OSError, proxy: str, never_sent: bool) -> NetworkProblem | None:
    """Explain an error of the standard library; ``proxy`` is the proxy's variable, if it fails."""
    host = f"the proxy in {proxy}" if proxy else "its host"
    remedy = f"correct or unset {proxy}" if proxy else "check the network"
    if isinstance(error, ssl.SSLError):
        return _tls_problem(error, proxy)
    if isinstance(error, socket.gaierror):
        temporary = error.errno == socket.EAI_AGAIN
        answer = "does not answer" if temporary else f"does not know {host}"
        return NetworkProblem(f"the name server (DNS) {answer}", remedy, temporary)
    if isinstance(error, ConnectionRefusedError):
        return NetworkProblem(f"connection refused by {host}", remedy, not proxy, never_sent)
    if error.errno in UNREACHABLE:
        cause = f"there is no route to {host}, as without internet or with IPv6 only"
        return NetworkProblem(cause, remedy, never_sent=never_sent)
    return None


def proxy_response(status: int) -> NetworkProblem:
    """Explain the HTTP status with which a proxy refused to connect."""
    variable = proxy_variable()
    proxy = f"the proxy in {variable}"
    if status == 407:
        cause = f"{proxy} asks for a name and a password, or does not accept those there (407)"
        return NetworkProblem(cause, f"set {variable}={PROXY_LOGIN}")
    if status >= 500:
        return NetworkProblem(f"{proxy} has an error ({status})", "check the network", True)
    return NetworkProblem(f"{proxy} forbids it ({status})", "ask the network's administrator")


def proxy_variable() -> str:
    """Return the name of the variable that names the proxy, as it is written there."""
    for name in PROXY_VARIABLES:
        lower, upper = os.environ.get(name.lower()), os.environ.get(name)
        if lower or upper:
            return name if lower in (None, "", upper) else name.lower()
    return PROXY_VARIABLES[0]


def ca_variable() -> str:
    """Return the name of the variable that names the user's certificates, "" without one."""
    return next((name for name in CA_VARIABLES if os.environ.get(name)), "")


def _tls_problem(error: ssl.SSLError, proxy: str) -> NetworkProblem:
    if not isinstance(error, ssl.SSLCertVerificationError):
        cause = f"TLS failed: {error.reason or 'the connection was closed'}"
        if proxy:
            return NetworkProblem(cause, f"write http:// instead of https:// in {proxy}")
        # An end in the middle of a transfer may be an accident.
        remedy = "check the network and its proxy"
        return NetworkProblem(cause, remedy, "EOF" in cause, never_sent=False)
    cause = f"the TLS certificate is not trusted: {error.verify_message}"
    if error.verify_code in WRONG_TIME_OR_HOST:
        remedy = "check the date and the clock of this computer, and any login page of your network"
        return NetworkProblem(cause, remedy)
    variable = ca_variable()
    given = f"; {variable} does not contain its issuer" if variable else ""
    return NetworkProblem(
        f"{cause}, as behind a company's proxy or an antivirus that reads all traffic",
        "set REQUESTS_CA_BUNDLE to a file with the certificate of your network (PEM), which its "
        f"administrator can give you{given}",
    )


def _chain(error: BaseException) -> list[BaseException]:
    """Return ``error`` and every exception that it contains or was caused by."""
    chain = [error]
    for one in chain:  # grows meanwhile
        inner = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        chain += [e for e in inner if isinstance(e, BaseException) and e not in chain]
    return chain
