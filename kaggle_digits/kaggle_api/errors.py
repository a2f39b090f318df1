"""Errors of the Kaggle API: one line each, with the cause and what to do next."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from kaggle_digits.core.errors import KaggleError, one_line
from kaggle_digits.kaggle_api import network_problems as network
from kaggle_digits.kaggle_api.credentials import CREDENTIAL_HELP, Credential

COMPETITION = "digit-recognizer"
COMPETITION_PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
RULES_PAGE, SUBMISSIONS_PAGE = f"{COMPETITION_PAGE}/rules", f"{COMPETITION_PAGE}/submissions"
OPEN_IN_BROWSER = "open https://www.kaggle.com in a browser, then run it again"
PROXY_OR_LOGIN = f"a proxy or a login page of your network may be the cause: {OPEN_IN_BROWSER}"
LOGIN_NEEDED = 511  # Network Authentication Required
LIMIT_WORDS = ("limit", "maximum", "too many", "per day", "remaining")


class KaggleApiError(KaggleError):
    """A call to Kaggle that failed."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        not_applied: bool = False,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status  # the HTTP status; None if there was no response
        self.retryable = retryable  # whether the same call may succeed soon
        self.retry_after = retry_after  # seconds that Kaggle asks to wait (Retry-After)
        self.not_applied = not_applied  # whether it is certain that nothing changed at Kaggle
        self.reason = reason  # Kaggle's own message


class NotJsonError(Exception):
    """A response that should be a JSON object (or a file) and is something else."""


NOT_JSON_ERRORS = (ValueError, TypeError, KeyError, AttributeError, NotJsonError)


class CrossHostRedirect(Exception):  # noqa: N818  named like requests' TooManyRedirects
    """A call was redirected to another host and not sent there."""


@contextlib.contextmanager
def explained(messages: dict[int, str]) -> Iterator[None]:
    """Replace the message of an error with one of these HTTP statuses."""
    try:
        yield
    except KaggleApiError as error:
        if error.status not in messages:
            raise
        message = messages[error.status].replace("{status}", str(error.status))
        message = message.replace("{reason}", error.reason or "no reason given")
        raise KaggleApiError(message, status=error.status, not_applied=True) from error


def explain(error: Exception, action: str, credential: Credential) -> KaggleApiError:
    """Translate an exception of kagglesdk or requests while ``action``: "listing the files"."""
    from requests import exceptions
    from urllib3.exceptions import HTTPError

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return _explain_response(error.response, action, credential)
    is_network_error = isinstance(error, exceptions.RequestException | HTTPError)
    is_network_error = is_network_error and not isinstance(error, exceptions.JSONDecodeError)
    if is_network_error and (problem := network.find_problem(error)):
        return _explain_network(problem, action)
    text, retryable = repr(error), True
    not_applied = is_network_error and any(name in text for name in network.NEVER_SENT)
    if isinstance(error, NOT_JSON_ERRORS) and not is_network_error:
        message = (
            f"the response to {action} is not from Kaggle (a web page or incomplete data instead "
            "of JSON), which a proxy, a login page of your network or an outage may cause: "
            f"{OPEN_IN_BROWSER}"
        )
    elif isinstance(error, CrossHostRedirect):
        retryable = False
        message = (
            f"{action} was redirected to another host ({one_line(error)}), to which nothing "
            f"was sent; {PROXY_OR_LOGIN}"
        )
    elif isinstance(error, exceptions.TooManyRedirects):
        retryable = False
        message = f"Kaggle sent too many redirects while {action}; {PROXY_OR_LOGIN}"
    elif isinstance(error, TimeoutError) or (
        is_network_error and (isinstance(error, exceptions.Timeout) or "timed out" in text)
    ):
        message = (
            f"Kaggle did not answer in time while {action}; check the network and run it again "
            "(KD_KAGGLE_TIMEOUT sets the seconds to wait)"
        )
    elif is_network_error:
        broke = "cannot be made" if not_applied else "broke"
        message = (
            f"the connection to Kaggle {broke} while {action}; check the network and try again"
        )
    else:
        retryable = False
        reason = f"{type(error).__name__}: {one_line(error)}"
        message = f"{action} failed: {reason}; run it again with `os.environ['KD_DEBUG'] = '1'`"
    return KaggleApiError(message, retryable=retryable, not_applied=not_applied)


def _explain_network(problem: network.NetworkProblem, action: str) -> KaggleApiError:
    text = f"Kaggle cannot be reached while {action}: {problem.cause}; {problem.remedy}"
    retryable, not_applied = problem.retryable, problem.never_sent
    return KaggleApiError(
        f"{text}, then run it again", retryable=retryable, not_applied=not_applied
    )


def _explain_response(response: Any, action: str, credential: Credential) -> KaggleApiError:
    status, reason = int(response.status_code), ""
    if status == 407:
        return _explain_network(network.proxy_response(status), action)
    with contextlib.suppress(ValueError, AttributeError, TypeError, RuntimeError):
        body = json.loads(response.text)
        reason = one_line(str(body.get("message") or body.get("error") or ""))
        status = max(status, int(body.get("code") or 0))
    detail = f"{status}: {reason}" if reason else str(status)
    retry_after = _retry_after(response.headers.get("Retry-After", ""))
    wait = f"{retry_after:.0f} seconds" if retry_after else "a few minutes"
    # 408 is the one client error after which the request may still have been carried out.
    server_error = status == 408 or (status >= 500 and status != LOGIN_NEEDED)
    if status == 400 and any(word in reason.lower() for word in LIMIT_WORDS):
        message = (
            f"Kaggle accepts no more submissions today ({reason}); the count is reset at "
            "00:00 UTC: run it again then"
        )
    elif server_error:
        message = (
            f"Kaggle has an internal error ({detail} while {action}); try again in a few minutes, "
            "or see https://status.kaggle.com"
        )
    else:
        message = {
            401: f"Kaggle does not accept the {credential} ({detail}); {CREDENTIAL_HELP}",
            403: f"Kaggle denied {action} ({detail}), most likely because the competition's rules "
            f"are not accepted yet; accept them at {RULES_PAGE} and run it again",
            404: f"Kaggle found nothing while {action} ({detail}); check that {COMPETITION_PAGE} "
            "exists, and update its client: pip install -U kaggle",
            LOGIN_NEEDED: f"your network asks you to log in first ({detail}); {OPEN_IN_BROWSER}",
            429: f"Kaggle's rate limit is reached ({detail}); wait {wait} and run it again",
        }.get(
            status,
            f"Kaggle rejected {action} ({detail}); see {COMPETITION_PAGE}, or run it again with "
            "`os.environ['KD_DEBUG'] = '1'`",
        )
    return KaggleApiError(
        message,
        status=status,
        retryable=server_error or status == 429,
        retry_after=retry_after,
        not_applied=not server_error,
        reason=reason,
    )


def _retry_after(value: str) -> float | None:
    """Parse a Retry-After header: seconds, also with a fraction, or an HTTP date."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(InvalidHeader, ValueError, OverflowError):
        return Retry().parse_retry_after(value)
    return None
