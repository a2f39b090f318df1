"""Kaggle's answers, and the lack of them, in one line each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.credentials import CREDENTIAL_HELP, Credential
from kaggle_digits.kaggle_api.http import CrossHostRedirect

COMPETITION = "digit-recognizer"
COMPETITION_PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
RULES_PAGE, SUBMISSIONS_PAGE = f"{COMPETITION_PAGE}/rules", f"{COMPETITION_PAGE}/submissions"
LONGEST_WORDS = 200
WORDS_OF_A_LIMIT = ("limit", "maximum", "too many", "allowed per day", "per day", "remaining")


class KaggleApiError(KaggleError):
    """A call to Kaggle that did not do what was asked.

    Attributes:
        status: the HTTP status, or None where there was no answer.
        retryable: whether trying again soon may help.
        retry_after: seconds that Kaggle asks to wait (Retry-After), or None.
        not_applied: whether it is certain that Kaggle did nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        not_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.retryable = status, retryable
        self.retry_after, self.not_applied = retry_after, not_applied


class NotJsonError(Exception):
    """An answer that should have been JSON and is something else."""


def explain(  # noqa: PLR0911  one return a kind of error
    error: Exception, doing: str, credential: Credential | None
) -> KaggleApiError:
    """What ``error``, raised by the kaggle client or by requests, means to the user.

    Args:
        error: the exception.
        doing: what was asked for, as in "listing the files".
        credential: the one in use, named where Kaggle does not accept it.
    """
    import requests

    if isinstance(error, KaggleApiError):
        return error
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _status(error, doing, credential)
    not_json = (ValueError, TypeError, KeyError, AttributeError, NotJsonError)
    if isinstance(error, requests.RequestException):
        return _connection(error, doing)
    if isinstance(error, not_json):
        return _not_json(doing)
    if isinstance(error, TimeoutError):
        return _silent(doing)
    if isinstance(error, CrossHostRedirect):
        return KaggleApiError(
            f"{doing} was answered with another host's address ({one_line(str(error))}), to which "
            "nothing was sent; a proxy or a login page of your network may be in between: open "
            "https://www.kaggle.com in a browser, then run it again"
        )
    return KaggleApiError(
        f"{doing} failed: {type(error).__name__}: {one_line(str(error))}; run it again with --debug"
    )


def one_line(text: str) -> str:
    """``text`` as it may stand in a message: one line, printable, not long."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"


def _status(  # noqa: PLR0911  one return a status
    error: Any, doing: str, credential: Credential | None
) -> KaggleApiError:
    response = error.response
    status, words = int(response.status_code), ""
    try:
        body = json.loads(response.text)
        words = one_line(str(body.get("message") or body.get("error") or ""))
        status = max(status, int(body.get("code") or 0))
    except (ValueError, AttributeError, TypeError, RuntimeError):
        pass
    said = f"{status}: {words}" if words else str(status)
    if status == 401:
        where = f"the {credential}" if credential else "the credential"
        return KaggleApiError(
            f"Kaggle does not accept {where} ({said}); {CREDENTIAL_HELP}",
            status=status,
            not_applied=True,
        )
    if status == 403:
        return KaggleApiError(
            f"Kaggle refuses {doing} ({said}): the competition's rules are not accepted yet, "
            f"most likely; accept them at {RULES_PAGE} and run it again",
            status=status,
            not_applied=True,
        )
    if status == 404:
        return KaggleApiError(
            f"Kaggle cannot find what was asked for while {doing} ({said}); check that "
            f"{COMPETITION_PAGE} still exists, and update its client: pip install -U kaggle",
            status=status,
            not_applied=True,
        )
    if status == 429:
        pause = _retry_after(response.headers.get("Retry-After"))
        wait = f"{pause:.0f} seconds" if pause else "a few minutes"
        return KaggleApiError(
            f"Kaggle is asked too often ({said}); wait {wait} and run it again",
            status=status,
            retryable=True,
            retry_after=pause,
            not_applied=True,
        )
    if status == 400 and any(word in words.lower() for word in WORDS_OF_A_LIMIT):
        return KaggleApiError(
            f"Kaggle takes no more submissions today ({words}); the count starts anew at "
            "00:00 UTC: run it again then",
            status=status,
            not_applied=True,
        )
    if status >= 500 or status == 408:
        return KaggleApiError(
            f"Kaggle has a fault of its own ({said} while {doing}); try again in a few minutes, "
            "its state is shown at https://status.kaggle.com",
            status=status,
            retryable=True,
            retry_after=_retry_after(response.headers.get("Retry-After")),
        )
    return KaggleApiError(
        f"Kaggle refuses {doing} ({said}); look at {COMPETITION_PAGE}, or run it "
        "again with --debug",
        status=status,
        not_applied=status < 500,
    )


def _connection(error: Any, doing: str) -> KaggleApiError:  # noqa: PLR0911  one return a cause
    from requests import exceptions

    text = repr(error)
    never_sent = any(
        name in text for name in ("NewConnectionError", "NameResolutionError", "ConnectTimeout")
    )
    if isinstance(error, exceptions.JSONDecodeError):
        return _not_json(doing)
    if isinstance(error, exceptions.SSLError):
        return KaggleApiError(
            f"the certificate shown while {doing} cannot be verified; behind a company's proxy, "
            "set REQUESTS_CA_BUNDLE to its certificate file, and look at the clock",
            not_applied=True,
        )
    if isinstance(error, exceptions.ProxyError) and (never_sent or "Tunnel" in text):
        return KaggleApiError(
            f"the proxy could not be reached while {doing}; look at the variables HTTPS_PROXY and "
            "HTTP_PROXY, or unset them",
            retryable=True,
            not_applied=True,
        )
    if isinstance(error, exceptions.Timeout) or "timed out" in text:
        return _silent(doing, not_applied=never_sent)
    if isinstance(error, exceptions.TooManyRedirects):
        return KaggleApiError(
            f"Kaggle sent us round in circles while {doing}; a proxy or a login page of your "
            "network may be in between: open https://www.kaggle.com in a browser",
        )
    if isinstance(error, exceptions.ConnectionError) and never_sent:
        return KaggleApiError(
            f"Kaggle cannot be reached ({_why(text)} while {doing}); check the network, and "
            "HTTPS_PROXY behind a proxy, then run it again",
            retryable=True,
            not_applied=True,
        )
    return KaggleApiError(
        f"the connection to Kaggle broke while {doing}; check the network and run it again",
        retryable=True,
    )


def _why(text: str) -> str:
    if "NameResolution" in text:
        return "its name is not known here"
    return "connection refused" if "refused" in text else "no connection"


def _silent(doing: str, *, not_applied: bool = False) -> KaggleApiError:
    return KaggleApiError(
        f"Kaggle did not answer in time while {doing}; check the network and run it again "
        "(KD_KAGGLE_TIMEOUT sets how many seconds are waited for)",
        retryable=True,
        not_applied=not_applied,
    )


def _not_json(doing: str) -> KaggleApiError:
    return KaggleApiError(
        f"the answer to {doing} was not Kaggle's (a web page or a piece of one instead of JSON); "
        "a proxy, a login page of your network or an outage: open https://www.kaggle.com in a "
        "browser, then run it again",
        retryable=True,
    )


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of seconds or an HTTP date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        due = parsedate_to_datetime(value)
        due = due if due.tzinfo else due.replace(tzinfo=UTC)
        return max(0.0, (due - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
