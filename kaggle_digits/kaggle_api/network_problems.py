"""Find why a connection failed: the proxy, a certificate, the host's name or the route to it.

The errors of requests, urllib3 and urllib contain those of the standard library.
"""

import errno
import os
import re
import socket
import ssl
from dataclasses import dataclass

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
PROXY_VARIABLES = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY")
NEW_CA_BUNDLE = "set REQUESTS_CA_BUNDLE to a file with the certificate of your network (PEM)"
PROXY_ADDRESS = "http://HOST:PORT"
PROXY_LOGIN = (
    "http://NAME:PASSWORD@HOST:PORT, with percent codes for special characters, such as %40 for @"
)
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
BAD_PROXY_ADDRESS = {"InvalidProxyURL", "LocationParseError", "ProxySchemeUnknown"}
# Errors of urllib3 that are raised before a request is sent.
NEVER_SENT = {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}
# Reasons of OpenSSL not to trust a certificate (X509_V_ERR_…).
NOT_YET_VALID, EXPIRED, WRONG_HOST = 9, 10, 62


@dataclass(frozen=True)
class NetworkProblem:
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
    if "ProxyError" not in names:
        variable = ""
    found = (_system_problem(one, variable, names) for one in chain if isinstance(one, OSError))
    return next(filter(None, found), None)


def _system_problem(error: OSError, proxy: str, names: set[str]) -> NetworkProblem | None:
    """Explain an error of the standard library; ``proxy`` is the proxy's variable, if it fails."""
    if isinstance(error, ssl.SSLError):
        return _tls_problem(error, proxy)
    host = f"the proxy in {proxy}" if proxy else "its host"
    temporary, never_sent = False, bool(names & NEVER_SENT)
    if isinstance(error, socket.gaierror):
        temporary, never_sent = error.errno == socket.EAI_AGAIN, True
        cause = (
            f"the name server (DNS) {'does not answer' if temporary else f'does not know {host}'}"
        )
    elif error.errno in UNREACHABLE:
        cause = f"there is no route to {host}, as without an internet connection or with IPv6 only"
    elif isinstance(error, ConnectionRefusedError):
        temporary = not proxy
        cause = f"connection refused by {host}"
    else:
        return None
    remedy = f"correct or unset {proxy}" if proxy else "check the network"
    return NetworkProblem(cause, remedy, temporary, never_sent)


def proxy_response(status: int) -> NetworkProblem:
    """Explain the HTTP status with which a proxy refused to connect."""
    variable = proxy_variable()
    proxy = f"the proxy in {variable}"
    if status == 407:
        cause = f"{proxy} asks for a name and a password (407)"
        if "@" in os.environ.get(variable, ""):
            cause = f"{proxy} does not accept the name and the password there (407)"
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
        reason = error.reason or "the connection was closed"
        if proxy and reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            cause = f"the proxy in {proxy} does not use TLS"
            return NetworkProblem(cause, f"write http:// instead of https:// in {proxy}")
        # An end in the middle of a transfer may be an accident.
        remedy = "check the network and its proxy"
        return NetworkProblem(f"TLS failed: {reason}", remedy, "EOF" in reason, never_sent=False)
    cause = f"the TLS certificate is not trusted: {error.verify_message}"
    if error.verify_code in (NOT_YET_VALID, EXPIRED):
        return NetworkProblem(cause, "check the date and the clock of this computer")
    if error.verify_code == WRONG_HOST:
        return NetworkProblem(cause, "a login page of your network may be the cause: open it")
    variable = ca_variable()
    given = f"; {variable} does not contain its issuer" if variable else ""
    cause += ", as behind a company's proxy or an antivirus that reads all traffic"
    return NetworkProblem(cause, f"{NEW_CA_BUNDLE}, which its administrator can give you{given}")


def _chain(error: BaseException) -> list[BaseException]:
    """Return ``error`` and every exception that it contains or was caused by."""
    chain = [error]
    for one in chain:  # grows meanwhile
        inner = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        chain += [e for e in inner if isinstance(e, BaseException) and e not in chain]
    return chain
