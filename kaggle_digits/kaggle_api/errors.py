"""Kaggle's answers, and the lack of them, in one line each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.credentials import HOW_TO, Credential
from kaggle_digits.kaggle_api.http import ElsewhereError

COMPETITION = "digit-recognizer"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
RULES_PAGE, SUBMISSIONS_PAGE = f"{PAGE}/rules", f"{PAGE}/submissions"
LONGEST_WORDS = 200
WORDS_OF_A_LIMIT = ("limit", "maximum", "too many", "allowed per day", "per day", "remaining")


class AnswerError(KaggleError):
    """A call to Kaggle that did not do what was asked.

    Attributes:
        status: the HTTP status, or None where there was no answer.
        again: whether trying again soon may help.
        pause: seconds that Kaggle asks to wait (Retry-After), or None.
        refused: whether it is certain that Kaggle did nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        again: bool = False,
        pause: float | None = None,
        refused: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.again, self.pause, self.refused = status, again, pause, refused


class NotJsonError(Exception):
    """An answer that should have been JSON and is something else."""


def explain(  # noqa: PLR0911  one return a kind of error
    error: Exception, doing: str, credential: Credential | None
) -> AnswerError:
    """What ``error``, raised by the kaggle client or by requests, means to the user.

    Args:
        error: the exception.
        doing: what was asked for, as in "listing the files".
        credential: the one in use, named where Kaggle does not accept it.
    """
    import requests

    if isinstance(error, AnswerError):
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
    if isinstance(error, ElsewhereError):
        return AnswerError(
            f"{doing} was answered with another host's address ({one_line(str(error))}), to which "
            "nothing was sent; a proxy or a login page of your network may be in between: open "
            "https://www.kaggle.com in a browser, then run it again"
        )
    return AnswerError(
        f"{doing} failed: {type(error).__name__}: {one_line(str(error))}; run it again with --debug"
    )


def one_line(text: str) -> str:
    """``text`` as it may stand in a message: one line, printable, not long."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"


def _status(  # noqa: PLR0911  one return a status
    error: Any, doing: str, credential: Credential | None
) -> AnswerError:
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
        return AnswerError(
            f"Kaggle does not accept {where} ({said}); {HOW_TO}", status=status, refused=True
        )
    if status == 403:
        return AnswerError(
            f"Kaggle refuses {doing} ({said}): the competition's rules are not accepted yet, "
            f"most likely; accept them at {RULES_PAGE} and run it again",
            status=status,
            refused=True,
        )
    if status == 404:
        return AnswerError(
            f"Kaggle cannot find what was asked for while {doing} ({said}); look whether {PAGE} "
            "still stands, and update its client: pip install -U kaggle",
            status=status,
            refused=True,
        )
    if status == 429:
        pause = _retry_after(response.headers.get("Retry-After"))
        wait = f"{pause:.0f} seconds" if pause else "a few minutes"
        return AnswerError(
            f"Kaggle is asked too often ({said}); wait {wait} and run it again",
            status=status,
            again=True,
            pause=pause,
            refused=True,
        )
    if status == 400 and any(word in words.lower() for word in WORDS_OF_A_LIMIT):
        return AnswerError(
            f"Kaggle takes no more submissions today ({words}); the count starts anew at "
            "00:00 UTC: run it again then",
            status=status,
            refused=True,
        )
    if status >= 500 or status == 408:
        return AnswerError(
            f"Kaggle has a fault of its own ({said} while {doing}); try again in a few minutes, "
            "its state is shown at https://status.kaggle.com",
            status=status,
            again=True,
            pause=_retry_after(response.headers.get("Retry-After")),
        )
    return AnswerError(
        f"Kaggle refuses {doing} ({said}); look at {PAGE}, or run it again with --debug",
        status=status,
        refused=status < 500,
    )


def _connection(error: Any, doing: str) -> AnswerError:  # noqa: PLR0911  one return a cause
    from requests import exceptions

    text = repr(error)
    never_sent = any(
        name in text for name in ("NewConnectionError", "NameResolutionError", "ConnectTimeout")
    )
    if isinstance(error, exceptions.JSONDecodeError):
        return _not_json(doing)
    if isinstance(error, exceptions.SSLError):
        return AnswerError(
            f"the certificate shown while {doing} cannot be verified; behind a company's proxy, "
            "set REQUESTS_CA_BUNDLE to its certificate file, and look at the clock",
            refused=True,
        )
    if isinstance(error, exceptions.ProxyError) and (never_sent or "Tunnel" in text):
        return AnswerError(
            f"the proxy could not be reached while {doing}; look at the variables HTTPS_PROXY and "
            "HTTP_PROXY, or unset them",
            again=True,
            refused=True,
        )
    if isinstance(error, exceptions.Timeout) or "timed out" in text:
        return _silent(doing, refused=never_sent)
    if isinstance(error, exceptions.TooManyRedirects):
        return AnswerError(
            f"Kaggle sent us round in circles while {doing}; a proxy or a login page of your "
            "network may be in between: open https://www.kaggle.com in a browser",
        )
    if isinstance(error, exceptions.ConnectionError) and never_sent:
        return AnswerError(
            f"Kaggle cannot be reached ({_why(text)} while {doing}); check the network, and "
            "HTTPS_PROXY behind a proxy, then run it again",
            again=True,
            refused=True,
        )
    return AnswerError(
        f"the connection to Kaggle broke while {doing}; check the network and run it again",
        again=True,
    )


def _why(text: str) -> str:
    if "NameResolution" in text:
        return "its name is not known here"
    return "connection refused" if "refused" in text else "no connection"


def _silent(doing: str, *, refused: bool = False) -> AnswerError:
    return AnswerError(
        f"Kaggle did not answer in time while {doing}; check the network and run it again "
        "(KD_KAGGLE_TIMEOUT sets how many seconds are waited for)",
        again=True,
        refused=refused,
    )


def _not_json(doing: str) -> AnswerError:
    return AnswerError(
        f"the answer to {doing} was not Kaggle's (a web page or a piece of one instead of JSON); "
        "a proxy, a login page of your network or an outage: open https://www.kaggle.com in a "
        "browser, then run it again",
        again=True,
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
