"""Signing in as the kaggle client does, and asking through it: bounded, retried, explained."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kaggle_digits.core.errors import DigitsError, KaggleError
from kaggle_digits.core.progress import NoProgress, Progress
from kaggle_digits.kaggle_api.credentials import (
    CREDENTIAL_HELP,
    TOKEN,
    Credential,
    config_folder,
    require,
)
from kaggle_digits.kaggle_api.errors import KaggleApiError, NotJsonError, explain, one_line
from kaggle_digits.kaggle_api.http import no_requests
from kaggle_digits.kaggle_api.retry import RetryPolicy, call_with_timeout, retry

T = TypeVar("T")


class Session:
    """The kaggle client, signed in when first asked.

    Args:
        policy: time-outs, tries and pauses.
        progress: where news of retries goes.

    Raises:
        KaggleError: there is no credential; says how to make one.
    """

    def __init__(self, policy: RetryPolicy, progress: Progress) -> None:
        self._policy, self._progress = policy, progress
        self.credential = require()
        self._api: Any = None

    def ask(self, doing: str, call: Callable[[Any], T], *, tries: int = 0) -> T:
        """Make ``call`` with the client's API object.

        Args:
            doing: what is asked for, for messages.
            call: one call of the client.
            tries: how often in all; 0 for policy's.

        Raises:
            KaggleApiError: it failed to the last.
        """
        api = self.api()

        def once() -> T:
            with self.explained(doing):
                return call_with_timeout(lambda: call(api), self._policy)

        return retry(once, self._policy, self._progress.note, tries=tries)

    @contextlib.contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn whatever is raised into KaggleApiError."""
        try:
            yield
        except DigitsError:
            raise
        except Exception as error:
            raise explain(error, doing, self.credential) from error

    def api(self) -> Any:
        """The client's API object, signed in by the client's own rules."""
        if self._api is not None:
            return self._api
        api_class = _api_class()

        def sign_in() -> Any:
            api = api_class()
            # Settled by the client when first imported; as it stands now otherwise.
            local = os.environ.get("KAGGLE_API_ENVIRONMENT") == "LOCALHOST"
            api.args, api.config_values = ["--local"] if local else [], {}
            api.config = str(config_folder(os.environ) / "kaggle.json")
            # In the place of a note that a newer version is there.
            api.get_response_processor = lambda: _look_at
            try:
                api.authenticate()
            except SystemExit:
                raise self._not_accepted() from None
            # The client falls back on an API key, yet goes on sending the token it refused.
            if "token" not in api.config_values and self.credential.kind == TOKEN:
                raise self._not_accepted()
            return api

        def once() -> Any:
            with self.explained("signing in"):
                return call_with_timeout(sign_in, self._policy)

        self._api = retry(once, self._policy, self._progress.note)
        return self._api

    def _not_accepted(self) -> KaggleApiError:
        return KaggleApiError(
            f"Kaggle does not accept the {self.credential}: wrong or expired; {CREDENTIAL_HELP}",
            status=401,
            not_applied=True,
        )


class KaggleSession:
    """One end of the wire to Kaggle, in the name of the user whose credential is found.

    Every method of such a class raises KaggleError: one line on what went wrong and what to do.

    Args:
        policy: time-outs, tries and pauses.
        progress: where news of retries and downloads goes.
    """

    def __init__(
        self, *, policy: RetryPolicy | None = None, progress: Progress | None = None
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.progress = progress or NoProgress()
        self._session = Session(self.policy, self.progress)

    @property
    def credential(self) -> Credential:
        """The credential in use."""
        return self._session.credential


def _look_at(response: Any) -> None:
    """Refuse JSON that is no object, of which the client makes an answer without anything in it.

    Raises:
        NotJsonError: so it is.
    """
    if "application/json" not in response.headers.get("Content-Type", ""):
        return
    if not isinstance(response.json(), dict):
        raise NotJsonError


def _api_class() -> Any:
    """Import the kaggle client, whose import signs in, prints and makes a folder."""
    try:
        return call_with_timeout(_import, RetryPolicy())
    except OSError as error:
        raise KaggleError(
            f"the kaggle client cannot make its settings folder ({one_line(str(error))}); set "
            "KAGGLE_CONFIG_DIR to a folder that you may write to"
        ) from error
    except ImportError as error:
        raise KaggleError(
            f"the kaggle package cannot be imported ({one_line(str(error))}); "
            "install it: pip install kaggle six"
        ) from error


def _import() -> Any:
    with no_requests():
        from kaggle.api.kaggle_api_extended import KaggleApi

    return KaggleApi
